"""Where cards live: asked by the gate, decided by people's signed statements, consumed once with an INTENT.

    find(action, digest, …) ► None: ask ► open: park ► approved: consume ► denied, expired, withdrawn: refuse
                                          stale: ask again (``propose`` replaces it and says why)
                                          consumed: done before, see ``recheck``

Silence is never consent: what was not decided in time is expired. An edited action is judged by the gate like
any other before it is sent. Memory holds the cards that still matter, the store all of them.
"""

from collections.abc import Callable
from typing import Any, Final, Protocol

import msgspec

from freehold.base import BadInput, Corrupt, Diverged, NotFound, Refused, canonical
from freehold.kernel.card import LIVE, Approval, Ask, Card, Kind, Role, Shown, State, card_id
from freehold.kernel.change import Change, Note
from freehold.kernel.envelopes import Sealer
from freehold.kernel.facts import Facts
from freehold.kernel.limits import utc
from freehold.kernel.people import Signed, What
from freehold.kernel.questions import Question, read_answer
from freehold.kernel.statements import Approvers, Witness
from freehold.store.interface import Document, Put

CARDS: Final = "card"
LONGEST_REASON: Final = 2_000

Versions = tuple[str, str]
"""The rules' version and the policy's digest, as they are now."""


class Records(Protocol):
    """The part of a store that cards are read from."""

    def document(self, collection: str, key: str) -> Document | None: ...

    def documents(
        self, collection: str, *, state: str | None = None, prefix: str = "", limit: int = 1_000_000
    ) -> list[Document]: ...


class Cards:
    """The estate's cards. Every method is synchronous and called from the daemon's loop."""

    def __init__(self, witness: Witness, approvers: Approvers, sealer: Sealer) -> None:
        self._witness = witness
        self._approvers = approvers
        self._sealer = sealer
        self._store: Records | None = None
        self._live: dict[str, Card] = {}
        self._newest: dict[tuple[str, Kind], Card] = {}

    def load(self, store: Records) -> None:
        """Read the cards that are open, approved or answered."""
        self._store = store
        found = [_decode(document) for state in LIVE for document in store.documents(CARDS, state=state)]
        self._live = {card.id: card for card in found}
        self._newest = {(card.action, card.kind): card for card in found}

    # ---- asking ------------------------------------------------------------------------------------------

    def propose(self, ask: Ask, now_us: int) -> Change:
        """Return the change that puts a card before people; value: the card.

        Raises Refused when nobody could decide it. An action's card that went stale or expired is replaced.
        """
        kind: Kind = "question" if ask.question else "approval"
        owner = self._approvers.owner_of(ask.agent)
        if owner is None:
            raise Refused(
                f"Agent {ask.agent} has no active owner who could answer for this.",
                remedy=f"Give it one: `freehold agents add {ask.agent} --owner NAME`.",
                code="refused.approver",
            )
        approvers = self._able(ask, owner)
        before = self._latest(ask.action, kind)
        number = 1 if before is None else before.number + 1
        replaced = Change()
        why = ""
        if before is not None:
            state, why = self._standing(before, now_us, (ask.rules, ask.policy))
            if state not in ("stale", "expired"):
                raise Refused(f"This was asked before and is {state}.", code="refused.card")
            if before.state != state:
                replaced = self._moved(before, state=state, why=why)
        hidden = {
            "facts": ask.facts.plain(), "args": ask.args, "subjects": list(ask.subjects),
            "question": ask.question.plain() if ask.question else None,
        }  # fmt: skip
        sealed = self._sealer.seal(canonical.encode(hidden), ask.subjects)
        card = Card(
            id=card_id(ask.action, kind, number), kind=kind, action=ask.action, number=number,
            asked=ask.digest, run=ask.run, job=ask.job, agent=ask.agent, owner=owner, tool=ask.tool,
            category=ask.category, rules=ask.rules, policy=ask.policy, approvers=approvers, needs=ask.needs,
            opened_us=now_us,
            expires_us=ask.expires_us, sealed=sealed, version=1, because=why,
        )  # fmt: skip
        head = {
            "card": card.id,
            "action": card.action,
            "digest": card.digest,
            "asked": card.asked,
            "kind": kind,
        }
        note = Note("card.asked", head, {"asked": hidden}, ask.subjects, ask.run)
        put = Put(CARDS, card.id, card.encoded(), "open", expect=0)
        return replaced.join(Change([note], [put], [lambda: self._keep(card)], card))

    def _able(self, ask: Ask, owner: str) -> tuple[str, ...]:
        """Return the approvers of now who could fill the roles; raises Refused where a role has nobody."""
        able = [slug for slug in dict.fromkeys(ask.approvers) if self._approvers.is_active_human(slug)]
        if "confirm" in ask.needs and owner not in able:
            able.insert(0, owner)
        if not able:
            raise Refused(
                "Nobody could decide this.", remedy="Name an active human.", code="refused.approver"
            )
        if "four_eyes" in ask.needs and not [slug for slug in able if slug != owner]:
            raise Refused(
                f"This asks for four eyes, and besides {owner} there is nobody who may approve.",
                remedy="Add another human who may, or change the rule that asks for four eyes.",
                code="refused.approver",
            )
        return tuple(able)

    # ---- finding -----------------------------------------------------------------------------------------

    def find(
        self, action: str, digest: str, now_us: int, versions: Versions, *, kind: Kind = "approval"
    ) -> Card | None:
        """Return the newest card of an action in the state that it has now, or None when none was ever asked.

        Raises Diverged when it was asked for another digest: the action is not what it was.
        """
        card = self._latest(action, kind)
        if card is None:
            return None
        if card.asked != digest:
            raise Diverged(
                "A person was asked about this action when it was another one.",
                remedy="A step that runs again must ask for the same actions in the same order.",
            )
        state, why = self._standing(card, now_us, versions)
        return card if state == card.state else msgspec.structs.replace(card, state=state, why=why)

    def get(self, identifier: str) -> Card:
        """Return a card by its full id; raises NotFound."""
        card = self._live.get(identifier) or self._stored(identifier)
        if card is None:
            raise NotFound("There is no card of this id.", remedy="Look it up with `freehold inbox`.")
        return card

    def waiting(self, now_us: int) -> list[Card]:
        """Return the open cards that have not expired, oldest first."""
        found = [card for card in self._live.values() if card.state == "open" and now_us < card.expires_us]
        return sorted(found, key=lambda card: (card.opened_us, card.id))

    def show(self, card: Card) -> Shown:
        """Return what the card says; raises Refused when it was forgotten."""
        hidden = canonical.decode(self._sealer.open(card.sealed))
        question = hidden["question"]
        return Shown(
            card,
            msgspec.convert(hidden["facts"], Facts),
            tuple(hidden["subjects"]),
            hidden["args"],
            msgspec.convert(question, Question) if question else None,
            canonical.decode(self._sealer.open(card.reply)) if card.reply else {},
        )

    # ---- deciding ----------------------------------------------------------------------------------------

    def decide(
        self,
        identifier: str,
        signed: Signed,
        content: dict[str, Any],
        now_us: int,
        versions: Versions,
        *,
        edited: str = "",
    ) -> Change:
        """Return the change that a signed statement brings about; value: the card after it.

        ``content`` is what the person added and the statement covers: ``{}`` or ``{"args": …}`` to approve,
        ``{"reason": …}`` to deny, ``{"value": …}`` to answer. ``edited`` is the digest of the action with the
        edited arguments, computed by the gate. Raises Refused for a wrong person, statement, state or time.
        """
        card = self.get(identifier)
        verbs: tuple[What, ...] = (
            ("card.answer",) if card.kind == "question" else ("card.approve", "card.deny")
        )
        used = self._witness.check(
            signed, what=verbs, about=card.id, digest=card.digest, content=content, now_us=now_us
        )
        state, why = self._standing(card, now_us, versions)
        if state != "open":
            raise _closed(state, why)
        shown, who = self.show(card), signed.statement.by
        role = self._role(card, who)
        approval = Approval(who, role, now_us)
        if signed.statement.what == "card.deny":
            decided = _denied(card, content, who)
        elif signed.statement.what == "card.answer":
            content = _read(shown, content, who)
            decided = msgspec.structs.replace(card, state="answered", approvals=(approval,))
        else:
            decided = _approved(card, content, approval, edited)
        if content:
            sealed = self._sealer.seal(canonical.encode(content), shown.subjects)
            decided = msgspec.structs.replace(decided, reply=sealed)
        head = {"card": card.id, "action": card.action, "digest": card.digest, "by": who, "role": role}
        private = {"signed": msgspec.to_builtins(signed), "content": content}
        if decided.edited:
            head["edited"], private["asked"] = decided.edited, shown.args
        note = Note(_NOTE[signed.statement.what], head, private, shown.subjects, card.run)
        return used.join(self._replaced(card, decided, [note]))

    def _role(self, card: Card, who: str) -> Role:
        """Return the role that ``who`` may fill now; raises Refused with what would be needed."""
        if who not in card.approvers:
            names = ", ".join(card.approvers)
            raise Refused(
                f"{who} may not decide this.", remedy=f"It waits for {names}.", code="refused.approver"
            )
        if who in card.who:
            raise Refused(
                f"{who} has approved this already; two pairs of eyes are those of two people.",
                remedy=f"It waits for {', '.join(slug for slug in card.approvers if slug not in card.who)}.",
                code="refused.approver",
            )
        filled = {approval.role for approval in card.approvals}
        mine: tuple[Role, ...] = ("confirm", "anyone") if who == card.owner else ("four_eyes", "anyone")
        for role in card.needs:
            if role in mine and role not in filled:
                return role
        needed = "another human than its owner" if who == card.owner else f"its owner {card.owner}"
        raise Refused(
            f"{who} may not decide this: it needs {needed}.", remedy="Ask them.", code="refused.approver"
        )

    # ---- using -------------------------------------------------------------------------------------------

    def consume(self, identifier: str, digest: str, now_us: int, versions: Versions) -> Change:
        """Return the change that uses an approval or answer up, to be made in one commit with the INTENT.

        ``digest`` is that of the action about to be done (``card.sends``). Value: the card. Raises Refused
        when it holds no more; of two that try at once the store lets one through (BadInput, code CONFLICT).
        """
        card = self.get(identifier)
        state, why = self._standing(card, now_us, versions)
        if state not in ("approved", "answered"):
            raise _closed(state, why)
        if digest != card.sends:
            raise Refused(
                "What would be sent is not what was approved.",
                remedy="It must be approved anew.",
                code="refused.card.digest",
            )
        return self._moved(card, state="consumed")

    def give_back(self, identifier: str) -> Change:
        """Return the change that gives an approval or answer back: the effect was explicitly not done."""
        card = self.get(identifier)
        if card.state != "consumed":
            raise Refused(f"The card is {card.state}; there is nothing to give back.", code="refused.card")
        return self._moved(card, state="approved" if card.kind == "approval" else "answered")

    def recheck(self, identifier: str, digest: str, now_us: int, versions: Versions) -> Card:
        """Return a consumed card whose action is done again; raises Refused unless it holds now."""
        card = self.get(identifier)
        was: State = "approved" if card.kind == "approval" else "answered"
        state, why = self._standing(msgspec.structs.replace(card, state=was), now_us, versions)
        if card.state != "consumed" or state != was or digest != card.sends:
            raise _closed(state if state != was else card.state, why)
        return card

    def withdraw(self, run: str, why: str) -> Change:
        """Return the change that takes back whatever a run still asks; the run ended or was cancelled."""
        change = Change()
        for card in [card for card in self._live.values() if card.run == run]:
            moved = self._moved(card, state="withdrawn", why=why)
            moved.notes.append(Note("card.withdrawn", {"card": card.id, "action": card.action}, run=run))
            change = change.join(moved)
        return change

    def sweep(self, now_us: int, versions_of: Callable[[Card], Versions]) -> Change:
        """Return the change that writes down which cards have expired or gone stale; value: those cards."""
        change, gone = Change(), []
        for card in list(self._live.values()):
            state, why = self._standing(card, now_us, versions_of(card))
            if state != card.state:
                moved = self._moved(card, state=state, why=why)
                head = {"card": card.id, "action": card.action, "why": why}
                moved.notes.append(Note(f"card.{state}", head, run=card.run))
                gone.append(moved.value)
                change = change.join(moved)
        change.value = gone
        return change

    def next_expiry_us(self) -> int | None:
        """Return when the next card expires, for whoever would rather wait than poll."""
        return min((card.expires_us for card in self._live.values()), default=None)

    # ---- what holds now ----------------------------------------------------------------------------------

    def _standing(self, card: Card, now_us: int, versions: Versions) -> tuple[State, str]:
        """Return the state that the card has now, and why it is no longer what it was."""
        if card.state not in LIVE:
            return card.state, card.why
        if now_us >= card.expires_us:
            late = "was not used" if card.state != "open" else "nobody decided it"
            return "expired", f"It expired at {utc(card.expires_us)}: {late} before."
        if versions[0] != card.rules:
            return "stale", "The rules have changed since it was asked; it must be asked again."
        if versions[1] != card.policy:
            return "stale", "The policy has changed since it was asked; it must be asked again."
        if self._approvers.owner_of(card.agent) != card.owner:
            return "stale", f"{card.agent} no longer has the owner {card.owner}; it must be asked again."
        for who in card.who:
            if not self._approvers.is_active_human(who):
                return (
                    "stale",
                    f"{who}, who approved it, is no longer an active human; it must be asked again.",
                )
        return card.state, card.why

    # ---- keeping -----------------------------------------------------------------------------------------

    def _latest(self, action: str, kind: Kind) -> Card | None:
        live = self._newest.get((action, kind))
        if live is not None:
            return live
        latest: Card | None = None
        while True:
            card = self._stored(card_id(action, kind, 1 if latest is None else latest.number + 1))
            if card is None:
                return latest
            latest = card

    def _stored(self, identifier: str) -> Card | None:
        document = self._store.document(CARDS, identifier) if self._store else None
        return _decode(document) if document else None

    def _moved(self, card: Card, *, state: State, why: str = "") -> Change:
        return self._replaced(card, msgspec.structs.replace(card, state=state, why=why or card.why), [])

    def _replaced(self, old: Card, new: Card, notes: list[Note]) -> Change:
        kept = msgspec.structs.replace(new, version=old.version + 1)
        put = Put(CARDS, old.id, kept.encoded(), kept.state, expect=old.version)
        return Change(notes, [put], [lambda: self._keep(kept)], kept)

    def _keep(self, card: Card) -> None:
        if card.state in LIVE:
            self._live[card.id] = self._newest[card.action, card.kind] = card
            return
        self._live.pop(card.id, None)
        newest = self._newest.get((card.action, card.kind))
        if newest is not None and newest.id == card.id:
            del self._newest[card.action, card.kind]


_NOTE: Final[dict[str, str]] = {
    "card.approve": "card.approved", "card.deny": "card.denied", "card.answer": "card.answered",
}  # fmt: skip


def _denied(card: Card, content: dict[str, Any], who: str) -> Card:
    reason = content.get("reason")
    if not isinstance(reason, str) or not reason.strip() or len(reason) > LONGEST_REASON or len(content) > 1:
        raise BadInput("A denial says why.", remedy=f"Give a reason of up to {LONGEST_REASON:,} characters.")
    return msgspec.structs.replace(card, state="denied", why=f"{who} denied it.")


def _read(shown: Shown, content: dict[str, Any], who: str) -> dict[str, Any]:
    """Return the answer as it is kept: the value, what was said, and by whom."""
    if set(content) != {"value"} or shown.question is None:
        raise BadInput("An answer has a value and nothing else.", remedy="Answer again.")
    value = read_answer(shown.question, content["value"])
    return {"value": value, "said": content["value"], "by": who}


def _approved(card: Card, content: dict[str, Any], approval: Approval, edited: str) -> Card:
    """Add one approval; an edit makes earlier ones void, for they were given to something else."""
    if content and (set(content) != {"args"} or not isinstance(content["args"], dict)):
        raise BadInput("An approval can bring edited arguments and nothing else.", remedy="Approve again.")
    if bool(content) != bool(edited):
        raise BadInput("Edited arguments and their digest must come together.", remedy="Edit it again.")
    now = edited or card.edited
    approvals = (*(card.approvals if now == card.edited else ()), approval)
    full = {entry.role for entry in approvals} == set(card.needs)
    state: State = "approved" if full else "open"
    return msgspec.structs.replace(card, state=state, edited=now, approvals=approvals)


def _closed(state: str, why: str) -> Refused:
    said = why or {
        "open": "Nobody has decided it yet.",
        "denied": "It was denied.",
        "consumed": "It was used already; an approval counts once.",
        "approved": "It was approved already.",
        "answered": "It was answered already.",
        "withdrawn": "It was withdrawn.",
    }.get(state, f"It is {state}.")
    return Refused(
        f"This card is {state}. {said}", remedy="See `freehold inbox`.", code=f"refused.card.{state}"
    )


def _decode(document: Document) -> Card:
    try:
        card = msgspec.json.decode(document.body, type=Card)
    except msgspec.DecodeError as error:
        raise Corrupt(
            f"The card {document.key} cannot be read.", remedy="Restore the estate's backup."
        ) from error
    return msgspec.structs.replace(card, version=document.version)
