"""SIGKILL in the middle of commits, and a disk that fills up: what was acknowledged is there."""

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from freehold.base import StoreFailed
from freehold.store import Batch, Store
from tests.needs import leave_out
from tests.store import crash_child
from tests.store.helpers import MemoryTree, note, opened


def killed_after(address: str, lines: int) -> list[list[int]]:
    """What a child acknowledged that was killed after so many lines, at whatever it was doing then."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, crash_child.__file__, address]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        said = [child.stdout.readline() for _ in range(lines)]
        child.kill()
        said += child.stdout.readlines()
    assert said[0] == "open\n"
    return [[int(word) for word in line.split()] for line in said[1:] if line.endswith("\n")]


@pytest.mark.parametrize("lines", [2, 311, 700])
async def test_no_acknowledged_entry_is_lost_when_the_process_is_killed(address: str, lines: int) -> None:
    acknowledged = await asyncio.to_thread(killed_after, address, lines)
    tree = MemoryTree()
    async with opened(address, tree) as store:
        assert store.size() >= len(acknowledged) >= lines - 1
        for index, caller, number in acknowledged:
            entry = store.entry(index)
            assert entry is not None
            assert (entry.draft.node, entry.draft.item) == (f"caller{caller}", number)
        entries = list(store.entries(0, store.size()))
        assert [entry.index for entry in entries] == list(range(store.size()))
        assert [entry.index for entry in store.open_intents()] == list(range(store.size()))
        last = {entry.draft.node: entry.draft.item for entry in entries}
        for document in store.documents("count"):
            assert int(document.body) == last[document.key] - (last[document.key] + 1) % 2
        tiles = store.tiles(0, 0, 1000)
        assert b"".join(tile.hashes for tile in tiles) == b"".join(tree.leaves[: len(tiles) * 256])
        assert len(tiles) == store.size() // 256
        assert await store.commit(Batch([note("goes on")])) == len(entries)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of two megabytes, half of it taken by a file that may go."""
    mount = shutil.which("mount")
    if os.geteuid() != 0 or mount is None:
        leave_out("no small disk (mounting a tmpfs needs root)")
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run([mount, "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)], check=False).returncode:
        leave_out("no small disk (this machine refuses to mount a tmpfs)")
    (folder / "ballast").write_bytes(b"\0" * 1_000_000)
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


async def fill(store: Store) -> tuple[int, StoreFailed]:
    """Commit large notes until the store fails; how many were acknowledged, and the failure."""
    for number in range(1_000):
        try:
            await store.commit(Batch([note(f"{number} " + "x" * 4000)]))
        except StoreFailed as failure:
            return number, failure
    raise AssertionError("the disk never filled up")


async def test_a_full_disk_stops_the_store_and_loses_nothing(small_disk: Path) -> None:
    tree = MemoryTree()
    async with opened(str(small_disk / "estate"), tree) as store:
        acknowledged, failure = await fill(store)
        assert "is full" in failure.message
        with pytest.raises(StoreFailed):
            await store.commit(Batch([note("still full")]))
        assert acknowledged > 10
        assert store.size() == acknowledged == len(tree.leaves)
        os.unlink(small_disk / "ballast")
        await store.reopen()
        assert store.size() - acknowledged in (0, 1)
        assert len(tree.leaves) == store.size()
        next_index = store.size()
        assert await store.commit(Batch([note("room again")])) == next_index
        found = [entry.draft for entry in store.entries(0, acknowledged)]
        assert found == [note(f"{number} " + "x" * 4000) for number in range(acknowledged)]
