"""An estate whose agent asks for one tool after the other, and what each answer was."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from freehold.kernel.grades import Category, Grade
from freehold.kernel.rights import Right
from freehold.runtime.job import Job, Source
from freehold.runtime.records import Records
from freehold.store.interface import EntryKind
from freehold.testing import nursery
from freehold.testing.estates import ThrowawayEstate, synthetic_job

ACT = dict.fromkeys(Category, Grade.ACT)


class Desk:
    """An open estate, and a way to ask for tools as a step of a run does."""

    def __init__(self, estate: ThrowawayEstate) -> None:
        self.estate = estate
        self.may: tuple[Right, ...] = ()
        self.sources: dict[str, Source] = {}
        self.folders: dict[str, Path] = {}
        self.params: dict[str, Any] = {}

    def job(self, *calls: tuple[str, dict[str, Any]]) -> Job:
        """Return a job whose one step asks for these."""
        asked = [{"tool": tool, "args": args} for tool, args in calls]
        node = {
            "step": "several", "id": "ask", "params": {"calls": asked}, "tools": sorted({tool for tool, _ in calls})
        }  # fmt: skip
        job = synthetic_job({**self.params, "plan": [node]}, may=self.may, grades=dict(ACT))
        return msgspec.structs.replace(job, sources=self.sources)

    async def ask(self, *calls: tuple[str, dict[str, Any]]) -> list[Any]:
        """Ask for tools and return what each gave; fails where one was refused."""
        job = self.job(*calls)
        await self.estate.employ(job)
        document = await self.estate.run(job, self.folders)
        self.run = document.id
        assert document.state == "done", self.said()
        return list(self.given("ask", 0))

    async def one(self, tool: str, **args: Any) -> Any:
        """Ask for one tool and return what it gave."""
        return (await self.ask((tool, args)))[0]

    async def refused(self, tool: str, **args: Any) -> str:
        """Ask for one tool and return the sentence of its refusal."""
        job = self.job((tool, args))
        await self.estate.employ(job)
        document = await self.estate.run(job, self.folders)
        self.run = document.id
        assert document.state == "failed" or document.failed, self.said()
        return self.said()

    def given(self, node: str, ordinal: int) -> Any:
        """Return what a step or one of its actions gave, by the journal."""
        for action in self.estate.rooms.store.actions_of_run(self.run):
            if (action.node, action.ordinal) == (node, ordinal) and action.result_index is not None:
                return msgspec.json.decode(Records(self.estate.rooms).value(action.result_index).data)
        raise AssertionError(f"{node} has no action {ordinal}")

    def label(self, ordinal: int = 1) -> Any:
        """Return the label that an action's record carries."""
        for action in self.estate.rooms.store.actions_of_run(self.run):
            if (action.node, action.ordinal) == ("ask", ordinal) and action.result_index is not None:
                return Records(self.estate.rooms).value(action.result_index).label
        raise AssertionError(f"there is no action {ordinal}")

    def said(self) -> str:
        """Return everything that the run's entries keep private, as one text."""
        opened = [
            self.estate.rooms.ledger.open_payload(entry)
            for entry in self.estate.rooms.store.entries_of_run(self.run)
            if entry.draft.kind is not EntryKind.INTENT
        ]
        return "\n".join(private.decode() for private in opened if private is not None)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    """An estate in a folder of its own, with nothing allowed yet."""
    folder = tmp_path / "estate"
    folder.mkdir()
    estate = ThrowawayEstate(folder)
    estate.starts = nursery.start
    await estate.open()
    yield Desk(estate)
    await estate.close()
