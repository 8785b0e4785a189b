"""A grant stands for the cards it was made for, as often as it says, and for nothing else."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.base import BadInput, NotFound, Refused
from freehold.kernel.constraints import Constraint
from freehold.kernel.grants import Scope
from tests.kernel.cards.office import HOUR, NOW, WEEK, Office, sign, use

TO = Constraint("to", "domain", "example.com")
AMOUNT = Constraint("amount", "at_most", 50)


def scope(count: int = 3, *constraints: Constraint, **changes: Any) -> Scope:
    facts: dict[str, Any] = {
        "tool": "mail.send", "agent": "clerk", "count": count, "expires_us": NOW + WEEK,
        "constraints": constraints or (TO, AMOUNT), "job": "audit",
    }  # fmt: skip
    return Scope(**{**facts, **changes})


def test_forty_equal_cards_become_one() -> None:
    office = Office()
    grant = office.grants_to(scope(40))
    for number in range(40):
        found = office.grants.find(use(f"a{number}"), NOW)
        assert found == grant
        office.shelf.make(office.grants.consume(grant.id, use(f"a{number}"), NOW))
    assert office.grants.find(use("a41"), NOW) is None
    office.restart()
    assert office.grants.left(grant.id) == 0
    with pytest.raises(Refused, match="holds no more"):
        office.grants.consume(grant.id, use("a41"), NOW)


def test_uses_that_are_under_way_at_once_never_exceed_the_count() -> None:
    office = Office()
    grant = office.grants_to(scope(3))
    changes = [office.grants.consume(grant.id, use(f"a{number}"), NOW) for number in range(3)]
    assert office.grants.find(use("a4"), NOW) is None
    for change in changes:
        office.shelf.make(change)
    assert office.grants.left(grant.id) == 0


def test_a_use_whose_commit_failed_is_not_counted() -> None:
    office = Office()
    grant = office.grants_to(scope(1))
    change = office.grants.consume(grant.id, use(), NOW)
    for move in change.undo:
        move()
    assert office.grants.left(grant.id) == 1


def test_the_same_action_again_is_not_counted_again() -> None:
    office = Office()
    grant = office.grants_to(scope(1))
    office.shelf.make(office.grants.consume(grant.id, use("a1"), NOW))
    again = office.grants.consume(grant.id, use("a1"), NOW)
    assert again.writes == []
    assert office.grants.left(grant.id) == 0


def test_what_was_not_done_gives_its_use_back() -> None:
    office = Office()
    grant = office.grants_to(scope(1))
    office.shelf.make(office.grants.consume(grant.id, use("a1"), NOW))
    office.shelf.make(office.grants.give_back(grant.id, "a1"))
    office.restart()
    assert office.grants.left(grant.id) == 1


def test_a_grant_ends_when_it_says() -> None:
    office = Office()
    office.grants_to(scope())
    assert office.grants.find(use(), NOW + WEEK - 1) is not None
    assert office.grants.find(use(), NOW + WEEK) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"tool": "http.request"},
        {"agent": "other"},
        {"job": "other"},
        {"args": {"to": ["finance@example.com", "eve@example.net"], "amount": 1}},
        {"args": {"to": [], "amount": 1}},
        {"args": {"to": ["finance@example.com"], "amount": 51}},
        {"args": {"to": ["finance@example.com"], "amount": True}},
        {"args": {"to": ["finance@example.com"]}},
        {"args": {"to": ["finance@example.com.evil.net"], "amount": 1}},
        {"args": {"to": ["x@evil.net, finance@example.com"], "amount": 1}},
        {"args": {"to": ["Finance <x@evil.net> @example.com"], "amount": 1}},
        {"needs": ("four_eyes",)},
        {"needs": ("confirm", "four_eyes")},
    ],
)
def test_what_is_outside_its_scope_still_needs_a_card(changes: dict[str, Any]) -> None:
    office = Office()
    grant = office.grants_to(scope())
    assert office.grants.find(use(), NOW) == grant
    assert office.grants.find(use(**changes), NOW) is None
    with pytest.raises(Refused):
        office.grants.consume(grant.id, use(**changes), NOW)


def test_a_grant_by_another_human_counts_as_four_eyes_and_not_as_the_owner() -> None:
    office = Office()
    grant = office.grants_to(scope(), by="ben")
    assert office.grants.find(use(needs=("four_eyes",)), NOW) == grant
    assert office.grants.find(use(needs=("confirm",)), NOW) is None


def test_a_grant_counts_no_longer_once_its_maker_retires_or_stops_owning() -> None:
    office = Office()
    office.grants_to(scope())
    office.staff.owners["clerk"] = "ben"
    assert office.grants.find(use(), NOW) is None
    office.staff.owners["clerk"] = "anna"
    assert office.grants.find(use(), NOW) is not None
    office.staff.active.discard("anna")
    assert office.grants.find(use(), NOW) is None


def test_only_a_human_makes_a_grant_and_only_what_they_signed() -> None:
    office = Office()
    plain = scope()
    forged = sign("clerk", "grant.add", about="clerk", content=plain.plain(), key="mallory")
    with pytest.raises(Refused, match="only a human"):
        office.grants.add(forged, plain, NOW)
    signed = sign("anna", "grant.add", about="clerk", content=plain.plain())
    with pytest.raises(Refused, match="does not cover"):
        office.grants.add(signed, scope(4), NOW)
    with pytest.raises(Refused, match="something else"):
        office.grants.add(signed, scope(agent="other"), NOW)


def test_a_revoked_grant_is_gone_from_the_moment_it_is_revoked() -> None:
    office = Office()
    grant = office.grants_to(scope())
    signed = sign("ben", "grant.revoke", about=grant.id)
    change = office.grants.revoke(grant.id, signed, NOW)
    assert office.grants.find(use(), NOW) is None
    for move in change.undo:
        move()
    assert office.grants.find(use(), NOW) == grant
    office.shelf.make(office.grants.revoke(grant.id, signed, NOW))
    office.restart()
    assert office.grants.find(use(), NOW) is None
    with pytest.raises(NotFound):
        office.grants.get(grant.id)


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        (scope(0), "counts from 1"),
        (scope(10_001), "counts from 1"),
        (scope(expires_us=NOW), "ends between"),
        (scope(expires_us=NOW + 60 * WEEK), "ends between"),
        (scope(agent=""), "one agent"),
        (scope(1, AMOUNT), "does not constrain to"),
        (scope(1, Constraint("to", "domain", "*.com")), "not a constraint"),
        (scope(1, Constraint("to", "one_of", [])), "not a constraint"),
        (scope(1, Constraint("to", "at_most", -1)), "not a constraint"),
        (scope(1, Constraint("to", "prefix", "https://example.com")), "slash"),
    ],
)
def test_a_scope_that_says_too_little_is_a_clear_sentence(wrong: Scope, word: str) -> None:
    office = Office()
    signed = sign("anna", "grant.add", about=wrong.agent, content=wrong.plain())
    with pytest.raises(BadInput, match=word):
        office.grants.add(signed, wrong, NOW, control=("to",))


@pytest.mark.parametrize(
    ("demand", "value", "found", "fits"),
    [
        ("equals", ["a", "b"], ["a", "b"], True),
        ("equals", "a", ["a", "a"], True),
        ("equals", 1, True, False),
        ("equals", 1, 1, True),
        ("one_of", ["a", 1], "a", True),
        ("one_of", ["a", 1], True, False),
        ("at_most", 5, -1, False),
        ("at_most", 5, "5", False),
        ("prefix", "https://api.example.com/", "https://api.example.com/v1", True),
        ("prefix", "https://api.example.com/v1/", "https://api.example.com/v1/../admin", False),
        ("prefix", "https://api.example.com/v1/", "https://api.example.com/v1/%2E%2E/admin", False),
        ("prefix", "outbox/", "outbox\\..\\x", False),
        ("domain", "example.com", "https://example.com/x", True),
        ("domain", "example.com", "https://EXAMPLE.com/x", True),
        ("domain", "example.com", "http://example.com/x", False),
        ("domain", "example.com", "https://example.com@evil.net/x", False),
        ("domain", "example.com", "https://evil.net\\@example.com/x", False),
        ("domain", "example.com", "https://example.com.evil.net", False),
        ("domain", "example.com", "a@sub.example.com", False),
        ("domain", "example.com", "a@b@example.com", False),
        ("domain", "example.com", "a@example.com\nBcc: x@evil.net", False),
    ],
)
def test_constraints_hold_what_they_say(demand: Any, value: Any, found: Any, fits: bool) -> None:
    constraint = Constraint("field.inner", demand, value)
    constraint.check()
    assert constraint.fits({"field": {"inner": found}}) is fits
    assert constraint.fits({"field": 1}) is False


@given(st.lists(st.integers(-5, 60), min_size=1, max_size=4))
def test_a_list_fits_only_when_each_element_does(amounts: list[int]) -> None:
    args: dict[str, Any] = {"amount": amounts}
    assert AMOUNT.fits(args) == all(0 <= amount <= 50 for amount in amounts)


def test_a_grant_survives_a_restart_with_what_is_left() -> None:
    office = Office()
    grant = office.grants_to(scope(5))
    office.shelf.make(office.grants.consume(grant.id, use("a1"), NOW))
    office.restart()
    assert office.grants.all() == [grant]
    assert office.grants.left(grant.id) == 4
    assert office.grants.find(use("a2"), NOW + HOUR) == grant


STEPS = st.lists(
    st.tuples(st.sampled_from(("use", "lose", "return", "crash")), st.integers(0, 6)), max_size=40
)


@given(STEPS)
def test_a_grant_is_never_used_more_often_than_it_says(steps: list[tuple[str, int]]) -> None:
    office = Office()
    grant = office.grants_to(scope(3))
    users: set[str] = set()
    for step, number in steps:
        action = f"a{number}"
        if step == "crash":
            office.restart()
        elif step == "return":
            office.shelf.make(office.grants.give_back(grant.id, action))
            users.discard(action)
        elif office.grants.find(use(action), NOW) is None:
            assert len(users) == 3
            assert action not in users
        else:
            change = office.grants.consume(grant.id, use(action), NOW)
            if step == "use":
                office.shelf.make(change)
                users.add(action)
            for move in change.undo if step == "lose" else ():
                move()
        assert len(users) <= 3
        assert office.grants.left(grant.id) == 3 - len(users)
