"""Requests that need a secret: a permit to the vault, the request to the binding's courier, both at the same moment.

One warm courier a binding. The daemon resolves, looks at the address, connects and passes the socket; it sees neither
the secret nor an unscrubbed reply. While the vault is down, a request waits; one that was not handed its secret has
not left, and is tried again with the next life of the vault.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec

from freehold.base import Refused, Unavailable, digest
from freehold.runtime.courier import MAX_STREAM, CourierProcess, Take
from freehold.runtime.couriers import connect, is_public
from freehold.runtime.vault import Life, Vault
from freehold.runtime.walls import Walls
from freehold.sandbox import Profile
from freehold.wire import messages as m
from freehold.wire.permits import PORTS, Asked, Binding

WAIT_S: Final = 600.0
"""How long a request waits for a vault that is down before it is given up, unsent."""
_TRIES: Final = 5
_MOST: Final = 64
_RETIRE_S: Final = 120.0
_Start = Callable[[list[str], list[int]], CourierProcess]


class Errand(msgspec.Struct, frozen=True):
    """One request for a binding: who asks in which action, what, and its body.

    ``reply`` is a descriptor that a long reply is written to, -1 for none. ``held`` is asked just before it begins.

    ``on_chunk`` asks for the reply as it comes: it gets the bytes of a body in order, in pieces of any size, without
    the secret, and must not raise. Only a success whose body is text or JSON comes so (``Delivered.value`` has
    ``status`` and ``headers`` as ever, an empty ``body``, and ``streamed``, the bytes that came); any other is whole in
    ``value`` and ``on_chunk`` is never called. More than ``most`` bytes, more than ``timeout_s`` in all, or an end
    before the length that was said is ``unknown``, after the pieces that had come. ``chat`` names the form of a
    model's endpoint: the courier then reads the reply, ``on_chunk`` gets its text and ``value`` its answer.
    """

    binding: Binding
    agent: str
    action: str
    tool: str
    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    reply: int = -1
    timeout_s: float = 30.0
    held: Callable[[], str | None] = lambda: None
    on_chunk: Callable[[bytes], None] | None = None
    most: int = MAX_STREAM
    chat: str = ""


class Brokered:
    """The couriers of bindings."""

    def __init__(self, vault: Vault, *, log: Path | None = None, walls: Walls | None = None) -> None:
        self._vault = vault
        self._log = log
        self._walls = walls or Walls()
        self._lines: dict[str, _Line] = {}
        self._retired: set[CourierProcess] = set()
        self._stopped = False

    async def deliver(self, errand: Errand) -> m.Delivered:
        """Carry out one request; never raises for what the other side, the courier or the vault does."""
        found = m.Delivered(0, "not_done", {"phase": "vault"}, "The vault was gone. Nothing was sent.")
        for _ in range(_TRIES):
            try:
                walls = await self._walls.for_courier()
                life = await self._vault.life(WAIT_S)
                line = self._line(errand.binding, life, walls)
                async with line.places:
                    found = await self._carry(errand, life, line)
            except (Refused, Unavailable) as error:
                return m.Delivered(0, "not_done", {"phase": "start"}, error.message)
            if found.value.get("phase") != "vault":
                break
        return found

    @property
    def pids(self) -> list[int]:
        """The couriers' processes."""
        return [line.courier.pid for line in self._lines.values() if line.courier.alive]

    def forget(self, binding: str) -> None:
        """Let a binding's courier go at once: it was changed or revoked."""
        line = self._lines.pop(binding, None)
        if line is not None:
            line.courier.kill()

    async def stop(self) -> None:
        """Kill every courier; what was under way is unknown."""
        self._stopped = True
        ending = [line.courier for line in self._lines.values()] + list(self._retired)
        self._lines.clear()
        for courier in ending:
            courier.kill()
        if ending:
            await asyncio.wait([courier.reaped for courier in ending])

    async def _carry(self, errand: Errand, life: Life, line: "_Line") -> m.Delivered:
        binding = errand.binding
        with contextlib.ExitStack() as stack:
            handles = {} if errand.reply < 0 else {"reply": errand.reply}
            await line.courier.up()
            connection = stack.enter_context(await self._connect(binding, binding.host, binding.port))
            if binding.slot == "oauth2" and line.token_until_s <= asyncio.get_running_loop().time():
                token = stack.enter_context(await self._connect(binding, *_place(binding.token_url)))
                handles["token"] = token.fileno()
            why = errand.held()
            if why is not None:
                return m.Delivered(0, "not_done", {"phase": "held"}, why)
            if life.over or not line.courier.alive:
                return m.Delivered(0, "not_done", {"phase": "vault"}, "The vault was gone. Nothing was sent.")
            asked = Asked(errand.method, errand.url, errand.headers, digest(errand.body))
            permit, mac = life.permit(binding.name, errand.agent, errand.action, asked)
            life.use(line.link, permit, mac)
            request = {
                "counter": permit.counter, "method": errand.method, "url": errand.url,
                "headers": [list(pair) for pair in errand.headers],
            }  # fmt: skip
            if errand.chat:
                request["chat"] = errand.chat
            contents = {"body": errand.body} if errand.body else {}
            delivered = await line.courier.carry(
                errand.tool, request, connection, contents, errand.timeout_s, handles=handles, shared=True,
                take=Take(errand.on_chunk, errand.most),
            )  # fmt: skip
        left_s = delivered.value.get("token_for_s")
        if isinstance(left_s, int):
            line.token_until_s = asyncio.get_running_loop().time() + left_s
        return delivered

    async def _connect(self, binding: Binding, host: str, port: int) -> socket.socket:
        return await connect(host, port, (lambda address: True) if binding.private else is_public)

    def _line(self, binding: Binding, life: Life, walls: Profile) -> "_Line":
        if self._stopped:
            raise Unavailable("The daemon is stopping. Nothing was sent.")
        line = self._lines.get(binding.name)
        if line is not None and (line.life is not life or line.binding != binding or not line.courier.alive):
            self._retire(line)
            line = None
        if line is None:
            line = self._lines[binding.name] = _Line(
                binding,
                life,
                lambda words, passed: CourierProcess("broker", walls, self._log, self._gone, words, passed),
            )
        return line

    def _retire(self, line: "_Line") -> None:
        """Let a courier whose vault is gone finish what is under way, and go."""
        courier = line.courier
        if courier.busy and courier.alive:
            self._retired.add(courier)
            asyncio.get_running_loop().call_later(_RETIRE_S, courier.kill)
        else:
            courier.kill()

    def _gone(self, courier: CourierProcess) -> None:
        self._retired.discard(courier)


class _Line:
    """One binding's courier in one life of the vault."""

    def __init__(self, binding: Binding, life: Life, start: _Start) -> None:
        self.binding = binding
        self.life = life
        self.places = asyncio.Semaphore(_MOST)
        self.token_until_s = 0.0
        ours, theirs = socket.socketpair()
        with ours, theirs:
            words = [str(theirs.fileno()), msgspec.json.encode(binding).decode()]
            self.courier = start(words, [theirs.fileno()])
            self.link = life.link(binding.name, ours)


def address(binding: Binding, path: str) -> str:
    """Return the URL that a permit for ``path`` writes."""
    return f"{binding.origin}/{path.removeprefix('/')}"


def _place(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or PORTS.get(parts.scheme, 443)
