"""A real estate, a real runner, and in it the hostile pack; what must hold whatever it tries."""

import asyncio
import os
from pathlib import Path
from typing import Any

import msgspec

from freehold.kernel.grades import Category, Grade
from freehold.kernel.rights import Right
from freehold.runtime.engine import RunDocument
from freehold.runtime.house import Pack
from freehold.runtime.job import Job, Limits, Mail, Source
from freehold.store.interface import Entry, EntryKind
from freehold.testing.estates import OWNER, ThrowawayEstate, synthetic_job

HOSTILE = Pack("hostile", "freehold.testing.hostile:pack")
LIMIT_S = 50.0


class Siege:
    """An estate with a hostile job."""

    def __init__(self, folder: Path) -> None:
        self.estate = ThrowawayEstate(folder, packs={"hostile": HOSTILE})
        self.folder = folder

    async def open(self) -> None:
        await self.estate.open()
        change = self.estate.rooms.settings.change({"own_domains": ["example.org"]}, by=OWNER)
        await self.estate.rooms.ledger.commit(change)
        await self.estate.employ(synthetic_job({}, name="honest"))

    async def close(self) -> None:
        await self.estate.close()

    async def attack(
        self,
        params: dict[str, Any],
        *,
        may: tuple[Right, ...] = (),
        mail: Mail | None = None,
        source: Path | None = None,
        limits: Limits | None = None,
    ) -> RunDocument:
        """Run the hostile pack to its end."""
        job = self.job(params, may=may, mail=mail, source=source, limits=limits)
        await self.estate.employ(job)
        folders = {"papers": source} if source is not None else {}
        run = await self.estate.engine.start(job, folders)
        return await asyncio.wait_for(self.estate.engine.wait(run), LIMIT_S)

    def job(
        self,
        params: dict[str, Any],
        *,
        may: tuple[Right, ...] = (),
        mail: Mail | None = None,
        source: Path | None = None,
        limits: Limits | None = None,
    ) -> Job:
        grades = {Category.SEND: Grade.ACT, Category.CHANGE_SOURCE: Grade.ACT}
        job = synthetic_job(params, name="foe", may=may, grades=grades, mail=mail, limits=limits)
        sources = {"papers": Source(str(source))} if source is not None else {}
        return msgspec.structs.replace(job, pack="hostile", sources=sources)

    async def step(self, step: str, tools: tuple[str, ...] = ("noop",), **params: Any) -> RunDocument:
        """Run one hostile step."""
        return await self.attack({"step": step, "tools": list(tools), "params": params})

    async def honest_work(self) -> None:
        """Another job's run goes through, as if nothing had happened."""
        job = synthetic_job({"shape": "fan", "items": 5}, name="honest")
        document = await asyncio.wait_for(self.estate.run(job), LIMIT_S)
        assert (document.state, self.estate.result(document)) == ("done", 30)
        assert not self.estate.gate.stopped

    # ---- looking -------------------------------------------------------------------------------------

    def entries(self, document: RunDocument, *kinds: EntryKind) -> list[Entry]:
        return [
            entry
            for entry in self.estate.rooms.store.entries_of_run(document.id)
            if not kinds or entry.draft.kind in kinds
        ]

    def tools(self, document: RunDocument) -> list[str]:
        """Return the tools of which an INTENT was written, one for each."""
        intents = self.entries(document, EntryKind.INTENT)
        return [msgspec.json.decode(entry.draft.body)["tool"] for entry in intents]

    def codes(self, document: RunDocument) -> list[str]:
        refusals = self.entries(document, EntryKind.REFUSAL)
        return [msgspec.json.decode(entry.draft.body)["code"] for entry in refusals]

    def result(self, document: RunDocument) -> Any:
        return self.estate.result(document)


def memory_kb() -> int:
    """Return what this process holds in memory now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 1024
