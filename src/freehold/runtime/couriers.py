"""Couriers for the daemon: resolve and open the connection here, hand it to the one process for that way out.

Used by the tools that send. What happened is ``done``, ``not_done`` or ``unknown``: a courier that dies or is
silent after it was given the connection leaves it unknown, a connection that could not be opened is not done.
"""

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from freehold.base import FreeholdError, Unavailable
from freehold.wire import child
from freehold.wire import messages as m
from freehold.wire.channel import Channel

Kind = Literal["smtp", "http"]
CONNECT_LIMIT_S: Final = 10.0
_GRACE_S: Final = 2.0
_FROM_COURIER: Final = m.decoder(m.FromCourier)


class Errand(msgspec.Struct, frozen=True):
    """One delivery: which way out, the connection to open, what to say, and the contents by name.

    ``held`` is asked when its turn has come and the connection is open: a sentence where it may no longer begin.
    """

    kind: Kind
    host: str
    port: int
    tool: str
    request: dict[str, Any]
    contents: Mapping[str, bytes] = {}
    timeout_s: float = 30.0
    held: Callable[[], str | None] = lambda: None


class Couriers:
    """Starts couriers when they are needed, at most ``most`` for one way out, and lets idle ones go.

    ``may_connect`` is asked about each address that a host's name resolves to, before it is connected to.
    """

    def __init__(
        self,
        *,
        most: int = 4,
        idle_s: float = 60.0,
        may_connect: Callable[[str], bool] = lambda address: True,
        log: Path | None = None,
    ) -> None:
        self._most = most
        self._idle_s = idle_s
        self._may_connect = may_connect
        self._log = log
        self._ways: dict[tuple[str, str, int], _Way] = {}
        self._stopped = False

    async def deliver(self, errand: Errand) -> m.Delivered:
        """Carry out one errand; never raises for what the other side or the courier does."""
        way = self._way(errand)
        async with way.place():
            try:
                connection = await self._connect(errand.host, errand.port)
            except Unavailable as error:
                return m.Delivered(0, "not_done", {"phase": "connect"}, error.message)
            with connection:
                why = errand.held()
                if why is not None:
                    return m.Delivered(0, "not_done", {"phase": "held"}, why)
                return await way.carry(errand, connection)

    @property
    def running(self) -> int:
        """Courier processes that live."""
        return sum(way.running for way in self._ways.values())

    def unload(self) -> None:
        """Let the couriers go that have nothing to do."""
        for way in self._ways.values():
            way.unload()

    async def stop(self) -> None:
        """Kill every courier; what was under way is unknown."""
        self._stopped = True
        ending = [reaped for way in self._ways.values() for reaped in way.stop()]
        if ending:
            await asyncio.wait(ending)

    def _way(self, errand: Errand) -> "_Way":
        key = (errand.kind, errand.host, errand.port)
        if key not in self._ways:
            for unused in [key for key, way in self._ways.items() if not way.in_use]:
                del self._ways[unused]
            self._ways[key] = _Way(errand.kind, self._most, self._idle_s, self._log)
        return self._ways[key]

    async def _connect(self, host: str, port: int) -> socket.socket:
        """Return a connected socket; raises Unavailable saying why not."""
        if self._stopped:
            raise Unavailable("The daemon is stopping.")
        loop = asyncio.get_running_loop()
        where = f"{host}, port {port}"
        problem = f"{where} has no address that may be connected to"
        try:
            async with asyncio.timeout(CONNECT_LIMIT_S):
                found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
                for family, kind, protocol, _, address in found:
                    if not self._may_connect(str(address[0])):
                        continue
                    with contextlib.ExitStack() as unless_connected:
                        connection = unless_connected.enter_context(socket.socket(family, kind, protocol))
                        connection.setblocking(False)
                        try:
                            await loop.sock_connect(connection, address)
                        except OSError as error:
                            problem = f"{where} cannot be reached: {error.strerror or error}"
                        else:
                            unless_connected.pop_all()
                            return connection
        except TimeoutError:
            problem = f"{where} did not answer within {CONNECT_LIMIT_S:g} s"
        except (OSError, UnicodeError) as error:
            problem = f"{where} cannot be found: {getattr(error, 'strerror', None) or error}"
        raise Unavailable(f"{problem}. Nothing was sent.")


class _Way:
    """The couriers for one host."""

    def __init__(self, kind: Kind, most: int, idle_s: float, log: Path | None) -> None:
        self._places = asyncio.Semaphore(most)
        self._asked = 0
        self._kind = kind
        self._idle_s = idle_s
        self._log = log
        self._idle: list[_Courier] = []
        self._all: set[_Courier] = set()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def running(self) -> int:
        return len(self._all)

    @property
    def in_use(self) -> bool:
        return bool(self._all) or self._asked > 0

    @contextlib.asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Wait until one more errand may be carried."""
        self._asked += 1
        try:
            async with self._places:
                yield
        finally:
            self._asked -= 1

    async def carry(self, errand: Errand, connection: socket.socket) -> m.Delivered:
        try:
            courier = self._idle.pop() if self._idle else self._start()
        except Unavailable as error:
            return m.Delivered(0, "not_done", {"phase": "start"}, error.message)
        try:
            return await courier.carry(errand, connection)
        finally:
            if courier.alive:
                self._idle.append(courier)
            self._watch_idle()

    def unload(self) -> None:
        while self._idle:
            self._idle.pop().kill()

    def stop(self) -> list[asyncio.Future[None]]:
        if self._timer is not None:
            self._timer.cancel()
        self._idle.clear()
        ending = [courier.reaped for courier in self._all]
        for courier in list(self._all):
            courier.kill()
        return ending

    def _start(self) -> "_Courier":
        courier = _Courier(self._kind, self._log, self._gone)
        self._all.add(courier)
        return courier

    def _gone(self, courier: "_Courier") -> None:
        self._all.discard(courier)
        with contextlib.suppress(ValueError):
            self._idle.remove(courier)

    def _watch_idle(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(self._idle_s, self.unload)


class _Courier:
    """One courier process; carries one errand at a time."""

    def __init__(self, kind: Kind, log: Path | None, on_gone: Callable[["_Courier"], None]) -> None:
        ours, theirs = socket.socketpair()
        try:
            with contextlib.ExitStack() as stack:
                stack.enter_context(theirs)
                errors = subprocess.DEVNULL if log is None else stack.enter_context(log.open("ab"))
                self._process = subprocess.Popen(
                    child.command("freehold.courier", kind, str(theirs.fileno()), str(os.getpid())),
                    pass_fds=[theirs.fileno()],
                    env=child.clean_environment(dict(os.environ)),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=errors,
                    start_new_session=True,
                )
        except OSError as error:
            ours.close()
            raise Unavailable(f"A courier cannot be started: {error.strerror}.") from error
        self.reaped: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._on_gone = on_gone
        self._seq = 0
        self._answer: asyncio.Future[m.Delivered] | None = None
        self._channel = Channel(ours, _FROM_COURIER, self._take, self._closed)
        self._channel.start()

    @property
    def alive(self) -> bool:
        return not self._channel.closed

    async def carry(self, errand: Errand, connection: socket.socket) -> m.Delivered:
        self._seq += 1
        answer: asyncio.Future[m.Delivered] = asyncio.get_running_loop().create_future()
        self._answer = answer
        message = m.Deliver(
            self._seq,
            errand.tool,
            errand.request,
            list(errand.contents),
            round(errand.timeout_s * 1_000),
        )
        with contextlib.ExitStack() as stack:
            descriptors = [connection.fileno()]
            for contents in errand.contents.values():
                descriptors.append(_as_descriptor(contents))
                stack.callback(os.close, descriptors[-1])
            try:
                self._channel.send(message, descriptors)
            except FreeholdError as error:
                return m.Delivered(self._seq, "not_done", {"phase": "start"}, error.message)
        try:
            async with asyncio.timeout(errand.timeout_s + _GRACE_S):
                return await answer
        except TimeoutError:
            self.kill()
            return m.Delivered(self._seq, "unknown", {}, f"No answer within {errand.timeout_s:g} s.")
        except asyncio.CancelledError:
            self.kill()
            raise
        finally:
            self._answer = None

    def kill(self) -> None:
        """Kill it (it is our own child and not yet reaped, so the pid is its own) and reap it."""
        self._process.kill()
        self._channel.close()

    def _take(self, messages: list[Any], size: int) -> None:
        for message in messages:
            waiting = self._answer
            if isinstance(message, m.Delivered) and waiting is not None and message.seq == self._seq:
                if not waiting.done():
                    waiting.set_result(message)
            elif not isinstance(message, m.Hello):
                self.kill()

    def _closed(self, error: FreeholdError | None) -> None:
        self._process.kill()
        waiting = asyncio.get_running_loop().run_in_executor(None, self._process.wait)
        waiting.add_done_callback(lambda _: self.reaped.set_result(None))
        self._on_gone(self)
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(
                m.Delivered(self._seq, "unknown", {}, "The courier ended before it had answered.")
            )


def _as_descriptor(contents: bytes) -> int:
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
