"""Runner processes for the daemon: a fork server, a few warm runners, and an account of each that ended.

Used by the daemon's composition root and by runs. A runner is handed out once, to one run, and never comes
back. Nothing runs while nothing happens: after ``idle_s`` without a runner in use the warm ones and the fork
server are let go, and the next ``take`` starts them again.
"""

import asyncio
import contextlib
import os
import socket
import subprocess
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from freehold.base import FreeholdError, ProtocolError, Unavailable
from freehold.runtime.processes import Process, Starts, start
from freehold.sandbox import Level, Profile
from freehold.wire import child, frames
from freehold.wire import messages as m
from freehold.wire.channel import Channel

_FROM_RUNNER: Final = m.decoder(m.FromRunner)
_FROM_FORKSERVER: Final = m.decoder(m.FromForkserver)
_MODULE: Final = "freehold.runner.forkserver"
_THINKING: Final = "freehold.sdk.agent"
_FORKS_PER_MESSAGE: Final = 64
_REFILL_DELAY_S: Final = 0.01
_LOOK_AGAIN_S: Final = 0.01
_PEEKED: Final = 1 << 16
_LOADED: Final = b'{"m":"loaded"'
_START_LIMIT_S: Final = 30.0
_STOP_LIMIT_S: Final = 2.0


class Exit(msgspec.Struct, frozen=True):
    """How a runner ended: exit code or negative signal, and what the kernel counted for it.

    ``cpu_us`` is None when nobody could measure it (the fork server died too): charge what was reserved.
    """

    status: int
    cpu_us: int | None
    max_rss_kb: int = 0


class RunnerHandle:
    """One runner process. ``exited`` is done once it has ended and was reaped; it never raises.

    ``room`` is the folder that it was given to write in, None where it has none of its own; ``sees_room`` says
    whether it knows it by the daemon's name for it.
    """

    def __init__(
        self, number: int, sock: socket.socket, kill: Callable[["RunnerHandle"], None], profile: Profile
    ) -> None:
        self.number: Final = number
        self.pid = 0
        self.room = Path(profile.rooms, str(number)) if profile.rooms else None
        apart = profile.level is Level.NAMESPACES or (profile.level is Level.LANDLOCK and os.geteuid() == 0)
        self.sees_room = not (self.room and apart)
        loop = asyncio.get_running_loop()
        self.forked: asyncio.Future[None] = loop.create_future()
        self.exited: asyncio.Future[Exit] = loop.create_future()
        self._socket = sock
        self._kill = kill
        self._killed = False
        self._channel: Channel | None = None
        self.loads: m.Load | None = None
        """The pack that it was told to load before anybody took it."""

    def attach(
        self,
        on_messages: Callable[[list[Any], int], None],
        on_closed: Callable[[FreeholdError | None], None],
        *,
        max_buffered: int = 64 << 20,
    ) -> None:
        """Begin to read from it; its first message is Hello. To be called once.

        Raises Unavailable where it was killed meanwhile.
        """
        if self._socket.fileno() < 0:
            raise Unavailable("The runner has ended.")
        self._channel = Channel(self._socket, _FROM_RUNNER, on_messages, on_closed, max_buffered=max_buffered)
        self._channel.start()

    def load(self, message: m.Load) -> None:
        """Have it load a pack while it waits for a run; what it says of that is read when it is taken."""
        self._socket.sendall(frames.pack(m.encode(message)))
        self.loads = message

    @property
    def has_loaded(self) -> bool:
        """Whether it has said, before anybody took it, what became of loading its pack; or has ended."""
        try:
            return _LOADED in self._socket.recv(_PEEKED, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def send(self, message: m.Message) -> None:
        """Send it a message; dropped when it is gone."""
        if self._channel is not None:
            self._channel.send(message)

    def pause(self) -> None:
        """Read no more from it for now."""
        if self._channel is not None:
            self._channel.pause()

    def resume(self) -> None:
        """Read on."""
        if self._channel is not None:
            self._channel.resume()

    def has_come(self) -> None:
        """It was made; one with a room is there once it speaks, for only then has it entered it and it may be moved."""
        if self.room is None:
            self.forked.set_result(None)
        elif self._socket.fileno() >= 0:
            asyncio.get_running_loop().add_reader(self._socket, self._speaks)

    def _speaks(self) -> None:
        asyncio.get_running_loop().remove_reader(self._socket)
        if not self.forked.done() and self._socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT):
            self.forked.set_result(None)

    @property
    def ended(self) -> bool:
        """Whether it has ended, or was told to."""
        return self.exited.done() or self._killed

    def kill(self) -> None:
        """Kill it and all that it started, and close its channel."""
        self._killed = True
        self._kill(self)
        self.close()

    def close(self) -> None:
        """Close its channel; a runner that lives ends by itself then."""
        if self._channel is not None:
            self._channel.close()
        else:
            if not self.forked.done() and self._socket.fileno() >= 0:
                asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()

    def cpu_us(self) -> int | None:
        """Return the CPU time that the kernel has counted so far; None where it cannot say."""
        if self.exited.done():
            return self.exited.result().cpu_us
        try:
            return time.clock_gettime_ns((~self.pid << 3) | 2) // 1_000
        except OSError:
            return None


class _Server:
    """One fork server process and the channel to it."""

    def __init__(self, process: Process, channel: Channel) -> None:
        self.process = process
        self.channel = channel
        self.gone = False


class RunnerPool:
    """Hands out runners of one profile; ``spare`` of them are kept warm while there is work.

    Where all of them are for one pack that does not change, ``loads`` has them load it while they wait. ``thinking``
    says that their packs think: where a runner is a fork, it has what they think with then. ``starts`` starts the fork
    server.
    """

    def __init__(
        self,
        profile: Profile | None = None,
        *,
        spare: int = 4,
        idle_s: float = 60.0,
        log: Path | None = None,
        loads: m.Load | None = None,
        thinking: bool = False,
        starts: Starts = start,
    ) -> None:
        self.profile = profile or Profile()
        self._loads = loads
        self._starts = starts
        self._beforehand = (_THINKING,) if thinking else ()
        self._spare = spare
        self._idle_s = idle_s
        self._log = log
        self._numbers = 0
        self._warm: deque[RunnerHandle] = deque()
        self._live: dict[int, RunnerHandle] = {}
        self._used: set[int] = set()
        self._server: _Server | None = None
        self._refill_timer: asyncio.TimerHandle | None = None
        self._idle_timer: asyncio.TimerHandle | None = None
        self._stopped = False
        self._reaping: set[asyncio.Future[None]] = set()

    @property
    def warm(self) -> int:
        """Runners that wait for a run."""
        return sum(handle.forked.done() for handle in self._warm)

    @property
    def in_use(self) -> int:
        """Runners that were handed out and have not ended."""
        return len(self._used)

    @property
    def server_pid(self) -> int | None:
        """The fork server's process, while there is one."""
        return self._server.process.pid if self._server is not None else None

    async def fill(self, count: int | None = None) -> None:
        """Have ``count`` (else ``spare``) warm runners and wait until they are forked and have loaded their pack."""
        self._fork((self._spare if count is None else count) - len(self._warm))
        await self._forked(list(self._warm))
        while self._loads is not None and not all(handle.has_loaded for handle in self._warm):  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_AGAIN_S)
        self._watch_idle()

    async def take(self) -> RunnerHandle:
        """Return a runner of its own for a run; raises Unavailable when none can be started."""
        if not self._warm:
            self._fork(1)
        handle = self._warm.popleft()
        self._used.add(handle.number)
        if not handle.forked.done():
            await self._forked([handle])
        self._watch_idle()
        if self._refill_timer is None:
            loop = asyncio.get_running_loop()
            self._refill_timer = loop.call_later(_REFILL_DELAY_S, self._refill)
        return handle

    async def kill(self, handle: RunnerHandle) -> Exit:
        """Kill a runner and wait until it is reaped."""
        handle.kill()
        return await asyncio.shield(handle.exited)

    def unload(self) -> None:
        """Let the warm runners go, and the fork server too when no runner is in use."""
        for handle in list(self._warm):
            handle.kill()
        self._warm.clear()
        if not self._used:
            self._drop_server()

    async def stop(self) -> None:
        """Kill every runner and the fork server; nothing can be taken after this."""
        self._stopped = True
        for timer in (self._refill_timer, self._idle_timer):
            if timer is not None:
                timer.cancel()
        waiting = [handle.exited for handle in self._live.values()]
        for handle in list(self._live.values()):
            handle.kill()
        if waiting:
            await asyncio.wait(waiting, timeout=_STOP_LIMIT_S)
        self._drop_server()
        if self._reaping:
            await asyncio.wait(self._reaping)

    # ---- forking

    def _refill(self) -> None:
        self._refill_timer = None
        if not self._stopped:
            with contextlib.suppress(Unavailable):
                self._fork(self._spare - len(self._warm))

    def _fork(self, count: int) -> None:
        while count > 0:
            batch = min(count, _FORKS_PER_MESSAGE)
            server = self._running_server()
            theirs = []
            first = self._numbers + 1
            try:
                for _ in range(batch):
                    ours, other = socket.socketpair()
                    theirs.append(other)
                    self._numbers += 1
                    handle = RunnerHandle(self._numbers, ours, self._kill_one, self.profile)
                    self._live[handle.number] = handle
                    self._warm.append(handle)
                    if self._loads is not None:
                        handle.load(self._loads)
            except OSError as error:
                self._lost(range(first, self._numbers + 1))
                raise Unavailable(f"No further runner can be started: {error.strerror}.") from error
            server.channel.send(m.Fork(first, batch), [other.fileno() for other in theirs])
            for other in theirs:
                other.close()
            count -= batch

    async def _forked(self, handles: list[RunnerHandle]) -> None:
        try:
            async with asyncio.timeout(_START_LIMIT_S):
                for handle in handles:
                    await asyncio.shield(handle.forked)
        except TimeoutError:
            raise Unavailable("The runners did not start in time.", remedy="See the daemon's log.") from None

    def _kill_one(self, handle: RunnerHandle) -> None:
        if self._server is not None and not handle.exited.done():
            self._server.channel.send(m.Kill(handle.number))

    # ---- the fork server

    def _running_server(self) -> _Server:
        if self._stopped:
            raise Unavailable("The daemon is stopping.")
        if self._server is None:
            self._server = self._start_server()
        return self._server

    def _start_server(self) -> _Server:
        ours, theirs = socket.socketpair()
        try:
            if self.profile.rooms:  # a runner's own user has to walk through it to its room
                Path(self.profile.rooms).mkdir(mode=0o711, parents=True, exist_ok=True)
                os.chmod(self.profile.rooms, 0o711)
            with theirs:
                words = (str(theirs.fileno()), str(os.getpid()), self.profile.text(), *self._beforehand)
                process = self._starts(
                    child.command(_MODULE, *words), [theirs.fileno()], self._log, {"PYTHONHASHSEED": "0"}
                )
        except OSError as error:
            ours.close()
            raise Unavailable(f"The fork server cannot be started: {error.strerror}.") from error
        channel = Channel(ours, _FROM_FORKSERVER, self._take, lambda error: self._server_gone(server))
        server = _Server(process, channel)
        channel.start()
        return server

    def _take(self, messages: list[Any], size: int) -> None:
        for message in messages:
            if isinstance(message, m.Forked):
                handle = self._live.get(message.runner)
                if handle is not None and not handle.forked.done():
                    handle.pid = message.pid
                    handle.has_come()
            elif isinstance(message, m.Exited):
                self._ended(message.runner, Exit(message.status, message.cpu_us, message.max_rss_kb))
            elif not isinstance(message, m.Hello):
                raise ProtocolError("The fork server sent what it may not send.")

    def _ended(self, number: int, exit_: Exit) -> None:
        handle = self._live.pop(number, None)
        self._used.discard(number)
        if handle is None:
            return
        if handle in self._warm:
            self._warm.remove(handle)
            handle.close()
        if not handle.forked.done():
            handle.forked.set_exception(
                Unavailable(
                    "A runner could not be started.", remedy="See: freehold sandbox; and the daemon's log."
                )
            )
            handle.forked.exception()
        handle.exited.set_result(exit_)
        self._watch_idle()

    def _lost(self, numbers: "range | list[int]") -> None:
        for number in numbers:
            self._ended(number, Exit(-9, None))

    def _drop_server(self) -> None:
        if self._server is not None:
            server = self._server
            server.channel.close()
            self._server_gone(server)

    def _server_gone(self, server: _Server) -> None:
        """Reap the server (it ends when its channel does) and account for the runners that it took along."""
        if server.gone:
            return
        server.gone = True
        if self._server is server:
            self._server = None
            self._lost(list(self._live))
        reaping = asyncio.get_running_loop().run_in_executor(None, _reap, server.process)
        self._reaping.add(reaping)
        reaping.add_done_callback(self._reaping.discard)

    # ---- rest

    def _watch_idle(self) -> None:
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None
        if not self._used and not self._stopped and self._server is not None:
            self._idle_timer = asyncio.get_running_loop().call_later(self._idle_s, self.unload)


def _reap(process: Process) -> None:
    try:
        process.wait(timeout=2.0)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
