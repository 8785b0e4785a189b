"""Hostile files thrown at the receipts pack, through a real run behind the walls that this machine has."""

import asyncio
import os
import shutil
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from freehold.kernel.grades import Category, Grade
from freehold.kernel.rights import right
from freehold.packs.expense_audit import samples
from freehold.packs.expense_audit.policy import sample_policy
from freehold.runtime.house import Pack
from freehold.runtime.job import Source
from freehold.runtime.pool import RunnerHandle
from freehold.sandbox import Level
from freehold.testing.estates import ThrowawayEstate, synthetic_job
from tests.sandbox import zoo
from tests.sandbox.conftest import need

pytestmark = pytest.mark.timeout(300)
MEMORY_KB = 1 << 20
ANIMALS = zoo.animals()


class Visit(NamedTuple):
    """What came of it: the report, what the runners used, and what lay around before and after."""

    state: str
    report: str
    peaks_kb: list[int]
    before: dict[str, int]
    after: dict[str, int]
    stray: list[str]


def facts(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): path.stat().st_size for path in folder.rglob("*")}


async def visit(place: Path) -> Visit:
    source, made = place / "receipts", place / "samples"
    source.mkdir()
    made.mkdir()
    samples.make_samples(made)
    for name in ("02-coffee.jpg", "06-stationery.jpg"):
        shutil.copy(made / name, source / name)
    for name, data in ANIMALS.items():
        (source / name).write_bytes(data)
    before = facts(source)
    estate = ThrowawayEstate(
        place / "estate", packs={"expense-audit": Pack("expense-audit", "freehold.packs.expense_audit.pack:pack")},
        policy=lambda job: sample_policy(),
    )  # fmt: skip
    (place / "estate").mkdir()
    estate.level = Level.NAMESPACES
    await estate.open()
    taken: list[RunnerHandle] = []
    take = estate.pool.take

    async def counted() -> RunnerHandle:
        taken.append(await take())
        return taken[-1]

    setattr(estate.pool, "take", counted)  # noqa: B010
    try:
        job = synthetic_job(
            {"outbox": "reports"}, name="audit", grades={Category.CHANGE_SOURCE: Grade.ACT},
            may=(right("source.read", "receipts"), right("outbox.write", "reports")),
        )  # fmt: skip
        sources = {"receipts": Source(str(source))}
        job = msgspec.structs.replace(job, pack="expense-audit", sources=sources, policy="policy.md")
        await estate.employ(job)
        document = await estate.run(job, {"receipts": source})
        exits = await asyncio.gather(*(handle.exited for handle in taken))
        report = "".join(path.read_text() for path in (place / "estate" / "outbox").rglob("report.md"))
        stray = [str(path) for path in place.rglob("*escaped-from-the-zoo*")]
        peaks = [exit_.max_rss_kb for exit_ in exits]
        return Visit(document.state, report, peaks, before, facts(source), stray)
    finally:
        await estate.close()


@pytest.fixture(scope="module")
def visited(tmp_path_factory: pytest.TempPathFactory) -> Visit:
    need(Level.NAMESPACES)
    return asyncio.run(visit(tmp_path_factory.mktemp("zoo")))


def test_the_zoo_is_large() -> None:
    assert len(ANIMALS) >= 40
    kinds = {name.rpartition(".")[2] for name in ANIMALS}
    assert kinds >= {"pdf", "png", "jpg", "tiff", "svg", "zip", "tar", "eml"}


@pytest.mark.parametrize("name", sorted(ANIMALS))
def test_a_hostile_file_is_isolated_with_a_sentence(visited: Visit, name: str) -> None:
    assert visited.state == "done"
    (row,) = {
        line for line in visited.report.splitlines() if line.startswith(f"| {name} | § 8 Readable receipts |")
    }
    assert len(row.split("|")[3]) > len(name) + 20
    assert "Traceback" not in row
    assert "the reader failed" not in row


def test_the_receipts_beside_them_are_audited(visited: Visit) -> None:
    for name in ("02-coffee.jpg", "06-stationery.jpg"):
        assert name in visited.report
    assert (
        f"- Files: {len(ANIMALS) + 2}; in order 2, refused {len(ANIMALS)}, to be decided 0" in visited.report
    )


def test_memory_stays_bounded_and_nothing_is_written_outside(visited: Visit) -> None:
    assert visited.peaks_kb
    assert max(visited.peaks_kb) < MEMORY_KB
    assert visited.after == visited.before
    assert visited.stray == []
    assert not os.path.exists("/tmp/escaped-from-the-zoo")
