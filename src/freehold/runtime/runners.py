"""The runner processes of one run: how many, which is the least busy, and the pack that each has loaded.

One per live run. A runner is taken from the pool when a step needs it and killed when the run rests or ends.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

import msgspec

from freehold.base import BadInput
from freehold.kernel.labels import Context, Label
from freehold.runtime.house import House
from freehold.runtime.job import Job
from freehold.runtime.lanes import Lanes
from freehold.runtime.mounts import Mount
from freehold.runtime.session import Call, RunnerLost, Session, Take
from freehold.wire import messages as m

MAX_LOG: Final = 4 << 20


class Runners:
    """``version`` is the pack's that the run began with, "" before it has begun; ``wanted`` is the plan's number.

    ``context`` is what all of them were shown, in this life of the run and in those before.
    """

    def __init__(self, house: House, run: str, job: Job, take: Take) -> None:
        self.sessions: list[Session] = []
        self.context = Context()
        self.version = ""
        self.wanted = 1
        self._house = house
        self._run = run
        self._job = job
        self._take = take
        self._opening = asyncio.Lock()
        self._logged = 0
        self._releases = 0
        self._leaving: set[asyncio.Future[None]] = set()
        self._mounts: tuple[Mount, ...] = ()
        self._lanes = Lanes(house.workspace(run))

    def idle(self) -> Session | None:
        """Return the runner with the least to do; None while the plan wants another one."""
        live = [session for session in self.sessions if session.lost is None]
        idle = min(live, key=_load_of, default=None)
        return idle if idle is not None and (not idle.calls or len(live) >= self.wanted) else None

    async def get(self) -> Session:
        """Return the runner with the least to do; takes another one while the plan wants more.

        Raises BadInput when the pack cannot be loaded, or is not of the version that the run began with, and
        RunnerLost when all were released meanwhile.
        """
        releases = self._releases
        async with self._opening:
            self._unless_released(releases)
            idle = self.idle()
            if idle is not None:
                return idle
            for lost in [session for session in self.sessions if session.lost is not None]:
                self._leaving |= lost.under_way
                self.sessions.remove(lost)
            folders = tuple(folder for mount in self._mounts for folder in mount.folders)
            handle = await self._house.take_runner(self._job, folders)
            session = Session(handle, self.context, self._take, self._progress, self._log)
            try:
                session.workspace = await self._lanes.give(handle)
                known = str(session.workspace) if handle.sees_room else ""
                message = self._house.load_message(self._job, known)
                if self._mounts:
                    seen = {mount.source: mount.folder for mount in self._mounts}
                    message = msgspec.structs.replace(message, sources=seen)
                await session.load(message, self._house.load_timeout_s)
                if self.version not in ("", session.version):
                    raise BadInput(
                        f"This run began with version {self.version} of its pack, and {session.version} is installed.",
                        remedy="Install that version again, or cancel the run and start a new one.",
                        code="input.pack-version",
                    )
                self._unless_released(releases)
            except BaseException:
                session.end()
                raise
            self.sessions.append(session)
            return session

    def mount(self, mounts: Sequence[Mount], label: Label) -> None:
        """Have every runner from now on see these sources, whose label is ``label``; those before are let go."""
        self.release()
        self.context.show(label)
        self._mounts = tuple(mounts)

    @property
    def under_way(self) -> set[asyncio.Future[None]]:
        """What steps asked for that is still being done, also for runners that are gone."""
        self._leaving = {task for task in self._leaving if not task.done()}
        return self._leaving.union(*(session.under_way for session in self.sessions))

    def _unless_released(self, releases: int) -> None:
        """Raise RunnerLost for a step that began to wait for a runner before they were all released."""
        if releases != self._releases:
            raise RunnerLost("The run was halted before its runner had started.")

    def release(self) -> None:
        """Kill them all, those too that are just being started; what they asked for goes on to its record."""
        self._releases += 1
        for session in self.sessions:
            self._leaving |= session.under_way
            session.end()
        self.sessions = []

    def _log(self, text: str) -> None:
        """Keep what the pack printed, beside the workspace, up to a bound."""
        self._logged += len(text)
        if self._logged <= MAX_LOG:
            path = self._house.workspace(self._run).with_suffix(".log")
            with open(path, "a", encoding="utf-8", errors="replace") as file:
                file.write(text)

    def _progress(self, call: Call, progress: m.Progress) -> None:
        self._house.publish(
            self._run,
            {
                "event": "progress", "node": call.node, "item": call.item, "done": progress.done,
                "total": progress.total, "text": progress.text,
            },
        )  # fmt: skip


def _load_of(session: Session) -> int:
    return len(session.calls)
