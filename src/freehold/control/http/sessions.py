"""The sessions of programs from elsewhere: each is a run of its agent's job, and nobody else's agent reaches it.

A program may keep a *line* open, one connection that says it lives; when it ends, what the program was just running
itself counts as unknown. A session that nobody uses for a while is over.
"""

import asyncio
import secrets
import time
from typing import Final

from freehold.base import BadInput, NotFound, Refused, Unavailable
from freehold.control.verbs.desk import Desk
from freehold.kernel.labels import BOTTOM, Label
from freehold.runtime.engine import ALIVE
from freehold.runtime.job import Job, is_external
from freehold.runtime.remote import RemoteRun
from freehold.runtime.told import told_before

IDLE_S: Final = 1_800.0
BEGIN_S: Final = 10.0
MAX_SESSIONS: Final = 64
PROGRAM: Final = "program"
MCP: Final = "mcp"
TRIGGERS: Final = (PROGRAM, MCP)
_SWEEP_S: Final = 30.0


class Sessions:
    """The sessions of one estate."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._lines: dict[str, set[str]] = {}
        self._seen_s: dict[str, float] = {}
        self._reminded: set[str] = set()
        self._current = asyncio.Lock()
        self._sweeper: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Look after the sessions that an earlier life of the daemon left open."""
        for document in self._desk.engine.alive():
            if document.trigger in TRIGGERS:
                self._touch(document.id)

    # ---- opening and finding -----------------------------------------------------------------------------

    def job_of(self, agent: str, name: str) -> Job:
        """Return the job that an agent's program works in: the named one, or its only one."""
        found = []
        for listed in self._desk.jobs.names():
            try:
                job = self._desk.jobs.read(listed)
            except BadInput:
                if listed == name:
                    raise
                continue
            if is_external(job) and job.agent == agent:
                found.append(job)
        if name:
            found = [job for job in found if job.name == name]
        ready = [job for job in found if self._desk.jobs.standing(job) == "ready"]
        if len(ready) == 1:
            return ready[0]
        if ready:
            names = ", ".join(job.name for job in ready)
            raise NotFound(f"The agent {agent} has several jobs.", remedy=f"Name one of: {names}")
        if found:
            raise Refused(
                f"The job {found[0].name} is {self._desk.jobs.standing(found[0])}.",
                remedy=f"Its owner looks at it and signs: freehold jobs accept {found[0].name}",
                code="refused.job-not-accepted",
            )
        raise NotFound(
            f"The agent {agent} has no job{f' {name[:64]!a}' if name else ''} for its program.",
            remedy="Its owner writes one with `pack: external` and accepts it.",
        )

    async def open(self, agent: str, job_name: str, trigger: str = PROGRAM) -> RemoteRun:
        """Open a session: a run of the agent's job. Raises Refused, NotFound or Unavailable."""
        job = self.job_of(agent, job_name)
        mine = [one for one in self._desk.engine.alive() if one.agent == agent and one.trigger in TRIGGERS]
        if len(mine) >= MAX_SESSIONS:
            raise Unavailable(
                f"The agent {agent} has {MAX_SESSIONS} sessions open.", remedy="Close some, or wait."
            )
        run = await self._desk.engine.start(job, self._desk.jobs.folders(job), trigger=trigger)
        self._touch(run)
        return await self._ready(run)

    async def find(self, agent: str, run: str) -> RemoteRun:
        """Return an agent's open session; raises NotFound for another's too, Refused for one that is over."""
        document = self._desk.engine.document(run)
        if document.agent != agent:
            raise NotFound("There is no run of this id.", remedy="Open a session first.")
        if document.state not in ALIVE:
            raise Refused(
                f"This session is over: {document.state}.", remedy="Open another.", code="refused.over"
            )
        self._touch(run)
        return await self._ready(run)

    async def current(self, agent: str, job_name: str) -> RemoteRun:
        """Return the session of an agent that speaks MCP, opened where there is none.

        Such an agent remembers what it read in its last session, whatever it says; so its next one begins with that.
        """
        async with self._current:
            job = self.job_of(agent, job_name)
            wanted = [
                one for one in self._desk.engine.documents()
                if (one.agent, one.job, one.trigger) == (agent, job.name, MCP)
            ]  # fmt: skip
            alive = [one for one in wanted if one.state in ALIVE and one.job_digest == job.digest]
            live = await (self.find(agent, alive[-1].id) if alive else self.open(agent, job.name, MCP))
            if live.scope.run not in self._reminded:
                live.remember(self._shown([one.id for one in wanted if one.id != live.scope.run]))
            self._reminded.add(live.scope.run)
            return live

    def _shown(self, runs: list[str]) -> Label:
        """Return the label of what the last of these sessions was shown that asked for anything at all."""
        engine, house = self._desk.engine, self._desk.house
        run = next((run for run in reversed(runs) if house.rooms.store.actions_of_run(run)), "")
        live = engine.live(run)
        if isinstance(live, RemoteRun):
            return live.label()
        if not run:
            return BOTTOM
        try:
            return told_before(house, run, engine.job_of(run))
        except BadInput:  # what it was started with was forgotten
            return house.records.shown(run)
        finally:
            house.pin_room.close(run)
            house.policies.pop(run, None)

    async def _ready(self, run: str) -> RemoteRun:
        live = self._desk.engine.live(run)
        if not isinstance(live, RemoteRun):
            raise Unavailable("The run is not being carried out now.", remedy="See: freehold runs")
        try:
            async with asyncio.timeout(BEGIN_S):
                await live.ready.wait()
        except TimeoutError:
            raise Unavailable("The run has not begun yet.", remedy="Try again.") from None
        return live

    def close(self, live: RemoteRun, message: str = "") -> None:
        """End a session."""
        live.finish("done", message)
        self._seen_s.pop(live.scope.run, None)

    # ---- lines -------------------------------------------------------------------------------------------

    def line(self, run: str) -> str:
        """Note a new line of a session; returns its name."""
        name = secrets.token_hex(8)
        self._lines.setdefault(run, set()).add(name)
        return name

    def line_ended(self, run: str, name: str) -> None:
        """A line is gone: what its program was running counts as unknown."""
        self._lines.get(run, set()).discard(name)
        self._touch(run)
        live = self._desk.engine.live(run)
        if isinstance(live, RemoteRun):
            live.lost(name)

    # ---- sessions that nobody uses -----------------------------------------------------------------------

    def _touch(self, run: str) -> None:
        self._seen_s[run] = time.monotonic()
        if self._sweeper is None:
            self._sweeper = asyncio.get_running_loop().call_later(_SWEEP_S, self._sweep)

    def _sweep(self) -> None:
        self._sweeper = None
        now_s = time.monotonic()
        for run, seen_s in list(self._seen_s.items()):
            live = self._desk.engine.live(run)
            if not isinstance(live, RemoteRun) or live.over:
                self._seen_s.pop(run)
                self._lines.pop(run, None)
            elif (
                now_s - seen_s > IDLE_S
                and not self._lines.get(run)
                and not live.under_way
                and not live.waiting
            ):
                self.close(live, "Its program was not heard of for half an hour.")
        if self._seen_s:
            self._sweeper = asyncio.get_running_loop().call_later(_SWEEP_S, self._sweep)

    def stop(self) -> None:
        """Look after sessions no more; they go on after a restart."""
        if self._sweeper is not None:
            self._sweeper.cancel()
