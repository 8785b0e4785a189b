"""Whatever people, clocks, rules and crashes do: nothing is consumed that was not allowed, nothing twice."""

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from freehold.base import BadInput, FreeholdError
from freehold.kernel.card import Card, Role
from freehold.kernel.people import What
from tests.kernel.cards.office import HOUR, NOW, WEEK, Office, digest_of, sign

ACTIONS = ("a1", "a2", "a3")
PEOPLE = st.sampled_from(("anna", "ben", "anna", "ben", "anna", "ben", "cleo", "mallory", "clerk"))
SELDOM = st.sampled_from((False,) * 9 + (True,))
NEEDS: tuple[tuple[Role, ...], ...] = (("confirm",), ("four_eyes",), ("confirm", "four_eyes"), ("anyone",))
ARGS = {"to": "finance@example.com", "subject": "Audit"}
MOVES = ("hour", "hour", "half a week", "half a week", "rules", "anna", "ben", "owner")
EDITED = {"to": "audit@example.com"}


class CardMachine(RuleBasedStateMachine):
    """The oracle remembers, for each card, who said yes to which digest, and who may since."""

    def __init__(self) -> None:
        super().__init__()
        self.office = Office()
        self.now = NOW
        self.rules_version = 1
        self.yes: dict[str, list[tuple[str, str]]] = {}
        self.uses: dict[str, int] = {}
        self.shown: dict[str, Card] = {}

    @property
    def versions(self) -> tuple[str, str]:
        return f"rules-{self.rules_version}", "policy-1"

    def found(self, action: str) -> Card | None:
        return self.office.cards.find(action, digest_of(ARGS), self.now, self.versions)

    @rule(action=st.sampled_from(ACTIONS), needs=st.sampled_from(NEEDS))
    def ask(self, action: str, needs: tuple[Role, ...]) -> None:
        before = self.found(action)
        try:
            card = self.office.asks(action, args=ARGS, needs=needs, versions=self.versions, now_us=self.now)
        except FreeholdError:
            assert before is None or before.state not in ("stale", "expired") or self.nobody_can(needs)
            return
        assert before is None or before.state in ("stale", "expired")
        self.shown[action], self.yes[card.id], self.uses[card.id] = card, [], 0

    def nobody_can(self, needs: tuple[Role, ...]) -> bool:
        staff = self.office.staff
        return staff.owner_of("clerk") is None or (
            "four_eyes" in needs and len(staff.active & {"anna", "ben"}) < 2
        )

    @initialize(needs=st.tuples(*[st.sampled_from(NEEDS)] * 3))
    def ask_all(self, needs: tuple[tuple[Role, ...], ...]) -> None:
        for action, roles in zip(ACTIONS, needs, strict=True):
            self.ask(action, roles)

    @rule(
        action=st.sampled_from(ACTIONS),
        edits=st.tuples(st.booleans(), st.booleans()),
        move=st.sampled_from(("", "", "", *MOVES)),
        together=st.booleans(),
    )
    def the_right_people_agree(
        self, action: str, edits: tuple[bool, bool], move: str, together: bool
    ) -> None:
        """Without this a random walk hardly ever gets all the signatures that a card needs."""
        for who, edit in zip(("anna", "ben"), edits, strict=True):
            self.look(action)
            self.decide(action, who, edit, False, False)
        if move:
            self.something_moves(move)
        self.consume(action, together)

    @rule(action=st.sampled_from(ACTIONS))
    def look(self, action: str) -> None:
        """A person opens the card; what they decide later is about what they saw now."""
        card = self.found(action)
        if card is not None:
            self.shown[action] = self.office.cards.get(card.id)

    @rule(
        action=st.sampled_from(ACTIONS),
        who=PEOPLE,
        edits=st.booleans(),
        denies=SELDOM,
        forged=SELDOM,
    )
    def decide(self, action: str, who: str, edits: bool, denies: bool, forged: bool) -> None:
        card = self.shown.get(action)
        if card is None:
            return
        content: dict[str, Any] = {"reason": "no"} if denies else {"args": EDITED} if edits else {}
        what: What = "card.deny" if denies else "card.approve"
        signer = "mallory" if forged or who == "clerk" else who
        signed = sign(who, what, about=card.id, digest=card.digest, content=content, at=self.now, key=signer)
        edited = digest_of(EDITED) if edits and not denies else ""
        try:
            change = self.office.cards.decide(
                card.id, signed, content, self.now, self.versions, edited=edited
            )
        except FreeholdError:
            return
        assert self.may(who, card)
        assert signer == who
        assert self.now < card.expires_us
        if not denies:
            sends = edited or card.sends
            self.yes[card.id] = [*[yes for yes in self.yes[card.id] if yes[1] == sends], (who, sends)]
        self.office.shelf.make(change)

    def may(self, who: str, card: Card) -> bool:
        return who in self.office.staff.active and who in ("anna", "ben") and who in card.approvers

    @rule(action=st.sampled_from(ACTIONS), together=st.booleans())
    def consume(self, action: str, together: bool) -> None:
        card = self.found(action)
        if card is None:
            return
        try:
            changes = [
                self.office.cards.consume(card.id, card.sends, self.now, self.versions)
                for _ in range(2 if together else 1)
            ]
        except FreeholdError:
            assert card.state != "approved"
            return
        self.check_allowed(card)
        for change in changes:
            try:
                self.office.shelf.make(change)
                self.uses[card.id] += 1
            except BadInput:
                assert together

    def check_allowed(self, card: Card) -> None:
        owner, yes = (
            self.office.staff.owner_of("clerk"),
            {who for who, sends in self.yes[card.id] if sends == card.sends},
        )
        assert yes
        assert yes <= self.office.staff.active
        assert self.now < card.expires_us
        assert card.rules == self.versions[0]
        assert "confirm" not in card.needs or owner in yes
        assert "four_eyes" not in card.needs or yes - {owner}
        assert len(yes) >= len(card.needs)

    @rule(action=st.sampled_from(ACTIONS))
    def not_done(self, action: str) -> None:
        card = self.found(action)
        if card is not None and card.state == "consumed":
            self.office.shelf.make(self.office.cards.give_back(card.id))
            self.uses[card.id] -= 1

    @rule(what=st.sampled_from(MOVES))
    def something_moves(self, what: str) -> None:
        staff = self.office.staff
        if what == "rules":
            self.rules_version += 1
        elif what == "owner":
            staff.owners["clerk"] = "ben" if staff.owners["clerk"] == "anna" else "anna"
        elif what in ("anna", "ben"):
            staff.active ^= {what}
        else:
            self.now += HOUR if what == "hour" else WEEK // 2

    @rule()
    def everybody_is_back(self) -> None:
        self.office.staff.active = {"anna", "ben", "cleo"}

    @rule()
    def sweep(self) -> None:
        self.office.shelf.make(self.office.cards.sweep(self.now, lambda card: self.versions))

    @rule()
    def crash(self) -> None:
        self.office.restart()

    @invariant()
    def no_approval_is_used_more_than_once(self) -> None:
        assert all(0 <= uses <= 1 for uses in self.uses.values())

    @invariant()
    def memory_equals_what_is_kept(self) -> None:
        lived = [self.found(action) for action in ACTIONS]
        self.office.restart()
        assert [self.found(action) for action in ACTIONS] == lived


CardMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
test_nothing_is_consumed_that_was_not_allowed_and_nothing_twice = CardMachine.TestCase
