"""What every room stands on: errors, canonical form, clock and ids. Pure: no input or output, no state.

Errors come at once, the rest when it is asked for: a command that only asks the daemon pays for no more.
"""

import importlib
from typing import TYPE_CHECKING, Any, Final

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

if TYPE_CHECKING:
    from freehold.base.canonical import Json, digest
    from freehold.base.clock import Clock, SystemClock
    from freehold.base.ids import IdSource, action_id, short

__all__ = [
    "BadInput",
    "Clock",
    "Corrupt",
    "Diverged",
    "FreeholdError",
    "IdSource",
    "Internal",
    "Json",
    "NotFound",
    "ProtocolError",
    "Refused",
    "StoreFailed",
    "SystemClock",
    "TimedOut",
    "Unavailable",
    "action_id",
    "digest",
    "short",
]

_LATER: Final = {
    "Clock": "clock",
    "IdSource": "ids",
    "Json": "canonical",
    "SystemClock": "clock",
    "action_id": "ids",
    "digest": "canonical",
    "short": "ids",
}


def __getattr__(name: str) -> Any:
    """Load what was not needed so far (PEP 562)."""
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_LATER[name]}"), name)
