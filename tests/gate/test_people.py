"""Grades, cards and grants at the gate: what people are asked, and what their word is good for."""

import asyncio
from typing import Any

import pytest

from freehold.base import Refused
from freehold.kernel.grades import Category, Grade
from freehold.kernel.labels import Confidentiality, Integrity, Label
from freehold.kernel.rights import right
from freehold.kernel.scope import ApprovalRule, Scope
from freehold.store.interface import EntryKind
from freehold.testing.estates import AGENT, OWNER
from tests.gate.desk import DONE, HOUR_US, JOB, NOT_DONE, SENDS, UNKNOWN, Counting, Desk, action_of
from tests.gate.test_states import Wound

STRANGERS = Label(Integrity.STRANGER, Confidentiality.INTERNAL, ("web:example.org",))


def graded(grade: Grade) -> dict[Category, Grade]:
    return {Category.SEND: grade}


async def asked(desk: Desk, effect: Counting, **scope: Any) -> Scope:
    """Ask for something that needs an approval."""
    run = await desk.scope(grades=graded(Grade.ASK), **scope)
    record = await desk.perform(run, SENDS, effect)
    assert (record.status, record.card) == ("parked", desk.card().id)
    return run


# ---- grades ----------------------------------------------------------------------------------------------


async def test_what_is_only_proposed_is_never_done_and_is_listed(desk: Desk) -> None:
    run, effect = await desk.scope(grades=graded(Grade.PROPOSE)), Counting()
    for _ in range(2):
        record = await desk.perform(run, SENDS, effect)
        assert record.status == "proposed"
    assert effect.calls == 0
    (report,) = desk.reports()
    assert (report["status"], report["action"]) == ("proposed", action_of(run))
    (entry,) = desk.entries(run, EntryKind.REFUSAL)
    assert (entry.draft.status, desk.said(entry)["asked"]) == ("proposed", {"to": "printer"})
    assert desk.spent(run) == (0, 0)


async def test_what_is_done_and_reported_is_listed_until_somebody_has_read_it(desk: Desk) -> None:
    run, effect = await desk.scope(grades=graded(Grade.ACT_AND_REPORT)), Counting()
    assert (await desk.perform(run, SENDS, effect)).status == "done"
    (report,) = desk.reports()
    assert (report["status"], report["agent"], report["job"]) == ("done", AGENT, JOB)
    assert "printer" not in str(report)  # what it did is sealed
    (document,) = desk.rooms.store.documents("report", state="unread")
    assert document.key == action_of(run)


async def test_an_agent_that_may_act_asks_nobody_and_is_not_listed(desk: Desk) -> None:
    run, effect = await desk.scope(grades=graded(Grade.ACT)), Counting()
    assert (await desk.perform(run, SENDS, effect)).status == "done"
    assert (desk.reports(), desk.cards()) == ([], [])


async def test_a_category_that_the_job_does_not_name_is_asked_for(desk: Desk) -> None:
    run, effect = await desk.scope(), Counting()
    assert (await desk.perform(run, SENDS, effect)).status == "parked"
    assert effect.calls == 0


async def test_the_estates_ceiling_holds_back_what_a_job_allows(desk: Desk) -> None:
    ceiling = desk.rooms.settings.change({"grade_ceiling": {"send": "propose"}}, by=OWNER)
    await desk.commit(ceiling)
    run, effect = await desk.scope(grades=graded(Grade.ACT)), Counting()
    assert (await desk.perform(run, SENDS, effect)).status == "proposed"
    assert effect.calls == 0


# ---- approvals -------------------------------------------------------------------------------------------


async def test_an_approval_lets_the_very_action_through_once(desk: Desk) -> None:
    effect = Counting()
    run = await asked(desk, effect)
    await desk.decide(desk.card(), "card.approve")
    record = await desk.perform(run, SENDS, effect)
    assert (record.status, effect.calls) == ("done", 1)
    (intent,) = desk.entries(run, EntryKind.INTENT)
    head = desk.head(intent)
    assert (head["approver"], head["grade"]) == (["anna"], "ask")
    other = await desk.perform(run, SENDS, effect, ordinal=2)
    assert (other.status, effect.calls) == ("parked", 1)


async def test_an_approval_survives_a_restart_before_and_after_the_decision(desk: Desk) -> None:
    effect = Counting()
    run = await asked(desk, effect)
    await desk.restart()
    await desk.decide(desk.card(), "card.approve")
    await desk.restart()
    assert (await desk.perform(desk.again(run), SENDS, effect)).status == "done"
    assert effect.calls == 1


async def test_silence_is_never_consent(desk: Desk) -> None:
    effect = Counting()
    run = await asked(desk, effect)
    for _ in range(3):
        assert (await desk.perform(run, SENDS, effect)).status == "parked"
    assert effect.calls == 0


async def test_a_denial_refuses_with_its_reason_and_is_not_asked_again(desk: Desk) -> None:
    effect = Counting()
    run = await asked(desk, effect)
    await desk.decide(desk.card(), "card.deny", {"reason": "Not this month."})
    for _ in range(2):
        record = await desk.perform(run, SENDS, effect)
        assert (record.status, record.code) == ("refused", "refused.card.denied")
        assert "anna denied it" in record.message
    assert (effect.calls, desk.cards()) == (0, [])


async def test_what_was_edited_is_what_is_done_and_both_are_in_the_journal(desk: Desk) -> None:
    effect = Counting()
    run = await asked(desk, effect)
    args = {"to": "scanner"}
    digest = desk.digest(run, SENDS, **args)
    await desk.decide(desk.card(), "card.approve", {"args": args}, edited=digest)
    record = await desk.perform(run, SENDS, effect)
    assert record.status == "done"
    (intent,) = effect.intents
    assert intent.args == args
    assert intent.prepared.data == b"to scanner by " + record.action.encode()
    (entry,) = desk.entries(run, EntryKind.INTENT)
    head = desk.head(entry)
    assert head["sent"] == digest != head["digest"]
    assert desk.said(entry)["args"] == args
    notes = [
        desk.said(note) for note in desk.entries(run, EntryKind.NOTE) if b"card.approved" in note.draft.body
    ]
    assert [(note["asked"], note["content"]["args"]) for note in notes] == [({"to": "printer"}, args)]
    assert (await desk.perform(run, SENDS, effect)).replayed


async def test_an_edit_is_judged_like_any_other_action(desk: Desk) -> None:
    effect = Counting()
    run = await asked(desk, effect)
    args = {"to": "safe"}
    digest = desk.digest(run, SENDS, **args)
    await desk.decide(desk.card(), "card.approve", {"args": args}, edited=digest)
    record = await desk.perform(run, SENDS, effect)
    assert (record.code, effect.calls) == ("refused.rule", 0)


async def test_an_edit_after_an_unknown_outcome_is_still_the_edit(desk: Desk) -> None:
    effect = Counting(UNKNOWN, DONE)
    run = await asked(desk, effect)
    args = {"to": "scanner"}
    await desk.decide(desk.card(), "card.approve", {"args": args}, edited=desk.digest(run, SENDS, **args))
    assert (await desk.perform(run, SENDS, effect)).status == "parked"
    await desk.decide(desk.card(), "card.answer", {"value": "it did not happen"})
    assert (await desk.perform(run, SENDS, effect)).status == "done"
    assert [intent.args for intent in effect.intents] == [args, args]


async def test_an_effect_that_was_not_done_gives_its_approval_back(desk: Desk) -> None:
    effect = Counting(NOT_DONE, DONE)
    run = await asked(desk, effect)
    await desk.decide(desk.card(), "card.approve")
    assert (await desk.perform(run, SENDS, effect)).status == "not_done"
    assert (await desk.perform(run, SENDS, effect)).status == "done"
    assert (effect.calls, desk.cards()) == (2, [])


async def test_an_approval_that_was_used_is_not_used_again(desk: Desk) -> None:
    effect = Counting(UNKNOWN)
    run = await asked(desk, effect)
    card = desk.card()
    await desk.decide(card, "card.approve")
    assert (await desk.perform(run, SENDS, effect)).status == "parked"
    assert desk.rooms.cards.get(card.id).state == "consumed"
    with pytest.raises(Refused):
        desk.rooms.cards.consume(
            card.id, card.sends, 0, (desk.rooms.rules.version_for(card.agent, card.job, card.owner), "")
        )


async def test_an_approval_expires(tmp_path: Any) -> None:
    clock = Wound()
    (tmp_path / "estate").mkdir()
    desk = await Desk(tmp_path / "estate", clock=clock).open()
    effect = Counting()
    run = await asked(desk, effect, approval=ApprovalRule(expires_us=HOUR_US))
    await desk.decide(desk.card(), "card.approve")
    clock.ahead_us += 2 * HOUR_US
    record = await desk.perform(run, SENDS, effect)
    assert (record.code, effect.calls) == ("refused.card.expired", 0)
    await desk.close()


@pytest.mark.parametrize("what", ["rules", "policy", "approver"])
async def test_an_approval_goes_stale_and_is_asked_again(desk: Desk, what: str) -> None:
    effect = Counting()
    run = await asked(desk, effect)
    first = desk.card()
    await desk.decide(first, "card.approve")
    if what == "rules":
        await desk.commit(desk.rooms.rules.allow(OWNER, right("tool.call", "door"), by=OWNER))
    elif what == "policy":
        run.policy_digest = "1" * 64
    else:
        await desk.hire("bob")
        await desk.commit(desk.rooms.registry.change_agent(AGENT, owner="bob", by=OWNER))
    record = await desk.perform(run, SENDS, effect)
    if what == "approver":  # bob may nothing, so his agent may nothing
        assert record.code == "refused.rule"
    else:
        assert record.status == "parked"
        assert desk.card().id != first.id
    assert effect.calls == 0


async def test_the_word_of_one_who_has_left_is_worth_nothing(desk: Desk) -> None:
    effect = Counting()
    bob = await desk.hire("bob")
    run = await asked(desk, effect, approval=ApprovalRule(four_eyes=True))
    await desk.decide(desk.card(), "card.approve", by=bob)
    await desk.decide(desk.card(), "card.approve")
    await desk.commit(desk.rooms.registry.retire("bob", by=OWNER))
    await desk.hire("carl")
    record = await desk.perform(run, SENDS, effect)
    assert (record.status, effect.calls) == ("parked", 0)


async def test_four_eyes_are_those_of_two_people(desk: Desk) -> None:
    effect = Counting()
    bob = await desk.hire("bob")
    run = await asked(desk, effect, approval=ApprovalRule(four_eyes=True))
    await desk.decide(desk.card(), "card.approve")
    assert (await desk.perform(run, SENDS, effect)).status == "parked"
    with pytest.raises(Refused):
        await desk.decide(desk.card(), "card.approve")
    await desk.decide(desk.card(), "card.approve", by=bob)
    assert (await desk.perform(run, SENDS, effect)).status == "done"
    (intent,) = desk.entries(run, EntryKind.INTENT)
    assert sorted(desk.head(intent)["approver"]) == ["anna", "bob"]


async def test_an_approval_lifts_no_refusal(desk: Desk) -> None:
    effect = Counting()
    run = await asked(desk, effect)
    await desk.decide(desk.card(), "card.approve")
    rooms = desk.rooms
    await desk.commit(rooms.freezes.freeze("estate", "stop", by=OWNER, at_us=rooms.ledger.now_us()))
    assert (await desk.perform(run, SENDS, effect)).code == "refused.frozen"
    assert effect.calls == 0


# ---- grants ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("together", [False, True])
async def test_forty_equal_sends_need_one_grant_and_the_next_needs_a_card(desk: Desk, together: bool) -> None:
    grant, effect = await desk.grant(40), Counting()
    run = await desk.scope(grades=graded(Grade.ASK))
    asking = [desk.perform(run, SENDS, effect, ordinal=number) for number in range(1, 42)]
    if together:
        records = await asyncio.gather(*asking)
    else:
        records = [await one for one in asking]
    assert sorted(record.status for record in records) == ["done"] * 40 + ["parked"]
    assert effect.calls == 40
    assert len(desk.cards()) == 1
    assert desk.rooms.grants.left(grant.id) == 0
    heads = [desk.head(entry) for entry in desk.entries(run, EntryKind.INTENT)]
    assert {(head["grant"], *head["approver"]) for head in heads} == {(grant.id, OWNER)}
    await desk.restart()
    assert desk.rooms.grants.left(grant.id) == 0


async def test_a_grant_covers_what_it_names_alone(desk: Desk) -> None:
    await desk.grant(5, to="printer")
    run, effect = await desk.scope(grades=graded(Grade.ASK)), Counting()
    assert (await desk.perform(run, SENDS, effect, to="scanner")).status == "parked"
    assert effect.calls == 0


async def test_a_use_is_given_back_when_the_effect_was_not_done(desk: Desk) -> None:
    grant, effect = await desk.grant(1), Counting(NOT_DONE, DONE)
    run = await desk.scope(grades=graded(Grade.ASK))
    assert (await desk.perform(run, SENDS, effect)).status == "not_done"
    assert desk.rooms.grants.left(grant.id) == 1
    assert (await desk.perform(run, SENDS, effect, ordinal=2)).status == "done"


@pytest.mark.parametrize("grade", [Grade.ASK, Grade.ACT])
async def test_neither_grant_nor_grade_lifts_a_refusal_of_the_flow(desk: Desk, grade: Grade) -> None:
    await desk.grant(5)
    run, effect = await desk.scope(grades=graded(grade)), Counting()
    record = await desk.perform(run, SENDS, effect, label=STRANGERS)
    assert (record.code, effect.calls) == ("refused.flow.steered", 0)


async def test_what_the_job_file_names_may_be_hit_by_what_strangers_wrote(desk: Desk) -> None:
    run, effect = await desk.scope(grades=graded(Grade.ACT), trusted=("printer",)), Counting()
    assert (await desk.perform(run, SENDS, effect, label=STRANGERS)).status == "done"
    record = await desk.perform(run, SENDS, effect, ordinal=2, to="scanner", label=STRANGERS)
    assert (record.code, effect.calls) == ("refused.flow.steered", 1)


async def test_restricted_data_does_not_reach_people_whoever_approves(desk: Desk) -> None:
    await desk.grant(5)
    label = Label(Integrity.OWNER, Confidentiality.RESTRICTED)
    run, effect = await desk.scope(grades=graded(Grade.ASK), trusted=("printer",)), Counting()
    record = await desk.perform(run, SENDS, effect, label=label)
    assert (record.status, effect.calls) == ("refused", 0)
