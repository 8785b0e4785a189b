"""What every room stands on: errors, canonical form, clock and ids. Pure: no input or output, no state."""

from freehold.base.canonical import Json, digest
from freehold.base.clock import Clock, SystemClock
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
