"""A problem object that another process sent, as an error of our tree again."""

from typing import Any, Final

from freehold.base.errors import (
    BadInput,
    Corrupt,
    Diverged,
    FreeholdError,
    Internal,
    NotFound,
    ProtocolError,
    Refused,
    StoreFailed,
    TimedOut,
    Unavailable,
)

_TREE: Final[tuple[type[FreeholdError], ...]] = (
    NotFound,
    Diverged,
    StoreFailed,
    TimedOut,
    BadInput,
    Refused,
    Unavailable,
    ProtocolError,
    Corrupt,
    Internal,
)


def error_of(problem: dict[str, Any]) -> FreeholdError:
    """Return the error that a problem object stands for, of the nearest class of our tree."""
    code = str(problem.get("code", "internal"))
    message, remedy = str(problem.get("title", "")), str(problem.get("detail", ""))
    for kind in _TREE:
        base = kind.default_code
        if code == base or code.startswith(base + "."):
            return kind(message, remedy=remedy, code=code)
    return Internal(message, remedy=remedy, code=code)
