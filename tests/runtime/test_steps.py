"""What becomes of steps that fail, hang, die or cost too much; and of plans that cannot be used."""

from typing import Any

import pytest

from freehold.runtime.job import Limits
from freehold.store.interface import EntryKind
from freehold.testing.estates import ThrowawayEstate
from freehold.testing.processes import until
from tests.runtime.conftest import bodies, ended, job_of, sentences, starts

WIDE = Limits(money_micro=0, tokens=0, actions=1_000_000, cpu_us=10**12)


def node(step: str, **fields: Any) -> dict[str, Any]:
    """Return a node; what is not one of its own fields is a parameter."""
    own = ("id", "needs", "each", "tools", "retries", "timeout_s", "cpu_s", "concurrency")
    params = {name: value for name, value in fields.items() if name not in own}
    return {"step": step, "params": params} | {name: fields[name] for name in own if name in fields}


# ---- retries ---------------------------------------------------------------------------------------------


async def test_a_step_that_may_be_retried_is_until_it_succeeds(estate: ThrowawayEstate) -> None:
    document = await estate.run(await job_of(estate, node("flaky", good_at=3, retries=2)))
    assert (document.state, estate.result(document)) == ("done", 3)
    began = [body["at"] for body in bodies(estate, document.id, EntryKind.INTENT) if body["node"] == "flaky"]
    assert began[1] - began[0] > 40_000, "the first pause is at least 50 ms"
    assert began[2] - began[1] > 190_000, "the second at least 200 ms"


async def test_a_step_is_not_retried_more_often_than_its_node_says(estate: ThrowawayEstate) -> None:
    document = await estate.run(await job_of(estate, node("flaky", good_at=3, retries=1)))
    assert (document.state, ended(estate, document)) == ("failed", "Try 2 was no good.")


async def test_a_step_whose_pack_says_that_no_retry_helps_is_not_retried(estate: ThrowawayEstate) -> None:
    document = await estate.run(await job_of(estate, node("flaky", good_at=3, retries=5, retry=False)))
    assert (document.state, ended(estate, document)) == ("failed", "Try 1 was no good.")


# ---- runners that die, steps that hang -------------------------------------------------------------------


async def test_a_step_whose_runner_was_killed_is_done_again_and_its_cpu_is_charged_as_measured(
    estate: ThrowawayEstate,
) -> None:
    document = await estate.run(await job_of(estate, node("dies", times=1, cpu_s=7)))
    assert (document.state, estate.result(document)) == ("done", 2)
    lost, done = (b for b in bodies(estate, document.id, EntryKind.RESULT)[1:])
    assert (lost["status"], 0 < lost["cost"]["cpu_us"] < 7_000_000) == ("not_done", True)
    assert (done["status"], 0 < done["cost"]["cpu_us"] < 7_000_000) == ("done", True)
    spent = estate.rooms.budget.bill(document.id, 0).spent.cpu_us
    assert spent >= lost["cost"]["cpu_us"] + done["cost"]["cpu_us"]


async def test_a_step_that_kills_every_runner_fails_after_three(estate: ThrowawayEstate) -> None:
    document = await estate.run(await job_of(estate, node("dies", times=100)))
    assert document.state == "failed"
    assert ended(estate, document) == "The runner ended before it had answered."
    assert len(starts(estate, document.id, "dies")) == 3


async def test_a_step_that_takes_too_long_is_cancelled_and_said_so(estate: ThrowawayEstate) -> None:
    document = await estate.run(await job_of(estate, node("stalls", timeout_s=1)))
    assert (document.state, ended(estate, document)) == ("failed", "The step took longer than 1 s.")


async def test_a_step_that_does_not_let_itself_be_cancelled_loses_its_process(
    estate: ThrowawayEstate,
) -> None:
    plan = node("numbers", count=3), node("spins", each="numbers", timeout_s=1, concurrency=3)
    document = await estate.run(await job_of(estate, *plan))
    assert (document.state, document.failed) == ("done", 3)
    await until(lambda: estate.pool.in_use == 0)


async def test_the_rest_of_a_fan_out_survives_what_kills_its_runner(estate: ThrowawayEstate) -> None:
    plan = node("numbers", count=20), node("slow", each="numbers"), node("dies", times=1)
    document = await estate.run(await job_of(estate, *plan))
    assert (document.state, document.failed) == ("done", 0)
    assert starts(estate, document.id, "dies") == [0, 0]


# ---- budgets and deadlines -------------------------------------------------------------------------------


async def test_a_run_ends_at_its_wall_clock_deadline_with_the_line_to_change(estate: ThrowawayEstate) -> None:
    limits = Limits(money_micro=0, tokens=0, actions=1_000, cpu_us=10**12, wall_us=2_000_000)
    document = await estate.run(await job_of(estate, node("stalls", retries=3), limits=limits))
    assert document.state == "failed"
    assert "has used its 2 seconds of wall-clock time" in ended(estate, document)
    assert document.ended_us - document.started_us < 10_000_000


async def test_steps_that_do_not_fit_the_budget_together_wait_for_each_other(
    estate: ThrowawayEstate,
) -> None:
    limits = Limits(money_micro=0, tokens=0, actions=1_000, cpu_us=100_000_000)
    plan = node("numbers", count=12), node("slow", each="numbers", concurrency=8, cpu_s=40)
    document = await estate.run(await job_of(estate, *plan, limits=limits))
    assert (document.state, document.failed) == ("done", 0)
    assert bodies(estate, document.id, EntryKind.REFUSAL) == [], "who waits asks nothing of the gate"


async def test_a_step_that_can_never_fit_the_budget_ends_the_run_with_the_limit_and_what_is_left(
    estate: ThrowawayEstate,
) -> None:
    limits = Limits(money_micro=0, tokens=0, actions=1_000, cpu_us=90_000_000)
    plan = node("numbers", count=3), node("square", each="numbers", cpu_s=120)
    document = await estate.run(await job_of(estate, *plan, limits=limits))
    assert document.state == "failed"
    said = ended(estate, document)
    assert "The budget of run" in said
    assert "can cost up to" in said
    assert len(bodies(estate, document.id, EntryKind.REFUSAL)) == 1


# ---- plans that cannot be used ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("plan", "sentence"),
    [
        ([node("dance")], "the pack has no step 'dance'|which the pack does not have"),
        ([node("square", each="nobody")], "'nobody'"),
        ([node("word", tools=["fly.away"])], "there is no tool 'fly.away'"),
        ([node("name_of", each="source:attic")], "the job has no source 'attic'"),
        ([node("word", concurrency=1_000)], "concurrency is 1000"),
        ([node("word", retries=99)], "retries is 99"),
        ([], "no step|0 nodes"),
    ],
)
async def test_a_plan_that_names_what_is_not_there_fails_the_run_with_the_mistake(
    estate: ThrowawayEstate, plan: list[dict[str, Any]], sentence: str
) -> None:
    document = await estate.run(await job_of(estate, *plan))
    assert document.state == "failed"
    assert any(part in ended(estate, document) for part in sentence.split("|")), ended(estate, document)


async def test_a_fan_out_over_what_is_no_list_fails_with_the_step_that_gave_it(
    estate: ThrowawayEstate,
) -> None:
    document = await estate.run(await job_of(estate, node("word"), node("square", each="word")))
    assert document.state == "failed"
    assert "The step 'word' was to return a list" in ended(estate, document)


async def test_what_waits_for_a_step_that_failed_is_skipped_and_the_run_says_why(
    estate: ThrowawayEstate,
) -> None:
    plan = (
        node("flaky", good_at=9, retry=False),
        node("numbers", count=3, needs=["flaky"]),
        node("square", each="numbers"),
    )
    document = await estate.run(await job_of(estate, *plan))
    assert (document.state, ended(estate, document)) == ("failed", "Try 1 was no good.")
    assert starts(estate, document.id, "square") == []
    assert "Try 1 was no good." in sentences(estate, document.id)
