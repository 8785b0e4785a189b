"""Commands in cells of their own: they compute, and reach nothing."""

import io
import os
import tarfile
from pathlib import Path

import msgspec
import pytest

from freehold.kernel.rights import right
from freehold.runtime.changes import Changes
from freehold.runtime.job import Source
from freehold.runtime.packed import pack, unpacked
from freehold.sandbox import Level
from freehold.testing.estates import synthetic_job
from tests.needs import program, walls
from tests.tools.conftest import ACT, Desk


@pytest.fixture
def walled(desk: Desk) -> Desk:
    """An estate whose cells have a file system, processes and a network of their own."""
    program("bwrap", package="bubblewrap")
    desk.estate.level = Level.NAMESPACES
    desk.may = (right("tool.call", "shell.run"),)
    return desk


async def test_a_command_computes_and_says_how_it_ended(walled: Desk) -> None:
    sums, failed = await walled.ask(
        ("shell.run", {"command": "sort -n | head -1; echo made > here; ls", "input": "30\n4\n200\n"}),
        ("shell.run", {"command": "echo wrong >&2; exit 3"}),
    )
    assert (sums["exit"], sums["out"], sums["late"]) == (0, "4\nhere\n", False)
    assert (failed["exit"], failed["out"], failed["errors"]) == (3, "", "wrong\n")


@pytest.mark.parametrize("level", [Level.NAMESPACES, Level.LANDLOCK])
async def test_files_stay_from_one_command_to_the_next_of_a_run_and_no_further(
    walled: Desk, level: Level
) -> None:
    walls(level)
    walled.estate.level = level
    made, used, gone = await walled.ask(
        (
            "shell.run",
            {"command": "mkdir d; echo 'echo hello $1' > d/greet; ln -s /etc/passwd l"},
        ),
        (
            "shell.run",
            {"command": "find . -type f -o -type l | sort; sh d/greet you; rm d/greet"},
        ),
        ("shell.run", {"command": "find . -type f; echo kept > note.txt"}),
    )
    assert (made["exit"], made["kept"]) == (0, True)
    assert used["errors"] == ""
    assert used["out"] == "./d/greet\nhello you\n"
    assert gone["out"] == ""
    changes = Changes(walled.estate.house, walled.estate.outbox).of(walled.run)
    shown = [(one.place, one.path, one.state) for one in changes if one.path.startswith("shell/")]
    assert shown == [("workspace", "shell/note.txt", "new")]
    assert (await walled.one("shell.run", command="ls"))["out"] == ""


async def test_what_a_command_leaves_carries_the_label_of_what_it_was_given(
    walled: Desk, tmp_path: Path
) -> None:
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "a.txt").write_text("from a stranger")
    walled.sources, walled.folders = {"notes": Source(str(folder))}, {"notes": folder}
    walled.may = (*walled.may, right("source.read", "notes"))
    read = {"step": "several", "id": "taint", "tools": ["files.read", "shell.run"], "params": {"calls": [
        {"tool": "files.read", "args": {"source": "notes", "path": "a.txt"}},
        {"tool": "shell.run", "args": {"command": "echo x > left"}},
    ]}}  # fmt: skip
    clean = {"step": "several", "id": "ask", "tools": ["shell.run"], "params": {"calls": [
        {"tool": "shell.run", "args": {"command": "cat left"}}
    ]}, "needs": ["taint"]}  # fmt: skip
    walled.params = {"plan": [read, clean]}
    job = msgspec.structs.replace(
        synthetic_job(walled.params, may=walled.may, grades=dict(ACT)), sources=walled.sources
    )
    await walled.estate.employ(job)
    document = await walled.estate.run(job, walled.folders)
    walled.run = document.id
    assert document.state == "done", walled.said()
    assert walled.given("ask", 1)["out"] == "x\n"
    assert "notes" in " ".join(walled.label().sources)


async def test_a_folder_that_grew_too_large_is_as_it_was_before_the_command(walled: Desk) -> None:
    first, large, after = await walled.ask(
        ("shell.run", {"command": "echo small > a"}),
        ("shell.run", {"command": "head -c 17000000 /dev/zero > big; echo more >> a", "seconds": 20}),
        ("shell.run", {"command": "ls; cat a"}),
    )
    assert (first["kept"], large["exit"], large["kept"]) == (True, 0, False)
    assert after["out"] == "a\nsmall\n"


def test_of_a_folder_plain_files_are_kept_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "plain").write_bytes(b"\0data")
    (tmp_path / "d" / "plain").chmod(0o700)
    (tmp_path / "twice").write_text("x")
    os.link(tmp_path / "twice", tmp_path / "other")
    os.symlink("/etc/passwd", tmp_path / "link")
    os.mkfifo(tmp_path / "pipe")
    folder = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        data = pack(folder)
        assert data == pack(folder)
        assert data is not None
        assert unpacked(data) == {"d/plain": b"\0data"}
        with tarfile.open(fileobj=io.BytesIO(data)) as packed:
            assert [one.mode for one in packed] == [0o755]
        for number in range(1_001):
            (tmp_path / f"f{number}").touch()
        assert pack(folder) is None
    finally:
        os.close(folder)


async def test_a_command_reaches_neither_network_nor_estate_nor_other_processes(walled: Desk) -> None:
    folder = walled.estate.place.folder
    found = await walled.one(
        "shell.run",
        command=f"cat /etc/shadow {folder}/keys/*; ls {folder}; grep -c : /proc/net/dev; ls /proc | grep -c '^[0-9]'",
    )
    assert str(folder) not in found["out"]
    assert int(found["out"].split()[0]) <= 1  # the loopback alone, if any
    assert int(found["out"].split()[1]) < 10
    assert "root:" not in found["out"]


async def test_a_command_that_floods_or_never_ends_is_stopped_and_leaves_nothing(walled: Desk) -> None:
    flood, late = await walled.ask(
        ("shell.run", {"command": "yes | head -c 3000000"}),
        ("shell.run", {"command": "sleep 600 & sleep 600", "seconds": 1}),
    )
    assert (len(flood["out"]), flood["truncated"]) == (32 << 10, True)
    assert (late["exit"], late["late"]) == (None, True)
    left = walled.estate.place.folder / "workspaces" / ".cells"
    assert not left.exists() or list(Path(left).iterdir()) == []


async def test_without_walls_no_command_is_run(walled: Desk) -> None:
    walled.estate.level = Level.NONE
    assert "No command is run without walls" in await walled.refused("shell.run", command="echo x")
    walled.may = ()
    assert "tool.call: shell.run" in await walled.refused("shell.run", command="echo x")
