"""Between the INTENT and the effect, and around the two commits: what stops an effect, and what it gives back."""

import asyncio
from collections.abc import Callable

import pytest

from freehold.base import StoreFailed
from freehold.kernel.books import Books
from freehold.kernel.budget import rebuild
from freehold.kernel.grades import Category, Grade
from freehold.kernel.limits import Limit
from freehold.kernel.tools import EffectKind
from freehold.store.interface import Cost, EntryKind
from freehold.testing.estates import AGENT, OWNER
from tests.gate.desk import DONE, JOB, NOT_DONE, SENDS, Counting, Desk, a_tool

ASK = {Category.SEND: Grade.ASK}


def frozen(desk: Desk, scope: str = "estate") -> Callable[[], None]:
    """Return a move that freezes at once, as a person's command does before it is durable."""
    rooms = desk.rooms

    def freeze() -> None:
        rooms.freezes.freeze(scope, "stop", by=OWNER, at_us=rooms.ledger.now_us())

    return freeze


@pytest.mark.parametrize("scope", ["estate", f"agent:{AGENT}", f"job:{JOB}", "tool:tool.call"])
async def test_a_freeze_between_intent_and_effect_stops_the_effect_and_gives_the_budget_back(
    desk: Desk, scope: str
) -> None:
    run, effect = await desk.scope(), Counting()
    desk.during_commit(EntryKind.INTENT, frozen(desk, scope))
    record = await desk.perform(run, a_tool(EffectKind.ONCE), effect)
    assert (record.status, record.code, effect.calls) == ("refused", "refused.frozen", 0)
    assert desk.spent(run) == (0, 0)
    (result,) = desk.entries(run, EntryKind.RESULT)
    assert result.draft.status == "not_done"
    assert desk.rooms.store.open_intents() == []


async def test_a_freeze_between_intent_and_effect_gives_the_approval_back(desk: Desk) -> None:
    run, effect = await desk.scope(grades=ASK), Counting()
    assert (await desk.perform(run, SENDS, effect)).status == "parked"
    await desk.decide(desk.card(), "card.approve")
    desk.during_commit(EntryKind.INTENT, frozen(desk))
    assert (await desk.perform(run, SENDS, effect)).code == "refused.frozen"
    rooms = desk.rooms
    await desk.commit(rooms.freezes.freeze("estate", "stop", by=OWNER, at_us=rooms.ledger.now_us()))
    await desk.commit(rooms.freezes.thaw("estate", by=OWNER))
    assert (await desk.perform(run, SENDS, effect)).status == "done"
    assert effect.calls == 1


async def test_authority_withdrawn_between_intent_and_effect_stops_the_effect(desk: Desk) -> None:
    run, effect = await desk.scope(), Counting()
    rooms = desk.rooms
    dismissal = rooms.rules.employ(JOB, AGENT, (), by=OWNER)

    def dismiss() -> None:
        for move in dismissal.after:
            move()

    desk.during_commit(EntryKind.INTENT, dismiss)
    record = await desk.perform(run, a_tool(EffectKind.ONCE), effect)
    assert (record.status, record.code, effect.calls) == ("refused", "refused.rule", 0)
    assert "may" in record.remedy
    assert desk.spent(run) == (0, 0)


async def test_an_agent_that_is_retired_between_intent_and_effect_does_nothing(desk: Desk) -> None:
    run, effect = await desk.scope(), Counting()
    retirement = desk.rooms.registry.retire(AGENT, by=OWNER)

    def retire() -> None:
        for move in retirement.after:
            move()

    desk.during_commit(EntryKind.INTENT, retire)
    record = await desk.perform(run, a_tool(EffectKind.ONCE), effect)
    assert (record.status, effect.calls) == ("refused", 0)


async def test_a_change_that_takes_nothing_away_does_not_stop_the_effect(desk: Desk) -> None:
    run, effect = await desk.scope(), Counting()
    desk.during_commit(EntryKind.INTENT, frozen(desk, "job:another"))
    assert (await desk.perform(run, a_tool(EffectKind.ONCE), effect)).status == "done"
    assert effect.calls == 1


async def test_a_frozen_action_never_begins(desk: Desk) -> None:
    run, effect = await desk.scope(), Counting()
    frozen(desk)()
    record = await desk.perform(run, a_tool(EffectKind.READ), effect)
    assert (record.code, effect.calls) == ("refused.frozen", 0)
    assert desk.entries(run, EntryKind.INTENT) == []
    assert "freehold thaw" in record.remedy


async def test_a_finished_action_answers_while_everything_is_frozen(desk: Desk) -> None:
    run, effect = await desk.scope(), Counting()
    await desk.perform(run, a_tool(EffectKind.ONCE), effect)
    frozen(desk)()
    assert (await desk.perform(run, a_tool(EffectKind.ONCE), effect)).replayed


async def test_doing_it_again_is_judged_by_the_authority_of_now(desk: Desk) -> None:
    run, effect = await desk.scope(), Counting(NOT_DONE, DONE)
    await desk.perform(run, a_tool(EffectKind.IDEMPOTENT), effect)
    await desk.commit(desk.rooms.rules.employ(JOB, AGENT, (), by=OWNER))
    assert (await desk.perform(run, a_tool(EffectKind.IDEMPOTENT), effect)).code == "refused.rule"
    assert effect.calls == 1


async def test_an_owner_who_leaves_takes_the_agents_rights_along(desk: Desk) -> None:
    run, effect = await desk.scope(), Counting()
    await desk.hire("bob")
    await desk.commit(desk.rooms.registry.retire(OWNER, by="bob"))
    record = await desk.perform(run, a_tool(EffectKind.READ), effect)
    assert (record.status, effect.calls) == ("refused", 0)
    assert OWNER in record.message or "owner" in record.message


async def test_the_intent_names_who_acts_by_which_rule_and_what_it_may_cost(desk: Desk) -> None:
    run = await desk.scope()
    await desk.perform(run, a_tool(EffectKind.ONCE), Counting(), max_cost=Cost(actions=2, money_micro=5))
    intent, result = desk.entries(run, EntryKind.INTENT, EntryKind.RESULT)
    head = desk.head(intent)
    assert head["who"] == {"agent": AGENT, "owner": OWNER}
    assert head["cost"] == {"actions": 2, "money_micro": 5}
    assert head["rules"]
    assert desk.head(result)["intent"] == intent.draft.leaf.hex()
    assert "printer" not in intent.draft.body.decode()  # what was asked is sealed
    assert desk.said(intent)["args"] == {"to": "printer"}


# ---- the two commits -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [EntryKind.INTENT, EntryKind.RESULT])
async def test_a_failed_commit_shuts_the_gate_until_its_state_was_read_again(
    desk: Desk, kind: EntryKind
) -> None:
    run, effect = await desk.scope(), Counting()

    def fail() -> None:
        raise StoreFailed("The disk is full.")

    desk.during_commit(kind, fail)
    with pytest.raises(StoreFailed):
        await desk.perform(run, a_tool(EffectKind.IDEMPOTENT), effect)
    entered = int(kind is EntryKind.RESULT)
    for _ in range(2):
        with pytest.raises(StoreFailed):
            await desk.perform(run, a_tool(EffectKind.IDEMPOTENT), effect, ordinal=2)
    assert effect.calls == entered
    await desk.estate.kernel.reopen()
    run = desk.again(run)
    assert (await desk.perform(run, a_tool(EffectKind.IDEMPOTENT), effect)).status == "done"
    assert desk.rooms.store.open_intents() == []
    assert books(desk) == rebuilt(desk)


Charged = tuple[dict[str, Cost], list[tuple[str, int]]]


def books(desk: Desk) -> Charged:
    return _charged(desk.rooms.budget._books)


def rebuilt(desk: Desk) -> Charged:
    return _charged(rebuild(desk.rooms.store)[0])


def _charged(found: Books) -> Charged:
    return {name: account.charged for name, account in found.named.items()}, sorted(found.holds)


@pytest.mark.parametrize("turns", range(12))
async def test_the_books_never_hold_less_than_the_journal_says_whenever_a_caller_is_cancelled(
    desk: Desk, turns: int
) -> None:
    """A caller goes away after any number of turns of the loop: before, in and after either commit.

    Who goes away in a commit cannot know how it ended, so memory keeps the reservation until a restart.
    """
    run, effect = await desk.scope(grades=ASK), Counting()
    await desk.perform(run, SENDS, effect)
    await desk.decide(desk.card(), "card.approve")
    crowd = [
        asyncio.create_task(desk.perform(run, a_tool(EffectKind.IDEMPOTENT), Counting(), ordinal=number))
        for number in range(2, 6)
    ]
    task = asyncio.create_task(desk.perform(run, SENDS, effect))
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task, *crowd])
    await desk.commit(desk.rooms.freezes.freeze("job:another", "", by=OWNER, at_us=1))
    (ours, held), (theirs, open_) = books(desk), rebuilt(desk)
    assert set(held) >= set(open_)
    assert all(ours[name].actions >= charged.actions for name, charged in theirs.items())
    await desk.restart()
    assert books(desk) == rebuilt(desk)
    run = desk.again(run)
    record = await desk.perform(run, SENDS, effect)
    if effect.calls == 0:
        record = await desk.perform(run, SENDS, effect)
    assert record.status in ("done", "parked")
    assert effect.calls <= 1


async def test_a_limit_is_met_before_the_effect_and_the_refusal_says_which(desk: Desk) -> None:
    limits = (Limit("run", "actions", 2, "`budget.run.actions` in the job file"),)
    run, effect = await desk.scope(limits=limits), Counting()
    for ordinal in (1, 2):
        assert (await desk.perform(run, a_tool(EffectKind.READ), effect, ordinal=ordinal)).status == "done"
    record = await desk.perform(run, a_tool(EffectKind.READ), effect, ordinal=3)
    assert (record.status, record.code, effect.calls) == ("refused", "refused.budget", 2)
    assert "budget.run.actions" in record.remedy


async def test_a_human_without_rights_gives_none_to_the_agent(desk: Desk) -> None:
    await desk.hire("carl")
    await desk.commit(desk.rooms.registry.change_agent(AGENT, owner="carl", by=OWNER))
    run, effect = await desk.scope(), Counting()
    record = await desk.perform(run, a_tool(EffectKind.READ), effect)
    assert (record.code, effect.calls) == ("refused.rule", 0)
