"""A throw-away estate with tool servers: each test adds one that behaves in its own way."""

import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from freehold.base.canonical import decode
from freehold.kernel.card import Card
from freehold.kernel.rights import right
from freehold.runtime.engine import RunDocument
from freehold.runtime.foreign import Foreign
from freehold.runtime.forward import Forward
from freehold.runtime.job import Job
from freehold.runtime.servers import Class, Server, Servers
from freehold.runtime.speakers import Speakers
from freehold.runtime.walls import Walls
from freehold.store.interface import EntryKind
from freehold.testing import nursery
from freehold.testing.estates import OWNER, ThrowawayEstate, reach, synthetic_job
from freehold.testing.processes import until
from freehold.wire.tools import Offer, offer_digest

READ = Class("read", "")


class Elsewhere:
    """An estate, its tool servers, and what a person would do with them."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.estate = ThrowawayEstate(folder)
        self.estate.starts = nursery.start
        self.estate.kits = self._kits
        self.servers = Servers()
        self.speakers: Speakers

    def _kits(self, estate: ThrowawayEstate) -> list[Foreign]:
        forward = Forward(estate.rooms.settings, estate.couriers)
        folder = estate.place.folder / "workspaces" / ".servers"
        hidden = (estate.place.folder / "keys",)
        self.speakers = Speakers(folder, Walls(tries=reach), forward, hidden=hidden)
        publish = lambda run, event: estate.events.append((run, event))  # noqa: E731 a listener, named here
        commit = estate.rooms.ledger.commit
        return [Foreign(estate.rooms.settings, self.servers, self.speakers, commit, publish)]

    async def open(self) -> None:
        await self.estate.open()
        self.servers.load(self.estate.rooms.store)

    async def close(self) -> None:
        await self.speakers.stop()
        await self.estate.close()

    async def commit(self, change: Any) -> Any:
        return await self.estate.rooms.ledger.commit(change)

    async def add(self, server: Server, *, approve: bool = True, said: Class | None = READ) -> Offer:
        """Add a server, approve what it offers, and classify its tools."""
        offer = await self.speakers.offer(server)
        await self.commit(self.servers.add(server, offer, by=OWNER))
        if approve:
            await self.approve(server.name)
        for tool in offer.tools if approve and said is not None else ():
            await self.commit(self.servers.classify(server.name, tool.name, said or READ, by=OWNER))
        return offer

    async def approve(self, name: str) -> None:
        digest = offer_digest(self.servers.find(name).seen)
        await self.commit(self.servers.approve(name, digest, by=OWNER))

    async def call(self, *calls: tuple[str, dict[str, Any]], **more: Any) -> RunDocument:
        """Run a job whose one step makes these calls."""
        document = await self.estate.engine.wait(await self.start(*calls, **more))
        return document

    async def start(self, *calls: tuple[str, dict[str, Any]], **more: Any) -> str:
        job = await self.job(*calls, **more)
        return await self.estate.engine.start(job, {})

    async def job(self, *calls: tuple[str, dict[str, Any]], **more: Any) -> Job:
        tools = sorted({name for name, _ in calls})
        said = [{"tool": name, "args": args} for name, args in calls]
        node = {"step": "several", "id": "calls", "params": {"calls": said}, "tools": tools}
        may = tuple(right("tool.call", name) for name in tools)
        job = synthetic_job({"plan": [node]}, **{"may": may, **more})
        await self.estate.employ(job)
        return job

    def values(self, document: RunDocument) -> list[Any]:
        """Return what each call of a run gave."""
        return list(self.estate.result(document))

    @property
    def taken(self) -> list[dict[str, Any]]:
        """The calls that servers which still live have taken, as they wrote them down in their rooms."""
        rooms = self.estate.place.folder / "workspaces" / ".servers"
        return [json.loads(line) for path in rooms.glob("**/calls") for line in path.read_text().splitlines()]

    async def cards(self, count: int) -> list[Card]:
        """Return the cards that wait, once there are so many."""
        rooms = self.estate.rooms
        await until(lambda: len(rooms.cards.waiting(rooms.ledger.now_us())) == count, 60.0)
        return list(rooms.cards.waiting(rooms.ledger.now_us()))

    def ended(self, run: str) -> str:
        """Return the sentence that a run ended with."""
        found = [event for of, event in self.estate.events if of == run and event["event"] == "ended"]
        return str(found[0]["message"])

    def results(self, run: str) -> list[dict[str, Any]]:
        """Return the public parts of the run's results."""
        entries = self.estate.rooms.store.entries_of_run(run)
        return [decode(one.draft.body) for one in entries if one.draft.kind is EntryKind.RESULT]

    def sentences(self, run: str) -> str:
        """Return everything that a run's entries keep private, as one text."""
        opened = [
            self.estate.rooms.ledger.open_payload(e) for e in self.estate.rooms.store.entries_of_run(run)
        ]
        return "\n".join(private.decode() for private in opened if private is not None)


@pytest.fixture
async def elsewhere(tmp_path: Path) -> AsyncIterator[Elsewhere]:
    made = Elsewhere(tmp_path / "estate")
    await made.open()
    yield made
    await made.close()


def hostile(
    behaviour: str, *, timeout_s: int = 60, zone: Any = "device", folder: Path | None = None
) -> Server:
    """Return the server of ``freehold.testing.mcp_servers`` that behaves so."""
    root = str(Path(__file__).parents[2] / "src")
    code = f"import sys; sys.path.insert(0, {root!r}); from freehold.testing.mcp_servers import main; main()"
    more = (str(folder),) if folder is not None else ()
    command = (sys.executable, "-c", code, behaviour, *more)
    return Server("calc", command, reads=(root, *more), zone=zone, data="public", timeout_s=timeout_s)
