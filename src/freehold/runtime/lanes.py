"""The folders of a run's runners: each that lives has one to itself, and finds there what the one before it left.

A sandboxed runner was made with an empty folder that it alone can write in; that folder is moved into the run's
and stays the same one to the runner, under whatever name it knows it by.
"""

import asyncio
import os
import stat
from pathlib import Path

from freehold.base import Unavailable
from freehold.runtime.session import Handle


class Lanes:
    """The numbered folders below ``folder``, the run's own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._holders: dict[int, Handle] = {}

    async def give(self, handle: Handle) -> Path:
        """Give a runner the first folder whose former holder has ended or is about to; raises Unavailable."""
        number = next(n for n in range(len(self._holders) + 1) if self._is_left(n))
        before = self._holders.get(number)
        self._holders[number] = handle
        if before is not None:
            await asyncio.shield(before.exited)
        lane = self._folder / str(number)
        try:
            if handle.room is None or lane.exists():
                await asyncio.to_thread(_settle, handle.room, lane)
            else:
                os.rename(handle.room, lane)
        except OSError as error:
            raise Unavailable(f"The workspace cannot be made: {error.strerror}.") from error
        return lane

    def _is_left(self, number: int) -> bool:
        holder = self._holders.get(number)
        return holder is None or holder.ended


def _settle(room: Path | None, lane: Path) -> None:
    """Put what lies in the lane into the room, and the room in the lane's place."""
    if room is None:
        lane.mkdir(mode=0o700, parents=True, exist_ok=True)
        return
    owner = room.stat().st_uid
    if owner != os.geteuid():
        _hand_over(lane, owner)
    for entry in os.listdir(lane):
        os.rename(lane / entry, room / entry)
    lane.rmdir()
    os.rename(room, lane)


def _hand_over(folder: Path, owner: int) -> None:
    """Make everything below ``folder`` the new runner's; whoever wrote it has ended, links are not followed."""
    for _, folders, files, here in os.fwalk(folder):
        for name in (*folders, *files):
            facts = os.stat(name, dir_fd=here, follow_symlinks=False)
            if stat.S_ISDIR(facts.st_mode) or facts.st_nlink == 1:
                os.chown(name, owner, owner, dir_fd=here, follow_symlinks=False)
