"""The asynchronous end of a socketpair: frames in, frames out, nothing awaited and no task a message.

The daemon holds one ``Channel`` for each process that it started, a runner holds one to the daemon. All
frames of one read are handed on in one call, all frames written in one turn of the loop leave in one send
(the first of a turn at once, so that a lone message waits for nobody, unless the turn before had several).
Memory is bounded both ways: reading stops while the handler says so or while the other side does not take
what it was sent.
"""

import asyncio
import os
import socket
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from freehold.base import BadInput, FreeholdError, ProtocolError, Unavailable
from freehold.wire import messages
from freehold.wire.frames import HEADER, MAX_BODY, VERSION, Unpacker, too_large

READ_SIZE: Final = 1 << 16
HIGH_WATER: Final = 1 << 20
MAX_BUFFERED: Final = 64 << 20
_BLANK: Final = bytes(HEADER.size)


class Channel:
    """One end of a connection between two processes, for an asyncio loop.

    ``on_messages(messages, size)`` gets every message of one read, in order, and their size in bytes; a
    FreeholdError that it raises closes the channel. ``on_closed(error)`` is called once, from the loop: with
    None when the other side ended in order, else with what went wrong. Descriptors that come in are dropped
    by the kernel; ``send`` may send some along.
    """

    def __init__(
        self,
        sock: socket.socket,
        direction: "msgspec.json.Decoder[Any]",
        on_messages: Callable[[list[Any], int], None],
        on_closed: Callable[[FreeholdError | None], None],
        *,
        max_body: int = MAX_BODY,
        max_buffered: int = MAX_BUFFERED,
    ) -> None:
        self._sock = sock
        self._fd = sock.fileno()
        self._direction = direction
        self._on_messages = on_messages
        self._on_closed = on_closed
        self._max_body = max_body
        self._max_buffered = max_buffered
        self._unpacker = Unpacker(max_body)
        self._encoder = msgspec.json.Encoder()
        self._out = bytearray()
        self._sent = 0
        self._marks: deque[tuple[int, list[int]]] = deque()
        self._turn_open = False
        self._in_turn = 0
        self._last_turn = 0
        self._writing = False
        self._held = False
        self._reading = False
        self._closed = False
        self._drained: asyncio.Future[None] | None = None
        self._loop: asyncio.AbstractEventLoop

    def start(self) -> None:
        """Begin to read; to be called once, inside the loop that the channel will live in."""
        self._loop = asyncio.get_running_loop()
        self._sock.setblocking(False)
        self._watch()

    @property
    def closed(self) -> bool:
        """Whether the channel takes part in nothing any more."""
        return self._closed

    @property
    def buffered(self) -> int:
        """Bytes that were sent here and not yet taken by the kernel."""
        return len(self._out)

    # ---- reading

    def pause(self) -> None:
        """Stop reading (what this very read has brought is still handed on)."""
        self._held = True
        self._watch()

    def resume(self) -> None:
        """Read again."""
        self._held = False
        self._watch()

    def _watch(self) -> None:
        wanted = not (self._closed or self._held or len(self._out) > HIGH_WATER)
        if wanted != self._reading:
            self._reading = wanted
            if wanted:
                self._loop.add_reader(self._fd, self._readable)
            else:
                self._loop.remove_reader(self._fd)

    def _readable(self) -> None:
        try:
            data = self._sock.recv(READ_SIZE)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            self._ended()
            return
        try:
            bodies = self._unpacker.feed(data)
            if bodies:
                size = sum(map(len, bodies)) if len(bodies) > 1 else len(bodies[0])
                self._on_messages(messages.decode_all(bodies, self._direction), size)
        except FreeholdError as error:
            self.close(error)

    def _ended(self) -> None:
        broken = self._unpacker.pending
        self.close(ProtocolError("The other process ended in the middle of a message.") if broken else None)

    # ---- writing

    def send(self, message: messages.Message, descriptors: Sequence[int] = ()) -> None:
        """Send a message, and copies of ``descriptors`` along with it; after the end it is dropped.

        Raises ProtocolError when it is over the bound and BadInput when a value has no form in JSON; the
        channel stays usable then. A peer that lets more than ``max_buffered`` bytes wait is closed.
        """
        if self._closed:
            return
        out = self._out
        start = len(out)
        out += _BLANK
        try:
            self._encoder.encode_into(message, out, start + len(_BLANK))
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            del out[start:]
            raise BadInput(f"A value cannot be written as JSON: {error}.") from error
        size = len(out) - start - len(_BLANK)
        if size > self._max_body:
            del out[start:]
            raise too_large(size, self._max_body)
        HEADER.pack_into(out, start, size, VERSION)
        if descriptors:
            self._marks.append((self._sent + start, [os.dup(descriptor) for descriptor in descriptors]))
        if not (self._turn_open or self._writing):
            self._turn_open = True
            self._in_turn = 1
            self._loop.call_soon(self._end_turn)
            if self._last_turn < 2:
                self._flush()
            return
        self._in_turn += 1
        if len(out) > HIGH_WATER:
            if len(out) > self._max_buffered:
                self.close(Unavailable("The other process does not read what it is sent."))
            else:
                self._watch()

    async def drain(self) -> None:
        """Wait until the kernel has taken everything, or the channel is closed."""
        while self._out and not self._closed:
            if self._drained is None:
                self._drained = self._loop.create_future()
            await asyncio.shield(self._drained)

    def _end_turn(self) -> None:
        self._turn_open = False
        self._last_turn = self._in_turn
        if self._out and not (self._writing or self._closed):
            self._flush()

    def _flush(self) -> None:
        out = self._out
        try:
            sent = self._sock.send(out) if not self._marks else self._send_marked()
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError:
            self.close(None)
            return
        self._sent += sent
        if sent == len(out):
            out.clear()
            if self._writing:
                self._writing = False
                self._loop.remove_writer(self._fd)
                self._watch()
            self._wake()
            return
        del out[:sent]
        if not self._writing:
            self._writing = True
            self._loop.add_writer(self._fd, self._flush)
        self._watch()

    def _send_marked(self) -> int:
        """Send up to the next message that carries descriptors, or that message with them."""
        at, descriptors = self._marks[0]
        if at > self._sent:
            return self._sock.send(memoryview(self._out)[: at - self._sent].tobytes())
        end = self._marks[1][0] - self._sent if len(self._marks) > 1 else len(self._out)
        sent = socket.send_fds(self._sock, [bytes(self._out[:end])], descriptors)
        self._marks.popleft()
        for descriptor in descriptors:
            os.close(descriptor)
        return sent

    def _wake(self) -> None:
        if self._drained is not None:
            waiter, self._drained = self._drained, None
            if not waiter.done():
                waiter.set_result(None)

    # ---- the end

    def close(self, error: FreeholdError | None = None) -> None:
        """Close now; what waits to be written is dropped. A second call does nothing."""
        if self._closed:
            return
        self._closed = True
        self._watch()
        if self._writing:
            self._writing = False
            self._loop.remove_writer(self._fd)
        self._out.clear()
        while self._marks:
            for descriptor in self._marks.popleft()[1]:
                os.close(descriptor)
        self._sock.close()
        self._wake()
        self._loop.call_soon(self._on_closed, error)
