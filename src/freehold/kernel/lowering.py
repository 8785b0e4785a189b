"""The only way down: declassifiers and endorsers that the gate runs itself and journals.

Each is a small function of the house; a pack cannot bring one. What it returns carries the label that the
function states, and a note says from which label to which. Only the gate calls ``apply``.
"""

import datetime
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Final

import msgspec

from freehold.base import BadInput, Json, Refused
from freehold.kernel.change import Change, Note
from freehold.kernel.labels import Confidentiality, Integrity, Label

MAX_NUMBER: Final = 10**12


class Lowering(msgspec.Struct, frozen=True):
    """One way down. ``run`` returns the value that is left, or raises BadInput; ``params`` bound it.

    ``integrity`` and ``confidentiality`` are what the result has at most; None leaves that part as it was.
    Sources and subjects always stay: who is in the data does not change by narrowing it.
    """

    name: str
    run: Callable[[Json, Mapping[str, Json]], Json]
    integrity: Integrity | None = None
    confidentiality: Confidentiality | None = None

    def label(self, label: Label) -> Label:
        """Return the label of the result, never above the label of what went in."""
        integrity = label.integrity if self.integrity is None else min(label.integrity, self.integrity)
        level = label.confidentiality
        if self.confidentiality is not None:
            level = min(level, self.confidentiality)
        return Label(integrity, level, label.sources, label.subjects)


class Lowered(msgspec.Struct, frozen=True):
    """A value after its way down, with the label that it has now."""

    value: Json
    label: Label


class Lowerings:
    """The ways down that this house knows; the daemon gives them at start."""

    def __init__(self, known: Iterable[Lowering]) -> None:
        self._known = {lowering.name: lowering for lowering in known}

    def apply(
        self, name: str, value: Json, label: Label, params: Mapping[str, Json], *, by: str, run: str = ""
    ) -> Change:
        """Run one way down; the Change's value is the Lowered, its note goes into the journal.

        ``params`` come from the trusted plan, never from a runner. Raises Refused for an unknown name and for
        a value that does not fit.
        """
        lowering = self._known.get(name)
        if lowering is None:
            raise Refused(
                f"There is no declassifier named {name[:80]!a}.",
                code="refused.flow",
                remedy="Use a known one.",
            )
        try:
            result = lowering.run(value, params)
        except BadInput as error:
            raise Refused(error.message, remedy=error.remedy, code="refused.flow") from None
        lowered = Lowered(result, lowering.label(label))
        head = {"name": name, "by": by, "from": label.encode(), "to": lowered.label.encode()}
        return Change([Note("lowered", head, {"value": result}, ("estate",), run)], value=lowered)


def endorse_number(value: Json, params: Mapping[str, Json]) -> Json:
    """Keep a whole number within ``min`` and ``max``: it cannot instruct."""
    low, high = params.get("min", -MAX_NUMBER), params.get("max", MAX_NUMBER)
    if type(value) is not int or type(low) is not int or type(high) is not int or not low <= value <= high:
        raise BadInput(
            "The value is not a whole number within the stated bounds.", remedy="Ask a human for it."
        )
    return value


def endorse_date(value: Json, params: Mapping[str, Json]) -> Json:
    """Keep a calendar date ``YYYY-MM-DD``."""
    try:
        if type(value) is str and datetime.date.fromisoformat(value).isoformat() == value:
            return value
    except ValueError:
        pass
    raise BadInput("The value is not a date written YYYY-MM-DD.", remedy="Ask a human for it.")


def endorse_choice(value: Json, params: Mapping[str, Json]) -> Json:
    """Keep one of the closed set ``of``."""
    options = params.get("of")
    if type(value) is str and isinstance(options, list) and value in options:
        return value
    raise BadInput("The value is not one of the stated choices.", remedy="Ask a human for it.")


BUILTIN: Final[Mapping[str, Lowering]] = MappingProxyType(
    {
        lowering.name: lowering
        for lowering in (
            Lowering("endorse.number", endorse_number, Integrity.ESTATE),
            Lowering("endorse.date", endorse_date, Integrity.ESTATE),
            Lowering("endorse.choice", endorse_choice, Integrity.ESTATE),
        )
    }
)
