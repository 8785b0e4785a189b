"""A store, a disk, a socket that cannot be used: said in one sentence, and nothing is lost by it."""

import fcntl
import os
import shutil
import socket
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from freehold.testing.smtp import SmtpServer
from tests import needs
from tests.wrong_input.conftest import Person, says

pytestmark = pytest.mark.timeout(240)

PACK = '''\
"""Keeps forty large artifacts, one after the other; for tests."""

import hashlib

from freehold.sdk import Context, Job, Pack, Plan

pack = Pack("errands", version="1")


@pack.step
async def keep(ctx: Context) -> int:
    for number in range(40):
        block = hashlib.shake_256(b"%d" % number).digest(300_000)
        await ctx.put_artifact(block, "application/octet-stream", f"{number}.bin")
    return 40


@pack.planner
def plan(job: Job) -> Plan:
    made = Plan()
    made.add(keep, tools=["artifact.put"])
    return made
'''


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MB."""
    yield from _mounted(tmp_path / "disk", "24m")


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KB."""
    yield from _mounted(tmp_path / "tiny", "64k")


def _mounted(folder: Path, size: str) -> Iterator[Path]:
    if os.getuid() != 0:
        needs.leave_out("not root, who alone can make a small disk")
    mount = needs.program("mount", package="mount")
    folder.mkdir()
    made = subprocess.run(
        [mount, "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], check=False, capture_output=True
    )
    if made.returncode:
        needs.leave_out("no right to mount a file system")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(path: Path) -> None:
    """Take all the room that is left."""
    with path.open("wb", buffering=0) as file:
        for block in (b"\0" * 65_536, b"\0" * 512):
            try:
                while True:
                    file.write(block)
            except OSError:
                continue


def until(person: Person, *words: str, said: str) -> str:
    """Repeat a command until it says something; each is a process, so nothing spins."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        answer = person.types(*words)
        if answer.code == 0 and said in answer.out + answer.err:
            return answer.out
    raise AssertionError(f"{words} never said {said!r}: {answer}")


def test_an_estate_is_not_half_made_on_a_full_disk(tiny_disk: Path) -> None:
    person = Person(tiny_disk / "estate")
    said = person.types(
        "init", str(person.folder), "--human", "anna", "--email", "anna@example.com", "--presence", "none"
    )
    says(said, 4, "full" if "full" in said.err else "No space left")
    assert not person.folder.exists()


def test_a_disk_that_fills_in_the_middle_of_a_run_stops_the_gate_and_loses_nothing(
    small_disk: Path, furnished: Path
) -> None:
    person = Person(small_disk / "estate")
    shutil.copytree(furnished, person.folder)
    pack = small_disk / "pack"
    pack.mkdir()
    (pack / "errands.py").write_text(PACK)
    (pack / "pyproject.toml").write_text('[project]\nname = "errands"\n')
    try:
        person.does("packs", "remove", "errands")
        person.does("packs", "add", str(pack))
        person.employs("errand")
        with (small_disk / "filler").open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(small_disk).free - (3 << 20))
        run = str(person.types("run", "errand", "--json").value["id"])
        shown = until(person, "status", said="nothing new begins")
        assert "Traceback" not in shown
        fill(small_disk / "more")
        person.types("freeze", "agent:audrey")  # holds at once, whether or not it could be written
        assert "audrey" in str(person.types("status", "--json").value["frozen"])
        for name in ("filler", "more"):
            (small_disk / name).unlink()
        until(person, "thaw", "agent:audrey", said="audrey")
        assert person.types("watch", run).code == 0
        done = person.types("runs", "show", run, "--json").value
        kept = [action for action in done["actions"] if action["tool"] == "artifact.put"]
        assert (done["state"], len(kept), {one["status"] for one in kept}) == ("done", 40, {"done"})
    finally:
        person.types("down")


def test_an_approval_on_a_full_disk_is_not_taken_and_counts_later(small_disk: Path, furnished: Path) -> None:
    person = Person(small_disk / "estate")
    shutil.copytree(furnished, person.folder)
    try:
        person.employs("errand")
        run = str(person.types("run", "errand", "--json").value["id"])
        card = person.waits_for_card(run)
        shown = person.types("approve", card["id"]).out
        digest = next(line.split()[1] for line in shown.splitlines() if line.startswith("digest"))
        fill(small_disk / "filler")
        says(person.types("approve", card["id"], "--digest", digest), 4, "is full", "Free some space")
        assert not list((person.folder / "outbox").rglob("*.eml"))
        (small_disk / "filler").unlink()
        until(person, "approve", card["id"], "--digest", digest, said="pprove")
        person.types("watch", run)
        assert person.types("runs", "show", run, "--json").value["state"] == "done"
        assert len(list((person.folder / "outbox").rglob("*.eml"))) == 1
    finally:
        person.types("down")


def test_a_store_that_another_program_holds_is_named(owner: Person) -> None:
    (lock,) = (owner.folder / "store").glob("*.lock")
    with lock.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        says(owner.types("agents"), 4, "in use")


def test_a_database_that_another_program_has_locked_is_named(owner: Person) -> None:
    connection = sqlite3.connect(_database(owner), isolation_level=None)
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    connection.execute("BEGIN EXCLUSIVE")
    try:
        says(owner.types("agents"), 4, "locked")
    finally:
        connection.execute("ROLLBACK")
        connection.close()
    owner.does("agents")


def test_a_database_of_a_newer_version_is_named_and_left_alone(owner: Person) -> None:
    database = _database(owner)
    connection = sqlite3.connect(database)
    with connection:
        connection.execute("UPDATE freehold_version SET version_num = '9999'")
    connection.close()
    before = database.read_bytes()
    says(owner.types("agents"), 2, "newer")
    assert database.read_bytes() == before


def test_a_file_in_the_socket_s_place_is_named(owner: Person) -> None:
    (owner.folder / "control.sock").write_text("mine")
    said = owner.types("agents")
    assert said.code == 2, said
    says(said, 2, "in the way", "Move that file away")
    assert (owner.folder / "control.sock").read_text() == "mine"


def test_a_second_daemon_is_refused_and_the_first_stays(owner: Person) -> None:
    owner.does("up")
    pid = owner.types("status", "--json").value["pid"]
    says(owner.types("up", "--foreground"), 4, f"process {pid}")
    assert owner.types("status", "--json").value["pid"] == pid


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(Exception, match="in use"):
        SmtpServer(tmp_path, port=taken.getsockname()[1]).start()


def _database(owner: Person) -> Path:
    (found,) = [
        path for path in (owner.folder / "store").iterdir() if path.suffix in (".db", ".sqlite", ".sqlite3")
    ]
    return found
