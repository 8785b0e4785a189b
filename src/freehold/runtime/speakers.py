"""Conversations with tool servers: a courier that speaks for each run, and for a command its process in a cell.

The daemon starts both and reads neither's words: what comes back are the few types of ``freehold.wire.tools``. No two
runs share a server's process. A server has no network and no secret; one that is reached over HTTP is reached by the
couriers for HTTP, under the binding that a request falls under.
"""

import asyncio
import contextlib
import itertools
import os
import shutil
import socket
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from freehold.base import BadInput, FreeholdError, ProtocolError, Unavailable
from freehold.kernel.facts import visible
from freehold.runtime.courier import CourierProcess
from freehold.runtime.forward import Forward
from freehold.runtime.servers import Server
from freehold.runtime.walls import Walls
from freehold.sandbox import Limits, Profile, enter_command
from freehold.sandbox.library import refuse_hidden
from freehold.wire import child
from freehold.wire import messages as m
from freehold.wire import tools as t
from freehold.wire.channel import Channel

IDLE_S: Final = 120.0
MOST: Final = 16
MAX_REPLY: Final = 48 << 20
_LIMITS: Final = Limits(memory_bytes=8 << 30, file_bytes=64 << 20, processes=64)
_FROM_SPEAKER: Final = m.decoder(t.FromSpeaker)
Held = Callable[[], str | None]
Tell = Callable[[t.Step], None]


class Call(msgspec.Struct, frozen=True):
    """One errand for a server: in which run and action, for which agent ("" where a person looks at what it offers)."""

    server: Server
    errand: t.Errand
    run: str = ""
    agent: str = ""
    action: str = ""
    tool: str = "tools.list"
    held: Held = lambda: None
    tell: Tell = lambda step: None


class Speakers:
    """The conversations of one estate; servers and their couriers stand behind the best of ``walls``."""

    def __init__(
        self,
        folder: Path,
        walls: Walls,
        forward: Forward,
        *,
        hidden: tuple[Path, ...] = (),
        log: Path | None = None,
        idle_s: float = IDLE_S,
    ) -> None:
        self._folder = folder
        self._walls = walls
        self._forward = forward
        self._hidden = tuple(str(one) for one in hidden)
        self._log = log
        self._idle_s = idle_s
        self._numbers = itertools.count(1)
        self._open: dict[tuple[str, str], _Conversation] = {}
        self._swept = False
        self._stopped = False

    async def offer(self, server: Server) -> t.Offer:
        """Return what a server that is started anew offers; raises Unavailable in a sentence where it cannot be had.

        Nothing of a run has been said in that conversation, so the first run that calls the server may take it over.
        """
        await self.forget(server.name, "")
        delivered, data = await self.carry(Call(server, t.Errand("list", server.url)))
        if delivered.status != "done":
            raise Unavailable(delivered.message or "The tool server did not answer.", remedy=_remedy(server))
        return read_offer(data)

    async def carry(self, call: Call) -> tuple[m.Delivered, bytes]:
        """Carry out one errand: what became of it, and its reply; never raises for what a server does."""
        key = (call.server.name, call.run)
        talk = self._open.get(key)
        if talk is not None and (talk.server != call.server or not talk.alive):
            await self._end(key)
            talk = None
        fresh = self._open.get((call.server.name, ""))
        if talk is None and fresh is not None and fresh.free_for(call.server):
            talk = self._open[key] = self._open.pop((call.server.name, ""))
        if talk is None:
            try:
                talk = self._open[key] = await self._begin(call.server)
            except FreeholdError as error:
                return m.Delivered(0, "not_done", {"phase": "start"}, f"{error.message} {error.remedy}"), b""
        async with talk.turn:
            why = call.held()
            if why is not None:
                return m.Delivered(0, "not_done", {"phase": "held"}, why), b""
            delivered, data = await talk.carry(call, self._forward)
        if delivered.status == "unknown" or delivered.value.get("phase") == "open":
            await self._end(key)  # whatever state it is in, the next call begins anew
        else:
            talk.rest(self._idle_s, lambda: self._end(key))
        return delivered, data

    async def forget(self, server: str, run: str | None = None) -> None:
        """End the conversations with a server: all, or a run's."""
        for key in [key for key in self._open if key[0] == server and run in (None, key[1])]:
            await self._end(key)

    @property
    def pids(self) -> list[int]:
        """The processes of servers and their couriers."""
        return [pid for talk in self._open.values() for pid in talk.pids]

    async def stop(self) -> None:
        """End them all."""
        self._stopped = True
        for key in list(self._open):
            await self._end(key)

    async def _end(self, key: tuple[str, str]) -> None:
        talk = self._open.pop(key, None)
        if talk is not None:
            await talk.end()

    async def _begin(self, server: Server) -> "_Conversation":
        if self._stopped:
            raise Unavailable("The daemon is stopping. Nothing was sent.")
        if not self._swept:
            self._swept = True
            await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)
        idle = [key for key, talk in self._open.items() if not talk.turn.locked()]
        if len(self._open) >= MOST and idle:
            await self._end(idle[0])
        around = await self._walls.for_courier()
        if not server.command:
            return await _begun(server, CourierProcess("mcp", around, self._log, _nothing), None)
        try:
            refuse_hidden(server.reads, self._hidden)
        except BadInput as error:
            raise BadInput(
                f"The tool server {server.name} would see the estate: it lies in {', '.join(server.reads)}.",
                remedy="Let it read a folder outside of the estate and not above it.",
            ) from error
        room = self._folder / str(next(self._numbers))
        profile = Profile(around.level, server.reads, str(room), self._hidden, _LIMITS)
        cell = _Cell(server, profile, room)
        return await _begun(server, CourierProcess("mcp", around, self._log, _nothing), cell)


class _Cell:
    """A server's process, behind walls, with a room of its own; its words to the terminal are kept for its owner."""

    def __init__(self, server: Server, profile: Profile, room: Path) -> None:
        room.mkdir(mode=0o711, parents=True, exist_ok=True)
        for folder in (room, room.parent):  # the user of the cell walks through
            folder.chmod(0o711)
        self._room = room
        self.ours, theirs = socket.socketpair()
        words = [
            "/usr/bin/env",
            "-i",
            "PATH=/usr/local/bin:/usr/bin:/bin",
            "HOME=/nonexistent",
            "LANG=C.UTF-8",
        ]
        with theirs, open(self._said, "wb") as errors:
            try:
                self._process: subprocess.Popen[bytes] = subprocess.Popen(
                    enter_command(profile, [*words, *server.command]),
                    stdin=theirs.fileno(), stdout=theirs.fileno(), stderr=errors, start_new_session=True,
                    env=child.clean_environment(dict(os.environ)),
                )  # fmt: skip
            except OSError as error:
                self.ours.close()
                raise Unavailable(f"{server.command[0]} cannot be started: {error.strerror}.") from error

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    def said(self) -> str:
        """Return the last that the server wrote to its standard error, as a stranger's words."""
        with contextlib.suppress(OSError):
            with open(self._said, "rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - 600))
                text = file.read().decode("utf-8", "replace")
            return visible(" ".join(text.split())[-300:])
        return ""

    async def end(self) -> None:
        self.ours.close()
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await asyncio.to_thread(self._process.wait)
        await asyncio.to_thread(shutil.rmtree, self._room, ignore_errors=True)

    @property
    def _said(self) -> Path:
        return self._room / "said"


class _Conversation:
    """One courier and, for a command, the process that it talks to."""

    def __init__(self, server: Server, courier: CourierProcess, cell: _Cell | None) -> None:
        self.server = server
        self.turn = asyncio.Lock()
        self._courier = courier
        self._cell = cell
        self._pipe = None if cell is None else cell.ours
        self._timer: asyncio.TimerHandle | None = None
        self._ending: asyncio.Task[None] | None = None

    @property
    def alive(self) -> bool:
        return self._courier.alive and (self._cell is None or not self._cell.ended)

    def free_for(self, server: Server) -> bool:
        return self.alive and self.server == server and not self.turn.locked()

    @property
    def pids(self) -> list[int]:
        return [self._courier.pid, *([self._cell.pid] if self._cell is not None else [])]

    async def carry(self, call: Call, forward: Forward) -> tuple[m.Delivered, bytes]:
        if self._timer is not None:
            self._timer.cancel()
        reply = os.memfd_create("reply", os.MFD_CLOEXEC)
        ours, theirs = socket.socketpair()
        tasks: set[asyncio.Task[None]] = set()

        def take(messages: list[Any], size: int) -> None:
            for message in messages:
                if isinstance(message, t.Step):
                    call.tell(message)
                    continue
                if len(tasks) > 8:
                    raise ProtocolError("A courier asks for more than it may have under way.")
                task = asyncio.ensure_future(_answer(channel, forward, call, message))
                tasks.add(task)
                task.add_done_callback(tasks.discard)

        channel = Channel(ours, _FROM_SPEAKER, take, lambda error: None)
        channel.start()
        handles = {"reply": reply}
        if self._pipe is not None:
            handles["server"] = self._pipe.fileno()
        try:
            with theirs:
                delivered = await self._courier.carry(
                    call.tool, msgspec.to_builtins(call.errand), theirs, {}, float(call.server.timeout_s),
                    handles=handles, shared=True,
                )  # fmt: skip
            if self._pipe is not None:
                self._pipe.close()
                self._pipe = None
            data = os.pread(reply, min(os.fstat(reply).st_size, MAX_REPLY), 0)
        finally:
            channel.close()
            for task in tasks:
                task.cancel()
            os.close(reply)
        return self._explained(delivered), data

    def _explained(self, delivered: m.Delivered) -> m.Delivered:
        """Add what the server wrote to its standard error where it could not be talked to."""
        said = self._cell.said() if self._cell is not None and delivered.value.get("phase") == "open" else ""
        if not said:
            return delivered
        return msgspec.structs.replace(delivered, message=f"{delivered.message} It wrote: {said}")

    def rest(self, idle_s: float, end: Callable[[], Awaitable[None]]) -> None:
        def over() -> None:
            self._ending = asyncio.ensure_future(_ended(end))

        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(idle_s, over)

    async def end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._courier.kill()
        if self._cell is not None:
            await self._cell.end()
        await self._courier.reaped


async def _answer(channel: Channel, forward: Forward, call: Call, ask: t.Ask) -> None:
    answer = await forward.request(
        call.server,
        call.agent,
        call.action,
        call.tool,
        ask,
        lambda data: channel.send(t.More(ask.number, data)),
    )
    with contextlib.suppress(FreeholdError):
        channel.send(answer)


async def _begun(server: Server, courier: CourierProcess, cell: _Cell | None) -> _Conversation:
    """Return the conversation once its courier serves; raises Unavailable."""
    talk = _Conversation(server, courier, cell)
    try:
        await courier.up()
    except BaseException:
        await talk.end()
        raise
    return talk


async def _ended(end: Callable[[], Awaitable[None]]) -> None:
    await end()


def read_offer(data: bytes) -> t.Offer:
    """Return the offer in a reply; raises Unavailable."""
    try:
        return msgspec.json.decode(data, type=t.Offer)
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise Unavailable("What the tool server offers is more than can be read.") from error


def _nothing(courier: CourierProcess) -> None:
    """A courier that ends is found so at the next call."""


def _remedy(server: Server) -> str:
    if server.url:
        return f"See whether it runs, and whether it answers at {server.url}."
    return f"See what it says when you run it yourself: {' '.join(server.command)[:200]}"
