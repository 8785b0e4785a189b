"""The blocking end of a socketpair, for small processes without a loop: the fork server and the couriers.

Descriptors that come in belong to the message they were sent with, in order; whoever takes a message takes
its descriptors too.
"""

import os
import socket
from collections import deque
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from freehold.base import ProtocolError, Unavailable
from freehold.wire import messages
from freehold.wire.frames import Unpacker, pack

_READ_SIZE: Final = 1 << 16
_MAX_DESCRIPTORS: Final = 253
"""What Linux lets one message of a Unix socket carry (SCM_MAX_FD)."""


class BlockingChannel:
    """One end of a connection, read and written by calls that wait."""

    def __init__(self, sock: socket.socket, direction: "msgspec.json.Decoder[Any]") -> None:
        self._sock = sock
        self._direction = direction
        self._unpacker = Unpacker()
        self._ready: deque[Any] = deque()
        self._descriptors: deque[int] = deque()

    def fileno(self) -> int:
        """The socket's descriptor, to wait on."""
        return self._sock.fileno()

    def send(self, message: messages.Message, descriptors: Sequence[int] = ()) -> None:
        """Send a message, waiting until the kernel took it; raises Unavailable when the peer is gone."""
        data = pack(messages.encode(message))
        try:
            if descriptors:
                data = data[socket.send_fds(self._sock, [data], list(descriptors)) :]
            if data:
                self._sock.sendall(data)
        except OSError as error:
            raise Unavailable("The other process is gone.") from error

    def receive(self) -> Any:
        """Return the next message, or None when the other side ended in order; waits for it."""
        while not self._ready:
            if not self.read():
                return None
        return self._ready.popleft()

    def read(self) -> bool:
        """Take in what one read brings; False at the end. ``waiting`` then gives the whole messages."""
        try:
            data, descriptors, flags, _ = socket.recv_fds(self._sock, _READ_SIZE, _MAX_DESCRIPTORS)
        except OSError:
            data, descriptors, flags = b"", [], 0
        for descriptor in descriptors:
            os.set_inheritable(descriptor, False)
        self._descriptors.extend(descriptors)
        if flags & socket.MSG_CTRUNC:
            raise ProtocolError("Descriptors were lost on the way.", remedy="Raise the limit of open files.")
        if not data:
            if self._unpacker.pending:
                raise ProtocolError("The other process ended in the middle of a message.")
            return False
        self._ready.extend(messages.decode_all(self._unpacker.feed(data), self._direction))
        return True

    def waiting(self) -> list[Any]:
        """Return the messages that are whole, without waiting."""
        found = list(self._ready)
        self._ready.clear()
        return found

    def take_descriptors(self, count: int) -> list[int]:
        """Return the next ``count`` descriptors; raises ProtocolError when fewer came."""
        if len(self._descriptors) < count:
            raise ProtocolError(f"A message spoke of {count} descriptors, {len(self._descriptors)} came.")
        return [self._descriptors.popleft() for _ in range(count)]

    def close(self) -> None:
        """Close the socket and every descriptor that nobody took."""
        while self._descriptors:
            os.close(self._descriptors.popleft())
        self._sock.close()
