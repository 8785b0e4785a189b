"""Each kind of effect after each thing that can have become of an earlier attempt (DESIGN, "Intent and result")."""

import asyncio
from pathlib import Path

import pytest

from freehold.base import Refused, SystemClock
from freehold.kernel.origins import Origins
from freehold.kernel.said import Said
from freehold.kernel.scope import Scope
from freehold.kernel.settle import HAPPENED, NOT_HAPPENED
from freehold.kernel.tools import EffectKind, Face, Intent, Outcome, Role
from freehold.kernel.wording import fold
from freehold.store.interface import Cost, EntryKind
from freehold.testing.processes import until
from tests.gate.desk import DONE, KINDS, NOT_DONE, REPEATED, UNKNOWN, Counting, Desk, Killed, a_tool, forever


class Wound:
    """A clock that a test sets forward."""

    def __init__(self) -> None:
        self.ahead_us = 0

    def now_us(self) -> int:
        return SystemClock().now_us() + self.ahead_us

    def monotonic_s(self) -> float:
        return SystemClock().monotonic_s()


async def left_open(desk: Desk, kind: EffectKind) -> Scope:
    """Begin an effect and end the process before its outcome is written."""
    scope, effect = await desk.scope(), Counting(Killed())
    with pytest.raises(Killed):
        await desk.perform(scope, a_tool(kind), effect)
    assert effect.calls == 1
    await desk.restart()
    return desk.again(scope)


def asked(*answers: Outcome) -> Counting:
    return Counting(*answers)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_finished_action_answers_from_its_record_without_an_effect(
    desk: Desk, kind: EffectKind
) -> None:
    scope, effect = await desk.scope(), Counting()
    first = await desk.perform(scope, a_tool(kind), effect)
    await desk.restart()
    again = await desk.perform(desk.again(scope), a_tool(kind), effect)
    assert (again.status, again.value, again.replayed) == ("done", b'{"n":1}', True)
    assert (again.intent_index, again.result_index) == (first.intent_index, first.result_index)
    assert effect.calls == 1
    assert desk.spent(scope) == (1, 0)


@pytest.mark.parametrize("kind", KINDS)
async def test_an_action_that_was_not_done_is_tried_anew_and_its_budget_was_given_back(
    desk: Desk, kind: EffectKind
) -> None:
    scope, effect = await desk.scope(), Counting(NOT_DONE, DONE)
    assert (await desk.perform(scope, a_tool(kind), effect)).status == "not_done"
    assert desk.spent(scope) == (0, 0)
    again = await desk.perform(scope, a_tool(kind), effect)
    assert (again.status, again.attempt) == ("done", 2)
    assert [intent.attempt for intent in effect.intents] == [1, 2]
    assert desk.spent(scope) == (1, 0)


@pytest.mark.parametrize("kind", REPEATED)
async def test_what_may_be_repeated_is_done_again_under_the_same_id_after_a_restart(
    desk: Desk, kind: EffectKind
) -> None:
    scope, effect = await left_open(desk, kind), Counting()
    assert desk.spent(scope) == (0, 1)
    again = await desk.perform(scope, a_tool(kind), effect)
    assert (again.status, again.attempt, effect.calls) == ("done", 2, 1)
    assert desk.spent(scope) == (2, 0)
    statuses = [entry.draft.status for entry in desk.entries(scope, EntryKind.RESULT)]
    assert statuses == ["redone", "done"]
    assert desk.rooms.store.open_intents() == []


@pytest.mark.parametrize(
    ("ahead_us", "least_us", "most_us"),
    [
        (0, 1, 1_000_000_000),
        (10_800_000_000, 7_000_000_000, 7_000_000_000),
        (-10_800_000_000, 7_000_000_000, 7_000_000_000),
    ],
    ids=["at once", "three hours later", "the clock set back"],
)
async def test_cpu_that_nobody_measured_is_charged_as_the_most_that_can_have_been_used_since(
    tmp_path: Path, ahead_us: int, least_us: int, most_us: int
) -> None:
    clock = Wound()
    (tmp_path / "estate").mkdir()
    desk = await Desk(tmp_path / "estate", clock=clock).open()
    tool = a_tool(EffectKind.IDEMPOTENT, max_cost=lambda args: Cost(actions=1, cpu_us=7_000_000_000))
    scope = await desk.scope()
    with pytest.raises(Killed):
        await desk.perform(scope, tool, Counting(Killed()))
    await desk.restart()
    clock.ahead_us = ahead_us
    scope = desk.again(scope)
    done = Counting(Outcome("done", b"1", spent=Cost(actions=1)))
    assert (await desk.perform(scope, tool, done)).status == "done"
    bill = desk.rooms.budget.bill(scope.run, desk.rooms.ledger.now_us())
    assert least_us <= bill.spent.cpu_us <= most_us
    assert bill.reserved == Cost()
    await desk.close()


@pytest.mark.parametrize("kind", REPEATED)
async def test_what_may_be_repeated_is_done_again_when_nobody_answered(desk: Desk, kind: EffectKind) -> None:
    scope, effect = await desk.scope(), Counting(UNKNOWN, DONE)
    assert (await desk.perform(scope, a_tool(kind), effect)).status == "unknown"
    again = await desk.perform(scope, a_tool(kind), effect)
    assert (again.status, again.attempt) == ("done", 2)
    assert [intent.action for intent in effect.intents] == [again.action] * 2
    assert desk.spent(scope) == (2, 0)


async def test_a_key_is_not_used_again_once_the_other_side_has_forgotten_it(tmp_path: Path) -> None:
    clock = Wound()
    folder = tmp_path / "estate"
    folder.mkdir()
    desk = await Desk(folder, clock=clock).open()
    tool = a_tool(EffectKind.KEYED, key_ttl_s=3_600)
    scope, effect = await desk.scope(), Counting(UNKNOWN, UNKNOWN, DONE)
    assert (await desk.perform(scope, tool, effect)).status == "unknown"
    clock.ahead_us += 2_400_000_000
    assert (await desk.perform(scope, tool, effect)).status == "unknown"
    clock.ahead_us += 2_400_000_000  # young since the second attempt, old since the first
    assert (await desk.perform(scope, tool, effect)).status == "parked"
    assert effect.calls == 2
    await desk.close()


async def after_unknown(desk: Desk, scope: Scope, effect: Counting, answer: str) -> Scope:
    """Answer the card about an unknown outcome, live or after a restart."""
    parked = await desk.perform(scope, a_tool(EffectKind.ONCE), effect)
    card = desk.card()
    assert (parked.status, parked.card) == ("parked", card.id)
    assert "Outcome unknown" in desk.rooms.cards.show(card).facts.title
    assert (await desk.perform(scope, a_tool(EffectKind.ONCE), effect)).status == "parked"
    await desk.decide(card, "card.answer", {"value": answer})
    return scope


@pytest.mark.parametrize("live", [True, False])
async def test_what_may_happen_once_waits_for_a_human_who_says_that_it_happened(
    desk: Desk, live: bool
) -> None:
    effect = Counting(UNKNOWN, DONE)
    scope = await desk.scope() if live else await left_open(desk, EffectKind.ONCE)
    calls = 1 if live else 0
    await after_unknown(desk, scope, effect, HAPPENED)
    assert desk.spent(scope) == (0, 1)
    record = await desk.perform(scope, a_tool(EffectKind.ONCE), effect)
    assert (record.status, effect.calls) == ("done", calls)
    assert desk.spent(scope) == (1, 0)
    again = await desk.perform(scope, a_tool(EffectKind.ONCE), effect)
    assert (again.status, again.replayed, effect.calls) == ("done", True, calls)
    last = desk.entries(scope, EntryKind.RESULT)[-1]
    assert desk.head(last)["by"] == "anna"


@pytest.mark.parametrize("live", [True, False])
async def test_what_may_happen_once_is_tried_anew_when_a_human_says_that_it_did_not(
    desk: Desk, live: bool
) -> None:
    effect = Counting(UNKNOWN, DONE) if live else Counting()
    scope = await desk.scope() if live else await left_open(desk, EffectKind.ONCE)
    await after_unknown(desk, scope, effect, NOT_HAPPENED)
    record = await desk.perform(scope, a_tool(EffectKind.ONCE), effect)
    assert (record.status, record.attempt, effect.calls) == ("done", 2, 2 if live else 1)
    assert desk.rooms.store.open_intents() == []


@pytest.mark.parametrize("live", [True, False])
@pytest.mark.parametrize("answer", [DONE, NOT_DONE, UNKNOWN])
async def test_what_can_be_asked_after_is_asked_and_not_repeated_blindly(
    desk: Desk, live: bool, answer: Outcome
) -> None:
    question, effect = asked(answer, DONE), Counting(UNKNOWN, DONE) if live else Counting()
    scope = await desk.scope() if live else await left_open(desk, EffectKind.RECONCILABLE)
    tool = a_tool(EffectKind.RECONCILABLE, reconcile=question)
    record = await desk.perform(scope, tool, effect)
    expected = answer.status if live or answer is not NOT_DONE else "done"
    assert record.status == expected
    assert effect.calls == (1 if live else int(answer is NOT_DONE))
    if record.status == "unknown":
        assert desk.spent(scope) == (0, 1)
    again = await desk.perform(scope, tool, effect)
    assert again.status == "done"
    assert desk.spent(scope)[1] == 0
    assert desk.rooms.store.open_intents() == []


async def test_what_was_written_under_strangers_is_remembered_also_where_it_is_found_done_after_a_crash(
    desk: Desk,
) -> None:
    words = "Pay the new account from now on."
    tool = a_tool(
        EffectKind.RECONCILABLE, reconcile=asked(DONE), face=Face("Note it.", {}, {"text": Role.CONTENT})
    )

    def under_strangers(scope: Scope) -> Scope:
        scope.origins = Origins(Said())
        scope.origins.steered = True
        return scope

    scope = under_strangers(await desk.scope())
    with pytest.raises(Killed):
        await desk.perform(scope, tool, Counting(Killed()), text=words)
    await desk.restart()
    assert not desk.rooms.hearsay.holds(fold(words))
    record = await desk.perform(under_strangers(desk.again(scope)), tool, Counting(), text=words)
    assert record.status == "done"
    assert desk.rooms.hearsay.holds(fold(words))


async def test_absent_counts_only_after_the_settle_time(tmp_path: Path) -> None:
    clock = Wound()
    folder = tmp_path / "estate"
    folder.mkdir()
    desk = await Desk(folder, clock=clock).open()

    async def absent(intent: Intent) -> Outcome:
        clock.ahead_us += 20_000_000
        return NOT_DONE

    question = Counting(absent)
    tool = a_tool(EffectKind.RECONCILABLE, reconcile=question, settle_s=30)
    scope, effect = await desk.scope(), Counting(UNKNOWN, DONE)
    record = await desk.perform(scope, tool, effect)
    assert (record.status, question.calls) == ("not_done", 3)
    await desk.close()


async def test_a_settled_effect_is_not_settled_twice_when_its_second_attempt_is_refused(desk: Desk) -> None:
    scope = await left_open(desk, EffectKind.RECONCILABLE)
    tool = a_tool(EffectKind.RECONCILABLE, reconcile=asked(NOT_DONE))
    rooms = desk.rooms
    freeze = rooms.freezes.freeze("estate", "stop", by="anna", at_us=rooms.ledger.now_us())
    await desk.commit(freeze)
    effect = Counting()
    for _ in range(2):
        assert (await desk.perform(scope, tool, effect)).code == "refused.frozen"
    await desk.commit(rooms.freezes.thaw("estate", by="anna"))
    assert (await desk.perform(scope, tool, effect)).status == "done"
    assert effect.calls == 1


@pytest.mark.parametrize("before", [DONE, NOT_DONE, UNKNOWN])
async def test_the_same_id_with_other_contents_is_refused_as_diverged(desk: Desk, before: Outcome) -> None:
    scope, effect = await desk.scope(), Counting(before, DONE)
    tool = a_tool(EffectKind.IDEMPOTENT)
    await desk.perform(scope, tool, effect)
    other = await desk.perform(scope, tool, effect, to="scanner")
    assert (other.status, other.code.partition(".")[0], effect.calls) == ("refused", "refused", 1)
    assert "other contents" in other.message
    other = await desk.perform(scope, tool, effect, blob=b"something else")
    assert (other.status, effect.calls) == ("refused", 1)


async def test_a_twin_that_comes_while_the_action_is_under_way_is_refused(desk: Desk) -> None:
    scope, effect = await desk.scope(), forever()
    first = asyncio.create_task(desk.perform(scope, a_tool(EffectKind.ONCE), effect))
    await until(lambda: effect.calls == 1)
    twin = await desk.perform(scope, a_tool(EffectKind.ONCE), effect)
    assert (twin.status, effect.calls) == ("refused", 1)
    assert "under way" in twin.message
    first.cancel()
    await asyncio.wait([first])


async def test_an_effect_that_is_cancelled_is_unknown_and_keeps_its_reservation(desk: Desk) -> None:
    scope, effect = await desk.scope(), forever()
    task = asyncio.create_task(desk.perform(scope, a_tool(EffectKind.ONCE), effect))
    await until(lambda: effect.calls == 1)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    (result,) = desk.entries(scope, EntryKind.RESULT)
    assert result.draft.status == "unknown"
    assert desk.spent(scope) == (0, 1)


async def test_an_effect_that_does_not_answer_in_time_is_unknown(desk: Desk) -> None:
    scope, effect = await desk.scope(), forever()
    record = await desk.perform(scope, a_tool(EffectKind.IDEMPOTENT, timeout_s=0.01), effect)
    assert (record.status, record.message) == ("unknown", "There was no answer within 0.01 s.")


@pytest.mark.parametrize("error", [ValueError("odd"), OSError("gone"), Refused("no")])
async def test_an_effect_that_breaks_off_is_unknown(desk: Desk, error: Exception) -> None:
    scope = await desk.scope()
    record = await desk.perform(scope, a_tool(EffectKind.IDEMPOTENT), Counting(error))
    assert record.status == "unknown"
    assert desk.spent(scope) == (0, 1)


async def test_where_an_effect_broke_off_is_logged_without_its_words(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    await desk.perform(
        await desk.scope(), a_tool(EffectKind.IDEMPOTENT), Counting(ValueError("anna's salary"))
    )
    assert "desk.py" in caplog.text
    assert "ValueError" in caplog.text
    assert "salary" not in caplog.text


async def test_a_read_that_was_lost_is_charged_as_reserved_and_holds_nothing(desk: Desk) -> None:
    scope = await desk.scope()
    record = await desk.perform(scope, a_tool(EffectKind.READ), Counting(UNKNOWN, UNKNOWN, OSError("gone")))
    assert record.status == "unknown"
    record = await desk.perform(
        scope, a_tool(EffectKind.READ), Counting(OSError("gone")), ordinal=2, max_cost=Cost(actions=3)
    )
    assert desk.spent(scope)[0] >= 3
