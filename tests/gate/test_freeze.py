"""A freeze in the middle of a thousand steps with effects: when the last one starts, and what is left behind.

The times are those of the mail server, which counts what reaches it.
"""

import asyncio
import os
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from freehold.kernel.grades import Category, Grade
from freehold.kernel.rights import right
from freehold.runtime.job import Job, Mail
from freehold.runtime.pool import RunnerHandle
from freehold.store.interface import EntryKind
from freehold.testing.estates import OWNER, ThrowawayEstate, synthetic_job
from freehold.testing.processes import alive, children, until
from freehold.testing.server import Behaviour
from freehold.testing.smtp import SmtpServer

TO = "finance@example.org"
BOUND_US = 1_000_000
ENOUGH = 100


def a_thousand_mails(port: int, count: int = 1_000) -> Job:
    args = {"to": [TO], "subject": "Hello", "text": "The report."}
    plan: list[Any] = [
        {"step": "numbers", "params": {"count": count}},
        {
            "step": "act",
            "each": "numbers",
            "tools": ["mail.send"],
            "concurrency": 32,
            "params": {"tool": "mail.send", "args": args},
        },
    ]
    return synthetic_job(
        {"plan": plan, "runners": 2},
        may=(right("mail.send", TO),),
        grades={Category.SEND: Grade.ACT},
        mail=Mail("127.0.0.1", port, "freehold@example.org"),
    )


def descendants() -> list[int]:
    """Return every process below this one whose name is one of ours."""
    found, waiting = [], [os.getpid()]
    while waiting:
        below = children(waiting.pop())
        found += [pid for pid, name in below.items() if name.startswith("freehold")]
        waiting += below
    return found


def in_flight(estate: ThrowawayEstate, run: str) -> int:
    """Return how many effects were begun and have no outcome yet."""
    kinds = Counter(
        entry.draft.kind for entry in estate.rooms.store.entries_of_run(run) if entry.draft.ordinal
    )
    return kinds[EntryKind.INTENT] - kinds[EntryKind.RESULT]


async def freeze(estate: ThrowawayEstate, scope: str) -> int:
    """Freeze, and return when that was done (microseconds)."""
    rooms = estate.rooms
    await rooms.ledger.commit(rooms.freezes.freeze(scope, "stop", by=OWNER, at_us=rooms.ledger.now_us()))
    return time.time_ns() // 1_000


async def opened(folder: Path) -> ThrowawayEstate:
    folder.mkdir(exist_ok=True)
    estate = ThrowawayEstate(folder)
    await estate.open()
    return estate


@pytest.mark.parametrize("scope", ["estate", "agent:worker", "job:synthetic", "tool:mail.send"])
async def test_no_effect_starts_after_a_freeze_nor_after_a_restart_and_no_process_is_left(
    tmp_path: Path, scope: str
) -> None:
    with SmtpServer(tmp_path / "smtp", behaviour=Behaviour(delay_ms=40)) as server:
        estate = await opened(tmp_path / "estate")
        own = estate.rooms.settings.change({"own_domains": ["example.org"]}, by=OWNER)
        await estate.rooms.ledger.commit(own)
        job = a_thousand_mails(server.port)
        await estate.employ(job)
        run = await estate.engine.start(job, {})
        await until(lambda: len(server.taken()) >= ENOUGH, 40)
        live = estate.engine.live(run)
        assert live is not None
        runners = [estate.pool._live[number].pid for number in estate.pool._used]
        frozen_us = await freeze(estate, scope)
        graph = live.graph
        assert graph is not None
        await until(lambda: graph.active == 0, 40)
        await until(lambda: estate.pool.in_use == 0)
        assert not any(alive(pid) for pid in runners)
        await until(lambda: in_flight(estate, run) == 0)
        late_us = max(entry["at_us"] for entry in server.taken()) - frozen_us
        print(f"the last effect started {late_us / 1_000:.1f} ms after the freeze")
        assert late_us < BOUND_US
        count = len(server.taken())
        assert ENOUGH <= count < 1_000
        await estate.close()
        assert descendants() == []

        estate = await opened(tmp_path / "estate")
        await until(
            lambda: (
                (found := estate.engine.live(run)) is None or bool(found.halted) or found.graph is not None
            )
        )
        await asyncio.wait(list(estate.engine._work) or [asyncio.create_task(asyncio.sleep(0))], timeout=2)
        assert len(server.taken()) == count
        assert estate.rooms.freezes.reason("worker", "synthetic", "mail.send") is not None
        await estate.close()
        assert descendants() == []


async def test_a_run_that_meets_a_frozen_tool_stands_still_and_goes_on_after_the_thaw(tmp_path: Path) -> None:
    with SmtpServer(tmp_path / "smtp") as server:
        estate = await opened(tmp_path / "estate")
        rooms = estate.rooms
        await rooms.ledger.commit(rooms.settings.change({"own_domains": ["example.org"]}, by=OWNER))
        job = a_thousand_mails(server.port, 5)
        await estate.employ(job)
        await freeze(estate, "tool:mail.send")
        run = await estate.engine.start(job, {})
        await until(lambda: (live := estate.engine.live(run)) is not None and live.halted == "frozen")
        await until(lambda: estate.pool.in_use == 0)
        assert server.taken() == []
        await rooms.ledger.commit(rooms.freezes.thaw("tool:mail.send", by=OWNER))
        estate.engine.thawed()
        document = await asyncio.wait_for(estate.engine.wait(run), 20)
        assert (document.state, document.failed, len(server.taken())) == ("done", 0, 5)
        await estate.close()


async def test_a_runner_that_was_just_being_started_does_not_outlive_a_freeze(tmp_path: Path) -> None:
    estate = await opened(tmp_path / "estate")
    job = synthetic_job({"shape": "fan", "items": 50, "runners": 4})
    await estate.employ(job)
    real, taken = estate.pool.take, 0

    async def take() -> RunnerHandle:
        nonlocal taken
        handle, taken = await real(), taken + 1
        if taken == 3:
            await freeze(estate, "job:synthetic")
        return handle

    setattr(estate.pool, "take", take)  # noqa: B010
    run = await estate.engine.start(job, {})
    await until(lambda: taken == 3 and estate.pool.in_use == 0)
    live = estate.engine.live(run)
    assert live is not None
    assert live.halted == "frozen"
    await until(lambda: live.graph is not None and live.graph.active == 0)
    rooms = estate.rooms
    await rooms.ledger.commit(rooms.freezes.thaw("job:synthetic", by=OWNER))
    estate.engine.thawed()
    document = await asyncio.wait_for(estate.engine.wait(run), 20)
    assert (document.state, estate.result(document)) == ("done", sum(n * n for n in range(50)))
    await estate.close()
