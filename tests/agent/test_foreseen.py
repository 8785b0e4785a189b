"""What a plan's model calls can cost is said before it begins: on its card, or as why it cannot be followed."""

import json
from itertools import pairwise
from pathlib import Path

import pytest

from freehold.kernel.grades import Category, Grade
from freehold.runtime.job import Limits
from freehold.testing.brains import Reply, Scripted
from freehold.testing.estates import ThrowawayEstate
from freehold.testing.processes import until
from tests.agent.conftest import assistant, hire, papers, serve
from tests.agent.test_origins import waiting
from tests.runtime.conftest import ended

NAMES = ["list", "note0", "note1", "note2", "note3"]
NODES = [
    {"id": "list", "does": {"do": "use", "tool": "source.list", "args": {"source": "papers"}}},
    *(
        {"id": name, "does": {"do": "write", "instruction": "One line.", "texts": [{"$from": before}]}}
        for before, name in pairwise(NAMES)
    ),
]


def proposes(tokens: int) -> Scripted:
    plan = Reply(json.dumps({"nodes": NODES, "result": "note0"}), tokens=(tokens - 100, 100))
    return Scripted([plan, Reply("A line.", tokens=(200, 5))], by="call")


def limited(tokens: int) -> Limits:
    return Limits(money_micro=10**9, tokens=tokens, actions=10_000, cpu_us=10**12)


@pytest.mark.parametrize(("tokens", "short"), [(40_000, False), (20_000, True)])
async def test_the_card_of_a_plan_says_what_its_model_calls_can_cost_and_whether_that_is_left(
    estate: ThrowawayEstate, tmp_path: Path, tokens: int, short: bool
) -> None:
    with serve(proposes(1_000)) as server:
        job = await hire(estate, server, assistant(way="plan", limits=limited(tokens)))
        run = await estate.engine.start(job, {"papers": papers(tmp_path / "papers", a="yes")})
        await until(lambda: bool(waiting(estate)), 60)
        (facts,) = waiting(estate)
        assert facts.lines[0].name == "model calls"
        assert facts.lines[0].value.startswith("4 at most, up to 0.03")
        assert "tokens, and what the texts add that they read." in facts.lines[0].value
        assert ("That may be more than is left of the budget" in facts.lines[0].value) == short
        await estate.close()  # the plan that was fixed is the same after a restart, and so is its card
        await estate.open()
        assert waiting(estate) == [facts]
        (card,) = estate.rooms.cards.waiting(estate.rooms.ledger.now_us())
        await estate.decide(card, "card.approve")
        document = await estate.engine.wait(run)
    assert document.state == "done", ended(estate, run)


async def test_a_plan_with_a_call_that_cannot_be_paid_ends_before_it_begins_and_says_which_limit_to_raise(
    estate: ThrowawayEstate, tmp_path: Path
) -> None:
    with serve(proposes(9_000)) as server:
        job = assistant(way="plan", limits=limited(12_000), grades={Category.PLAN: Grade.ACT})
        job = await hire(estate, server, job)
        run = await estate.engine.start(job, {"papers": papers(tmp_path / "papers", a="yes")})
        document = await estate.engine.wait(run)
        calls = len(server.calls)
    assert (document.state, calls) == ("failed", 1)
    said = ended(estate, run)
    assert "cannot be followed to its end (node 'note0' asks a model)" in said
    assert "3,000 tokens is left" in said
    assert "Raise `budget.run` in jobs/assistant.md" in said


BESIDE = [
    NODES[0],
    *(
        {"id": name, "does": {"do": "write", "instruction": "One line.", "texts": [{"$from": "list"}]}}
        for name in NAMES[1:]
    ),
]


@pytest.mark.parametrize("tokens", [12_000, 10_000])
async def test_writers_side_by_side_wait_for_each_other_where_the_budget_bears_them_one_after_the_other(
    estate: ThrowawayEstate, tmp_path: Path, tokens: int
) -> None:
    plan = Reply(json.dumps({"nodes": BESIDE, "result": "note0"}), tokens=(900, 100))
    with serve(Scripted([plan, Reply("A line.", tokens=(200, 5))], by="call")) as server:
        job = assistant(way="plan", limits=limited(tokens), grades={Category.PLAN: Grade.ACT})
        job = await hire(estate, server, job)
        run = await estate.engine.start(job, {"papers": papers(tmp_path / "papers", a="yes")})
        document = await estate.engine.wait(run)
        calls = len(server.calls)
    assert document.state == "done", ended(estate, run)
    assert calls == 1 + len(NAMES[1:])
    bill = estate.rooms.budget.bill(run, estate.rooms.ledger.now_us())
    assert (bill.spent.tokens, bill.reserved.tokens) == (1_000 + 4 * 205, 0)


async def test_a_writer_that_the_budget_does_not_bear_even_alone_does_not_wait_for_ever(
    estate: ThrowawayEstate, tmp_path: Path
) -> None:
    plan = Reply(json.dumps({"nodes": BESIDE, "result": "note0"}), tokens=(900, 100))
    with serve(Scripted([plan, Reply("A line.", tokens=(2_000, 5))], by="call")) as server:
        job = assistant(way="plan", limits=limited(10_000), grades={Category.PLAN: Grade.ACT})
        job = await hire(estate, server, job)
        run = await estate.engine.start(job, {"papers": papers(tmp_path / "papers", a="yes")})
        document = await estate.engine.wait(run)
    bill = estate.rooms.budget.bill(run, estate.rooms.ledger.now_us())
    assert document.ended_us > 0
    assert "tokens is left" in ended(estate, run)
    assert bill.spent.tokens == 1_000 + 2 * 2_005
    assert bill.reserved.tokens == 0
