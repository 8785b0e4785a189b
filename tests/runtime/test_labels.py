"""What one runner of a run was shown, all of them carry, over a restart too: they may leave each other files."""

from pathlib import Path
from typing import Any

import pytest

from freehold.kernel.rights import right
from freehold.runtime.job import Job, Source
from freehold.store.interface import EntryKind
from freehold.testing.estates import ThrowawayEstate
from freehold.testing.processes import until
from tests.runtime.conftest import PACKS, bodies, job_of

READS: dict[str, Any] = {"step": "read", "each": "source:in", "tools": ["source.read"]}
ASKS: dict[str, Any] = {"step": "ask", "tools": ["question.ask"]}
STRANGE = {"i": "stranger", "src": ["source:in"]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A source with two files of a stranger's."""
    found = tmp_path / "source"
    found.mkdir()
    for name in ("a.txt", "b.txt"):
        (found / name).write_text(f"text of {name}")
    return found


async def reading(estate: ThrowawayEstate, folder: Path, *plan: dict[str, Any], runners: int) -> Job:
    sources = {"in": Source(str(folder))}
    return await job_of(
        estate, *plan, may=(right("source.read", "in"),), sources=sources, runners=runners
    )  # fmt: skip


def labels(estate: ThrowawayEstate, run: str, node: str) -> list[dict[str, Any]]:
    """Return the integrity and sources under which a node's actions were asked for, in order."""
    found = [body for body in bodies(estate, run, EntryKind.INTENT) if body["node"] == node]
    return [{name: body["label"].get(name) for name in STRANGE} for body in found]


async def answer(estate: ThrowawayEstate, run: str) -> None:
    (card,) = estate.rooms.cards.waiting(estate.rooms.ledger.now_us())
    await estate.decide(card, "card.answer", {"value": "yes"})
    assert (await estate.engine.wait(run)).state == "done"


async def waits(estate: ThrowawayEstate, run: str) -> None:
    await until(lambda: estate.engine.document(run).state == "waiting", 20)


async def test_a_runner_that_read_nothing_carries_what_another_of_its_run_read(
    estate: ThrowawayEstate, folder: Path
) -> None:
    run = await estate.engine.start(await reading(estate, folder, ASKS, READS, runners=2), {"in": folder})
    await waits(estate, run)
    await answer(estate, run)
    assert labels(estate, run, "ask")[-1] == STRANGE


async def test_a_runner_of_a_later_life_carries_what_was_read_before(tmp_path: Path, folder: Path) -> None:
    home = tmp_path / "estate"
    home.mkdir()
    first = ThrowawayEstate(home, packs=PACKS)
    await first.open()
    run = await first.engine.start(await reading(first, folder, ASKS, READS, runners=1), {"in": folder})
    await waits(first, run)
    await first.close()
    second = ThrowawayEstate(home, packs=PACKS)
    await second.open()
    await waits(second, run)
    await answer(second, run)
    assert labels(second, run, "ask")[-1] == STRANGE
    await second.close()
