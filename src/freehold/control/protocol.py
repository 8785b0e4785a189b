"""What crosses the control socket: requests with a number, events, one value or one problem for each.

Frames are those of ``wire``. The commands (client) and the daemon (server) both stand on this module; it
loads little, because every command pays for it.
"""

import json
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
from freehold.wire import frames

CHUNK: Final = 1 << 16

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


def pack(message: dict[str, Any]) -> bytes:
    """Return the frame of one message; raises ProtocolError when it is over the bound of the wire."""
    return frames.pack(
        json.dumps(message, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")
    )


def unpack(body: bytes) -> dict[str, Any]:
    """Return the message in a frame's body; raises ProtocolError when it is not a JSON object."""
    try:
        message = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ProtocolError("A message on the control socket is not JSON.") from error
    if not isinstance(message, dict):
        raise ProtocolError("A message on the control socket is not a JSON object.")
    return message


def error_of(problem: dict[str, Any]) -> FreeholdError:
    """Return the error that a problem object of the daemon stands for, of the nearest class of our tree."""
    code = str(problem.get("code", "internal"))
    message, remedy = str(problem.get("title", "")), str(problem.get("detail", ""))
    for kind in _TREE:
        base = kind.default_code
        if code == base or code.startswith(base + "."):
            return kind(message, remedy=remedy, code=code)
    return Internal(message, remedy=remedy, code=code)
