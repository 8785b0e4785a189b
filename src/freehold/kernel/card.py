"""What a card is, as data: its binding, who may decide it, in which state it stands. For `cards` and callers.

open ──► approved ──► consumed ──► approved (the effect was not done: the approval is given back)
 │  └──► answered ──► consumed
 └─────► denied, expired, stale, withdrawn        from approved and answered too, but for denied
"""

from typing import Any, Final, Literal

import msgspec

from freehold.base import Json, canonical
from freehold.kernel.facts import Facts
from freehold.kernel.questions import Question

Kind = Literal["approval", "question"]
State = Literal["open", "approved", "answered", "denied", "consumed", "expired", "stale", "withdrawn"]
Role = Literal["confirm", "four_eyes", "anyone"]

LIVE: Final = ("open", "approved", "answered")


class Approval(msgspec.Struct, frozen=True):
    """One person's yes, or answer, in one role."""

    who: str
    role: Role
    at_us: int


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """What waits for a human.

    ``asked`` is the digest of the exact action, ``edited`` that of the action that a person made of it; the
    later one is what may be sent. ``rules`` and ``policy`` are the versions it was asked under. ``needs`` are
    the roles that must be filled, each by another person: ``confirm`` by the agent's owner, ``four_eyes``
    by an approver who is not, ``anyone`` by any approver. ``sealed`` holds what is shown, ``reply`` what the
    person said. ``why`` says what became of it, ``because`` why it was asked again. ``version`` is the
    document's.
    """

    id: str
    kind: Kind
    action: str
    number: int
    asked: str
    run: str
    job: str
    agent: str
    owner: str
    tool: str
    category: str
    rules: str
    policy: str
    approvers: tuple[str, ...]
    needs: tuple[Role, ...]
    opened_us: int
    expires_us: int
    sealed: bytes
    state: State = "open"
    edited: str = ""
    approvals: tuple[Approval, ...] = ()
    reply: bytes = b""
    why: str = ""
    because: str = ""
    version: int = 0

    @property
    def digest(self) -> str:
        """What a person signs: everything that the card is bound to, the sealed facts included."""
        bound = {
            "id": self.id, "kind": self.kind, "action": self.action, "asked": self.asked,
            "edited": self.edited, "run": self.run, "job": self.job, "agent": self.agent,
            "owner": self.owner, "tool": self.tool, "category": self.category, "rules": self.rules,
            "policy": self.policy,
            "approvers": list(self.approvers), "needs": list(self.needs), "expires": self.expires_us,
            "sealed": canonical.digest(self.sealed),
        }  # fmt: skip
        return canonical.digest(canonical.encode(bound))

    @property
    def sends(self) -> str:
        """The digest of the action that an approval lets through."""
        return self.edited or self.asked

    @property
    def who(self) -> tuple[str, ...]:
        """Who said yes or answered."""
        return tuple(approval.who for approval in self.approvals)

    def encoded(self) -> bytes:
        """Return the document."""
        return msgspec.json.encode(msgspec.structs.replace(self, version=0))


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """What the gate wants a human for: ``digest`` is the exact action's, ``subjects`` whom it is about."""

    action: str
    digest: str
    run: str
    job: str
    agent: str
    tool: str
    rules: str
    policy: str
    approvers: tuple[str, ...]
    expires_us: int
    facts: Facts
    subjects: tuple[str, ...]
    category: str = ""
    needs: tuple[Role, ...] = ("confirm",)
    args: dict[str, Json] = {}
    question: Question | None = None


class Shown(msgspec.Struct, frozen=True):
    """A card opened for a person: what is in ``sealed`` and ``reply``."""

    card: Card
    facts: Facts
    subjects: tuple[str, ...]
    args: dict[str, Any] = {}
    question: Question | None = None
    reply: dict[str, Any] = {}


def card_id(action: str, kind: Kind, number: int) -> str:
    """Return the id of an action's card: the first, or the one asked after that became stale, and so on."""
    return canonical.digest(f"freehold/card/v1\0{kind}\0{action}\0{number}".encode())[:32]
