"""Commands in cells of their own: they compute, and reach nothing."""

from pathlib import Path

import pytest

from freehold.kernel.rights import right
from freehold.sandbox import Level
from tests.needs import program
from tests.tools.conftest import Desk


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
        ("shell.run", {"command": "ls; echo wrong >&2; exit 3"}),
    )
    assert (sums["exit"], sums["out"], sums["late"]) == (0, "4\nhere\n", False)
    assert (failed["exit"], failed["out"], failed["errors"]) == (3, "", "wrong\n")


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
