"""What a run did to files is shown, and taken back where nobody changed it since."""

import pytest

from tests.forget.conftest import Owner

pytestmark = pytest.mark.timeout(120)


def done(owner: Owner) -> str:
    owner.employs_for("copies", {"ben.txt": "line one\nline two", "zoe.bin": "\0\1"}, send="propose")
    run = owner.starts("copies")
    owner.types("watch", run)
    return run


def outbox(owner: Owner) -> list[str]:
    return sorted(path.name for path in (owner.folder / "outbox").rglob("*") if path.is_file())


def test_a_runs_files_are_shown_as_a_diff_and_taken_back(owner: Owner) -> None:
    run = done(owner)
    before = outbox(owner)
    assert {"all.txt", "ben.txt", "zoe.bin"} <= set(before)
    found = {
        (one["place"], one["path"].rpartition("/")[2]): one
        for one in owner.types("runs", "diff", run, "--json").value
    }
    assert found["outbox", "ben.txt"]["diff"].splitlines()[-2:] == ["+line one", "+line two"]
    assert found["outbox", "zoe.bin"]["diff"] == ""
    assert found["outbox", "zoe.bin"]["size"] == 2
    assert found["workspace", "ben.txt"]["state"] == "new"
    assert "+line two" in owner.does("runs", "diff", run)
    owner.does("runs", "undo", run, "--yes")
    assert outbox(owner) == []
    states = {
        one["state"] for one in owner.types("runs", "diff", run, "--json").value if one["place"] == "outbox"
    }
    assert states == {"gone"}
    assert "run.undone" in owner.does("journal", "list", "--run", run)
    assert owner.types("runs", "undo", run, "--yes").code == 2


def test_a_file_that_somebody_changed_stays_and_so_do_the_others(owner: Owner) -> None:
    run = done(owner)
    (changed,) = (owner.folder / "outbox").rglob("ben.txt")
    changed.write_text("corrected by hand")
    before = outbox(owner)
    said = owner.types("runs", "undo", run, "--yes")
    assert said.code != 0
    assert "ben.txt in the outbox is not the file that the run put there any more" in said.err
    assert outbox(owner) == before
    assert "changed since" in owner.does("runs", "diff", run)
