"""A process that opens an estate, goes on with what an earlier life left, runs a job, and is killed.

Run by ``harness.py`` as ``python -m tests.crash.child PARENT``. This process only imports and forks: each line
that it reads is an ``Order`` for one life, a process of its own that is killed as ordered. When the life and
everything that it started are gone, one line says how it ended.
"""

import asyncio
import contextlib
import os
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import msgspec

from freehold.kernel.card import Card
from freehold.kernel.settle import HAPPENED, NOT_HAPPENED
from freehold.packs.expense_audit.policy import sample_policy
from freehold.runtime.engine import RunDocument
from freehold.testing.estates import ThrowawayEstate, reach
from freehold.testing.processes import until
from freehold.testing.server import read_taken
from freehold.wire import child
from tests.crash.books import wrongs
from tests.crash.faults import Faults
from tests.crash.plans import EXPENSE, JOBS, Doors

ORPHANS_S = 10.0
LIMIT_S = 100.0
QUICKLY_READ = 4_000
"""Entries up to which the whole journal is checked in every life; beyond, in those that nobody is to kill."""


class Order(msgspec.Struct, frozen=True):
    """What one life is to do: ``job`` to start ("" for none), ``kill`` a boundary, or ``kill_ms`` after its start.

    ``reported`` are the runs that earlier lives have reported.
    """

    folder: str
    store: str
    doors: Doors
    mail: str
    job: str = ""
    kill: str = ""
    kill_ms: int = 0
    reported: list[str] = []


class Report(msgspec.Struct, frozen=True):
    """A run that a life saw to its end."""

    run: str
    job: str
    state: str
    result: Any
    wrong: list[str]
    cards: list[str]
    seen: list[str] = []


class Ended(msgspec.Struct, frozen=True):
    """How a life ended: its wait status, and how many of its processes had to be killed."""

    status: int
    orphans: int


class Person:
    """Decides what a life's runs ask; says of an unknown outcome what the mail server's own count says."""

    def __init__(self, estate: ThrowawayEstate, mail: Path) -> None:
        self._estate = estate
        self._mail = mail
        self.decided: list[str] = []

    async def attend(self, run: str) -> RunDocument:
        """Decide cards until the run has ended."""
        ended = asyncio.ensure_future(self._estate.engine.wait(run))
        while not ended.done():
            await until(lambda: ended.done() or bool(self._waiting()), LIMIT_S)
            for card in self._waiting():
                await self._decide(card)
        return await ended

    def _waiting(self) -> list[Card]:
        return self._estate.rooms.cards.waiting(self._estate.rooms.ledger.now_us())

    async def _decide(self, card: Card) -> None:
        shown = self._estate.rooms.cards.show(card)
        if card.kind == "approval":
            self.decided.append("approval")
            await self._estate.decide(card, "card.approve")
            return
        question = shown.question
        assert question is not None
        if HAPPENED not in question.choices:
            self.decided.append("question")
            value = "48.60" if question.type == "amount" else "12.50"
            await self._estate.decide(card, "card.answer", {"value": value})
            return
        self.decided.append("outcome unknown")
        suffix = card.action[:24]  # the card is about the action and its attempt, shortened from the front
        ids = [entry["message_id"].strip("<>").partition("@")[0] for entry in read_taken(self._mail)]
        happened = any(identifier.endswith(suffix) for identifier in ids)
        await self._estate.decide(card, "card.answer", {"value": HAPPENED if happened else NOT_HAPPENED})


async def live(order: Order) -> None:
    """One life."""
    folder = Path(order.folder)
    first = not (folder / "keys").exists()
    estate = ThrowawayEstate(
        folder,
        store=order.store,
        spare=0,
        packs={EXPENSE.name: EXPENSE},
        policy=lambda job: sample_policy() if job.policy else "",
    )
    await estate.open()
    if first:
        change = estate.rooms.settings.change({"own_domains": ["example.org"]}, by="anna")
        await estate.rooms.ledger.commit(change)
        for make in JOBS.values():
            await estate.employ(make(order.doors))
    faults = Faults(folder, order.kill)
    faults.wrap(estate.rooms.store)
    for document in [one for one in estate.engine.documents() if one.id not in order.reported]:
        await _see_through(estate, order, document.id, [])
    if order.job:
        faults.arm()
        job = JOBS[order.job](order.doors, f"The report, killed {order.kill}.")
        run = await estate.engine.start(job, {name: Path(order.doors.receipts) for name in job.sources})
        await _see_through(estate, order, run, faults.seen)
    await estate.close()


async def _see_through(estate: ThrowawayEstate, order: Order, run: str, seen: list[str]) -> None:
    person = Person(estate, Path(order.mail))
    document = await person.attend(run)
    result = estate.result(document) if document.result_index >= 0 else None
    everything = estate.rooms.store.size() < QUICKLY_READ or not (order.kill or order.kill_ms)
    wrong = wrongs(estate, run, everything=everything)
    report = Report(run, document.job, document.state, result, wrong, person.decided, list(seen))
    _say(report)


def _say(message: Report | Ended) -> None:
    os.write(1, msgspec.json.encode(message) + b"\n")


# ---- lives and deaths --------------------------------------------------------------------------------


def _fork(order: Order) -> Ended:
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
            child.die_with_parent(os.getppid())
            asyncio.run(live(order))
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    if order.kill_ms:
        _wait_for(pid, order.kill_ms / 1_000)
        os.kill(pid, signal.SIGKILL)  # it is not reaped yet, so the pid is still its own
    status = os.waitpid(pid, 0)[1]
    return Ended(status, _bury_orphans())


def _wait_for(pid: int, limit_s: float) -> None:
    """Wait until a child has ended, so long at most; it stays to be reaped."""
    until_s = time.monotonic() + limit_s
    while (left_s := until_s - time.monotonic()) > 0:
        if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
            return
        _child_ended(left_s)  # a signal may be left over from one that ended before


def _child_ended(limit_s: float) -> bool:
    """Wait for a child's end, so long."""
    return signal.sigtimedwait({signal.SIGCHLD}, limit_s) is not None


def _bury_orphans() -> int:
    """Wait until everything that a life left behind has ended; returns how many did not by themselves."""
    while True:
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0 and not _child_ended(ORPHANS_S):
                break
        except ChildProcessError:
            return 0
    left = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    for pid in left:
        with contextlib.suppress(OSError):
            os.kill(int(pid), signal.SIGKILL)
            os.waitpid(int(pid), 0)
    return len(left)


def main() -> None:
    """Serve orders until the input ends."""
    child.die_with_parent(int(sys.argv[1]))
    reach()  # all lives know it then
    child.adopt_orphans()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    for line in sys.stdin.buffer:
        _say(_fork(msgspec.json.decode(line, type=Order)))


if __name__ == "__main__":
    main()
