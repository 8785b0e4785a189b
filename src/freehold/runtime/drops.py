"""The file drop: starts a run when files land in a job's folder, each file once, and only when it is whole.

A file counts as whole when its size, time and inode stayed the same for the job's ``still_us`` and it can be
read without changing meanwhile. What was taken is remembered in the commit that starts the run, by a keyed
digest of path and contents, so a restart takes nothing twice and forgets nothing.
"""

import asyncio
import fcntl
import hashlib
import logging
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from freehold.base import Clock, FreeholdError
from freehold.base.canonical import encode
from freehold.kernel.rooms import Rooms
from freehold.kernel.subjects import ESTATE
from freehold.runtime.engine import Engine
from freehold.runtime.job import Drop, Job
from freehold.runtime.workspace import files_inside, open_inside, read_inside
from freehold.store.interface import Put

TAKEN: Final = "taken"
LOOK_EVERY_S: Final = 0.5
MAX_FILE_BYTES: Final = 64 << 20

_log = logging.getLogger("freehold.runtime.drops")


@dataclass(frozen=True, slots=True)
class Watched:
    """A job that was accepted, one of its drops, and where its sources lie."""

    job: Job
    drop: Drop
    folders: Mapping[str, Path]


@dataclass(slots=True)
class _Seen:
    """What was last seen of a folder's files: their facts, since when all stood still, the taken ones."""

    facts: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    still_since_us: int = 0
    taken: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    told: str = ""


class Drops:
    """Looks at the drop folders of all accepted jobs. ``watched`` says which there are, now."""

    def __init__(
        self, rooms: Rooms, engine: Engine, clock: Clock, watched: Callable[[], Iterable[Watched]]
    ) -> None:
        self._rooms = rooms
        self._engine = engine
        self._clock = clock
        self._watched = watched
        self._seen: dict[tuple[str, str], _Seen] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look, in the running loop."""
        self._task = asyncio.get_running_loop().create_task(self._look_on())

    async def stop(self) -> None:
        """Stop looking."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _look_on(self) -> None:
        while True:
            await self.look()
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self) -> list[str]:
        """Look once at every folder; start what is to start and return the new runs."""
        started = []
        for watched in self._watched():
            seen = self._seen.setdefault((watched.job.name, watched.drop.source), _Seen())
            try:
                run = await self._look_at(watched, seen)
            except FreeholdError as error:
                if seen.told != error.message:
                    seen.told = error.message
                    _log.warning("file drop of job %s: %s", watched.job.name, error)
                continue
            seen.told = ""
            if run is not None:
                started.append(run)
        return started

    async def _look_at(self, watched: Watched, seen: _Seen) -> str | None:
        folder = watched.folders[watched.drop.source]
        facts = _facts(folder)
        now_us = self._clock.now_us()
        if facts != seen.facts:
            seen.facts, seen.still_since_us = facts, now_us
            return None
        new = [path for path, fact in facts.items() if seen.taken.get(path) != fact]
        if not new or now_us - seen.still_since_us < watched.drop.still_us:
            return None
        fresh, marks, whole = self._fresh(watched, folder, new)
        if not whole:
            return None
        run = None
        if fresh:
            run = await self._engine.start(
                watched.job,
                watched.folders,
                only={watched.drop.source: fresh},
                trigger="drop",
                also=lambda run: marks,
            )
        for path in new:
            seen.taken[path] = facts[path]
        return run

    def _fresh(self, watched: Watched, folder: Path, paths: list[str]) -> tuple[list[str], list[Put], bool]:
        """Return which files were never taken, the marks that say that they are now, and whether all are whole."""
        key = self._rooms.keys.key((ESTATE,))
        fresh: list[str] = []
        marks: list[Put] = []
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for path in sorted(paths):
                if _being_written(handle, path):
                    return [], [], False
                contents = hashlib.sha256(read_inside(handle, path, MAX_FILE_BYTES)).hexdigest()
                mark = key.digest(encode([watched.job.name, watched.drop.source, path, contents]))
                if self._rooms.store.document(TAKEN, mark) is None:
                    fresh.append(path)
                    marks.append(Put(TAKEN, mark, b"{}", expect=0))
        finally:
            os.close(handle)
        return fresh, marks, True


def _being_written(folder: int, path: str) -> bool:
    """Say whether another process has the file open for writing, where the system can tell (Linux leases)."""
    handle = open_inside(folder, path)
    try:
        fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except BlockingIOError:
        return True
    except (OSError, AttributeError):
        return False
    finally:
        os.close(handle)
    return False


def _facts(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Return inode, size and time of every plain file below a folder; those that begin with a dot are left out."""
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return {}
    try:
        found: dict[str, tuple[int, int, int]] = {}
        for path in files_inside(handle):
            if not Path(path).name.startswith("."):
                stat = os.stat(path, dir_fd=handle, follow_symlinks=False)
                found[path] = (stat.st_ino, stat.st_size, stat.st_mtime_ns)
        return found
    except FileNotFoundError:
        return {}
    finally:
        os.close(handle)
