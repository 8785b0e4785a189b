"""What people do to runs: pause, resume, cancel; how many run at once; what a restart finds."""

import asyncio
import gc
import weakref
from pathlib import Path
from typing import Any

import msgspec
import pytest

from freehold.kernel.grades import Category, Grade
from freehold.kernel.rights import right
from freehold.runtime.house import Pack
from freehold.runtime.inputs import Inputs
from freehold.runtime.job import Job, Mail
from freehold.runtime.run import LiveRun
from freehold.runtime.session import Call
from freehold.store.interface import EntryKind
from freehold.testing.estates import ThrowawayEstate, synthetic_job
from freehold.testing.processes import alive, until
from freehold.testing.server import Behaviour
from freehold.testing.smtp import SmtpServer
from tests.runtime.conftest import PACKS, bodies, ended, job_of, starts

ASK: dict[str, Any] = {"step": "ask", "tools": ["question.ask"]}
TO = "finance@example.org"


def numbers(count: int) -> dict[str, Any]:
    return {"step": "numbers", "params": {"count": count}}


def waiting(estate: ThrowawayEstate) -> list[Any]:
    return estate.rooms.cards.waiting(estate.rooms.ledger.now_us())


def done(estate: ThrowawayEstate, run: str, node: str) -> int:
    live = estate.engine.live(run)
    return live.graph.nodes[node].counts[2] if live is not None and live.graph is not None else 0


def idle(estate: ThrowawayEstate, run: str) -> bool:
    live = estate.engine.live(run)
    return live is None or live.graph is None or live.graph.active == 0


# ---- pause -----------------------------------------------------------------------------------------------


async def test_a_paused_run_starts_no_step_and_goes_on_where_it_stood(estate: ThrowawayEstate) -> None:
    job = await job_of(estate, numbers(60), {"step": "slow", "each": "numbers", "concurrency": 4})
    run = await estate.engine.start(job, {})
    await until(lambda: done(estate, run, "slow") > 8)
    await estate.engine.pause(run, "anna")
    await until(lambda: idle(estate, run))
    size = estate.rooms.store.size()
    assert estate.engine.document(run).state == "paused"
    assert 8 < len(starts(estate, run, "slow")) < 60
    await asyncio.sleep(0.2)
    assert estate.rooms.store.size() == size
    await estate.engine.resume(run, "anna")
    document = await estate.engine.wait(run)
    assert (document.state, document.failed) == ("done", 0)
    assert sorted(starts(estate, run, "slow")) == list(range(60)), "each step was begun once"


async def test_a_pause_outlives_a_restart_and_its_time_does_not_count(tmp_path: Path) -> None:
    folder = tmp_path / "estate"
    folder.mkdir()
    first = ThrowawayEstate(folder, packs=PACKS)
    await first.open()
    job = await job_of(first, numbers(40), {"step": "slow", "each": "numbers", "concurrency": 2})
    run = await first.engine.start(job, {})
    await until(lambda: done(first, run, "slow") > 4)
    await first.engine.pause(run, "anna")
    await until(lambda: idle(first, run))
    begun = len(starts(first, run, "slow"))
    await first.close()

    second = ThrowawayEstate(folder, packs=PACKS)
    await second.open()
    assert second.engine.document(run).state == "paused"
    assert second.engine.live(run) is None
    bill = second.rooms.budget.bill
    assert bill(run, 10**15).elapsed_us == bill(run, 10**17).elapsed_us, "its clock stands"
    assert len(starts(second, run, "slow")) == begun
    await second.engine.resume(run, "anna")
    assert (await second.engine.wait(run)).state == "done"
    assert sorted(starts(second, run, "slow")) == list(range(40))
    await second.close()


async def test_what_was_decided_during_a_pause_is_done_after_it(estate: ThrowawayEstate) -> None:
    run = await estate.engine.start(await job_of(estate, ASK), {})
    await until(lambda: bool(waiting(estate)))
    await estate.engine.pause(run, "anna")
    (card,) = waiting(estate)
    await estate.decide(card, "card.answer", {"value": "yes"})
    await asyncio.sleep(0.1)
    assert estate.engine.document(run).state == "paused"
    await estate.engine.resume(run, "anna")
    document = await asyncio.wait_for(estate.engine.wait(run), 20)
    assert estate.result(document) == "yes"


async def test_a_run_that_waits_its_turn_can_be_paused_and_does_not_begin(tmp_path: Path) -> None:
    async with opened(tmp_path, most=1) as estate:
        first = await estate.engine.start(await job_of(estate, {"step": "stalls"}), {})
        second = await estate.engine.start(await job_of(estate, numbers(1)), {})
        await estate.engine.pause(second, "anna")
        await estate.engine.cancel(first, "anna")
        await asyncio.sleep(0.1)
        assert estate.engine.live(second) is None
        await estate.engine.resume(second, "anna")
        assert (await estate.engine.wait(second)).state == "done"


# ---- cancel ----------------------------------------------------------------------------------------------


async def test_a_cancelled_run_leaves_no_runner_and_no_card(estate: ThrowawayEstate) -> None:
    job = await job_of(estate, ASK, {"step": "stalls", "id": "other"})
    run = await estate.engine.start(job, {})
    await until(lambda: bool(waiting(estate)) and len(starts(estate, run, "other")) == 1)
    live = estate.engine.live(run)
    assert isinstance(live, LiveRun)
    pids = [session.handle.pid for session in live.runners.sessions]
    assert pids
    await estate.engine.cancel(run, "anna")
    assert (estate.engine.document(run).state, waiting(estate)) == ("cancelled", [])
    await until(lambda: not any(alive(pid) for pid in pids))
    intents, results = (bodies(estate, run, kind) for kind in (EntryKind.INTENT, EntryKind.RESULT))
    assert {body["id"] for body in intents} == {body["id"] for body in results}


async def test_an_effect_under_way_gets_its_grace_when_its_run_is_cancelled_and_is_unknown_after_it(
    estate: ThrowawayEstate, tmp_path: Path
) -> None:
    slow = Behaviour(delay_ms=60_000)
    with SmtpServer(tmp_path / "smtp", behaviour=slow) as server:
        job = await sending(estate, server)
        await estate.rooms.ledger.commit(estate.rooms.settings.change({"freeze_grace_s": 1}, by="anna"))
        run = await estate.engine.start(job, {})
        await until(lambda: any(b["tool"] == "mail.send" for b in bodies(estate, run, EntryKind.INTENT)))
        await estate.engine.cancel(run, "anna")
        (sent,) = [b for b in bodies(estate, run, EntryKind.INTENT) if b["tool"] == "mail.send"]
        (result,) = [b for b in bodies(estate, run, EntryKind.RESULT) if b["id"] == sent["id"]]
        assert (result["status"], estate.engine.document(run).state) == ("unknown", "cancelled")


async def sending(estate: ThrowawayEstate, server: SmtpServer) -> Job:
    """Return a job that sends one mail without asking."""
    await estate.rooms.ledger.commit(
        estate.rooms.settings.change({"own_domains": ["example.org"]}, by="anna")
    )
    args = {"to": [TO], "subject": "Hello", "text": "The report."}
    step = {"step": "act", "tools": ["mail.send"], "params": {"tool": "mail.send", "args": args}}
    job = synthetic_job(
        {"plan": [step]},
        may=(right("mail.send", TO),),
        grades={Category.SEND: Grade.ACT},
        mail=Mail("127.0.0.1", server.port, "freehold@example.org"),
    )
    await estate.employ(job)
    return job


async def test_a_run_that_is_cancelled_while_it_plans_is_cancelled(estate: ThrowawayEstate) -> None:
    run = await estate.engine.start(await job_of(estate, numbers(1)), {})
    await estate.engine.cancel(run, "anna")
    assert estate.engine.document(run).state == "cancelled"


# ---- how many --------------------------------------------------------------------------------------------


class opened:
    """An estate that carries out ``most`` runs at once."""

    def __init__(self, tmp_path: Path, *, most: int) -> None:
        folder = tmp_path / "estate"
        folder.mkdir(exist_ok=True)
        self._estate = ThrowawayEstate(folder, packs=PACKS)
        self._estate.most_live = most

    async def __aenter__(self) -> ThrowawayEstate:
        await self._estate.open()
        return self._estate

    async def __aexit__(self, *_: object) -> None:
        await self._estate.close()


def live_runs(estate: ThrowawayEstate) -> int:
    return sum(estate.engine.live(document.id) is not None for document in estate.engine.documents())


async def test_runs_beyond_the_bound_wait_and_all_of_them_end(tmp_path: Path) -> None:
    async with opened(tmp_path, most=2) as estate:
        job = await job_of(estate, numbers(3), {"step": "slow", "each": "numbers"})
        runs = await asyncio.gather(*(estate.engine.start(job, {}) for _ in range(9)))
        seen: list[int] = []
        waits = asyncio.gather(*(estate.engine.wait(run) for run in runs))

        def look() -> bool:
            seen.append(live_runs(estate))
            return waits.done()

        await until(look, 60)
        assert {document.state for document in await waits} == {"done"}
        assert max(seen) == 2


async def test_runs_beyond_the_bound_wait_after_a_restart_too(tmp_path: Path) -> None:
    async with opened(tmp_path, most=2) as estate:
        job = await job_of(estate, {"step": "stalls"})
        runs = await asyncio.gather(*(estate.engine.start(job, {}) for _ in range(5)))
        await until(lambda: live_runs(estate) == 2)
    async with opened(tmp_path, most=2) as estate:
        before = sum(len(starts(estate, run, "stalls")) for run in runs)
        await until(lambda: sum(len(starts(estate, run, "stalls")) for run in runs) == before + 2)
        assert live_runs(estate) == 2
        assert [document.state for document in estate.engine.documents()].count("queued") == 3
        for run in runs:
            await estate.engine.cancel(run, "anna")
        assert {document.state for document in estate.engine.documents()} == {"cancelled"}


async def test_a_run_that_waits_for_people_takes_up_no_place(tmp_path: Path) -> None:
    async with opened(tmp_path, most=1) as estate:
        asking = await estate.engine.start(await job_of(estate, ASK), {})
        await until(lambda: estate.engine.document(asking).state == "waiting")
        other = await estate.engine.start(await job_of(estate, numbers(1)), {})
        assert (await asyncio.wait_for(estate.engine.wait(other), 20)).state == "done"
        assert estate.engine.document(asking).state == "waiting"


async def test_a_wait_for_people_is_not_counted_over_a_restart(tmp_path: Path) -> None:
    async with opened(tmp_path, most=1) as estate:
        run = await estate.engine.start(await job_of(estate, ASK), {})
        await until(lambda: estate.engine.document(run).state == "waiting")
        bill = estate.rooms.budget.bill
        await until(lambda: bill(run, 10**15).elapsed_us == bill(run, 10**17).elapsed_us)
        before = bill(run, 10**17).elapsed_us
    async with opened(tmp_path, most=1) as estate:
        await until(lambda: estate.engine.live(run) is not None and idle(estate, run))
        await asyncio.sleep(0.1)
        assert estate.rooms.budget.bill(run, 10**17).elapsed_us == before
        (card,) = waiting(estate)
        await estate.decide(card, "card.answer", {"value": "yes"})
        assert (await asyncio.wait_for(estate.engine.wait(run), 20)).state == "done"
        assert estate.rooms.budget.bill(run, 10**17).elapsed_us < before + 60_000_000


# ---- memory ----------------------------------------------------------------------------------------------


class Held:
    """Counts what is held in memory while a run goes on, now and then."""

    def __init__(self, estate: ThrowawayEstate) -> None:
        self._estate = estate
        self._size = 0
        self.most = {Inputs: 0, Call: 0}
        self.looks = 0

    def look(self) -> None:
        """Count, when another two hundred entries were written."""
        size = self._estate.rooms.store.size()
        if size - self._size < 200:
            return
        self._size = size
        self.looks += 1
        found = dict.fromkeys(self.most, 0)
        for one in gc.get_objects():
            if type(one) in found:
                found[type(one)] += 1
        self.most = {kind: max(self.most[kind], count) for kind, count in found.items()}


@pytest.mark.parametrize("width", [600, pytest.param(20_000, marks=pytest.mark.long)])
async def test_a_fan_out_holds_no_more_than_its_bound_at_once(estate: ThrowawayEstate, width: int) -> None:
    bound = 8
    plan = [
        numbers(width),
        {"step": "square", "each": "numbers", "concurrency": bound // 2},
        {"step": "square", "id": "again", "each": "square", "concurrency": bound // 2},
    ]
    held = Held(estate)
    run = await estate.engine.start(await job_of(estate, *plan), {})
    live = weakref.ref(estate.engine.live(run) or pytest.fail("it does not run"))
    ends = asyncio.ensure_future(estate.engine.wait(run))

    def look() -> bool:
        held.look()
        return ends.done()

    await until(look, 600)
    document = await ends
    assert (document.state, document.failed) == ("done", 0), ended(estate, document)
    assert held.looks >= 5
    assert max(held.most.values()) <= 2 * bound
    await until(lambda: not gc.collect() and live() is None)  # nothing of a run stays behind it


# ---- packs that change -----------------------------------------------------------------------------------

PACK = '''"""Asks, then ends."""

from freehold.sdk import Context, Job, Pack, Plan

pack = Pack("changing", version="{version}")


@pack.step
async def ask(ctx: Context) -> str:
    return str(await ctx.ask("Go on?"))


@pack.planner
def plan(job: Job) -> Plan:
    made = Plan()
    made.add(ask, tools=["question.ask"])
    return made
'''


async def test_a_pack_that_changed_meanwhile_is_refused_with_both_versions(tmp_path: Path) -> None:
    path = tmp_path / "changing_pack.py"
    folder = tmp_path / "estate"
    folder.mkdir()
    packs = {"changing": Pack("changing", "changing_pack:pack", (str(tmp_path),))}
    path.write_text(PACK.format(version="1"))
    first = ThrowawayEstate(folder, packs=packs)
    await first.open()
    job = msgspec.structs.replace(synthetic_job({}), pack="changing")
    await first.employ(job)
    run = await first.engine.start(job, {})
    await until(lambda: first.engine.document(run).state == "waiting")
    await first.close()

    path.write_text(PACK.format(version="1.0.1"))
    second = ThrowawayEstate(folder, packs=packs)
    await second.open()
    (card,) = waiting(second)
    await second.decide(card, "card.answer", {"value": "yes"})
    document = await asyncio.wait_for(second.engine.wait(run), 20)
    assert document.state == "failed"
    assert "version 1 of its pack, and 1.0.1 is installed" in ended(second, run)
    await second.close()
