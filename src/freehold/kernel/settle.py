"""What an earlier attempt left open is settled here, before an action may be done again (DESIGN's table).

A finished action answers from its record. A read or an idempotent one is done again; a keyed one while the
other side honours its key; a reconcilable one is asked after; for the rest a human says what happened.
"""

import asyncio
import os
from dataclasses import dataclass
from typing import Final

import msgspec

from freehold.base import Corrupt, Refused
from freehold.base.canonical import decode, encode
from freehold.kernel.asking import PARKED, rules_and_policy
from freehold.kernel.card import Ask, Card
from freehold.kernel.facts import Fact, Facts
from freehold.kernel.pen import NO_COST, Pen
from freehold.kernel.questions import Question, Reading
from freehold.kernel.rooms import Rooms
from freehold.kernel.scope import Ready, Record, Request
from freehold.kernel.subjects import ESTATE
from freehold.kernel.tools import EffectKind, Intent, Outcome
from freehold.store.interface import Cost, EntryDraft, Put, RunAction

HAPPENED: Final = "it happened"
NOT_HAPPENED: Final = "it did not happen"
_ASK_AGAIN_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Settled:
    """Either the record that answers, or what must be written with the next attempt's INTENT."""

    record: Record | None = None
    closing: tuple[EntryDraft, ...] = ()
    charge: Cost | None = None


class Settlement:
    """Settles what a crash, a timeout or a cancel left open."""

    def __init__(self, rooms: Rooms, pen: Pen) -> None:
        self._rooms = rooms
        self._pen = pen

    async def settle(self, request: Request, ready: Ready, known: RunAction) -> Settled:
        """Return how to go on with an action that was begun before."""
        if known.status == "done":
            return Settled(self.replay(ready.action, known, request))
        if known.result_index is not None and known.status != "unknown":
            return Settled()
        kind = request.tool.kind
        intent = self._intent(request, ready, known)
        if kind in (EffectKind.READ, EffectKind.IDEMPOTENT):
            return self._redo(request, intent)
        if kind is EffectKind.KEYED and self._key_lives(request, intent):
            return self._redo(request, intent)
        if kind is EffectKind.RECONCILABLE and request.tool.reconcile is not None:
            return await self._reconcile(request, intent)
        return await self._ask(request, ready, intent)

    def replay(self, action: str, known: RunAction, request: Request) -> Record:
        """Return a finished action's record from the journal; needs no judgement, the effect is done."""
        entry = self._rooms.store.entry(known.result_index if known.result_index is not None else -1)
        value = self._pen.value(entry) if entry is not None else None
        if value is None:
            raise Refused(
                "The record of this action was sealed for a subject that was forgotten.",
                code="refused.forgotten",
            )
        return Record(
            action, "done", known.attempt, value.data, value.label, known.intent_index, entry.index if entry else -1,
            replayed=True,
        )  # fmt: skip

    def _intent(self, request: Request, ready: Ready, known: RunAction) -> Intent:
        entry = self._rooms.store.entry(known.intent_index)
        if entry is None:
            raise Corrupt(f"The journal has no entry {known.intent_index}, which an open action names.")
        at_us = decode(entry.draft.body)["at"]
        return Intent(
            ready.action, known.attempt, ready.args, request.blob, ready.prepared, known.intent_index,
            known.intent_leaf, at_us,
        )  # fmt: skip

    def _key_lives(self, request: Request, intent: Intent) -> bool:
        """Whether the other side still honours the key, which it has known since the first attempt."""
        store, first_us = self._rooms.store, intent.at_us
        if intent.attempt > 1:
            entries = store.entries_of_run(request.scope.run)
            first = next((entry for entry in entries if entry.draft.action == intent.action), None)
            first_us = decode(first.draft.body)["at"] if first is not None else 0
        return self._rooms.ledger.now_us() - first_us < request.tool.key_ttl_s * 1_000_000

    def _redo(self, request: Request, intent: Intent) -> Settled:
        """Close the attempt whose outcome nobody knows, and have it done again: it is charged as reserved.

        Under a key that the other side honours it is paid once, by the attempt that gets the answer. CPU that nobody
        measured is at most what all cores give in the time since it began, where the clock was not set back.
        """
        hold = self._rooms.budget.hold(intent.action, intent.attempt)
        reserved = hold.cost if hold is not None else NO_COST
        charge = reserved
        now_us = self._rooms.ledger.now_us()
        if reserved.cpu_us and now_us > self._rooms.ledger.last_time_us:
            most_us = min(reserved.cpu_us, (now_us - intent.at_us) * (os.cpu_count() or 1))
            charge = msgspec.structs.replace(charge, cpu_us=most_us)
        if request.tool.kind is EffectKind.KEYED:
            charge = msgspec.structs.replace(charge, money_micro=0, tokens=0)
        outcome = Outcome("redone", message="Its outcome was not known; it is done again under the same id.")
        draft = self._pen.result(request, intent, outcome, reserved, charge)
        return Settled(None, (draft,), charge)

    async def _reconcile(self, request: Request, intent: Intent) -> Settled:
        """Ask the other side; "absent" counts only once the effect can no longer surface."""
        ask = request.tool.reconcile
        assert ask is not None
        until_us = intent.at_us + int(request.tool.settle_s * 1_000_000)
        while True:
            asked_us = self._rooms.ledger.now_us()
            outcome = await ask(intent)
            if outcome.status == "done" or (outcome.status == "not_done" and asked_us >= until_us):
                break
            if outcome.status == "unknown":
                return Settled(Record(intent.action, "unknown", intent.attempt, message=outcome.message))
            await asyncio.sleep(min(_ASK_AGAIN_S, max(0.05, (until_us - asked_us) / 1_000_000)))
        return await self._close(request, intent, outcome)

    async def _close(
        self, request: Request, intent: Intent, outcome: Outcome, extra: Card | None = None
    ) -> Settled:
        """Write what is known now; an effect that did not happen gives budget and approval back."""
        rooms = self._rooms
        hold = rooms.budget.hold(intent.action, intent.attempt)
        reserved = hold.cost if hold is not None else NO_COST
        charge = outcome.spent or (reserved if outcome.status == "done" else Cost(actions=reserved.actions))
        draft = self._pen.result(request, intent, outcome, reserved, charge)
        change = None
        if extra is not None:
            versions = rules_and_policy(rooms, request)
            change = rooms.cards.consume(extra.id, extra.sends, rooms.ledger.now_us(), versions)
        approval = self._approval_of(request, intent) if outcome.status == "not_done" else None
        if approval is not None:
            back = rooms.cards.give_back(approval.id)
            change = back if change is None else change.join(back)
        notes = rooms.ledger.drafts(change) if change is not None else []
        writes = list(change.writes) if change is not None else []
        origins = request.scope.origins
        if origins is not None and outcome.status == "done":  # remembered as it would have been at once
            written = origins.influenced(request.tool, intent.args)
            writes += rooms.hearsay.writes(written, self._pen.key(request.label).set_id)
            origins.did(request.tool, intent.args, intent.action)
        first = await rooms.ledger.write([draft, *notes], writes)
        if hold is not None:
            rooms.budget.settle(hold, charge)
        for move in change.after if change is not None else ():
            move()
        known = request.scope.known.get(intent.action)
        if known is not None:  # it is settled: asked again in this life, it must not be settled twice
            request.scope.known[intent.action] = msgspec.structs.replace(
                known, result_index=first, status=outcome.status
            )
        if outcome.status != "done":
            return Settled()
        label = request.label if outcome.label is None else outcome.label
        record = Record(
            intent.action, "done", intent.attempt, outcome.value, label, intent.index, first, charge
        )
        return Settled(record)

    def _approval_of(self, request: Request, intent: Intent) -> Card | None:
        """Return the approval that the open attempt had consumed."""
        entry = self._rooms.store.entry(intent.index)
        named = decode(entry.draft.body).get("card") if entry is not None else None
        if not isinstance(named, str):
            return None
        document = self._rooms.store.document("card", named)
        return self._rooms.cards.get(named) if document is not None and document.state == "consumed" else None

    # ---- a human settles it --------------------------------------------------------------------------

    async def _ask(self, request: Request, ready: Ready, intent: Intent) -> Settled:
        """Have a person say whether it happened; it is never repeated by itself."""
        rooms, scope = self._rooms, request.scope
        versions = rules_and_policy(rooms, request)
        about = f"{intent.action}{intent.attempt:08x}"[-32:]
        card = rooms.cards.find(about, ready.asked, rooms.ledger.now_us(), versions, kind="question")
        if card is not None and card.state == "answered":
            return await self._answered(request, intent, card)
        if card is not None and card.state == "open":
            return Settled(Record(intent.action, "parked", intent.attempt, card=card.id))
        if card is not None and card.state not in ("stale", "expired"):
            return Settled(Record(intent.action, "unknown", intent.attempt, message=card.why))
        question = Question(
            "Outcome unknown: did this happen?", "choice", (HAPPENED, NOT_HAPPENED),
            readings=(Reading("the journal", "It was begun; no answer was recorded.", 0),),
        )  # fmt: skip
        facts = ready.prepared.facts or Facts(request.tool.name)
        known = Fact(
            "what is known",
            "The effect was begun and its outcome never recorded. It is not repeated by itself.",
        )
        change = rooms.cards.propose(
            Ask(
                action=about, digest=ready.asked, run=scope.run, job=scope.job, agent=scope.principals.agent,
                tool=request.tool.name, rules=versions[0], policy=versions[1],
                approvers=rooms.registry.approvers_confirm(scope.principals.agent),
                subjects=tuple(sorted(request.label.subjects)) or (ESTATE,),
                expires_us=rooms.ledger.now_us() + 52 * scope.approval.expires_us,
                facts=msgspec.structs.replace(
                    facts, title=f"Outcome unknown: {facts.title}", lines=(known, *facts.lines)
                ),
                args=ready.args, question=question,
            ),
            rooms.ledger.now_us(),
        )  # fmt: skip
        place = {"run": scope.run, "node": request.node, "item": request.item}
        change.writes.append(Put(PARKED, change.value.id, encode(place), scope.run))
        card = await rooms.ledger.commit(change)
        return Settled(Record(intent.action, "parked", intent.attempt, card=card.id))

    async def _answered(self, request: Request, intent: Intent, card: Card) -> Settled:
        said = self._rooms.cards.show(card).reply["value"]
        by = ", ".join(card.who)
        if said == HAPPENED:
            outcome = Outcome("done", message=f"{by} said that it happened.", by=by)
        else:
            outcome = Outcome("not_done", message=f"{by} said that it did not happen.", by=by)
        return await self._close(request, intent, outcome, card)
