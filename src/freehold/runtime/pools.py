"""Runners behind the walls that a job needs: finds out once what this machine reaches, and keeps a pool a profile.

Used by the daemon's composition root and by runs. A pack of the house needs no folder beside the interpreter's;
one that a person added gets its own, read-only, and so a pool of its own: no pack reads another one's files.
"""

import asyncio
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

from freehold.base import Unavailable
from freehold.runtime.house import Pack, load_message
from freehold.runtime.job import Job
from freehold.runtime.pool import RunnerHandle, RunnerPool
from freehold.runtime.walls import Walls
from freehold.sandbox import Level, Limits, Profile
from freehold.sandbox.library import refuse_hidden
from freehold.sandbox.probe import Reach

READY: Final = ".ready"
"""Where in the folder of workspaces runners that wait for a run have theirs."""
_MAX_POOLS: Final = 32
_MAX_SPARE: Final = 4


def spare_runners(cores: int) -> int:
    """Return how many runners of a pack wait: loading a pack takes a core for up to a second, and the run needs it."""
    return max(1, min(cores // 2, _MAX_SPARE))


class Pools:
    """The runners of one estate. ``workspaces`` is the folder of its workspaces, ``hidden`` what none may see."""

    def __init__(
        self,
        workspaces: Path,
        packs: Callable[[str], Pack],
        *,
        none_allowed: Callable[[], bool] = lambda: False,
        hidden: tuple[Path, ...] = (),
        limits: Limits | None = None,
        spare: int | None = None,
        log: Path | None = None,
    ) -> None:
        self._ready = workspaces / READY
        self._packs = packs
        self.walls: Final = Walls(hidden=hidden, none_allowed=none_allowed)
        self._hidden = tuple(str(folder) for folder in hidden)
        self._limits = limits or Limits()
        self._spare = spare_runners(len(os.sched_getaffinity(0))) if spare is None else spare
        self._log = log
        self._pools: dict[tuple[Level, tuple[str, ...], str], RunnerPool] = {}
        self._made = 0

    async def reach(self) -> Reach:
        """Return what this machine reaches; it is tried the first time and known after that."""
        return await self.walls.reach()

    def words(self) -> str:
        """Return which level runners have and why not more, in words; it is not tried for this."""
        return self.walls.words()

    async def level(self, job: Job) -> Level:
        """Return how thick the walls of a job's processes are; raises Refused where too thin ones would be."""
        return await self.walls.require(job.sandbox)

    async def take(self, job: Job, mounts: tuple[str, ...] = ()) -> RunnerHandle:
        """Return a runner for a run of ``job``, which may read ``mounts`` too.

        Raises Refused where the machine does not reach the level that the job needs, BadInput where its pack's
        folder would show what is hidden, Unavailable where no runner can be started.
        """
        level = await self.walls.require(job.sandbox)
        pack = self._packs(job.pack)
        refuse_hidden(pack.search_path, self._hidden)
        return await self._pool(level, pack, mounts).take()

    async def stop(self) -> None:
        """Kill every runner; nothing can be taken after this."""
        for pool in self._pools.values():
            await pool.stop()
        await self.walls.close()
        await asyncio.to_thread(shutil.rmtree, self._ready, ignore_errors=True)

    def _pool(self, level: Level, pack: Pack, mounts: tuple[str, ...]) -> RunnerPool:
        """Return the pool for a pack; one that ships with Freehold does not change, and is loaded beforehand.

        Runners that see a source are for that source alone; one of them is kept warm.
        """
        folders = (*pack.search_path, *mounts)
        key = (level, folders, "" if pack.search_path else pack.name)
        pool = self._pools.get(key)
        if pool is None:
            if not self._made:
                shutil.rmtree(self._ready, ignore_errors=True)  # of a daemon that was killed
            self._let_go()
            self._made += 1
            rooms = "" if level is Level.NONE else str(self._ready / str(self._made))
            profile = Profile(level, folders, rooms, self._hidden, self._limits)
            loads = None if folders else load_message(pack)
            spare = min(self._spare, 1) if mounts else self._spare
            pool = RunnerPool(profile, spare=spare, log=self._log, loads=loads, thinking=pack.thinks)
            self._pools[key] = pool
        return pool

    def _let_go(self) -> None:
        """Forget a pool that nobody uses when there are many, such as those of packs whose folder has moved."""
        if len(self._pools) < _MAX_POOLS:
            return
        key = next((key for key, pool in self._pools.items() if not pool.in_use), None)
        if key is None:
            raise Unavailable(
                "Too many packs and sources are at work.", remedy="Try again when a run has ended."
            )
        self._pools.pop(key).unload()
