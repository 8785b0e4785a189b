"""Whatever people, clocks, rules and crashes do: nothing is consumed that was not allowed, nothing twice."""

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from freehold.base import BadInput, FreeholdError
from freehold.kernel.card import Card, Role
from freehold.kernel.people import What
from tests.kernel.cards.office import HOUR, NOW, WEEK, Office, digest_of, sign

ACTIONS = ("a1", "a2")
PEOPLE = ("anna", "ben", "cleo", "mallory", "clerk")
NEEDS: tuple[tuple[Role, ...], ...] = (("confirm",), ("four_eyes",), ("confirm", "four_eyes"), ("anyone",))
ARGS = {"to": "finance@example.com", "subject": "Audit"}
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

    @rule(action=st.sampled_from(ACTIONS))
    def look(self, action: str) -> None:
        """A person opens the card; what they decide later is about what they saw now."""
        card = self.found(action)
        if card is not None:
            self.shown[action] = self.office.cards.get(card.id)

    @rule(
        action=st.sampled_from(ACTIONS),
        who=st.sampled_from(PEOPLE),
        edits=st.booleans(),
        denies=st.booleans(),
        key=st.sampled_from(("own", "own", "own", "mallory")),
    )
    def decide(self, action: str, who: str, edits: bool, denies: bool, key: str) -> None:
        card = self.shown.get(action)
        if card is None:
            return
        content: dict[str, Any] = {"reason": "no"} if denies else {"args": EDITED} if edits else {}
        what: What = "card.deny" if denies else "card.approve"
        signer = who if key == "own" and who != "clerk" else "mallory"
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

    @rule(step=st.sampled_from([HOUR, WEEK // 2]))
    def time_passes(self, step: int) -> None:
        self.now += step

    @rule()
    def rules_change(self) -> None:
        self.rules_version += 1

    @rule(who=st.sampled_from(("anna", "ben")))
    def somebody_retires_or_returns(self, who: str) -> None:
        self.office.staff.active ^= {who}

    @rule(owner=st.sampled_from(("anna", "ben")))
    def the_owner_changes(self, owner: str) -> None:
        self.office.staff.owners["clerk"] = owner

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
