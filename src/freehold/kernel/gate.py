"""The one gate: every action of every agent passes ``Gate.perform``, and nothing else reaches the world.

The order is the design's: who, may, flow, pay, ask; then one commit writes the INTENT, reserves the budget
and consumes the approval; freeze and authority are looked at once more; the effector is entered with no
await between; the RESULT closes what the INTENT opened. Only the runtime calls it.
"""

import asyncio
from dataclasses import dataclass
from typing import Final

import msgspec

from freehold.base import Diverged, FreeholdError, Json, Refused, StoreFailed, action_id
from freehold.base.canonical import encode
from freehold.kernel.asking import Asking
from freehold.kernel.books import Hold
from freehold.kernel.budget import charge_of
from freehold.kernel.change import Change
from freehold.kernel.labels import flows, may_see
from freehold.kernel.rooms import Rooms
from freehold.kernel.scope import MAX_REFUSALS, Judgement, Ready, Record, Request
from freehold.kernel.settle import Settled, Settlement
from freehold.kernel.tools import EffectKind, Effector, Intent, Outcome, PrepareContext, Prepared
from freehold.store.interface import Cost, Drop, Put, RunAction

_NOTHING: Final = Cost()
_UNPREPARED: Final = Prepared()
_NOTHING_OPEN: Final = Settled()
_NO_CHANGE: Final = Change()
_NOT_REPEATED: Final = (EffectKind.ONCE, EffectKind.RECONCILABLE)


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
            scope.in_flight.discard(identifier)

    async def refuse(self, request: Request, error: Refused) -> Record:
        """Journal a refusal that was decided before the gate: the plan does not let a step use this tool."""
        scope = request.scope
        identifier = action_id(scope.run, request.node, request.item, request.ordinal)
        return await self._refuse(request, identifier, None, error)

    def digest_of(self, request: Request, args: dict[str, Json]) -> str:
        """Return the digest that ``request`` would have with other arguments, for an approval that edits it."""
        scope = request.scope
        identifier = action_id(scope.run, request.node, request.item, request.ordinal)
        return self._make_ready(request, identifier, args, "").sent

    async def _perform(self, request: Request, identifier: str, effect: Effector) -> Record:
        try:
            ready = self._make_ready(request, identifier, request.args, "")
        except FreeholdError as error:
            return await self._refuse(request, identifier, None, error)
        number, settled, consume = 1, _NOTHING_OPEN, _NO_CHANGE
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
            judgement = self._judge(request, ready, number)
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
        except Refused as error:
            for move in consume.undo:
                move()
            return await self._refuse(request, identifier, ready, error)
        record = await self._execute(request, judgement, effect, _Try(number, settled, epoch), hold)
        if record.status == "unknown" and request.tool.kind in _NOT_REPEATED:
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

    # ---- before the write ----------------------------------------------------------------------------

    def _make_ready(self, request: Request, identifier: str, args: dict[str, Json], asked: str) -> Ready:
        """Fix the bytes of an action and its digest; ``asked`` is the digest of the request that this edits."""
        scope, tool = request.scope, request.tool
        prepared = _UNPREPARED
        if tool.prepare is not None:
            context = PrepareContext(
                identifier, scope.run, scope.job, scope.principals.agent, scope.started_us, request.blob,
                scope.artifact, scope.settings,
            )  # fmt: skip
            prepared = tool.prepare(context, args)
        key = self._pen.key(request.label)
        plain: dict[str, Json] = {"tool": tool.name, "args": args, "id": identifier}
        if request.blob is not None:
            plain["blob"] = key.digest(request.blob)
        if prepared.data:
            plain["bytes"] = key.digest(prepared.data)
        private = encode(plain)
        digest = key.digest(private)
        return Ready(identifier, args, private, asked or digest, digest, prepared)

    def _judge(self, request: Request, ready: Ready, attempt: int) -> Judgement:
        """Run the stages who, may, flow and ask; raises Refused with the stage in its code."""
        judgement = Judgement(ready, self._authorise(request, ready))
        if request.tool.category is None and not request.tool.question:
            return judgement
        self._asking.ask(request, judgement, attempt)
        if judgement.edited is not None:
            judgement.ready = self._make_ready(request, ready.action, judgement.edited, ready.asked)
            judgement.rules = self._authorise(request, judgement.ready)
        return judgement

    def _authorise(self, request: Request, ready: Ready) -> tuple[str, ...]:
        """Stages who, may and flow for what ``ready`` would do; returns the rules that allowed it."""
        scope, tool, rooms = request.scope, request.tool, self._rooms
        if scope.refusals >= MAX_REFUSALS:
            raise Refused("This run was refused too often.", code="refused.too-often")
        principals = rooms.registry.check(scope.principals)
        reason = rooms.freezes.reason(principals.agent, scope.job, tool.name)
        if reason is None and principals.delegators:
            reason = rooms.freezes.reason_for_any(principals.delegators, scope.job, tool.name)
        if reason is not None:
            raise Refused(reason, remedy="A human can lift it with `freehold thaw`.", code="refused.frozen")
        if request.label.confidentiality > principals.clearance:
            seen = may_see(request.label, principals.clearance, f"agent {principals.agent}")
            raise Refused(seen.why, remedy=seen.remedy, code="refused.clearance")
        rules: tuple[str, ...] = ()
        for resource in tool.resources(ready.args):
            decision = rooms.rules.decide(principals, tool.right or tool.name, resource, job=scope.job)
            if not decision.allowed:
                raise Refused(decision.why, remedy=decision.remedy, code="refused.rule")
            rules += decision.rules
        if tool.sink is not None:
            flow = flows(request.label, tool.sink(ready.args), _chosen_by_owner(request, ready))
            if not flow.ok:
                raise Refused(flow.why, code=f"refused.flow.{flow.code}", remedy=flow.remedy)
        return rules

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
            withdrawn = self._withdrawn(request, ready)
        if withdrawn is not None:
            outcome = Outcome("not_done", spent=_NOTHING, message=str(withdrawn))
        else:
            try:
                outcome = self._withheld(request, await self._enter(request, effect, intent))
            except asyncio.CancelledError:
                outcome = _lost(request, "It was cancelled after the effect had begun.")
                await asyncio.shield(self._close(request, judgement, intent, hold, outcome))
                raise
        record = await self._close(request, judgement, intent, hold, outcome)
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

    def _withdrawn(self, request: Request, ready: Ready) -> Refused | None:
        """Look once more: authority or freeze moved while the INTENT was being written."""
        try:
            self._authorise(request, ready)
        except Refused as error:
            return error
        return None

    def _withheld(self, request: Request, outcome: Outcome) -> Outcome:
        """Keep back what a read brought when the asker is not cleared for it."""
        label, principals = outcome.label, request.scope.principals
        if label is None or label.confidentiality <= principals.clearance:
            return outcome
        seen = may_see(label, principals.clearance, f"agent {principals.agent}")
        return Outcome("not_done", spent=outcome.spent, message=f"{seen.why} {seen.remedy}")

    @staticmethod
    async def _enter(request: Request, effect: Effector, intent: Intent) -> Outcome:
        """Enter the effector; whatever it raises after that leaves the outcome unknown."""
        try:
            if request.tool.timeout_s is None:
                return await effect(intent)
            async with asyncio.timeout(request.tool.timeout_s):
                return await effect(intent)
        except TimeoutError:
            return _lost(request, f"There was no answer within {request.tool.timeout_s:g} s.")
        except FreeholdError as error:
            return _lost(request, str(error))
        except Exception as error:  # an effector is somebody else's code: nothing of it may end the gate
            return _lost(request, f"The effect broke off: {type(error).__name__}.")

    async def _close(
        self, request: Request, judgement: Judgement, intent: Intent, hold: Hold, outcome: Outcome
    ) -> Record:
        """Write the RESULT, settle the budget, and remember the action while its step may ask again."""
        rooms = self._rooms
        held = outcome.status == "unknown" and not outcome.settled
        charge = None if held else charge_of(hold, outcome.spent)
        draft = self._pen.result(request, intent, outcome, hold.cost, charge)
        drafts, returned = [draft], None
        writes: list[Put | Drop] = self._asking.report(request, judgement, outcome)
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
        if request.ordinal or outcome.status != "done":
            request.scope.known[intent.action] = RunAction(
                intent.action, request.node, request.item, request.ordinal, intent.attempt, intent.index,
                intent.leaf, index, outcome.status, draft_digest(judgement),
            )  # fmt: skip
        return Record(
            intent.action, outcome.status, intent.attempt, outcome.value, outcome.label or request.label,
            intent.index, index, charge or _NOTHING, message=outcome.message,
        )  # fmt: skip

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


def draft_digest(judgement: Judgement) -> bytes:
    """Return the digest by which an action is known again: that of what was asked, edited or not."""
    return bytes.fromhex(judgement.ready.asked)


def _chosen_by_owner(request: Request, ready: Ready) -> bool:
    """Say whether every value that chooses whom the effect hits stands in the plan's node or the job file."""
    control = request.tool.control(ready.args)
    if request.planned and all(value in request.planned for _, value in control):
        return True
    return request.scope.trusted.covers(control)


def _diverged() -> Diverged:
    return Diverged(
        "This action was recorded before with other contents.",
        remedy="A step that runs again must ask for the same actions in the same order.",
    )


def _lost(request: Request, message: str) -> Outcome:
    return Outcome("unknown", message=message, settled=request.tool.kind is EffectKind.READ)
