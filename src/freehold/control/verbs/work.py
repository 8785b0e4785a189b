"""Verbs on jobs and runs, the bill, and what the daemon says of itself."""

import contextlib
import os
from typing import Any

import msgspec

from freehold import __version__
from freehold.base import BadInput, Refused
from freehold.base.canonical import encode
from freehold.control.outside import Outside
from freehold.control.resolve import resolve
from freehold.control.server import Call, Handler, Handlers
from freehold.control.verbs.desk import Desk, Named, Nothing, Signable
from freehold.control.verbs.joblist import JOBS
from freehold.control.verbs.runview import RunView
from freehold.control.verbs.secrets import SecretVerbs
from freehold.kernel.change import Change, Note
from freehold.kernel.labels import Zone
from freehold.kernel.limits import cost_row
from freehold.runtime.job import Job, is_external
from freehold.runtime.jobwords import check_places, describe
from freehold.runtime.standing import STANDING
from freehold.store.interface import Cost, Put


class _Accept(Signable):
    name: str
    digest: str


class _List(msgspec.Struct, forbid_unknown_fields=True):
    job: str = ""
    state: str = ""
    limit: int = 30


class _Watch(msgspec.Struct, forbid_unknown_fields=True):
    run: str = ""


class _Bill(msgspec.Struct, forbid_unknown_fields=True):
    name: str = ""


class _Run(msgspec.Struct, forbid_unknown_fields=True):
    job: str


class WorkVerbs:
    """The verbs, over one desk."""

    def __init__(self, desk: Desk, secrets: SecretVerbs, outside: Outside) -> None:
        self._outside = outside
        self._desk = desk
        self._secrets = secrets
        self._rooms = desk.rooms
        self._view = RunView(desk)
        self._list = desk.jobs

    def add_to(self, handlers: Handlers) -> None:
        """Add the verbs to the table."""
        table: dict[str, Handler] = {
            "estate.hello": self._hello, "estate.status": self._status, "estate.stop": self._stop,
            "jobs.list": self._jobs, "jobs.show": self._job, "jobs.accept": self._accept,
            "runs.start": self._start, "runs.list": self._runs, "runs.show": self._run,
            "runs.cancel": self._cancel, "runs.pause": self._pause, "runs.resume": self._resume,
            "bill": self._bill,
        }  # fmt: skip
        handlers.add_all(table)
        handlers.add("runs.watch", self._watch, stream=True)
        handlers.add("runs.wait", self._wait, stream=True)

    # ---- the daemon itself -------------------------------------------------------------------------------

    async def _hello(self, call: Call) -> dict[str, Any]:
        call.read(Nothing)
        settings = self._rooms.settings.now
        return {
            "estate": self._desk.estate.id, "now_us": self._desk.now_us(), "presence": settings.presence,
            "presence_minutes": settings.presence_minutes, "currency": settings.currency,
        }  # fmt: skip

    async def _status(self, call: Call) -> dict[str, Any]:
        call.read(Nothing)
        counts: dict[str, int] = {}
        for document in self._desk.engine.documents():
            counts[document.state] = counts.get(document.state, 0) + 1
        rooms, estate = self._rooms, self._desk.estate
        return {
            "estate": estate.name, "folder": str(estate.folder), "id": estate.id, "version": __version__,
            "pid": os.getpid(), "up_us": self._desk.clock.now_us() - self._desk.started_us,
            "presence": _presence_words(rooms.settings.now.presence), "sandbox": self._desk.sandbox(),
            "couriers": self._desk.couriers(),
            "humans": sum(1 for human in rooms.registry.humans() if human.status == "active"),
            "agents": sum(1 for agent in rooms.registry.agents() if agent.status == "active"),
            "runs": counts, "cards": len(rooms.cards.waiting(self._desk.now_us())),
            "standing": len(rooms.store.documents(STANDING)), "thinking": self._thinking(),
            "frozen": [msgspec.to_builtins(frozen) for frozen in rooms.freezes.all()],
            "models": self._desk.models(), "journal": rooms.ledger.size, "vault": self._secrets.stated(),
            "warnings": self._warnings(), "outside": self._outside.stated(),
        }  # fmt: skip

    def _thinking(self) -> list[str]:
        """Return the agents that have a job in which a model chooses what they do."""
        found = set()
        for name in self._list.names():
            with contextlib.suppress(BadInput):
                job = self._list.read(name)
                if self._list.accepted(name) is not None and self._desk.shelf.find(job.pack).thinks:
                    found.add(job.agent)
        return sorted(found)

    def _warnings(self) -> list[str]:
        found = []
        if self._desk.kernel.stopped:
            found.append(
                "The store cannot be written (a full disk, a lost connection): nothing new begins until it can; "
                "it is tried every 2 s. Make room; what was accepted is safe. See logs/daemon.log"
            )
        found += self._secrets.warnings()
        behind_us = self._desk.now_us() - self._desk.clock.now_us()
        if behind_us > 1_000_000:
            found.append(
                f"The machine's clock is {behind_us // 1_000_000} s behind the journal's last entry; "
                "the house goes by the later one."
            )
        return found

    async def _stop(self, call: Call) -> dict[str, Any]:
        call.read(Nothing)
        self._desk.stop("asked by a person")
        return {"stopping": True}

    # ---- jobs --------------------------------------------------------------------------------------------

    async def _jobs(self, call: Call) -> list[dict[str, Any]]:
        call.read(Nothing)
        found = []
        for name in self._list.names():
            row: dict[str, Any] = {"name": name}
            try:
                job = self._list.read(name)
            except BadInput as error:
                row |= {"state": "has mistakes", "problem": error.message}
            else:
                row |= {
                    "agent": job.agent,
                    "owner": job.owner,
                    "pack": job.pack,
                    "state": self._list.standing(job),
                }
            found.append(row)
        return found

    async def _job(self, call: Call) -> dict[str, Any]:
        job = self._list.read(call.read(Named).name)
        return {
            "name": job.name, "title": job.title, "digest": job.digest, "state": self._list.standing(job),
            "owner": job.owner, "agent": job.agent,
            "words": [list(pair) for pair in describe(job)],
            "problems": self._problems(job), "hints": self._hints(job),
            "path": str(self._desk.estate.job_file(job.name)),
        }  # fmt: skip

    def _problems(self, job: Job) -> list[str]:
        """What the estate knows and the file alone does not: people, packs, places."""
        found = []
        registry = self._rooms.registry
        known = {agent.slug: agent for agent in registry.agents()}
        agent = known.get(job.agent)
        if agent is None:
            found.append(
                f"There is no agent {job.agent}. Add it: freehold agents add {job.agent} --owner {job.owner}"
            )
        elif agent.owner != job.owner:
            found.append(f"The agent {job.agent} is owned by {agent.owner}, not by {job.owner}.")
        elif registry.owner_of(job.agent) is None:
            found.append(f"The agent {job.agent} has no active owner, so it does nothing.")
        if not registry.is_active_human(job.owner):
            found.append(f"There is no active human {job.owner}. Add them: freehold humans add {job.owner}")
        currency = self._rooms.settings.now.currency
        if job.budget.currency not in ("", currency):
            found.append(f"The estate counts in {currency}, the job in {job.budget.currency}.")
        found += self._outside.problems(job)
        if not is_external(job) and job.pack.replace("_", "-") not in {
            pack.name.replace("_", "-") for pack in self._desk.shelf.all()
        }:
            found.append(f"There is no pack {job.pack}. List them: freehold packs")
        found += [f"{m.message} {m.remedy}" for m in check_places(job, self._desk.estate.jobs, {})]
        return found

    def _hints(self, job: Job) -> list[str]:
        """What is right as it is written and may still not be what its owner expects."""
        found = []
        for right in job.may:
            if right.action != "mail.send" or right.pattern == "*":
                continue
            domain = right.pattern.rpartition("@")[2].removeprefix("*.")
            if self._rooms.settings.mail_sink([f"x@{domain}"]).zone is Zone.FOREIGN:
                found.append(
                    f"{domain} is a stranger's to this estate: only public data goes there. If it is yours: "
                    f"freehold settings set own_domains '[\"{domain}\"]'"
                )
        return found

    async def _accept(self, call: Call) -> dict[str, Any]:
        args = call.read(_Accept)
        job = self._list.read(args.name)
        if job.digest != args.digest:
            raise Refused(
                f"The job file {job.name} is not the one that was shown; it has changed since.",
                remedy=f"Look again: freehold jobs check {job.name}",
                code="refused.statement",
            )
        used = self._desk.judge(
            args.signed, "rules.change", f"job:{job.name}", args.content("jobs.accept"), job.digest
        )
        who = str(used.value)
        if who != job.owner:
            raise Refused(
                f"The job {job.name} names {job.owner} as its owner, and {who} signed.",
                remedy=f"{job.owner} accepts it.",
                code="refused.authority",
            )
        problems = [text for text in self._problems(job) if not text.startswith("`")]
        if problems:
            raise BadInput(
                f"The job {job.name} cannot be accepted yet: {problems[0]}", remedy="Then accept it again."
            )
        row = {
            "agent": job.agent,
            "at": self._desk.now_us(),
            "by": who,
            "digest": job.digest,
            "owner": job.owner,
        }
        note = Note("job.accepted", {"agent": job.agent, "by": who, "digest": job.digest, "job": job.name})
        change = used.join(Change([note], [Put(JOBS, job.name, encode(row), "accepted")]))
        change = change.join(self._rooms.rules.employ(job.name, job.agent, job.may, by=who))
        limits = tuple(limit for limit in job.budget.limits() if limit.window != "run")
        change = change.join(self._rooms.budget.set_limits(f"job:{job.name}", limits))
        await self._desk.commit(change)
        self._list.changed()
        return {
            "name": job.name, "digest": job.digest, "state": "ready", "agent": job.agent, "by_hand": job.by_hand,
            "takes_goals": not is_external(job) and self._desk.shelf.find(job.pack).thinks,
        }  # fmt: skip

    # ---- runs --------------------------------------------------------------------------------------------

    async def _start(self, call: Call) -> dict[str, Any]:
        job = self._list.read(call.read(_Run).job)
        standing = self._list.standing(job)
        if standing != "ready":
            raise Refused(
                f"The job {job.name} is {standing}.",
                remedy=f"Its owner looks at it and signs: freehold jobs accept {job.name}",
                code="refused.job-not-accepted",
            )
        if not job.by_hand:
            raise Refused(
                f"The job {job.name} is not started by hand.", remedy="Add `by hand` to its triggers."
            )
        if is_external(job):
            raise Refused(
                f"The job {job.name} is a program's from elsewhere: the program starts its runs.",
                remedy="Start the program; see docs/external-agents.md.",
                code="refused.external",
            )
        self._desk.shelf.find(job.pack)
        run = await self._desk.engine.start(job, self._list.folders(job))
        return {"id": run, "job": job.name, "agent": job.agent}

    def _resolve(self, given: str) -> str:
        ids = [document.id for document in self._desk.engine.documents()]
        return resolve(given, ids, "run", "freehold runs")

    async def _runs(self, call: Call) -> list[dict[str, Any]]:
        args = call.read(_List)
        found = [
            document
            for document in self._desk.engine.documents()
            if args.job in ("", document.job) and args.state in ("", document.state)
        ]
        return [self._view.row(document) for document in found[-max(1, min(args.limit, 1_000)) :]]

    async def _run(self, call: Call) -> dict[str, Any]:
        return self._view.whole(self._resolve(call.read(Named).name))

    async def _cancel(self, call: Call) -> dict[str, Any]:
        run = self._resolve(call.read(Named).name)
        await self._desk.engine.cancel(run, _by(call))
        return self._view.row(self._desk.engine.document(run))

    async def _pause(self, call: Call) -> dict[str, Any]:
        run = self._resolve(call.read(Named).name)
        await self._desk.engine.pause(run, _by(call))
        return self._view.row(self._desk.engine.document(run))

    async def _resume(self, call: Call) -> dict[str, Any]:
        run = self._resolve(call.read(Named).name)
        await self._desk.engine.resume(run, _by(call))
        return self._view.row(self._desk.engine.document(run))

    async def _wait(self, call: Call) -> dict[str, Any]:
        run = self._resolve(call.read(Named).name)
        return self._view.row(await self._desk.engine.wait(run))

    async def _watch(self, call: Call) -> dict[str, Any]:
        """Send how runs stand and then every event; ends when the one run that was named has ended."""
        args = call.read(_Watch)
        run = self._resolve(args.run) if args.run else ""
        events = self._desk.broadcast.events()
        try:
            known = set()
            for row in self._view.snapshot(run):
                known.add(row["id"])
                await call.emit({"event": "run", **row})
            if run and not self._view.alive(run):
                return self._view.row(self._desk.engine.document(run))
            async for event in events:
                if not run and event["run"] not in known and self._view.alive(event["run"]):
                    known.add(event["run"])  # it began since: whose it is comes before what it does
                    for row in self._view.snapshot(event["run"]):
                        await call.emit({"event": "run", **row})
                if run in ("", event["run"]):
                    await call.emit(event)
                if run == event["run"] and event.get("event") == "ended":
                    break
        finally:
            await events.aclose()
        return self._view.row(self._desk.engine.document(run))

    # ---- the bill ----------------------------------------------------------------------------------------

    async def _bill(self, call: Call) -> dict[str, Any]:
        name = call.read(_Bill).name
        now_us, budget = self._desk.now_us(), self._rooms.budget
        if name and name not in self._list.names():
            return self._view.bill(self._resolve(name))
        rows = []
        for window in ("day", "month"):
            accounts = [f"job:{name}"] if name else [f"owner:{h.slug}" for h in self._rooms.registry.humans()]
            for account in accounts:
                totals = budget.totals(account, window, now_us)
                rows.append(
                    {
                        "account": account,
                        "window": window,
                        "spent": _cost(totals.spent),
                        "reserved": _cost(totals.reserved),
                        "limits": [msgspec.to_builtins(limit) for limit in totals.limits],
                    }
                )
        return {"totals": rows, "currency": self._rooms.settings.now.currency}


def _by(call: Call) -> str:
    return f"user {call.peer.uid} at the local socket"


def _cost(cost: Cost) -> dict[str, int]:
    return dict(zip(("money_micro", "tokens", "actions", "cpu_us"), cost_row(cost), strict=True))


def _presence_words(presence: str) -> str:
    if presence == "none":
        return "none: any program of this user can approve"
    return "passphrase: approving asks for it"
