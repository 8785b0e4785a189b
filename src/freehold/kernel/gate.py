"""The one gate: every action of every agent passes ``Gate.perform``, and nothing else reaches the world.

The order is the design's: who, may, flow, pay, ask; then one commit writes the INTENT, reserves the budget
and consumes the approval; freeze and authority are looked at once more; the effector is entered with no
await between; the RESULT closes what the INTENT opened. Only the runtime calls it.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from freehold.base import BadInput, Diverged, FreeholdError, Json, Refused, StoreFailed, action_id
from freehold.kernel.asking import Asking
from freehold.kernel.books import Hold
from freehold.kernel.budget import SHORT, charge_of
from freehold.kernel.change import Change
from freehold.kernel.judge import NOTHING, Judge, enter, lost, record_of, remember, withheld
from freehold.kernel.rooms import Rooms
from freehold.kernel.scope import MAX_REFUSALS, Judgement, Ready, Record, Request
from freehold.kernel.settle import Settled, Settlement
from freehold.kernel.together import Asked, Done, Together
from freehold.kernel.tools import NOT_REPEATED, EffectKind, Effector, Intent, Outcome
from freehold.store.interface import Drop, Put

NOTHING_OPEN: Final = Settled()
_NO_CHANGE: Final = Change()


@dataclass(frozen=True, slots=True)
class _Try:
    """One attempt: its number, what of an earlier one it closes, and the epoch it was judged under."""

    number: int
    settled: Settled
    epoch: int


class Gate:
    """The protocol of intent and result over the rooms of the kernel."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._pen = rooms.pen
        self._asking = Asking(rooms)
        self._judge = Judge(rooms, self._asking)
        self._together = Together(rooms, self._judge, self)
        self._settlement = Settlement(rooms, self._pen)
        self._stopped: StoreFailed | None = None

    @property
    def stopped(self) -> bool:
        """Whether the gate is shut because the store failed."""
        return self._stopped is not None

    def reopen(self) -> None:
        """Let actions through again, after the state was read again from the store."""
        self._stopped = None

    async def perform(self, request: Request, effect: Effector) -> Record:
        """Carry one action through the gate and return its record.

        Refusals come back as a record with status ``refused`` and are journaled; a parked action comes
        back with its card, and is performed anew when the card is decided. Raises StoreFailed when
        nothing durable can be promised: the gate then stays shut until ``reopen``.
        """
        if self._stopped is not None:
            raise self._stopped
        scope = request.scope
        identifier = action_id(scope.run, request.node, request.item, request.ordinal)
        if identifier in scope.in_flight:
            return await self._refuse(request, identifier, None, Refused("This action is already under way."))
        scope.in_flight.add(identifier)
        try:
            return await self._perform(request, identifier, effect)
        except StoreFailed as error:
            self._stopped = error
            raise
        finally:
            scope.left(identifier)

    async def perform_many(self, asked: Sequence[Asked], done: Done) -> None:
        """Carry what was asked at the same time through the gate together, each judged for itself.

        ``done`` is called once for each, with its number and record, as soon as that is there; with None where
        nothing could be written, and then StoreFailed is raised at the end.
        """
        if self._stopped is not None:
            for number in range(len(asked)):
                done(number, None)
            raise self._stopped
        await self._together.perform(asked, done)

    def stop(self, error: StoreFailed) -> None:
        """Shut the gate: nothing durable can be promised until ``reopen``."""
        self._stopped = error

    async def refuse(self, request: Request, error: Refused) -> Record:
        """Journal a refusal that was decided before the gate: the plan does not let a step use this tool."""
        scope = request.scope
        identifier = action_id(scope.run, request.node, request.item, request.ordinal)
        return await self._refuse(request, identifier, None, error)

    def digest_of(self, request: Request, args: dict[str, Json]) -> str:
        """Return the digest that ``request`` would have with other arguments, for an approval that edits it."""
        scope = request.scope
        identifier = action_id(scope.run, request.node, request.item, request.ordinal)
        return self._judge.ready(request, identifier, args, "").sent

    async def _perform(self, request: Request, identifier: str, effect: Effector) -> Record:
        try:
            ready = self._judge.ready(request, identifier, request.args, "")
        except FreeholdError as error:
            return await self._refuse(request, identifier, None, error)
        number, settled, consume = 1, NOTHING_OPEN, _NO_CHANGE
        known = request.scope.known.get(identifier)
        try:
            if known is not None:
                if known.digest.hex() != ready.asked:
                    raise _diverged()
                settled = await self._settlement.settle(request, ready, known)
                if settled.record is not None:
                    return settled.record
                number = known.attempt + 1
            epoch = self._rooms.epoch.value
            judgement = self._judge.judge(request, ready, number)
            consume = judgement.consume or consume
            if judgement.waits_for:
                return Record(identifier, "parked", card=judgement.waits_for)
            if judgement.park is not None:
                card = await self._rooms.ledger.commit(judgement.park)
                return Record(identifier, "parked", card=card.id)
            if judgement.propose:
                return await self._propose(request, ready)
            now_us = self._rooms.ledger.now_us()
            most = request.max_cost or request.tool.max_cost(judgement.ready.args)
            hold = self._rooms.budget.reserve(request.scope.accounts, most, now_us, identifier, number)
        except (BadInput, Refused) as error:
            for move in consume.undo:
                move()
            scope = request.scope
            if error.code == SHORT and self._rooms.budget.comes_back(scope.accounts, scope.in_flight):
                await scope.freed()  # another model call of the run gives back what it does not use
                return await self._perform(request, identifier, effect)
            return await self._refuse(request, identifier, ready, error)
        record = await self._execute(request, judgement, effect, _Try(number, settled, epoch), hold)
        if record.status == "unknown" and request.tool.kind in NOT_REPEATED:
            return await self._settle_now(request, judgement.ready, record)
        return record

    async def _settle_now(self, request: Request, ready: Ready, record: Record) -> Record:
        """Ask at once after an outcome that is unknown and may not be done again: the other side, or a human."""
        try:
            settled = await self._settlement.settle(request, ready, request.scope.known[ready.action])
        except Refused:  # nobody is there to ask now; it is asked when the action comes again
            return record
        if settled.record is not None:
            return settled.record
        return msgspec.structs.replace(record, status="not_done", message="The other side says: not done.")

    # ---- write, effect, write ------------------------------------------------------------------------

    async def _execute(
        self, request: Request, judgement: Judgement, effect: Effector, this_try: _Try, hold: Hold
    ) -> Record:
        rooms, ready = self._rooms, judgement.ready
        consume = judgement.consume or _NO_CHANGE
        closing = this_try.settled.closing
        try:
            draft = self._pen.intent(request, judgement, this_try.number, hold.cost)
            before = [*closing, *rooms.ledger.drafts(consume)] if closing or consume.notes else []
            index = len(before) + await rooms.ledger.write([*before, draft], consume.writes)
        except FreeholdError:
            rooms.budget.rollback(hold)
            for move in consume.undo:
                move()
            raise
        rooms.budget.committed(hold)
        if closing:
            self._settle_earlier(ready.action, this_try)
        for move in consume.after:
            move()
        at_us = rooms.ledger.last_time_us
        intent = Intent(
            ready.action, this_try.number, ready.args, request.blob, ready.prepared, index, draft.leaf, at_us,
            judgement.answer,
        )  # fmt: skip
        withdrawn = None
        if rooms.epoch.value != this_try.epoch:
            withdrawn = self._judge.withdrawn(request, ready)
        if withdrawn is not None:
            outcome = Outcome("not_done", spent=NOTHING, message=str(withdrawn))
        else:
            try:
                outcome = withheld(request, await enter(request, effect, intent))
            except asyncio.CancelledError:
                outcome = lost(request, "It was cancelled after the effect had begun.")
                await asyncio.shield(self.close(request, judgement, intent, hold, outcome))
                raise
        record = await self.close(request, judgement, intent, hold, outcome)
        if withdrawn is None:
            return record
        request.scope.refusals += 1
        return msgspec.structs.replace(
            record, status="refused", code=withdrawn.code, message=withdrawn.message, remedy=withdrawn.remedy
        )

    def _settle_earlier(self, action: str, this_try: _Try) -> None:
        earlier = self._rooms.budget.hold(action, this_try.number - 1)
        if earlier is not None:
            self._rooms.budget.settle(earlier, this_try.settled.charge or earlier.cost)

    async def close(
        self, request: Request, judgement: Judgement, intent: Intent, hold: Hold, outcome: Outcome
    ) -> Record:
        """Write the RESULT, settle the budget, and remember the action while its step may ask again."""
        rooms = self._rooms
        held = outcome.status == "unknown" and not outcome.settled
        charge = None if held else charge_of(hold, outcome.spent)
        draft = self._pen.result(request, intent, outcome, hold.cost, charge)
        drafts, returned = [draft], None
        writes: list[Put | Drop] = self._asking.report(request, judgement, outcome)
        origins = request.scope.origins
        if origins is not None and request.tool.kind is not EffectKind.READ and outcome.status != "not_done":
            written = origins.influenced(request.tool, intent.args)
            writes += rooms.hearsay.writes(written, self._pen.key(request.label).set_id)
            origins.did(request.tool, intent.args, intent.action)
        if outcome.status == "not_done":
            returned = self._asking.give_back(judgement)
        if returned is not None:
            drafts += rooms.ledger.drafts(returned)
            writes += returned.writes
        index = await rooms.ledger.write(drafts, writes)
        for move in returned.after if returned is not None else ():
            move()
        if charge is not None:
            rooms.budget.settle(hold, charge)
        remember(request, judgement, intent, index, outcome.status)
        return record_of(request, intent, outcome, index, charge)

    # ---- what is not executed ------------------------------------------------------------------------

    async def _refuse(
        self, request: Request, identifier: str, ready: Ready | None, error: FreeholdError
    ) -> Record:
        """Journal a refusal; beyond the run's bound it is only counted, so a flood cannot fill the disk."""
        scope = request.scope
        scope.refusals += 1
        index = -1
        if scope.refusals <= MAX_REFUSALS:
            draft = self._pen.refusal(request, identifier, ready, error, "refused")
            index = await self._rooms.ledger.write([draft], ())
        return Record(
            identifier, "refused", result_index=index, code=error.code, message=error.message,
            remedy=error.remedy,
        )  # fmt: skip

    async def _propose(self, request: Request, ready: Ready) -> Record:
        """Keep what would have been done; under grade ``propose`` the proposal is the result."""
        document, fresh = self._asking.proposal(request, ready)
        if fresh:
            kept = Refused("Only proposed: the job's grade for this category is `propose`.", code="proposed")
            draft = self._pen.refusal(request, ready.action, ready, kept, "proposed")
            await self._rooms.ledger.write([draft], [document])
        return Record(ready.action, "proposed", message="Kept as a proposal; nothing was sent or changed.")


def _diverged() -> Diverged:
    return Diverged(
        "This action was recorded before with other contents.",
        remedy="A step that runs again must ask for the same actions in the same order.",
    )
