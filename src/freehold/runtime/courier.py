"""One courier's process: started with what it is for, given errands by their number, killed with what is under way.

Shared by the couriers of plain ways out and by those of bindings, which carry many errands at once.
"""

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from freehold.base import FreeholdError, Unavailable
from freehold.runtime.processes import start
from freehold.sandbox import Level, Profile, enter_command
from freehold.wire import child
from freehold.wire import messages as m
from freehold.wire.channel import Channel

GRACE_S: Final = 2.0
START_LIMIT_S: Final = 30.0
MAX_STREAM: Final = 64 << 20
_FROM_COURIER: Final = m.decoder(m.FromCourier)


class Take(NamedTuple):
    """Who gets a reply as it comes, and how many bytes of it at most; ``on_chunk`` must not raise."""

    on_chunk: Callable[[bytes], None] | None = None
    most: int = MAX_STREAM


class CourierProcess:
    """A courier of one ``kind`` behind ``walls``; ``more`` are further arguments, ``passed`` descriptors."""

    def __init__(
        self,
        kind: str,
        walls: Profile,
        log: Path | None,
        on_gone: Callable[["CourierProcess"], None],
        more: Sequence[str] = (),
        passed: Sequence[int] = (),
    ) -> None:
        ours, theirs = socket.socketpair()
        self._walled = walls.level is not Level.NONE
        try:
            with theirs:
                kept = [theirs.fileno(), *passed]
                self._process = start(_command(kind, walls, kept, more), kept, log)
        except OSError as error:
            ours.close()
            raise Unavailable(f"A courier cannot be started: {error.strerror}.") from error
        self.reaped: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._up = asyncio.Event()
        self._on_gone = on_gone
        self._seq = 0
        self._answers: dict[int, asyncio.Future[m.Delivered]] = {}
        self._taken: dict[int, tuple[Take, int]] = {}
        self._channel = Channel(ours, _FROM_COURIER, self._take, self._closed)
        self._channel.start()

    @property
    def alive(self) -> bool:
        """Whether it can be given an errand."""
        return not self._channel.closed

    @property
    def busy(self) -> int:
        """Errands that are under way."""
        return len(self._answers)

    @property
    def pid(self) -> int:
        """Its process; behind walls, the one that holds them, whose only child is the courier."""
        return self._process.pid

    async def up(self) -> None:
        """Wait until it serves, so that starting it takes nothing of an errand's time; raises Unavailable."""
        try:
            async with asyncio.timeout(START_LIMIT_S):
                await self._up.wait()
        except TimeoutError:
            self.kill()
        if not self.alive:
            raise Unavailable("A courier did not start. Nothing was sent.", remedy="See the daemon's log.")

    async def carry(
        self,
        tool: str,
        request: dict[str, Any],
        connection: socket.socket,
        contents: Mapping[str, bytes],
        timeout_s: float,
        *,
        handles: Mapping[str, int] | None = None,
        shared: bool = False,
        take: Take | None = None,
    ) -> m.Delivered:
        """Have one errand carried out; ``handles`` are descriptors that go along by name, ``take`` gets the reply.

        After ``timeout_s`` it is unknown; where others are under way too (``shared``) only its connection is cut.
        """
        self._seq += 1
        seq = self._seq
        answer: asyncio.Future[m.Delivered] = asyncio.get_running_loop().create_future()
        self._answers[seq] = answer
        named = dict(handles or {})
        take = take or Take()
        most = take.most if take.on_chunk is not None else 0
        message = m.Deliver(seq, tool, request, [*contents, *named], round(timeout_s * 1_000), most)
        self._taken[seq] = (take, most)
        try:
            with contextlib.ExitStack() as stack:
                descriptors = [connection.fileno()]
                for content in contents.values():
                    descriptors.append(as_descriptor(content))
                    stack.callback(os.close, descriptors[-1])
                try:
                    self._channel.send(message, [*descriptors, *named.values()])
                except FreeholdError as error:
                    return m.Delivered(seq, "not_done", {"phase": "start"}, error.message)
            return await self._answered(answer, connection, timeout_s, shared)
        finally:
            del self._answers[seq], self._taken[seq]

    async def _answered(
        self, answer: "asyncio.Future[m.Delivered]", connection: socket.socket, timeout_s: float, shared: bool
    ) -> m.Delivered:
        alone_s = 0.0 if shared else GRACE_S
        cut = False
        try:
            done, _ = await asyncio.wait([answer], timeout=timeout_s + alone_s)
            if not done and shared:
                cut = True
                _cut(connection)
                done, _ = await asyncio.wait([answer], timeout=GRACE_S)
        except asyncio.CancelledError:
            _cut(connection) if shared else self.kill()
            raise
        if done and not (
            cut and answer.result().status == "done"
        ):  # it may have taken our cut for the reply's end
            return answer.result()
        if not done:
            self.kill()
        return m.Delivered(0, "unknown", {}, f"No answer within {timeout_s:g} s.")

    def kill(self) -> None:
        """Kill it (it is our own child and not yet reaped, so the pid is its own) and reap it."""
        self._end()
        self._channel.close()

    def _take(self, messages: list[Any], size: int) -> None:
        for message in messages:
            if isinstance(message, m.Delivered):
                waiting = self._answers.get(message.seq)
                if waiting is not None and not waiting.done():
                    waiting.set_result(message)
            elif isinstance(message, m.Chunk):
                self._hand_on(message)
            elif isinstance(message, m.Hello):
                self._up.set()
            else:
                self.kill()

    def _hand_on(self, chunk: m.Chunk) -> None:
        """Hand a piece of a reply to whoever waits for it; a courier that sends more than was asked for is killed."""
        if chunk.seq not in self._taken:
            return
        take, left = self._taken[chunk.seq]
        left -= len(chunk.data)
        self._taken[chunk.seq] = (take, left)
        if left < 0 or take.on_chunk is None:
            self.kill()
        else:
            take.on_chunk(chunk.data)

    def _closed(self, error: FreeholdError | None) -> None:
        self._up.set()
        self._end()
        waiting = asyncio.get_running_loop().run_in_executor(None, _reap, self._process)
        waiting.add_done_callback(lambda _: self.reaped.set_result(None))
        self._on_gone(self)
        for seq, answer in self._answers.items():
            if not answer.done():
                answer.set_result(
                    m.Delivered(seq, "unknown", {}, "The courier ended before it had answered.")
                )

    def _end(self) -> None:
        """Have what holds the walls kill the courier and clear up after it; kill one that has none."""
        if self._walled:
            self._process.terminate()
        else:
            self._process.kill()


def _command(kind: str, walls: Profile, kept: Sequence[int], more: Sequence[str]) -> list[str]:
    """Return what starts a courier. One without walls leaves the network and its parent's user by itself."""
    walled = walls.level is not Level.NONE
    parent = 0 if walled else os.getpid()
    uid = child.COURIER_UID if not walled and os.geteuid() == 0 else 0
    words = ["-m", "freehold.courier", kind, str(kept[0]), str(parent), str(uid), *more]
    if walled:  # where it imports from is said by its environment
        return enter_command(walls, [sys.executable, "-S", "-s", "-P", *words], kept)
    return [sys.executable, "-P", *words]


def _reap(process: "subprocess.Popen[bytes]") -> None:
    try:
        process.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _cut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def as_descriptor(contents: bytes) -> int:
    """Return a descriptor of an unnamed file with ``contents``."""
    if sys.platform == "linux":
        descriptor = os.memfd_create("contents", os.MFD_CLOEXEC)
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    view = memoryview(contents)
    while view:
        view = view[os.write(descriptor, view) :]
    return descriptor
