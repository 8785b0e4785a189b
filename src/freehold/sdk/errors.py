"""What a step may raise and what its actions may raise at it; part of the house's one error tree."""

from typing import ClassVar, Literal

from freehold.base import FreeholdError


class StepFailed(FreeholdError):
    """Raised by a step: this item failed, in one sentence for people.

    ``retry`` says that another attempt may help (a busy reader, not a broken file); the node's ``retries``
    bound how often.
    """

    default_code: ClassVar[str] = "step.failed"
    exit_code: ClassVar[int] = 1
    http_status: ClassVar[int] = 422

    def __init__(self, message: str, *, remedy: str = "", code: str = "", retry: bool = False) -> None:
        super().__init__(message, remedy=remedy, code=code)
        self.retry = retry


class ActionFailed(FreeholdError):
    """An action that the gate let through did not succeed.

    ``status`` is ``not_done`` (the other side refused it) or ``unknown`` (it may have happened).
    """

    default_code: ClassVar[str] = "action.failed"
    exit_code: ClassVar[int] = 1
    http_status: ClassVar[int] = 502

    def __init__(
        self, status: Literal["not_done", "unknown"], message: str, *, remedy: str = "", code: str = ""
    ) -> None:
        super().__init__(message, remedy=remedy, code=code)
        self.status = status
