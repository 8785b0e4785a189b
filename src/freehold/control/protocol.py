"""What crosses the control socket: requests with a number, events, one value or one problem for each.

Frames are those of ``wire``. The commands (client) and the daemon (server) both stand on this module; it
loads little, because every command pays for it.
"""

import json
from typing import Any, Final

from freehold.base.errors import ProtocolError
from freehold.wire import frames
from freehold.wire.problems import error_of

__all__ = ["CHUNK", "error_of", "pack", "unpack"]

CHUNK: Final = 1 << 16


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
