"""Fan-outs over the files of a source: pinned when the run begins, sealed file by file."""

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from freehold.base import BadInput, Refused
from freehold.kernel.forget import Forgetter
from freehold.kernel.rights import right
from freehold.runtime.job import Job, Source
from freehold.runtime.records import Records
from freehold.testing.estates import ThrowawayEstate
from freehold.testing.processes import until
from tests.runtime.conftest import job_of, sentences

READS: dict[str, Any] = {"step": "read", "each": "source:in", "tools": ["source.read"]}
NAMES: dict[str, Any] = {"step": "name_of", "each": "source:in"}
ASKS: dict[str, Any] = {"step": "ask", "tools": ["question.ask"]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A source with three files, one of them in a folder."""
    found = tmp_path / "source"
    (found / "inner").mkdir(parents=True)
    for name in ("b.txt", "a.txt", "inner/c.txt"):
        (found / name).write_text(f"text of {name}")
    return found


async def reading(estate: ThrowawayEstate, folder: Path, *plan: dict[str, Any]) -> Job:
    """Return a job that may read ``folder``."""
    return await job_of(estate, *plan, may=(right("source.read", "in"),), sources={"in": Source(str(folder))})


def results(estate: ThrowawayEstate, run: str, node: str) -> list[Any]:
    """Return what each item of a node gave, by the journal; a forgotten or failed one is None."""
    found: dict[int, str | None] = {}
    for action in estate.rooms.store.actions_of_run(run):
        if action.node == node and action.ordinal == 0 and action.result_index is not None:
            try:
                found[action.item] = Records(estate.rooms).value(action.result_index).data.decode()
            except Refused:
                found[action.item] = None
    return [found[item] for item in sorted(found)]


async def test_each_file_of_a_source_is_an_item_in_the_order_of_paths(
    estate: ThrowawayEstate, folder: Path
) -> None:
    document = await estate.run(await reading(estate, folder, READS), {"in": folder})
    assert (document.state, document.failed) == ("done", 0)
    texts = [f'"text of {name}"' for name in ("a.txt", "b.txt", "inner/c.txt")]
    assert results(estate, document.id, "read") == texts


async def test_a_file_that_changes_while_the_run_reads_is_refused_and_the_rest_goes_on(
    estate: ThrowawayEstate, folder: Path
) -> None:
    job = await reading(estate, folder, ASKS, {**READS, "needs": ["ask"]})
    run = await estate.engine.start(job, {"in": folder})
    await until(lambda: bool(estate.rooms.cards.waiting(estate.rooms.ledger.now_us())))
    (folder / "b.txt").write_text("something else")
    (card,) = estate.rooms.cards.waiting(estate.rooms.ledger.now_us())
    await estate.decide(card, "card.answer", {"value": "yes"})
    document = await estate.engine.wait(run)
    assert (document.state, document.failed) == ("done", 1)
    assert "The file 'b.txt' has changed since this run began." in sentences(estate, run)


async def test_a_file_that_is_gone_is_said_by_its_name(estate: ThrowawayEstate, folder: Path) -> None:
    job = await reading(estate, folder, ASKS, {**READS, "needs": ["ask"]})
    run = await estate.engine.start(job, {"in": folder})
    await until(lambda: bool(estate.rooms.cards.waiting(estate.rooms.ledger.now_us())))
    (folder / "b.txt").unlink()
    (card,) = estate.rooms.cards.waiting(estate.rooms.ledger.now_us())
    await estate.decide(card, "card.answer", {"value": "yes"})
    document = await estate.engine.wait(run)
    assert (document.state, document.failed) == ("done", 1)
    assert "b.txt" in sentences(estate, run)


async def test_links_out_of_a_source_are_left_out(
    estate: ThrowawayEstate, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "d.txt").write_text("secret")
    os.symlink(tmp_path / "secret.txt", folder / "link.txt")
    os.symlink(tmp_path / "elsewhere", folder / "linked")
    document = await estate.run(await reading(estate, folder, NAMES), {"in": folder})
    assert results(estate, document.id, "name_of") == ['"a.txt"', '"b.txt"', '"inner/c.txt"']


async def test_a_second_name_of_a_file_outside_is_refused_before_the_run_begins(
    estate: ThrowawayEstate, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    os.link(tmp_path / "secret.txt", folder / "hard.txt")
    job = await reading(estate, folder, NAMES)
    with pytest.raises(BadInput, match=r"hard\.txt"):
        await estate.engine.start(job, {"in": folder})
    assert estate.engine.documents() == []


async def test_a_folder_that_is_not_there_is_said_with_its_source(
    estate: ThrowawayEstate, tmp_path: Path
) -> None:
    job = await reading(estate, tmp_path / "none", NAMES)
    with pytest.raises(BadInput, match=r"source 'in'.*cannot be read: No such file or directory"):
        await estate.engine.start(job, {"in": tmp_path / "none"})
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match=r"source 'in'.*cannot be read: Not a directory"):
        await estate.engine.start(job, {"in": tmp_path / "file"})


async def test_an_empty_source_is_a_run_without_items(estate: ThrowawayEstate, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    job = await reading(estate, tmp_path / "empty", NAMES)
    document = await estate.run(job, {"in": tmp_path / "empty"})
    assert (document.state, document.failed) == ("done", 0)


async def test_two_thousand_files_are_pinned_and_listed(estate: ThrowawayEstate, tmp_path: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(2_000):
        (folder / f"{number:04d}.txt").write_text(str(number))
    job = await reading(estate, folder, {"step": "listed", "tools": ["source.list"]})
    document = await estate.run(job, {"in": folder})
    assert document.state == "done", estate.events
    assert estate.result(document) == 2_000


@pytest.mark.long
async def test_two_thousand_files_are_read_each_by_its_own_step(
    estate: ThrowawayEstate, tmp_path: Path
) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(2_000):
        (folder / f"{number:04d}.txt").write_text(str(number))
    document = await estate.run(await reading(estate, folder, READS), {"in": folder})
    assert results(estate, document.id, "read") == [f'"{number}"' for number in range(2_000)]


async def test_each_items_records_are_sealed_for_its_own_file(estate: ThrowawayEstate, folder: Path) -> None:
    document = await estate.run(await reading(estate, folder, READS), {"in": folder})
    subject = "file:" + hashlib.sha256((folder / "b.txt").read_bytes()).hexdigest()
    await Forgetter(estate.rooms.ledger, estate.rooms.artifacts).forget(subject)
    estate.rooms.pen.forget()
    assert results(estate, document.id, "read") == ['"text of a.txt"', None, '"text of inner/c.txt"']
    assert "text of b.txt" not in sentences(estate, document.id)
