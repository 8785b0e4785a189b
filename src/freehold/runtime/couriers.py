"""Couriers for the daemon: resolve and open the connection here, hand it to the one process for that way out.

Used by the tools that send. What happened is ``done``, ``not_done`` or ``unknown``: a courier that dies or is
silent after it was given the connection leaves it unknown, a connection that could not be opened is not done.
"""

import asyncio
import contextlib
import ipaddress
import os
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from freehold.base import Refused, Unavailable
from freehold.runtime.courier import MAX_STREAM, CourierProcess, Take
from freehold.runtime.walls import Walls
from freehold.sandbox import Profile
from freehold.wire import messages as m

Kind = Literal["smtp", "http"]
CONNECT_LIMIT_S: Final = 10.0


class Errand(msgspec.Struct, frozen=True):
    """One delivery: which way out, the connection to open, what to say, and the contents by name.

    ``private`` allows addresses that are not of the open internet. ``held`` is asked when its turn has come and the
    connection is open: a sentence where it may no longer begin.

    ``on_chunk`` asks for the reply as it comes: it gets the bytes of a body in order, in pieces of any size, and must
    not raise. Only a success whose body is text or JSON comes so (``Delivered.value`` has ``status`` and ``headers``
    as ever, an empty ``body``, and ``streamed``, the bytes that came); any other is whole in ``value`` and
    ``on_chunk`` is never called. More than ``most`` bytes, more than ``timeout_s`` in all, or an end before the length
    that was said is ``unknown``, after the pieces that had come.
    """

    kind: Kind
    host: str
    port: int
    tool: str
    request: dict[str, Any]
    contents: Mapping[str, bytes] = {}
    timeout_s: float = 30.0
    private: bool = True
    held: Callable[[], str | None] = lambda: None
    on_chunk: Callable[[bytes], None] | None = None
    most: int = MAX_STREAM


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
        walls: Walls | None = None,
    ) -> None:
        self._walls = walls or Walls()
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
                walls = await self._walls.for_courier()
            except Refused as error:
                return m.Delivered(0, "not_done", {"phase": "start"}, error.message)
            try:
                connection = await self._connect(errand)
            except Unavailable as error:
                return m.Delivered(0, "not_done", {"phase": "connect"}, error.message)
            with connection:
                return await way.carry(errand, connection, walls)

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

    async def _connect(self, errand: Errand) -> socket.socket:
        if self._stopped:
            raise Unavailable("The daemon is stopping.")
        return await connect(
            errand.host,
            errand.port,
            lambda address: self._may_connect(address) and (errand.private or is_public(address)),
        )

    def _way(self, errand: Errand) -> "_Way":
        key = (errand.kind, errand.host, errand.port)
        if key not in self._ways:
            for unused in [key for key, way in self._ways.items() if not way.in_use]:
                del self._ways[unused]
            self._ways[key] = _Way(errand.kind, self._most, self._idle_s, self._log)
        return self._ways[key]


async def connect(host: str, port: int, may_connect: Callable[[str], bool]) -> socket.socket:
    """Return a connected socket; each address is asked about and then connected to, so none can change between.

    Raises Unavailable saying why not.
    """
    loop = asyncio.get_running_loop()
    where = f"{host}, port {port}"
    problem = f"{where} has no address that may be connected to"
    try:
        async with asyncio.timeout(CONNECT_LIMIT_S):
            found = _literal(host, port) or await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            for family, kind, protocol, _, address in found:
                if not may_connect(str(address[0])):
                    continue
                with contextlib.ExitStack() as unless_connected:
                    connection = unless_connected.enter_context(socket.socket(family, kind, protocol))
                    connection.setblocking(False)
                    try:
                        await loop.sock_connect(connection, address)
                    except OSError as error:
                        why = os.strerror(error.errno) if error.errno else str(error)
                        problem = f"{where} cannot be reached: {why}"
                    else:
                        unless_connected.pop_all()
                        return connection
    except TimeoutError:
        problem = f"{where} did not answer within {CONNECT_LIMIT_S:g} s"
    except (OSError, UnicodeError) as error:
        problem = f"{where} cannot be found: {getattr(error, 'strerror', None) or error}"
    raise Unavailable(f"{problem}. Nothing was sent.")


def _literal(host: str, port: int) -> list[tuple[Any, ...]]:
    """Return the address that ``host`` is, where it is one and no name."""
    try:
        version = ipaddress.ip_address(host).version
    except ValueError:
        return []
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    return [(family, socket.SOCK_STREAM, 0, "", (host, port))]


def is_public(address: str) -> bool:
    """Whether an address is one of the open internet: not loopback, private, link-local or reserved."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None) or getattr(found, "sixtofour", None)
    return found.is_global and not found.is_multicast and (mapped is None or is_public(str(mapped)))


class _Way:
    """The couriers for one host."""

    def __init__(self, kind: Kind, most: int, idle_s: float, log: Path | None) -> None:
        self._places = asyncio.Semaphore(most)
        self._asked = 0
        self._kind = kind
        self._idle_s = idle_s
        self._log = log
        self._idle: list[CourierProcess] = []
        self._all: set[CourierProcess] = set()
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

    async def carry(self, errand: Errand, connection: socket.socket, walls: Profile) -> m.Delivered:
        try:
            courier = self._idle.pop() if self._idle else self._start(walls)
        except Unavailable as error:
            return m.Delivered(0, "not_done", {"phase": "start"}, error.message)
        try:
            await courier.up()
            why = errand.held()
            if why is not None:
                return m.Delivered(0, "not_done", {"phase": "held"}, why)
            return await courier.carry(
                errand.tool,
                errand.request,
                connection,
                errand.contents,
                errand.timeout_s,
                take=Take(errand.on_chunk, errand.most),
            )
        except Unavailable as error:
            return m.Delivered(0, "not_done", {"phase": "start"}, error.message)
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

    def _start(self, walls: Profile) -> CourierProcess:
        courier = CourierProcess(self._kind, walls, self._log, self._gone)
        self._all.add(courier)
        return courier

    def _gone(self, courier: CourierProcess) -> None:
        self._all.discard(courier)
        with contextlib.suppress(ValueError):
            self._idle.remove(courier)

    def _watch_idle(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(self._idle_s, self.unload)
