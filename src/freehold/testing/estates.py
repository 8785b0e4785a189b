"""A throw-away estate inside the test's own process: kernel, runners, couriers and engine, with one human.

Everything is real (store, journal, keys, processes); only its owner is nobody. For tests and benchmarks.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from freehold.base import Clock, SystemClock
from freehold.gateway import Model, Models
from freehold.kernel import people
from freehold.kernel.card import Card
from freehold.kernel.gate import Gate
from freehold.kernel.grades import Category, Grade
from freehold.kernel.kernel import Kernel, Place, make_signer, open_kernel
from freehold.kernel.principals import Human
from freehold.kernel.rights import EVERYTHING, Right
from freehold.kernel.rooms import Rooms
from freehold.kernel.rules import MAX_MEMO
from freehold.runtime.bound import Bound
from freehold.runtime.cells import Cells
from freehold.runtime.conversation import Recalling
from freehold.runtime.couriers import Couriers
from freehold.runtime.engine import MAX_LIVE, Engine, RunDocument
from freehold.runtime.house import House, Pack, TakeRunner, load_message
from freehold.runtime.job import Budgets, Job, Limits, Mail
from freehold.runtime.kits import Kit, LiveKit
from freehold.runtime.models import ModelKit
from freehold.runtime.outbox import Outbox
from freehold.runtime.pins import Pins
from freehold.runtime.pool import RunnerPool
from freehold.runtime.processes import Starts, start
from freehold.runtime.records import Records
from freehold.runtime.session import Handle
from freehold.runtime.toolbox import Toolbox
from freehold.runtime.tools.built_in import built_in
from freehold.runtime.walls import Walls
from freehold.sandbox import Level, Profile
from freehold.sandbox.probe import Reach, probe

OWNER = "anna"
AGENT = "worker"
ESTATE = "throwaway"

SYNTHETIC = Pack("synthetic", "freehold.testing.synthetic:pack")


@cache
def reach() -> Reach:
    """Return what walls this machine reaches; it is tried once a process, in which many an estate comes and goes."""
    return probe()


class ThrowawayEstate:
    """One estate in ``folder``; ``open`` it in a running loop, ``close`` it at the end.

    ``most_live`` bounds its live runs; ``loads`` names the pack that warm runners have loaded, where all its jobs are
    that pack's, ``takes`` where runners come from instead of its own pool, ``starts`` what starts its fork servers,
    ``bound`` what uses secrets. They count when set before ``open``.
    """

    def __init__(
        self,
        folder: Path,
        *,
        store: str = "",
        clock: Clock | None = None,
        commit_delay_s: float = 0.0,
        memo_size: int = MAX_MEMO,
        spare: int = 2,
        packs: Mapping[str, Pack] | None = None,
        policy: Callable[[Job], str] = lambda job: "",
    ) -> None:
        self.place = Place(folder, ESTATE, "Throw-away", store or str(folder / "store"))
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.most_live = MAX_LIVE
        self.level = Level.NONE
        self.loads = ""
        self.takes: TakeRunner | None = None
        self.starts: Starts = start
        self.kits: Callable[[ThrowawayEstate], Sequence[Kit | LiveKit]] = lambda estate: ()
        self.bound: Callable[[Rooms], Bound] | None = None
        self._clock = clock or SystemClock()
        self._delay_s = commit_delay_s
        self._memo_size = memo_size
        self._spare = spare
        self._packs = {"synthetic": SYNTHETIC, **(packs or {})}
        self._policy = policy
        self.key: people.SigningKey
        self.kernel: Kernel
        self.engine: Engine
        self.pool: RunnerPool
        self.couriers: Couriers

    @property
    def rooms(self) -> Rooms:
        """The kernel's rooms."""
        return self.kernel.rooms

    @property
    def gate(self) -> Gate:
        """The gate."""
        return self.kernel.gate

    async def open(self, *, load: bool = True) -> None:
        """Open the estate; makes it the first time, takes up its runs at any other (``load``)."""
        folder = self.place.folder
        first = not (folder / "keys").exists()
        if first:
            make_signer(self.place)
        self.kernel = open_kernel(
            self.place, self._clock, commit_delay_s=self._delay_s, memo_size=self._memo_size
        )
        path = folder / "keys" / "people" / f"{OWNER}.key"
        if first:
            path.parent.mkdir(mode=0o700)
            people.write_key(path, people.make_key(OWNER, None))
        stored = people.read_key(path)
        self.key = stored.unlock()
        if first:
            await self._settle(stored.public_key)
        self._build()
        if load:
            self.engine.load()

    async def _settle(self, public_key: bytes) -> None:
        rooms, commit = self.rooms, self.rooms.ledger.commit
        await commit(rooms.settings.change({"presence": "none"}, by=OWNER))
        human = Human(OWNER, "Anna", "anna@example.org", public_key.hex(), presence="none")
        await commit(rooms.registry.add_human(human, by=OWNER))
        await commit(rooms.registry.add_agent(AGENT, OWNER, by=OWNER))
        await commit(rooms.rules.allow(OWNER, EVERYTHING, by=OWNER))

    def _build(self) -> None:
        folder, rooms = self.place.folder, self.rooms
        loads = load_message(self._packs[self.loads]) if self.loads else None
        self._mounting: dict[tuple[str, ...], RunnerPool] = {}
        thinking = any(pack.thinks for pack in self._packs.values())
        self.pool = RunnerPool(
            self._profile(), spare=self._spare, loads=loads, thinking=thinking, starts=self.starts
        )
        self.couriers = Couriers(walls=Walls(tries=reach))
        pins = Pins(rooms)
        self.outbox = Outbox(rooms, folder / "outbox")
        self.models = Models()
        self.models.load(rooms.store)
        tell = lambda run, event: self.events.append((run, event))  # noqa: E731
        bound = None if self.bound is None else self.bound(rooms)
        kits = [
            ModelKit(self.models, rooms.settings, self.couriers, tell),
            Recalling(rooms),
            *self.kits(self),
        ]
        kits += built_in(rooms, pins, Cells(self._walls, folder / "workspaces" / ".cells"), bound)
        tools = Toolbox(rooms, self.couriers, pins, self.outbox, bound, kits)
        self.house = house = House(
            rooms, self.gate, self._take, tools, pins, Records(rooms), folder,
            self._packs.__getitem__,
            tell,
        )  # fmt: skip
        self.engine = Engine(self.kernel, house, self._policy, most=self.most_live)

    async def _take(self, job: Job, mounts: tuple[str, ...]) -> Handle:
        """Return a runner; one that is to see a source comes from a pool of its own."""
        if self.takes is not None:
            return await self.takes(job, mounts)
        if not mounts or self.level is Level.NONE:
            return await self.pool.take()
        pool = self._mounting.get(mounts)
        if pool is None:
            profile = self._profile()
            rooms = f"{profile.rooms}-{len(self._mounting)}"
            profile = replace(profile, mounts=(*profile.mounts, *mounts), rooms=rooms)
            pool = self._mounting[mounts] = RunnerPool(profile, spare=0, starts=self.starts)
        return await pool.take()

    async def _walls(self, job: Job) -> Level:
        return self.level

    def _profile(self) -> Profile:
        """Return what stands around the runners; all packs of the estate are readable, where there are walls."""
        if self.level is Level.NONE:
            return Profile()
        folders = {folder for pack in self._packs.values() for folder in pack.search_path}
        rooms = self.place.folder / "workspaces" / ".ready"
        return Profile(self.level, tuple(sorted(folders)), str(rooms), (str(self.place.folder / "keys"),))

    async def close(self) -> None:
        """Stop everything in order; what had not ended goes on at the next ``open``."""
        await self.engine.close()
        await self.couriers.stop()
        for pool in (self.pool, *self._mounting.values()):
            await pool.stop()
        await self.kernel.close()

    # ---- what tests do -------------------------------------------------------------------------------

    async def employ(self, job: Job) -> None:
        """Give the job's agent what the job's ``may`` says."""
        await self.rooms.ledger.commit(self.rooms.rules.employ(job.name, job.agent, job.may, by=OWNER))

    async def add_model(self, model: Model) -> None:
        """Take a model in."""
        await self.rooms.ledger.commit(self.models.add(model, by=OWNER))

    async def run(self, job: Job, folders: Mapping[str, Path] | None = None) -> RunDocument:
        """Run a job to its end."""
        return await self.engine.wait(await self.engine.start(job, folders or {}))

    def result(self, document: RunDocument) -> Any:
        """Return the value that a run ended with."""
        value = Records(self.rooms).value(document.result_index)
        return msgspec.json.decode(value.data)

    async def decide(self, card: Card, what: people.What, content: dict[str, Any] | None = None) -> Card:
        """Decide a card with the owner's key, and tell the run."""
        said = content or {}
        now_us = self.rooms.ledger.now_us()
        statement = people.make_statement(
            what, estate=ESTATE, by=OWNER, about=card.id, digest=card.digest, content=said, at=now_us
        )
        versions = (self.rooms.rules.version_for(card.agent, card.job, card.owner), card.policy)
        change = self.rooms.cards.decide(card.id, self.key.sign(statement), said, now_us, versions)
        decided: Card = await self.rooms.ledger.commit(change)
        self.engine.decided(card.id)
        return decided


def synthetic_job(
    params: dict[str, Any],
    *,
    may: tuple[Right, ...] = (),
    grades: dict[Category, Grade] | None = None,
    mail: Mail | None = None,
    name: str = "synthetic",
    limits: Limits | None = None,
) -> Job:
    """Return a job of the synthetic pack."""
    wide = Limits(money_micro=0, tokens=0, actions=1_000_000, cpu_us=10**12)
    return Job(
        name=name, digest="0" * 64, title="Synthetic", owner=OWNER, agent=AGENT, pack="synthetic",
        budget=Budgets(run=limits or wide), params=params, may=may, grades=grades or {}, mail=mail,
    )  # fmt: skip
