"""The hostile pack through the real engine: frames that no runner may send, floods, silence, death."""

import asyncio
import json
import time
from typing import Any

import pytest

from freehold.kernel.scope import MAX_REFUSALS
from freehold.store.interface import EntryKind
from freehold.testing import hostile
from freehold.testing.processes import alive, until
from tests.hostile.siege import Siege, memory_kb

pytestmark = pytest.mark.asyncio(loop_scope="module")

MEMORY_KB = 150_000


@pytest.mark.parametrize("what", hostile.BREACHES)
async def test_a_breach_of_the_wire_ends_its_run_and_nothing_else(siege: Siege, what: str) -> None:
    before = memory_kb()
    neighbour = asyncio.create_task(siege.honest_work())
    params = {"step": "breach", "params": {"what": what}, "limits": {"timeout_s": 2}}
    document = await siege.attack(params)
    assert document.state == "failed"
    assert set(siege.tools(document)) == {"step.run"}
    await neighbour
    assert memory_kb() - before < MEMORY_KB


async def test_a_result_that_is_given_three_times_counts_once(siege: Siege) -> None:
    document = await siege.attack({"step": "finish_twice", "params": {"step": 2}})
    assert document.state in ("done", "failed")
    done = [entry for entry in siege.entries(document, EntryKind.RESULT) if entry.draft.status == "done"]
    assert len(done) == len({entry.draft.action for entry in done})


@pytest.mark.parametrize("kind", ["actions", "heavy", "progress"])
async def test_a_flood_stays_within_bounds(siege: Siege, kind: str) -> None:
    before = memory_kb()
    count = {"actions": 20_000, "heavy": 100, "progress": 100_000}[kind]
    neighbour = asyncio.create_task(siege.honest_work())
    params = {
        "step": "flood",
        "params": {"count": count, "kind": kind},
        "limits": {"timeout_s": 20},
    }
    await siege.attack(params)
    await neighbour
    assert memory_kb() - before < MEMORY_KB


async def test_a_flood_of_refusals_is_bounded_and_its_run_is_stopped(siege: Siege) -> None:
    began = time.monotonic()
    params = {
        "step": "refused_flood",
        "params": {"count": 1_000_000},
        "limits": {"timeout_s": 40},
    }
    document = await siege.attack(params)
    assert document.state == "failed"
    assert time.monotonic() - began < 30  # it is stopped, not waited for
    assert len(siege.entries(document, EntryKind.REFUSAL)) <= MAX_REFUSALS + 1
    assert set(siege.tools(document)) == {"step.run"}


@pytest.mark.parametrize("step", ["silence", "deaf"])
async def test_a_step_that_never_answers_ends_with_its_time(siege: Siege, step: str) -> None:
    document = await siege.attack({"step": step, "limits": {"timeout_s": 1}})
    assert document.state == "failed"
    await until(lambda: siege.estate.pool.in_use == 0)


@pytest.mark.parametrize("how", ["crash", "kill"])
async def test_a_runner_that_dies_is_tried_again_and_then_its_step_has_failed(siege: Siege, how: str) -> None:
    document = await siege.step("die", how=how)
    assert document.state == "failed"
    assert siege.tools(document).count("step.run") <= 4


async def test_processes_that_a_step_leaves_behind_end_with_its_run(siege: Siege) -> None:
    document = await siege.step("orphan", count=3)
    assert document.state == "done"
    await until(lambda: not any(alive(pid) for pid in siege.result(document)))


async def test_a_freeze_ends_processes_that_a_step_hid(siege: Siege) -> None:
    params = {
        "nodes": [
            {"step": "orphan", "params": {"count": 3}},
            {"step": "silence", "id": "rest"},
        ]
    }
    estate, rooms = siege.estate, siege.estate.rooms
    job = siege.job(params)
    await estate.employ(job)
    run = await estate.engine.start(job, {})
    await until(
        lambda: any(e.draft.node == "orphan" and e.draft.status == "done" for e in _all(siege, run)), 20
    )
    found = next(e for e in _all(siege, run) if e.draft.node == "orphan" and e.draft.status == "done")
    pids: list[int] = json.loads(estate.engine._house.records.value(found.index).data)
    assert all(alive(pid) for pid in pids)
    await rooms.ledger.commit(rooms.freezes.freeze("job:foe", "stop", by="anna", at_us=rooms.ledger.now_us()))
    await until(lambda: not any(alive(pid) for pid in pids))
    await until(lambda: estate.pool.in_use == 0)
    await rooms.ledger.commit(rooms.freezes.thaw("job:foe", by="anna"))
    await estate.engine.cancel(run, "anna")


def _all(siege: Siege, run: str) -> list[Any]:
    return list(siege.estate.rooms.store.entries_of_run(run))


async def test_a_runner_sees_nothing_of_the_daemon(siege: Siege) -> None:
    document = await siege.step("look")
    seen = siege.result(document)
    assert [name for name in seen["modules"] if name.split(".")[1] in hostile.TRUSTED] == []
    assert seen["kinds"] == []
    assert not seen["controlling_terminal"]
    assert [name for name in seen["descriptors"] if str(siege.folder) in name] == []
    assert set(seen["environment"]).isdisjoint({"HOME_SECRET", "PGPASSWORD", "SSH_AUTH_SOCK"})


@pytest.mark.parametrize(
    "value",
    ["NaN", "1e999", "[" * 100_000 + "]" * 100_000, '"\\ud800"', "{", "", "1 2", '"' + "x" * 9_000_000 + '"'],
    ids=["nan", "huge", "deep", "surrogate", "half", "nothing", "two", "long"],
)
async def test_a_result_that_is_no_value_is_no_result(siege: Siege, value: str) -> None:
    plan: list[dict[str, Any]] = [
        {"step": "finish_raw", "id": "large", "params": {"step": 2, "value": "@"}, "timeout_s": 2},
        {"step": "swallow", "needs": ["large"]},
    ]
    plan[0]["params"] = {"step": 2, "value": value}
    if len(value) > 1_000_000:
        plan[0] = {"step": "large", "params": {"size": len(value)}}
    document = await siege.attack({"nodes": plan})
    if document.state == "done":
        assert isinstance(siege.result(document), int)


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        ("[]", "cannot be read"),
        ('{"nodes":[]}', "0 nodes"),
        ('{"nodes":[{"id":"a","step":"gone"}]}', "no step"),
        ('{"nodes":[{"id":"a","step":"look","tools":["shell.open"]}]}', "no tool"),
        ('{"nodes":[{"id":"a","step":"look","needs":["a"]}]}', "circle"),
        ('{"nodes":[{"id":"a","step":"look","each":"source:papers"}]}', "no source"),
        ('{"nodes":[{"id":"../a","step":"look"}]}', "a name is made of"),
        ('{"nodes":[{"id":"$plan","step":"look"}]}', "a name is made of"),
        ('{"nodes":[{"id":"a","step":"look"},{"id":"a","step":"look"}]}', "two nodes"),
        ('{"nodes":[{"id":"a","step":"look","concurrency":9999}]}', "concurrency"),
        ('{"nodes":[{"id":"a","step":"look","owner":"me"}]}', "cannot be read"),
        ('{"nodes":[' + ",".join(f'{{"id":"n{n}","step":"look"}}' for n in range(3_000)) + "]}", "nodes"),
        ('{"runners":1000,"nodes":[{"id":"a","step":"look"}]}', "runners"),
        ("[" * 50_000, ""),
        ("NaN", ""),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_a_plan_that_cannot_be_walked_is_refused_in_a_sentence(
    siege: Siege, plan: str, words: str
) -> None:
    document = await siege.attack({"raw_plan": plan})
    assert document.state == "failed"
    assert siege.tools(document) in (["step.run"], ["step.run"] * 2, ["step.run"] * 3)
    (ended,) = [
        entry for entry in siege.entries(document, EntryKind.NOTE) if b"run.ended" in entry.draft.body
    ]
    private = siege.estate.rooms.ledger.open_payload(ended)
    assert private is not None
    assert words in json.loads(private)["message"]


@pytest.mark.parametrize("count", [100_001, 1_000_000])
async def test_a_fan_out_that_is_too_wide_fails_and_does_not_fill_the_memory(
    siege: Siege, count: int
) -> None:
    before = memory_kb()
    plan = [
        {"step": "wide", "params": {"count": count}},
        {"step": "attempt", "each": "wide", "params": {"calls": []}},
    ]
    document = await siege.attack({"nodes": plan})
    assert document.failed == 1
    assert siege.tools(document) == ["step.run"] * 2
    assert memory_kb() - before < MEMORY_KB


@pytest.mark.parametrize("ordinal", [-1, 0, 2**31, 2**53, 2**63, 2**64, 10**30])
async def test_an_odd_number_for_a_request_stops_nothing(siege: Siege, ordinal: int) -> None:
    params = {"step": "numbered", "params": {"ordinal": str(ordinal)}, "limits": {"timeout_s": 2}}
    document = await siege.attack(params)
    assert document.state == "failed"
    assert not siege.estate.gate.stopped


@pytest.mark.parametrize(
    ("tool", "args"),
    [
        ("noop", '{"a":9007199254740993}'),
        ("noop", '{"a":1.5}'),
        ("noop", '{"a":"\\ud800"}'),
        ("noop", '{"a":1e400}'),
        ("noop", "[" * 20 + "]" * 20),
        ("artifact.put", '{"\\u0000":1}'),
        ("artifact.get", '{"id":{"a":1}}'),
        ("\\ud800", "{}"),
        ("", "{}"),
        ("x" * 70_000, "{}"),
    ],
    ids=lambda value: str(value)[:30],
)
async def test_odd_arguments_stop_nothing(siege: Siege, tool: str, args: str) -> None:
    params = {"step": "raw", "params": {"tool": tool, "args": args}, "limits": {"timeout_s": 1}}
    document = await siege.attack(params)
    assert document.state == "failed"
    assert not siege.estate.gate.stopped
