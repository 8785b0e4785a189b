"""An approval is bound to one exact action, given by the right people in time, and counts once."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from freehold.base import BadInput, Diverged, FreeholdError, NotFound, Refused
from freehold.kernel.card import Card, Role
from freehold.kernel.people import What
from freehold.kernel.questions import Question
from freehold.store.interface import CONFLICT
from tests.kernel.cards.office import HOUR, NOW, NOW_VERSIONS, WEEK, Office, digest_of, sign

ARGS = {"to": "finance@example.com", "subject": "Audit"}
DIGEST = digest_of(ARGS)


def standing(office: Office, action: str = "a1", now_us: int = NOW, versions: Any = NOW_VERSIONS) -> str:
    found = office.cards.find(action, DIGEST, now_us, versions)
    return found.state if found else "none"


def test_an_approval_by_the_owner_counts_once() -> None:
    office = Office()
    card = office.approved()
    assert (card.state, card.who) == ("approved", ("anna",))
    assert office.consumes(card).state == "consumed"
    with pytest.raises(Refused, match="used already"):
        office.cards.consume(card.id, card.sends, NOW, NOW_VERSIONS)


def test_of_two_that_consume_at_once_one_gets_it() -> None:
    office = Office()
    card = office.approved()
    changes = [office.cards.consume(card.id, card.sends, NOW, NOW_VERSIONS) for _ in range(2)]
    office.shelf.make(changes[0])
    with pytest.raises(BadInput) as lost:
        office.shelf.make(changes[1])
    assert lost.value.code == CONFLICT


def test_what_was_not_done_gives_the_approval_back() -> None:
    office = Office()
    card = office.consumes(office.approved())
    office.shelf.make(office.cards.give_back(card.id))
    assert office.consumes(card).state == "consumed"


def test_everything_survives_a_restart() -> None:
    office = Office()
    asked, approved = office.asks("a1"), office.approved("a2")
    used = office.consumes(office.approved("a3"))
    office.restart()
    assert [office.cards.get(card.id) for card in (asked, approved, used)] == [asked, approved, used]
    assert [standing(office, action) for action in ("a1", "a2", "a3", "a4")] == [
        "open", "approved", "consumed", "none",
    ]  # fmt: skip


def test_silence_is_never_consent() -> None:
    office = Office()
    card = office.asks()
    assert standing(office, now_us=NOW + WEEK - 1) == "open"
    assert standing(office, now_us=NOW + WEEK) == "expired"
    with pytest.raises(Refused, match="nobody decided it"):
        office.decides("anna", "card.approve", card, now_us=NOW + WEEK)
    with pytest.raises(Refused, match="nobody decided it"):
        office.cards.consume(card.id, card.sends, NOW + WEEK, NOW_VERSIONS)
    swept: Any = office.shelf.make(office.cards.sweep(NOW + WEEK, lambda card: NOW_VERSIONS))
    assert [card.state for card in swept] == ["expired"]
    assert office.cards.waiting(NOW) == []


def test_an_approval_that_was_not_used_in_time_is_void() -> None:
    office = Office()
    card = office.approved()
    with pytest.raises(Refused, match="was not used before"):
        office.consumes(card, now_us=NOW + WEEK)


@pytest.mark.parametrize(
    ("versions", "word"), [(("rules-2", "policy-1"), "rules"), (("rules-1", "p2"), "policy")]
)
def test_a_change_of_rules_or_policy_makes_it_stale_and_it_is_asked_again(
    versions: tuple[str, str], word: str
) -> None:
    office = Office()
    card = office.approved()
    assert standing(office, versions=versions) == "stale"
    with pytest.raises(Refused, match=f"{word} has changed|{word} have changed") as refusal:
        office.consumes(card, versions=versions)
    assert "asked again" in str(refusal.value)
    fresh = office.asks(versions=versions)
    assert fresh.id != card.id
    assert word in fresh.because
    assert office.cards.get(card.id).state == "stale"
    assert standing(office, versions=versions) == "open"


def test_an_approver_who_has_retired_since_no_longer_counts() -> None:
    office = Office()
    card = office.decides("ben", "card.approve", office.asks(needs=("four_eyes",)))
    office.staff.active.discard("ben")
    with pytest.raises(Refused, match="ben, who approved it, is no longer an active human"):
        office.consumes(card)


def test_an_owner_who_has_changed_since_must_be_asked_again() -> None:
    office = Office()
    card = office.decides("ben", "card.approve", office.asks(needs=("four_eyes",)))
    office.staff.owners["clerk"] = "ben"
    with pytest.raises(Refused, match="no longer has the owner anna"):
        office.consumes(card)


def test_an_agent_without_owner_can_ask_nobody() -> None:
    office = Office()
    office.staff.active.discard("anna")
    with pytest.raises(Refused, match="no active owner"):
        office.asks()


def test_four_eyes_need_somebody_besides_the_owner() -> None:
    office = Office()
    office.staff.active.discard("ben")
    with pytest.raises(Refused, match="besides anna there is nobody"):
        office.asks(needs=("four_eyes",))


@pytest.mark.parametrize(
    ("needs", "who", "state"),
    [
        (("confirm",), "anna", "approved"),
        (("confirm",), "ben", "needs its owner anna"),
        (("confirm",), "cleo", "cleo may not decide this"),
        (("confirm",), "clerk", "only a human"),
        (("confirm",), "mallory", "only a human"),
        (("four_eyes",), "anna", "needs another human than its owner"),
        (("four_eyes",), "ben", "approved"),
        (("four_eyes",), "cleo", "cleo may not decide this"),
        (("confirm", "four_eyes"), "anna", "open"),
        (("confirm", "four_eyes"), "ben", "open"),
        (("anyone",), "anna", "approved"),
        (("anyone",), "ben", "approved"),
        (("anyone",), "clerk", "only a human"),
    ],
)
def test_who_may_decide_what(needs: tuple[Role, ...], who: str, state: str) -> None:
    office = Office()
    card = office.asks(needs=needs)
    if " " not in state:
        assert office.decides(who, "card.approve", card).state == state
        return
    for what, content in (("card.approve", {}), ("card.deny", {"reason": "no"})):
        key = who if who != "clerk" else "mallory"
        signed = sign(who, what, about=card.id, digest=card.digest, content=content, key=key)  # type: ignore[arg-type]
        with pytest.raises(Refused, match=state):
            office.cards.decide(card.id, signed, content, NOW, NOW_VERSIONS)
    assert office.cards.get(card.id) == card


def test_two_pairs_of_eyes_are_those_of_two_people() -> None:
    office = Office()
    card = office.decides("anna", "card.approve", office.asks(needs=("confirm", "four_eyes")))
    with pytest.raises(Refused, match="two people"):
        office.decides("anna", "card.approve", card)
    card = office.decides("ben", "card.approve", card)
    assert (card.state, card.who) == ("approved", ("anna", "ben"))


def test_a_denial_says_why_and_is_final() -> None:
    office = Office()
    card = office.asks()
    with pytest.raises(BadInput, match="says why"):
        office.decides("anna", "card.deny", card, {"reason": " "})
    card = office.decides("anna", "card.deny", card, {"reason": "wrong month"})
    assert card.state == "denied"
    assert office.cards.show(card).reply == {"reason": "wrong month"}
    with pytest.raises(Refused, match="denied"):
        office.decides("anna", "card.approve", card)
    with pytest.raises(Refused, match="denied"):
        office.asks()


def test_what_was_edited_is_what_is_sent_and_both_are_journaled() -> None:
    office = Office()
    card, edited = office.asks(), {"to": "audit@example.com", "subject": "Audit"}
    signed = office.signs("anna", "card.approve", card, {"args": edited})
    change = office.cards.decide(
        card.id, signed, {"args": edited}, NOW, NOW_VERSIONS, edited=digest_of(edited)
    )
    private = change.notes[0].private
    assert private is not None
    assert (private["asked"], private["content"]["args"]) == (ARGS, edited)
    assert change.notes[0].head["edited"] == digest_of(edited)
    office.shelf.make(change)
    card = office.cards.get(card.id)
    assert office.cards.show(card).reply["args"] == edited
    with pytest.raises(Refused, match="not what was approved"):
        office.cards.consume(card.id, DIGEST, NOW, NOW_VERSIONS)
    assert office.consumes(card).sends == digest_of(edited)


def test_an_edit_voids_what_others_approved_before() -> None:
    office = Office()
    card = office.decides("anna", "card.approve", office.asks(needs=("confirm", "four_eyes")))
    edited = {"to": "audit@example.com"}
    card = office.decides("ben", "card.approve", card, {"args": edited}, edited=digest_of(edited))
    assert (card.state, card.who) == ("open", ("ben",))
    assert office.decides("anna", "card.approve", card).state == "approved"


def test_an_action_that_comes_back_different_has_diverged() -> None:
    office = Office()
    office.approved()
    with pytest.raises(Diverged):
        office.cards.find("a1", digest_of({"to": "eve@example.net"}), NOW, NOW_VERSIONS)


CHANGES: list[Callable[[Card], dict[str, Any]]] = [
    lambda card: {"asked": digest_of({"to": "eve@example.net"})},
    lambda card: {"action": "other"},
    lambda card: {"rules": "rules-0"},
    lambda card: {"policy": "policy-0"},
    lambda card: {"approvers": ("anna", "ben", "eve")},
    lambda card: {"needs": ("anyone",)},
    lambda card: {"expires_us": card.expires_us + 1},
    lambda card: {"job": "other"},
    lambda card: {"run": "other"},
    lambda card: {"agent": "other"},
    lambda card: {"owner": "ben"},
    lambda card: {"tool": "mail.delete"},
    lambda card: {"category": "spend"},
    lambda card: {"edited": digest_of({})},
    lambda card: {"sealed": card.sealed + b" "},
    lambda card: {"kind": "question"},
    lambda card: {"id": "f" * 32},
]


@pytest.mark.parametrize("change", CHANGES)
def test_a_signature_fits_the_card_only_as_it_was_shown(change: Callable[[Card], dict[str, Any]]) -> None:
    card = Office().asks()
    assert msgspec.structs.replace(card, **change(card)).digest != card.digest


def test_a_decision_on_a_card_that_has_changed_since_it_was_shown_does_not_count() -> None:
    office = Office()
    card = office.asks(needs=("confirm", "four_eyes"))
    late = office.signs("ben", "card.approve", card)
    edited = {"to": "audit@example.com"}
    office.decides("anna", "card.approve", card, {"args": edited}, edited=digest_of(edited))
    with pytest.raises(Refused, match="has changed since it was shown"):
        office.cards.decide(card.id, late, {}, NOW, NOW_VERSIONS)


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"key": "ben"}, "signature is not that of anna"),
        ({"estate": "other"}, "another estate"),
        ({"about": "0" * 32}, "something else"),
        ({"digest": "0" * 64}, "changed since"),
        ({"content": {"args": {}}}, "does not cover"),
        ({"at": NOW - HOUR}, "60 minutes old"),
        ({"at": NOW + HOUR}, "future"),
        ({"what": "card.answer"}, "not what is asked"),
        ({"what": "grant.add"}, "not what is asked"),
        ({"what": "thaw"}, "not what is asked"),
    ],
)
def test_a_statement_that_is_not_exactly_this_one_does_not_count(changed: dict[str, Any], word: str) -> None:
    office = Office()
    card = office.asks()
    said: dict[str, Any] = {"what": "card.approve", "about": card.id, "digest": card.digest, **changed}
    with pytest.raises(Refused, match=word):
        office.cards.decide(card.id, sign("anna", **said), {}, NOW, NOW_VERSIONS)
    assert office.cards.get(card.id).state == "open"


def test_a_statement_is_used_once_even_after_a_restart() -> None:
    office = Office()
    card = office.asks(needs=("confirm", "four_eyes"))
    signed = office.signs("anna", "card.approve", card)
    office.shelf.make(office.cards.decide(card.id, signed, {}, NOW, NOW_VERSIONS))
    for _ in range(2):
        with pytest.raises(Refused, match="used before"):
            office.cards.decide(card.id, signed, {}, NOW, NOW_VERSIONS)
        office.restart()


def test_the_same_statement_twice_at_once_counts_once() -> None:
    office = Office()
    card = office.asks()
    signed = office.signs("anna", "card.approve", card)
    changes = [office.cards.decide(card.id, signed, {}, NOW, NOW_VERSIONS) for _ in range(2)]
    office.shelf.make(changes[0])
    with pytest.raises(BadInput):
        office.shelf.make(changes[1])


def test_a_key_without_passphrase_does_not_do_where_the_estate_asks_for_one() -> None:
    office = Office(presence="passphrase")
    with pytest.raises(Refused, match="asks for a passphrase"):
        office.approved()
    office.staff.presences["anna"] = "passphrase"
    assert office.approved("a2").state == "approved"


def test_what_is_done_again_needs_the_approval_to_hold_now() -> None:
    office = Office()
    card = office.consumes(office.approved())
    assert office.cards.recheck(card.id, card.sends, NOW, NOW_VERSIONS) == card
    moved, late = ("rules-2", "policy-1"), NOW + WEEK
    cases = (card.sends, NOW, moved), ("0" * 64, NOW, NOW_VERSIONS), (card.sends, late, NOW_VERSIONS)
    for digest, now, versions in cases:
        with pytest.raises(Refused):
            office.cards.recheck(card.id, digest, now, versions)


def test_a_cancelled_run_withdraws_what_it_asked() -> None:
    office = Office()
    card = office.approved()
    office.shelf.make(office.cards.withdraw("run1", "The run was cancelled."))
    assert office.cards.get(card.id).state == "withdrawn"
    with pytest.raises(Refused, match="cancelled"):
        office.consumes(card)


def test_an_answer_says_who_gave_it_and_is_used_once() -> None:
    office = Office()
    question = Question("What is the total?", "amount", currency="MYR", evidence=("art1",))
    card = office.asks(question=question, needs=("anyone",))
    what: What = "card.answer"
    with pytest.raises(BadInput, match="not an answer"):
        office.decides("ben", what, card, {"value": "eleven"})
    card = office.decides("ben", what, card, {"value": "118.50"})
    assert (card.state, card.who) == ("answered", ("ben",))
    reply = office.cards.show(card).reply
    assert reply == {"value": {"micro": 118_500_000, "currency": "MYR"}, "said": "118.50", "by": "ben"}
    assert office.consumes(card).state == "consumed"


def test_a_question_cannot_be_approved_nor_an_approval_answered() -> None:
    office = Office()
    question = office.asks("q", question=Question("Which?", "text"), needs=("anyone",))
    with pytest.raises(FreeholdError, match="not what is asked"):
        office.decides("anna", "card.approve", question)
    with pytest.raises(FreeholdError, match="not what is asked"):
        office.decides("anna", "card.answer", office.asks(), {"value": "yes"})


def test_an_unknown_card_is_a_clear_sentence() -> None:
    with pytest.raises(NotFound, match="no card"):
        Office().cards.get("0" * 32)
