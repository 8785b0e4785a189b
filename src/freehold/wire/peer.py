"""Who is at the other end of a local socket, as the kernel of the machine names them. Fails closed.

Both doors for people use it (the daemon's and the vault's), and the daemon where the vault is a unit of its own.
"""

import socket
import struct
from typing import NamedTuple

from freehold.base.errors import Refused


class Peer(NamedTuple):
    """The process at the other end, as the kernel of the machine names it."""

    pid: int
    uid: int


def peer_of(connection: socket.socket) -> Peer:
    """Return who is at the other end; raises Refused where the platform cannot tell."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        raise Refused(
            "This platform does not say who is calling, so nobody is let in.",
            remedy="Run Freehold on Linux.",
            code="refused.peer",
        )
    try:
        pid, uid, _ = struct.unpack(
            "3i", connection.getsockopt(socket.SOL_SOCKET, option, struct.calcsize("3i"))
        )
    except (OSError, struct.error) as error:
        raise Refused("The caller's process could not be named.", code="refused.peer") from error
    return Peer(pid, uid)
