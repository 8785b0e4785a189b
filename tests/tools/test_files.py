"""Files in folders that a job names: read as they are, changed over what was seen, and never anywhere else."""

import hashlib
import os
from pathlib import Path

import msgspec
import pytest

from freehold.kernel.labels import Confidentiality, Integrity
from freehold.kernel.rights import right
from freehold.kernel.tools import Intent, Prepared
from freehold.runtime import folders
from freehold.runtime.asker import Asker
from freehold.runtime.changes import Changes
from freehold.runtime.job import Source
from freehold.runtime.jobfile import check_job
from freehold.runtime.tools.files import NOTED
from tests.tools.conftest import Desk


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture
def notes(desk: Desk, tmp_path: Path) -> Path:
    """A folder that the job may change, whose owner vouches for it."""
    folder = tmp_path / "notes"
    (folder / "plans").mkdir(parents=True)
    (folder / "today.md").write_text("Call Ben.\n")
    (folder / "plans" / "may.md").write_text("The roof.\nBen's birthday.\n")
    (folder / ".hidden").write_text("Ben's key")
    desk.sources = {"notes": Source(str(folder), True, trust=Integrity.OWNER)}
    desk.folders = {"notes": folder}
    desk.may = (right("source.read", "notes"), right("source.change", "notes"))
    return folder


async def test_a_folder_is_listed_read_and_searched_as_it_is_now(desk: Desk, notes: Path) -> None:
    listed, read, found = await desk.ask(
        ("files.list", {"source": "notes"}),
        ("files.read", {"source": "notes", "path": "today.md"}),
        ("files.search", {"source": "notes", "text": "BEN"}),
    )
    assert [file["path"] for file in listed["files"]] == ["plans/may.md", "today.md"]
    assert (read["text"], read["digest"], read["next_offset"]) == ("Call Ben.\n", sha("Call Ben.\n"), None)
    assert [(line["path"], line["line"], line["text"]) for line in found["lines"]] == [
        ("plans/may.md", 2, "Ben's birthday."), ("today.md", 1, "Call Ben."),
    ]  # fmt: skip


async def test_what_is_read_carries_what_the_job_says_of_the_folder(desk: Desk, notes: Path) -> None:
    await desk.one("files.read", source="notes", path="today.md")
    mine = desk.label()
    assert (mine.integrity, mine.confidentiality) == (Integrity.OWNER, Confidentiality.CONFIDENTIAL)
    assert "source:notes" in mine.sources
    desk.sources = {"notes": Source(str(notes), True)}
    await desk.one("files.read", source="notes", path="today.md")
    assert desk.label().integrity is Integrity.STRANGER


async def test_a_long_file_comes_in_parts(desk: Desk, notes: Path) -> None:
    text = "ä" * 70_000
    (notes / "long.txt").write_text(text)
    first = await desk.one("files.read", source="notes", path="long.txt")
    rest = await desk.one("files.read", source="notes", path="long.txt", offset=first["next_offset"])
    assert (first["text"] + rest["text"], rest["next_offset"]) == (text, None)


async def test_a_file_is_written_appended_to_moved_and_deleted(desk: Desk, notes: Path) -> None:
    given = await desk.ask(
        ("files.write", {"source": "notes", "path": "new/list.md", "text": "milk\n"}),
        ("files.append", {"source": "notes", "path": "new/list.md", "text": "bread\n"}),
        ("files.move", {"source": "notes", "path": "new/list.md", "to": "shopping.md"}),
        ("files.write", {"source": "notes", "path": "today.md", "text": "Done.\n", "replaces": sha("Call Ben.\n")}),
        ("files.delete", {"source": "notes", "path": "plans/may.md",
                          "replaces": sha("The roof.\nBen's birthday.\n")}),
    )  # fmt: skip
    assert sorted(str(path.relative_to(notes)) for path in notes.rglob("*") if path.is_file()) == [
        ".hidden", "shopping.md", "today.md",
    ]  # fmt: skip
    assert ((notes / "shopping.md").read_text(), (notes / "today.md").read_text()) == (
        "milk\nbread\n",
        "Done.\n",
    )
    changed, deleted = given[3], given[4]
    assert (changed["before"], changed["digest"]) == (sha("Call Ben.\n"), sha("Done.\n"))
    kept = [desk.estate.house.tools.artifact(desk.run, one["kept"]).data for one in (changed, deleted)]
    assert kept == [b"Call Ben.\n", b"The roof.\nBen's birthday.\n"]
    assert (notes / "today.md").stat().st_mode & 0o777 == 0o644


async def test_what_a_run_changed_is_shown_and_taken_back(desk: Desk, notes: Path) -> None:
    before = {path.name: path.read_text() for path in notes.rglob("*.md")}
    await desk.ask(
        (
            "files.write",
            {"source": "notes", "path": "today.md", "text": "Done.\n", "replaces": sha("Call Ben.\n")},
        ),
        ("files.append", {"source": "notes", "path": "today.md", "text": "And more.\n"}),
        ("files.move", {"source": "notes", "path": "plans/may.md", "to": "plans/june.md"}),
        ("files.append", {"source": "notes", "path": "new.md", "text": "x"}),
    )
    changes = Changes(desk.estate.house, desk.estate.outbox)
    found = {change.path.removeprefix(f"{notes}/"): change for change in changes.of(desk.run)}
    assert {path: change.state for path, change in found.items()} == {
        "new.md": "new", "plans/june.md": "new", "plans/may.md": "removed", "today.md": "changed",
    }  # fmt: skip
    assert "-Call Ben." in found["today.md"].diff
    assert "+And more." in found["today.md"].diff
    puts = await desk.estate.rooms.ledger.commit(changes.undo(desk.run, by="anna"))
    changes.take_back(desk.run, puts)
    assert {path.name: path.read_text() for path in notes.rglob("*.md")} == before


async def test_a_file_that_is_not_as_it_was_read_is_not_overwritten(desk: Desk, notes: Path) -> None:
    said = await desk.refused("files.write", source="notes", path="today.md", text="x", replaces=sha("old"))
    assert "is not as it was when it was read" in said
    said = await desk.refused("files.write", source="notes", path="today.md", text="x")
    assert "There is a file 'today.md' already." in said
    said = await desk.refused("files.delete", source="notes", path="today.md", replaces=sha("old"))
    assert "is not as it was when it was read" in said
    said = await desk.refused("files.move", source="notes", path="today.md", to="plans/may.md")
    assert "There is a file 'plans/may.md' already." in said
    assert (notes / "today.md").read_text() == "Call Ben.\n"


@pytest.mark.parametrize(
    "path",
    ["../out.md", "/etc/passwd", "a//b", "./a", ".git/hooks/pre-commit", "plans/..", "a\nb", "a\\b", " a", "",
     "x" * 300, "link/out.md", "away"],
)  # fmt: skip
async def test_no_path_leads_out_of_the_folder_or_to_what_is_hidden(
    desk: Desk, notes: Path, path: str
) -> None:
    outside = notes.parent / "outside"
    outside.mkdir()
    (outside / "out.md").write_text("not yours")
    (notes / "link").symlink_to(outside)
    (notes / "away").symlink_to(outside / "out.md")
    for tool, more in (("files.read", {}), ("files.write", {"text": "x"}), ("files.append", {"text": "x"})):
        await desk.refused(tool, source="notes", path=path, **more)
        assert "Traceback" not in desk.said()
    assert sorted(path.name for path in outside.iterdir()) == ["out.md"]
    assert (outside / "out.md").read_text() == "not yours"


async def test_a_source_that_is_read_only_is_not_changed_whatever_the_rights_say(
    desk: Desk, notes: Path
) -> None:
    desk.sources = {"notes": Source(str(notes), False)}
    assert "is read-only" in await desk.refused("files.write", source="notes", path="a.md", text="x")
    desk.may = (right("source.read", "notes"),)
    desk.sources = {"notes": Source(str(notes), True)}
    assert "source.change: notes" in await desk.refused("files.write", source="notes", path="a.md", text="x")
    assert not (notes / "a.md").exists()


async def test_text_of_strangers_does_not_choose_a_file(desk: Desk, notes: Path) -> None:
    """The name comes out of the step, not out of the plan; what was read before decides whether it may."""
    for trust, state in ((Integrity.STRANGER, "failed"), (Integrity.OWNER, "done")):
        desk.sources = {"notes": Source(str(notes), True, trust=trust)}
        job = desk.job(
            ("files.read", {"source": "notes", "path": "today.md"}),
            ("files.write", {"source": "notes", "path": "$0", "text": "x"}),
        )
        job.params["plan"][0]["params"]["calls"].insert(0, {"put": "x", "name": "x.txt"})
        job.params["plan"][0]["tools"].append("artifact.put")
        await desk.estate.employ(msgspec.structs.replace(job, may=(*job.may, right("artifact.put", "*"))))
        desk.run = (document := await desk.estate.run(job, desk.folders)).id
        assert document.state == state, desk.said()
        assert len(list(notes.glob("*"))) == (4 if state == "done" else 3)


async def test_a_change_that_a_crash_broke_off_is_done_once(desk: Desk, notes: Path) -> None:
    """As after a crash between the note and the file, and between the file and its RESULT."""
    house = desk.estate.house
    asked = desk.job(("files.append", {"source": "notes", "path": "today.md", "text": "And Cy.\n"}))
    await desk.estate.employ(asked)
    assert (await desk.estate.run(asked, desk.folders)).state == "done"
    assert (notes / "today.md").read_text() == "Call Ben.\nAnd Cy.\n"
    (noted,) = desk.estate.rooms.store.documents(NOTED)
    run, action = noted.key.split("/")
    house.pin_room.open(run, asked, desk.folders)
    asker = Asker(run, asked, notes, house.job_label(asked))
    args = {"source": "notes", "path": "today.md", "text": "And Cy.\n"}
    again = Intent(action, 2, args, None, Prepared(), 0, b"", 0)
    assert (await house.tools.effector("files.append", asker)(again)).status == "done"
    assert (notes / "today.md").read_text() == "Call Ben.\nAnd Cy.\n"
    (notes / "today.md").write_text("Call Ben.\n")
    assert (await house.tools.effector("files.append", asker)(again)).status == "done"
    assert (notes / "today.md").read_text() == "Call Ben.\nAnd Cy.\n"
    (notes / "today.md").write_text("Somebody else's.\n")
    assert (await house.tools.effector("files.append", asker)(again)).status == "not_done"
    assert (notes / "today.md").read_text() == "Somebody else's.\n"


def test_a_move_that_was_broken_off_in_between_is_finished(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    os.link(tmp_path / "a", tmp_path / "b")
    handle = os.open(tmp_path, os.O_RDONLY)
    folders.move_inside(handle, "a", "b", sha("x"))
    folders.move_inside(handle, "a", "b", sha("x"))
    os.close(handle)
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


async def test_what_is_no_text_is_said_to_be_none(desk: Desk, notes: Path) -> None:
    (notes / "picture.bin").write_bytes(b"\x89PNG\0\xff")
    assert "is not text in UTF-8" in await desk.refused("files.read", source="notes", path="picture.bin")
    found = await desk.one("files.search", source="notes", text="png")
    assert found["lines"] == []


def test_a_job_file_says_who_writes_in_a_folder() -> None:
    text = """---
owner: anna
agent: audrey
pack: expense_audit
budget: {run: {actions: 5}}
sources: {notes: {folder: ./notes, access: change, trust: owner}, mail: {folder: ./mail, trust: nobody}}
---
## Goal
x
## Context
x
## Source
x
## Expectations
x
"""
    (mistake,) = check_job(text, "notes").mistakes
    assert "'nobody' does not say who writes there." in mistake.message
    job = check_job(text.replace("trust: nobody", "trust: estate"), "notes").job
    assert job is not None
    assert [source.trust for source in job.sources.values()] == [Integrity.OWNER, Integrity.ESTATE]
