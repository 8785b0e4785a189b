"""The engine: starts runs, takes them up again after a restart, and tells them what people decided.

This is the embedded form of dispatch: runs live in the daemon's own loop, at most so many at once, the rest
wait in the store. Everything that it knows of a run is in the run's document and in the journal.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from freehold.base import BadInput, FreeholdError, NotFound, StoreFailed
from freehold.base.canonical import decode, digest, encode
from freehold.kernel.asking import PARKED
from freehold.kernel.books import Accounts
from freehold.kernel.change import Change, Note
from freehold.kernel.freeze import Frozen
from freehold.kernel.kernel import Kernel
from freehold.kernel.limits import Dimension, Limit
from freehold.kernel.provenance import Trusted
from freehold.kernel.scope import ApprovalRule, Scope
from freehold.kernel.subjects import ESTATE
from freehold.runtime.house import House
from freehold.runtime.job import Job, is_external
from freehold.runtime.remote import RemoteRun
from freehold.runtime.run import LiveRun
from freehold.runtime.told import origins_of
from freehold.store.interface import Drop, Put

RUNS: Final = "run"
MAX_LIVE: Final = 32
CLOSING_S: Final = 5.0
FORGOTTEN: Final = "What this run worked on was forgotten: a person, or a file, whose key no longer exists."
Live = LiveRun | RemoteRun
ALIVE: Final = ("queued", "running", "waiting", "paused", "frozen")


class RunDocument(msgspec.Struct, frozen=True):
    """A run as the store knows it; ``state`` is queued, running, waiting, paused, frozen, or how it ended."""

    id: str
    job: str
    agent: str
    owner: str
    pack: str
    job_digest: str
    policy_digest: str
    started_us: int
    state: str = "queued"
    ended_us: int = 0
    message: str = ""
    trigger: str = "hand"
    result_index: int = -1
    failed: int = 0


class Engine:
    """All runs of one estate. ``policy_of`` reads a job's policy file as it is now."""

    def __init__(
        self, kernel: Kernel, house: House, policy_of: Callable[[Job], str], *, most: int = MAX_LIVE
    ) -> None:
        self._kernel = kernel
        self._rooms = kernel.rooms
        self._house = house
        self._policy_of = policy_of
        self._most = most
        self._live: dict[str, Live] = {}
        self._queue: deque[tuple[str, Job | None]] = deque()
        self._documents: dict[str, RunDocument] = {}
        self._work: set[asyncio.Task[Any]] = set()
        self._waiters: dict[str, list[asyncio.Future[RunDocument]]] = {}
        self._resting: set[str] = set()
        self._closing = False
        kernel.rooms.freezes.listen(self._frozen)

    # ---- starting ------------------------------------------------------------------------------------

    async def start(
        self,
        job: Job,
        folders: Mapping[str, Path],
        *,
        only: Mapping[str, list[str]] | None = None,
        trigger: str = "hand",
        also: Callable[[str], Sequence[Put]] = lambda run: (),
    ) -> str:
        """Start a run of ``job`` and return its id; its files and policy are pinned in the same commit.

        ``folders`` are the job's sources by name; ``only`` names the files of a file drop, ``also`` what is
        written of the run in the same commit. Raises Refused when agent or owner may not act, BadInput for what
        cannot be read.
        """
        rooms, job = self._rooms, self._house.told(job)
        rooms.registry.chain_of(job.agent, job.name, job.links)
        reason = rooms.freezes.reason(job.agent, job.name, "step.run")
        if reason is not None:
            raise BadInput(reason, remedy="Lift it first: freehold thaw", code="refused.frozen")
        run = self._kernel.ids.new()
        now_us = rooms.ledger.now_us()
        policy = self._policy_of(job)
        document = RunDocument(
            run,
            job.name,
            job.agent,
            job.owner,
            job.pack,
            job.digest,
            digest(policy.encode()),
            now_us,
            trigger=trigger,
        )
        pinned = {
            "job": msgspec.to_builtins(job),
            "policy": policy,
            "folders": {name: str(path) for name, path in folders.items()},
        }
        head = {"run": run, "job": job.name, "agent": job.agent, "owner": job.owner, "digest": job.digest}
        subjects = (job.subject,) if job.subject else (ESTATE,)
        note = Note("run.started", {**head, "policy": document.policy_digest}, pinned, subjects, run)
        try:
            writes = await self._house.pin_room.take(run, job, folders, only or {})
            change = Change([note], [*writes, *also(run), self._put(document)]).join(
                rooms.budget.open_run(_accounts(document, job))
            )
            await rooms.ledger.commit(change)
        except BaseException:
            self._house.pin_room.close(run)
            raise
        self._documents[run] = document
        self._take_in(run, job, policy)
        return run

    def _take_in(self, run: str, job: Job, policy: str) -> None:
        self._house.policies[run] = policy
        self._queue.append((run, job))
        self._next()

    def _next(self) -> None:
        """Begin queued runs while there is room; a run that stands or waits for people takes up none."""
        while self._queue and not self._closing and self._busy() < self._most:
            run, job = self._queue.popleft()
            try:
                found = job or self.job_of(run)
                scope = self._scope(self._documents[run], found)
                live = self._kind(found)(self._house, scope, found, self._ended, self._waits)
            except FreeholdError as error:
                self._spawn(self._end(run, "failed", str(error)))
                continue
            self._live[run] = live
            live.spawn(self._begin(live, resumed=job is None))

    @staticmethod
    def _kind(job: Job) -> type[LiveRun] | type[RemoteRun]:
        return RemoteRun if is_external(job) else LiveRun

    def _busy(self) -> int:
        here = [(run, live) for run, live in self._live.items() if isinstance(live, LiveRun)]
        return sum(not live.halted and run not in self._resting for run, live in here)

    async def _begin(self, live: Live, *, resumed: bool) -> None:
        """Let a run begin, or go on from its records."""
        run = live.scope.run
        if run not in self._resting:
            self._set(run, state="running")
        if resumed:
            await live.begin(self._rooms.store.actions_of_run(run), self._parked(run))
        else:
            await live.begin([], {})

    def _parked(self, run: str) -> dict[str, tuple[str, int]]:
        """Return which steps of a run its open cards hold up."""
        now_us = self._rooms.ledger.now_us()
        waiting = {card.id for card in self._rooms.cards.waiting(now_us) if card.run == run}
        found = {}
        for kept in self._rooms.store.documents(PARKED, state=run) if waiting else ():
            if kept.key in waiting:
                place = decode(kept.body)
                found[kept.key] = (str(place["node"]), int(place["item"]))
        return found

    def _scope(self, document: RunDocument, job: Job) -> Scope:
        rooms = self._rooms
        principals = rooms.registry.chain_of(job.agent, job.name, job.links)
        settings: dict[str, Any] = {}
        if job.mail is not None:
            settings = {"sender": job.mail.sender, "host": job.mail.host}
        return Scope(
            run=document.id,
            job=job.name,
            principals=principals,
            accounts=rooms.budget.accounts(document.id),
            grades=job.grades,
            approval=ApprovalRule(job.approvals.four_eyes, job.approvals.expire_us),
            trusted=trusted_of(job),
            started_us=document.started_us,
            settings=settings,
            artifact=lambda address: self._house.tools.artifact(document.id, address),
            policy_digest=document.policy_digest,
            origins=origins_of(rooms, job)
            if is_external(job) or self._house.packs(job.pack).thinks
            else None,
        )

    # ---- after a restart -----------------------------------------------------------------------------

    def load(self) -> int:
        """Take up every run that had not ended; returns how many. To be called once, in the daemon's loop."""
        found = [
            msgspec.json.decode(document.body, type=RunDocument)
            for state in ALIVE
            for document in self._rooms.store.documents(RUNS, state=state)
        ]
        for document in sorted(found, key=lambda one: one.id):
            self._documents[document.id] = document
            if document.state == "waiting":
                self._resting.add(document.id)
            if document.state != "paused":
                self._queue.append((document.id, None))
        self._next()
        return len(found)

    def job_of(self, run: str) -> Job:
        """Return the job that a run pinned; raises Refused when it was forgotten with its subject."""
        entry = next(self._rooms.store.entries_of_run(run), None)
        private = self._rooms.ledger.open_payload(entry) if entry is not None else None
        if private is None:
            raise BadInput("What this run was started with was forgotten.", remedy="Start the job again.")
        pinned = decode(private)
        job = msgspec.convert(pinned["job"], Job)
        self._house.policies[run] = pinned["policy"]
        self._house.pin_room.open(run, job, {name: Path(path) for name, path in pinned["folders"].items()})
        return job

    # ---- what people do ------------------------------------------------------------------------------

    def document(self, run: str) -> RunDocument:
        """Return a run's document; raises NotFound."""
        found = self._documents.get(run)
        if found is not None:
            return found
        document = self._rooms.store.document(RUNS, run)
        if document is None:
            raise NotFound("There is no run of this id.", remedy="See: freehold runs")
        return msgspec.json.decode(document.body, type=RunDocument)

    def documents(self) -> list[RunDocument]:
        """Return all runs, oldest first."""
        stored = self._rooms.store.documents(RUNS)
        found = {one.key: msgspec.json.decode(one.body, type=RunDocument) for one in stored}
        found |= self._documents
        return [found[key] for key in sorted(found)]

    def live(self, run: str) -> Live | None:
        """Return the run while it is being carried out."""
        return self._live.get(run)

    async def cancel(self, run: str, by: str) -> None:
        """End a run; what it asked of people is withdrawn."""
        self._must_live(run)
        await self._rooms.ledger.commit(Change([Note("run.cancelled", {"run": run, "by": by}, run=run)]))
        live = self._live.get(run)
        if live is not None:
            await live.cancel()
        else:
            self._unqueue(run)
            await self._end(run, "cancelled", "Cancelled by a person.")
        await self.wait(run)

    def alive(self) -> list[RunDocument]:
        """Return the runs that have not ended."""
        return [document for document in self._documents.values() if document.state in ALIVE]

    async def forget(self, run: str) -> None:
        """End a run that works on a subject who is being forgotten."""
        live = self._live.get(run)
        if live is not None:
            await live.cancel("failed", FORGOTTEN)
        else:
            self._unqueue(run)
            await self._end(run, "failed", FORGOTTEN)
        await self.wait(run)

    async def pause(self, run: str, by: str) -> None:
        """Start no further step of a run, until it is resumed; its clock stands."""
        self._must_live(run)
        now_us = self._rooms.ledger.now_us()
        change = Change([Note("run.paused", {"run": run, "by": by}, run=run)])
        await self._rooms.ledger.commit(change.join(self._rooms.budget.pause(run, now_us)))
        live = self._live.get(run)
        if live is not None:
            live.halt("paused")
        self._unqueue(run)
        self._resting.discard(run)
        await self._store(run, state="paused")
        self._next()

    async def resume(self, run: str, by: str) -> None:
        """Let a paused run go on."""
        document = self._must_live(run)
        if document.state != "paused":
            raise BadInput(f"The run is {document.state}, not paused.", remedy="See: freehold runs")
        change = Change([Note("run.resumed", {"run": run, "by": by}, run=run)])
        await self._rooms.ledger.commit(
            change.join(self._rooms.budget.resume(run, self._rooms.ledger.now_us()))
        )
        live = self._live.get(run)
        await self._store(run, state="queued" if live is None else "running")
        if live is None:
            self._queue.append((run, None))
            self._next()
        elif live.halted == "paused":
            live.go_on()
            for card in set(live.waiting) - set(self._parked(run)):
                live.decided(card)
        else:
            self._spawn(self._again(run, live))

    def _unqueue(self, run: str) -> None:
        self._queue = deque(item for item in self._queue if item[0] != run)

    def decided(self, card: str) -> None:
        """Tell the run whose card was decided; a run that is not live finds it when it is taken up."""
        for live in list(self._live.values()):
            if card in live.waiting:
                live.decided(card)

    def thawed(self) -> None:
        """Take up the runs that stood still and may go on."""
        for run, live in list(self._live.items()):
            job = live.job
            if (
                live.halted == "frozen"
                and self._documents[run].state != "paused"
                and self._rooms.freezes.reason(job.agent, job.name, "step.run") is None
            ):
                self._spawn(self._again(run, live))

    def reopened(self) -> None:
        """Take up the runs that the store's failure halted."""
        for run, live in list(self._live.items()):
            if live.halted == "store":
                self._spawn(self._again(run, live))

    async def _again(self, run: str, live: Live) -> None:
        """Carry a run on from its records, once what it had begun has one."""
        live.halted = "leaving"
        await live.quiet()
        if self._live.get(run) is live:
            del self._live[run]
            self._queue.append((run, None))
            self._next()

    def _frozen(self, frozen: Frozen) -> None:
        """Something was frozen, this very moment: kill its runners, start nothing more of it."""
        for live in list(self._live.values()):
            job = live.job
            if self._rooms.freezes.reason(job.agent, job.name, "step.run") is not None:
                live.halt("frozen")

    def _must_live(self, run: str) -> RunDocument:
        document = self.document(run)
        if document.state not in ALIVE:
            raise BadInput(f"The run has ended: it is {document.state}.", remedy="See: freehold runs")
        return document

    def _waits(self, live: Live, whether: bool) -> None:
        """A run now waits for people alone, or no longer: its clock stands meanwhile, its place is free."""
        run = live.scope.run
        if whether == (run in self._resting) or self._closing:
            return
        (self._resting.add if whether else self._resting.discard)(run)
        if run not in self._documents or self._documents[run].state == "paused":
            return
        self._spawn(self._clock(run, whether))
        self._next()

    async def _clock(self, run: str, stands: bool) -> None:
        rooms = self._rooms
        if run not in self._documents:
            return
        self._set(run, state="waiting" if stands else "running")
        move = rooms.budget.pause if stands else rooms.budget.resume
        change = move(run, rooms.ledger.now_us())
        await rooms.ledger.commit(change.join(Change([], [self._put(self._documents[run])])))

    # ---- ending --------------------------------------------------------------------------------------

    async def wait(self, run: str) -> RunDocument:
        """Return the run's document once it has ended."""
        document = self.document(run)
        if document.state not in ALIVE:
            return document
        future: asyncio.Future[RunDocument] = asyncio.get_running_loop().create_future()
        self._waiters.setdefault(run, []).append(future)
        return await future

    def _ended(self, live: Live, state: str, message: str) -> None:
        if self._closing:
            return  # what ends because everything stops is taken up again
        self._spawn(self._end(live.scope.run, state, message, live))

    async def _end(self, run: str, state: str, message: str, live: Live | None = None) -> None:
        rooms = self._rooms
        now_us = rooms.ledger.now_us()
        result = live.result_index() if live is not None else -1
        document = msgspec.structs.replace(
            self._documents[run], state=state, ended_us=now_us, message="" if state == "done" else _public(message),
            result_index=result, failed=live.failed() if live is not None else 0,
        )  # fmt: skip
        head = {"run": run, "state": state}
        note = Note("run.ended", head, {"message": message}, self._subjects(live, message), run)
        drops: list[Put | Drop] = [
            Drop(PARKED, kept.key)
            for kept in (rooms.store.documents(PARKED, state=run) if live is None or live.parked_any else ())
        ]
        change = Change([note], [*drops, self._put(document)]).join(rooms.budget.close_run(run, now_us))
        change = change.join(rooms.cards.withdraw(run, "The run has ended."))
        with contextlib.suppress(StoreFailed):
            await rooms.ledger.commit(change)
        self._live.pop(run, None)
        self._resting.discard(run)
        self._documents.pop(run, None)
        self._house.pin_room.close(run)
        self._house.policies.pop(run, None)
        self._house.publish(run, {"event": "ended", "state": state, "message": message})
        for future in self._waiters.pop(run, ()):
            if not future.done():
                future.set_result(document)
        self._next()

    def _subjects(self, live: Live | None, message: str) -> tuple[str, ...]:
        about = live.job.subject if live is not None and message != FORGOTTEN else ""
        return (about,) if about and not self._rooms.keys.is_forgotten(about) else (ESTATE,)

    async def close(self) -> None:
        """Stop for now: runners are killed, nothing new starts; everything goes on after a restart."""
        self._closing = True
        runs = list(self._live.values())
        for live in runs:
            live.halt("closing")
        left = self._work.union(*(live.under_way for live in runs))
        if left:
            await asyncio.wait(left, timeout=CLOSING_S)

    # ---- documents -----------------------------------------------------------------------------------

    def _set(self, run: str, **changes: Any) -> None:
        self._documents[run] = msgspec.structs.replace(self._documents[run], **changes)

    async def _store(self, run: str, **changes: Any) -> None:
        self._set(run, **changes)
        await self._rooms.ledger.write([], [self._put(self._documents[run])])

    @staticmethod
    def _put(document: RunDocument) -> Put:
        return Put(RUNS, document.id, encode(msgspec.to_builtins(document)), document.state)

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._work.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: "asyncio.Task[Any]") -> None:
        self._work.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._house.trouble("-", error)


def _accounts(document: RunDocument, job: Job) -> Accounts:
    """Return the accounts that a run is charged to, with the limits that its job sets for a run."""
    limits = job.budget.run
    amounts: dict[Dimension, int | None] = {
        "money_micro": limits.money_micro,
        "tokens": limits.tokens,
        "actions": limits.actions,
        "cpu_us": limits.cpu_us,
    }
    where = f"`budget.run` in jobs/{job.name}.md"
    found = [Limit("run", name, amount, where) for name, amount in amounts.items() if amount is not None]
    return Accounts(
        run=document.id, job=job.name, agent=job.agent, owner=job.owner, limits=tuple(found),
        wall_us=limits.wall_us, wall_where=f"`budget.run.wall` in jobs/{job.name}.md",
        opened_us=document.started_us,
    )  # fmt: skip


def trusted_of(job: Job) -> Trusted:
    """Return the values that the owner wrote into the job file, by the field that they may choose."""
    return Trusted.from_rights(job.may)


def _public(message: str) -> str:
    """Return what may stand in a run's document: that it failed; why is sealed in the journal's note."""
    return "See the run's record." if message else ""
