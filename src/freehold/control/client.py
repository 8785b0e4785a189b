"""The commands' end of the control socket: blocking, small, and sure that the daemon is our own user's.

Used by ``cli`` and by tests; one connection, one request at a time.
"""

import os
import select
import socket
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from freehold.base.errors import FreeholdError, ProtocolError, Refused, TimedOut, Unavailable
from freehold.control import protocol
from freehold.control.address import peer_of, short_path
from freehold.wire.frames import Unpacker


class Client:
    """A connection to the daemon of one estate."""

    def __init__(self, path: Path, *, timeout_s: float | None = 60.0) -> None:
        """Connect to the socket at ``path``.

        Raises Unavailable (code ``unavailable.daemon``) when no daemon listens there, Refused when the
        one who listens is another user.
        """
        self._number = 0
        self._unpacker = Unpacker()
        self._ready: list[dict[str, Any]] = []
        self._timeout_s = timeout_s
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(timeout_s)
        try:
            with short_path(path) as name:
                self._socket.connect(name)
            if peer_of(self._socket).uid != os.getuid():
                raise Refused(f"The socket {path} is served by another user.", code="refused.peer")
        except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError) as error:
            self._socket.close()
            raise Unavailable(
                "The daemon of this estate does not run.",
                remedy="Start it: freehold up",
                code="unavailable.daemon",
            ) from error
        except OSError as error:
            self._socket.close()
            raise Unavailable(
                f"The daemon cannot be reached at {path}: {error.strerror or error}.",
                remedy="Check the folder's permissions, then: freehold doctor",
                code="unavailable.socket",
            ) from error
        except FreeholdError:
            self._socket.close()
            raise

    def call(
        self,
        verb: str,
        args: dict[str, Any] | None = None,
        on_event: Callable[[Any], None] | None = None,
        *,
        wait_s: float | None = -1.0,
    ) -> Any:
        """Ask for ``verb`` and return its value; ``on_event`` gets what comes before it.

        ``wait_s`` is the longest silence (None: for ever; by default the connection's). Raises what the
        daemon answered, as an error of our tree.
        """
        self._number += 1
        self._socket.settimeout(self._timeout_s if wait_s == -1.0 else wait_s)
        try:
            self._socket.sendall(protocol.pack({"id": self._number, "verb": verb, "args": args or {}}))
            while True:
                message = self._next()
                if message.get("id") not in (self._number, 0):
                    continue
                if "event" in message:
                    if on_event is not None:
                        on_event(message["event"])
                elif "problem" in message:
                    raise protocol.error_of(message["problem"])
                elif "value" in message:
                    return message["value"]
                else:
                    raise ProtocolError("The daemon's answer is neither event, value nor problem.")
        except TimeoutError as error:
            raise TimedOut(
                f"The daemon did not answer {verb} in time.", remedy="See what it does: freehold status"
            ) from error
        except OSError as error:
            raise Unavailable(
                "The connection to the daemon broke; what it had accepted is not lost.",
                remedy="Look again: freehold status",
                code="unavailable.daemon",
            ) from error

    @property
    def ended(self) -> bool:
        """Whether the daemon has ended the connection."""
        if not select.select([self._socket], [], [], 0)[0]:
            return False
        try:
            return self._socket.recv(1, socket.MSG_PEEK) == b""
        except OSError:
            return True

    def close(self) -> None:
        """End the connection."""
        self._socket.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _next(self) -> dict[str, Any]:
        while not self._ready:
            data = self._socket.recv(protocol.CHUNK)
            if not data:
                raise ConnectionResetError
            self._ready.extend(protocol.unpack(body) for body in self._unpacker.feed(data))
        return self._ready.pop(0)
