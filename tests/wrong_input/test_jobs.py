"""Job files with mistakes, and folders and files that cannot be read as the job wants."""

import os
import shutil
import subprocess

import pytest

from tests import needs
from tests.wrong_input.conftest import Owner, Person, says

pytestmark = pytest.mark.timeout(120)

MISTAKES = """\
---
owner: anna
agent: audrey
pack: errands
colour: red
budget:
  run: {money: many EUR, actions: -1}
grades:
  send: maybe
may:
  - fly: moon
---
# Errand
## Goal
None.
"""


def test_every_mistake_of_a_job_file_is_named_with_its_line(owner: Person) -> None:
    (owner.folder / "jobs" / "bad.md").write_text(MISTAKES)
    said = owner.types("run", "bad")
    says(said, 2, "has 8 mistakes", "freehold jobs check bad")
    for line in ("line 5: `colour`", "line 7: `budget.run.actions`", "line 7: `budget.run.money`",
                 "line 9: `grades.send`", "line 11: `may[1].fly`", "The heading Context is missing"):  # fmt: skip
        assert line in said.err
    checked = owner.types("jobs", "check", "bad", "--json")
    assert checked.code == 2
    assert owner.types("runs", "--json").value == []


def test_a_job_file_that_is_not_there_is_named(owner: Person) -> None:
    says(owner.types("run", "absent"), 2, "no job 'absent'", "freehold jobs")


def test_a_source_that_is_not_there_stops_the_run_before_it_begins(copier: Owner) -> None:
    copier.employs_for("copies", {"ben.txt": "x"})
    shutil.rmtree(copier.folder.parent / "in-copies")
    says(copier.types("run", "copies"), 2, "source 'in'", "No such file or directory", "sources")
    assert copier.types("runs", "--json").value == []


def test_a_file_that_changed_after_the_run_began_is_not_read(copier: Owner) -> None:
    copier.employs_for("copies", {"ben.txt": "before"}, ask=True, send="propose")
    run = copier.starts("copies")
    card = copier.waits_for_card(run)
    (copier.folder.parent / "in-copies" / "ben.txt").write_text("after")
    copier.does("answer", card["id"], "go")
    copier.types("watch", run)
    shown = copier.types("runs", "show", run)
    assert "has changed since this run began" in shown.out
    assert "Run the job again" in shown.out
    assert not list((copier.folder / "outbox").rglob("ben.txt"))


class Held(Owner):
    """A person whom the system's permissions hold, root included."""

    if os.getuid() == 0:
        prefix = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")


@pytest.fixture
def held(copier: Owner) -> Held:
    """That person, with the estate of `copier`."""
    if Held.prefix:
        needs.program("setpriv", package="util-linux")
        if subprocess.run([*Held.prefix, "true"], check=False, capture_output=True).returncode:
            needs.leave_out("no right to give up the rights of root (a container without CAP_SETPCAP)")
    return Held(copier.folder)


def test_a_folder_that_may_not_be_read_is_named_with_the_reason(held: Held) -> None:
    held.employs_for("copies", {"ben.txt": "x"})
    source = held.folder.parent / "in-copies"
    source.chmod(0)
    try:
        says(held.types("run", "copies"), 2, "source 'in'", "Permission denied", "sources")
        source.chmod(0o700)
        (source / "ben.txt").chmod(0)
        says(held.types("run", "copies"), 2, "'ben.txt' cannot be read: Permission denied")
        assert held.types("runs", "--json").value == []
        held.folder.chmod(0)
        says(held.types("status"), 2, "cannot be read: Permission denied", "chmod")
    finally:
        held.folder.chmod(0o700)
        source.chmod(0o700)
