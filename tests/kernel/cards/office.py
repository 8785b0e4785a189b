"""People, an agent, and a desk of cards and grants over one shelf, with real keys; for the tests here."""

from collections.abc import Sequence
from typing import Any

from freehold.base import canonical
from freehold.kernel import people
from freehold.kernel.card import Ask, Card, Role
from freehold.kernel.cards import Cards, Versions
from freehold.kernel.facts import Facts, read_back
from freehold.kernel.grants import Grant, Grants, Scope, Use
from freehold.kernel.people import KeyFile, Presence, Signed, What
from freehold.kernel.questions import Question
from freehold.kernel.statements import Witness
from tests.kernel.shelf import Shelf

ESTATE = "estate.example"
NOW = 1_795_000_000_000_000
HOUR = 3_600_000_000
WEEK = 7 * 24 * HOUR
NOW_VERSIONS: Versions = ("rules-1", "policy-1")
KEYS = {name: people.make_key(name, None) for name in ("anna", "ben", "cleo", "mallory")}


def digest_of(args: dict[str, Any]) -> str:
    """Stands for the keyed digest of the exact action."""
    return canonical.digest(canonical.encode(args))


class Staff:
    """Who there is: three humans, of whom anna owns the agent clerk."""

    def __init__(self) -> None:
        self.active = {"anna", "ben", "cleo"}
        self.owners = {"clerk": "anna"}
        self.presences: dict[str, Presence] = {}

    def is_active_human(self, slug: str) -> bool:
        return slug in self.active

    def public_key(self, slug: str) -> bytes | None:
        key: KeyFile | None = KEYS.get(slug)
        return key.public_key if key else None

    def presence(self, slug: str) -> Presence:
        return self.presences.get(slug, "none")

    def owner_of(self, agent: str) -> str | None:
        owner = self.owners.get(agent)
        return owner if owner in self.active else None


class OpenSealer:
    """Seals nothing, so that a test can look at what is kept."""

    def seal(self, plain: bytes, subjects: Sequence[str]) -> bytes:
        return b"sealed:" + plain

    def open(self, sealed: bytes) -> bytes:
        return sealed.removeprefix(b"sealed:")


class Office:
    """The rooms over one shelf; ``restart`` forgets all memory."""

    def __init__(self, presence: Presence = "none") -> None:
        self.shelf = Shelf()
        self.staff = Staff()
        self.presence: Presence = presence
        self.restart()

    def restart(self) -> None:
        self.witness = Witness(self.staff, ESTATE, presence=lambda: self.presence)
        self.cards = Cards(self.witness, self.staff, OpenSealer())
        self.grants = Grants(self.witness, self.staff)
        self.witness.load(self.shelf)
        self.cards.load(self.shelf)
        self.grants.load(self.shelf)

    def asks(
        self,
        action: str = "a1",
        *,
        args: dict[str, Any] | None = None,
        needs: tuple[Role, ...] = ("confirm",),
        question: Question | None = None,
        versions: Versions = NOW_VERSIONS,
        now_us: int = NOW,
    ) -> Card:
        args = args or {"to": "finance@example.com", "subject": "Audit"}
        ask = Ask(
            action=action, digest=digest_of(args), run="run1", job="audit", agent="clerk", tool="mail.send",
            category="send", rules=versions[0], policy=versions[1], approvers=("anna", "ben"), needs=needs,
            expires_us=now_us + WEEK, facts=self.facts(args), subjects=("employee:dora",), args=args,
            question=question,
        )  # fmt: skip
        card: Any = self.shelf.make(self.cards.propose(ask, now_us))
        return self.cards.get(card.id)

    @staticmethod
    def facts(args: dict[str, Any]) -> Facts:
        return read_back("mail.send", canonical.encode(args), [("report.html", b"<p>")])

    def signs(self, who: str, what: What, card: Card, content: dict[str, Any] | None = None) -> Signed:
        return sign(who, what, about=card.id, digest=card.digest, content=content)

    def decides(
        self,
        who: str,
        what: What,
        card: Card,
        content: dict[str, Any] | None = None,
        *,
        now_us: int = NOW,
        versions: Versions = NOW_VERSIONS,
        edited: str = "",
    ) -> Card:
        signed = sign(who, what, about=card.id, digest=card.digest, content=content, at=now_us)
        change = self.cards.decide(card.id, signed, content or {}, now_us, versions, edited=edited)
        self.shelf.make(change)
        return self.cards.get(card.id)

    def approved(self, action: str = "a1") -> Card:
        return self.decides("anna", "card.approve", self.asks(action))

    def consumes(self, card: Card, now_us: int = NOW, versions: Versions = NOW_VERSIONS) -> Card:
        self.shelf.make(self.cards.consume(card.id, card.sends, now_us, versions))
        return self.cards.get(card.id)

    def grants_to(self, scope: Scope, by: str = "anna", now_us: int = NOW) -> Grant:
        signed = sign(by, "grant.add", about=scope.agent, content=scope.plain(), at=now_us)
        grant: Any = self.shelf.make(self.grants.add(signed, scope, now_us))
        return self.grants.get(grant.id)


def sign(
    who: str,
    what: What,
    *,
    about: str,
    digest: str = "",
    content: dict[str, Any] | None = None,
    at: int = NOW,
    key: str = "",
    estate: str = ESTATE,
) -> Signed:
    """A statement by ``who``, signed with the key of ``key`` or their own."""
    said = people.make_statement(
        what, estate=estate, by=who, about=about, digest=digest, at=at, content=content
    )
    signer = people.SigningKey(KEYS[key or who].unlock()._key, who)
    return signer.sign(said)


def use(action: str = "a1", **changes: Any) -> Use:
    """A mail to finance, as the gate would ask the grants about it."""
    facts: dict[str, Any] = {
        "action": action, "tool": "mail.send", "agent": "clerk", "job": "audit",
        "args": {"to": ["finance@example.com"], "amount": 40},
    }  # fmt: skip
    return Use(**{**facts, **changes})
