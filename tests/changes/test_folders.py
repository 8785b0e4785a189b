"""A file that an effect puts into a folder of people's is shown with what was there before, and put back."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

from freehold.base import BadInput, Refused
from freehold.base.canonical import encode
from freehold.kernel.grades import Category, Grade
from freehold.kernel.labels import Integrity, Label, Sink, Zone
from freehold.kernel.rights import named, right
from freehold.kernel.scope import Request
from freehold.kernel.tools import EffectKind, Intent, Outcome, Tool
from freehold.runtime.asker import Asker
from freehold.runtime.changes import Changes
from freehold.runtime.job import Source
from freehold.runtime.puts import put_of
from freehold.runtime.replaced import now_inside, replace_in
from freehold.store.interface import Cost
from freehold.testing.estates import ThrowawayEstate
from freehold.testing.processes import until
from tests.runtime.conftest import job_of

TOOL = Tool(
    "files.write", EffectKind.IDEMPOTENT, lambda args: (named("source", "in"),), Category.CHANGE_SOURCE,
    right="source.change", sink=lambda args: Sink(Zone.DEVICE, name="the folder"), timeout_s=None,
)  # fmt: skip


class Writer:
    """A run that waits for an answer, and an effect that writes files into its source as the daemon would."""

    def __init__(self, estate: ThrowawayEstate, folder: Path, run: str) -> None:
        self.estate = estate
        self.folder = folder
        self.run = run
        self.changes = Changes(estate.house, estate.outbox)
        self._ordinal = 0

    async def write(self, path: str, data: bytes | None) -> None:
        live = self.estate.engine.live(self.run)
        assert live is not None
        self._ordinal += 1
        asker = Asker(self.run, live.job, self.folder, Label(Integrity.OWNER))

        async def effect(intent: Intent) -> Outcome:
            before, kept, writes = now_inside(str(self.folder), path, 1 << 20), "", []
            if before is not None:
                value, put = self.estate.house.tools.keep(asker, asker.label, before, "text/plain", "before")
                kept, writes = str(value["id"]), [put]
            handle = os.open(self.folder, os.O_RDONLY)
            if data is None:
                os.unlink(path, dir_fd=handle)
            else:
                replace_in(handle, path, data)
            os.close(handle)
            told = put_of(path, data, folder=str(self.folder), before=before, kept=kept)
            return Outcome("done", encode(told.value()), None, Cost(actions=1), writes=tuple(writes))

        request = Request(live.scope, "files", 0, self._ordinal, TOOL, {"path": path}, asker.label)
        record = await self.estate.gate.perform(request, effect)
        assert record.status == "done", record

    def states(self) -> dict[str, str]:
        found = [change for change in self.changes.of(self.run) if change.place == "folder"]
        return {change.path.rpartition("/")[2]: change.state for change in found}

    async def undo(self) -> list[str]:
        puts = await self.estate.rooms.ledger.commit(self.changes.undo(self.run, by="a test"))
        return [path.rpartition("/")[2] for path in self.changes.take_back(self.run, puts)]


@pytest_asyncio.fixture
async def writer(estate: ThrowawayEstate, tmp_path: Path) -> AsyncIterator[Writer]:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "old.txt").write_text("one\ntwo\n")
    (folder / "old.txt").chmod(0o640)
    (folder / "doomed.txt").write_text("to be removed\n")
    job = await job_of(
        estate, {"step": "ask", "tools": ["question.ask"]}, may=(right("source.change", "in"),),
        sources={"in": Source(str(folder), change=True)},
    )  # fmt: skip
    job = msgspec.structs.replace(job, grades={Category.CHANGE_SOURCE: Grade.ACT})
    run = await estate.engine.start(job, {"in": folder})
    await until(lambda: bool(estate.rooms.cards.waiting(estate.rooms.ledger.now_us())))
    yield Writer(estate, folder, run)


async def test_what_was_there_before_is_shown_and_put_back(writer: Writer) -> None:
    await writer.write("old.txt", b"one\n2\n")
    await writer.write("new.txt", b"fresh\n")
    await writer.write("doomed.txt", None)
    assert writer.states() == {"old.txt": "changed", "new.txt": "new", "doomed.txt": "removed"}
    shown = {change.path.rpartition("/")[2]: change.diff for change in writer.changes.of(writer.run)}
    assert shown["old.txt"].splitlines()[-3:] == [" one", "-two", "+2"]
    assert shown["doomed.txt"].splitlines()[-1] == "-to be removed"
    assert await writer.undo() == ["doomed.txt", "new.txt", "old.txt"]
    assert sorted(path.name for path in writer.folder.iterdir()) == ["doomed.txt", "old.txt"]
    assert (writer.folder / "old.txt").read_text() == "one\ntwo\n"
    assert (writer.folder / "old.txt").stat().st_mode & 0o777 == 0o640
    assert (writer.folder / "doomed.txt").read_text() == "to be removed\n"
    assert writer.states() == {"old.txt": "taken back", "new.txt": "gone", "doomed.txt": "taken back"}


async def test_a_file_that_was_written_twice_goes_back_to_what_it_was_at_first(writer: Writer) -> None:
    await writer.write("old.txt", b"second\n")
    await writer.write("old.txt", b"third\n")
    assert await writer.undo() == ["old.txt"]
    assert (writer.folder / "old.txt").read_text() == "one\ntwo\n"


async def test_a_change_of_somebody_elses_in_between_is_what_a_file_goes_back_to(writer: Writer) -> None:
    await writer.write("old.txt", b"second\n")
    (writer.folder / "old.txt").write_text("by hand\n")
    await writer.write("old.txt", b"third\n")
    await writer.undo()
    assert (writer.folder / "old.txt").read_text() == "by hand\n"


async def test_a_file_that_somebody_changed_since_stays_and_so_do_the_others(writer: Writer) -> None:
    await writer.write("old.txt", b"second\n")
    await writer.write("new.txt", b"fresh\n")
    (writer.folder / "old.txt").write_text("by hand\n")
    with pytest.raises(Refused, match=r"old\.txt in its folder is not the file that the run put there"):
        await writer.undo()
    assert (writer.folder / "new.txt").read_text() == "fresh\n"
    assert writer.states()["old.txt"] == "changed since"


async def test_undoing_again_does_no_harm(writer: Writer) -> None:
    await writer.write("old.txt", b"second\n")
    change = writer.changes.undo(writer.run, by="a test")
    puts = await writer.estate.rooms.ledger.commit(change)
    writer.changes.take_back(writer.run, puts)
    (writer.folder / "old.txt").write_text("work goes on\n")
    writer.changes.take_back(writer.run, puts)
    assert (writer.folder / "old.txt").read_text() == "work goes on\n"
    (writer.folder / "old.txt").write_text("one\ntwo\n")
    with pytest.raises(BadInput, match="no file to take back"):
        await writer.undo()


async def test_an_undo_that_was_cut_off_is_finished_by_the_next(writer: Writer) -> None:
    await writer.write("old.txt", b"second\n")
    await writer.write("new.txt", b"fresh\n")
    puts = await writer.estate.rooms.ledger.commit(writer.changes.undo(writer.run, by="a test"))
    writer.changes.take_back(writer.run, puts[:1])
    assert len(await writer.undo()) == 1
    assert (writer.folder / "old.txt").read_text() == "one\ntwo\n"
    assert not (writer.folder / "new.txt").exists()


async def test_a_link_in_the_place_of_a_file_or_its_folder_is_not_followed(
    writer: Writer, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.write_text("second\n")
    await writer.write("old.txt", b"second\n")
    (writer.folder / "old.txt").unlink()
    (writer.folder / "old.txt").symlink_to(outside)
    with pytest.raises((BadInput, Refused)):
        await writer.undo()
    assert outside.read_text() == "second\n"
