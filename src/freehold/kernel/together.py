"""Many actions that were asked at the same time, through the gate together: one commit for all INTENTs.

Each is judged and recorded for itself, in the same order of stages as any other; only the waiting for the disk
is shared. What needs a person or may need one, was known before, or is refused takes the gate's ordinary way.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import msgspec

from freehold.base import FreeholdError, Refused, StoreFailed, action_id
from freehold.kernel.books import Hold
from freehold.kernel.budget import charge_of
from freehold.kernel.judge import NOTHING, Judge, enter, reaches_out, record_of, remember, withheld
from freehold.kernel.principals import Principals
from freehold.kernel.rooms import Rooms
from freehold.kernel.scope import Judgement, Record, Request
from freehold.kernel.tools import NOT_REPEATED, Effector, Intent, Outcome
from freehold.store.interface import Cost, Drop, EntryDraft, Put

Done = Callable[[int, Record | None], None]


class Asked(msgspec.Struct, frozen=True):
    """One of several things asked at once; ``refused`` where that was decided before the gate."""

    request: Request
    effect: Effector
    refused: Refused | None = None


class _Begun(msgspec.Struct):
    """An action whose INTENT is drafted."""

    number: int
    request: Request
    judgement: Judgement
    hold: Hold
    draft: EntryDraft
    epoch: int
    at_us: int
    charge: Cost | None = None
    withdrawn: Refused | None = None


class Way(Protocol):
    """The gate's ordinary way, for one action alone."""

    async def perform(self, request: Request, effect: Effector) -> Record:
        """Carry one action through the gate."""
        ...

    async def refuse(self, request: Request, error: Refused) -> Record:
        """Journal a refusal that was decided before the gate."""
        ...

    async def close(
        self, request: Request, judgement: Judgement, intent: Intent, hold: Hold, outcome: Outcome
    ) -> Record:
        """Write the RESULT of an action whose effect is over."""
        ...

    def stop(self, error: StoreFailed) -> None:
        """Shut the gate: nothing durable can be promised."""
        ...


class Together:
    """The lane for many at once."""

    def __init__(self, rooms: Rooms, judge: Judge, way: Way) -> None:
        self._rooms = rooms
        self._judge = judge
        self._way = way

    async def perform(self, asked: Sequence[Asked], done: Done) -> None:
        """Carry what was asked at the same time through the gate together: one commit for all INTENTs.

        ``done`` is called once for each, with its number and record, as soon as that is there; None where
        nothing could be written, and then the StoreFailed is raised at the end. What needs a person, was
        known before, or is refused goes its own way; each action is judged and recorded for itself.
        """
        begun: list[_Begun] = []
        alone: list[int] = []
        standing: dict[tuple[int, int, int], Principals] = {}
        for number, ask in enumerate(asked):
            ready = self._begin(number, ask, standing)
            if ready is None:
                alone.append(number)
            else:
                begun.append(ready)
        trips = [self._by_itself(number, asked[number], done) for number in alone]
        if begun:
            trips.append(self._together(begun, asked, done))
        if len(trips) == 1:
            await trips[0]
            return
        for failure in await asyncio.gather(*trips, return_exceptions=True):
            if isinstance(failure, BaseException):
                raise failure

    async def _by_itself(self, number: int, ask: Asked, done: Done) -> None:
        record = None
        try:
            if ask.refused is not None:
                record = await self._way.refuse(ask.request, ask.refused)
            else:
                record = await self._way.perform(ask.request, ask.effect)
        finally:
            done(number, record)

    def _begin(
        self, number: int, ask: Asked, standing: dict[tuple[int, int, int], Principals]
    ) -> _Begun | None:
        """Judge and draft an action that nothing holds up; None for any other, with nothing changed.

        ``standing`` keeps who stands how for one scope, tool and label: nothing is awaited from one action of
        the group to the next, so it is looked up once. Rules, flow and budget are asked for each.
        """
        request, rooms, judge = ask.request, self._rooms, self._judge
        scope, tool, ledger = request.scope, request.tool, rooms.ledger
        identifier = action_id(scope.run, request.node, request.item, request.ordinal)
        if ask.refused is not None or identifier in scope.in_flight or identifier in scope.known:
            return None
        if tool.category is not None or tool.question or tool.kind in NOT_REPEATED:
            return None
        if scope.origins is not None and reaches_out(tool):
            return None
        try:
            ready = judge.ready(request, identifier, request.args, "")
            key = (id(scope), id(tool), id(request.label))
            principals = standing.get(key)
            if principals is None:
                principals = standing[key] = judge.standing(request)
            judgement = Judgement(ready, judge.allow(request, ready, principals))
            most = request.max_cost or tool.max_cost(ready.args)
            hold = rooms.budget.reserve(scope.accounts, most, ledger.now_us(), identifier, 1)
        except FreeholdError:
            return None
        scope.in_flight.add(identifier)
        draft = rooms.pen.intent(request, judgement, 1, most)
        return _Begun(number, request, judgement, hold, draft, rooms.epoch.value, ledger.last_time_us)

    async def _together(self, begun: list[_Begun], asked: Sequence[Asked], done: Done) -> None:
        """Write all INTENTs in one commit; then every effect for itself, the quick ones with one commit more."""
        rooms = self._rooms
        try:
            first = await rooms.ledger.write([one.draft for one in begun])
        except FreeholdError as error:
            for one in begun:
                rooms.budget.rollback(one.hold)
                one.request.scope.left(one.judgement.ready.action)
            if isinstance(error, StoreFailed):
                self._way.stop(error)
                for one in begun:
                    done(one.number, None)
                raise
            await asyncio.gather(*(self._by_itself(one.number, asked[one.number], done) for one in begun))
            return
        for one in begun:
            rooms.budget.committed(one.hold)
        quick: list[tuple[_Begun, Intent, Outcome]] = []
        slow: list[Awaitable[None]] = []
        for number, one in enumerate(begun):
            ready = one.judgement.ready
            intent = Intent(
                ready.action, 1, ready.args, one.request.blob, ready.prepared, first + number, one.draft.leaf,
                one.at_us,
            )  # fmt: skip
            effect = asked[one.number].effect
            if one.request.tool.quick:
                quick.append((one, intent, await self._effect(one, effect, intent)))
            else:
                slow.append(self._slowly(one, effect, intent, done))
        trips = [*slow, self._close_together(quick, done)] if quick else slow
        if len(trips) == 1:
            await trips[0]
        else:
            await asyncio.gather(*trips)

    async def _effect(self, one: _Begun, effect: Effector, intent: Intent) -> Outcome:
        """Enter the effector, after one more look at freeze and authority."""
        if self._rooms.epoch.value != one.epoch:
            withdrawn = self._judge.withdrawn(one.request, one.judgement.ready)
            if withdrawn is not None:
                one.withdrawn = withdrawn
                return Outcome("not_done", spent=NOTHING, message=str(withdrawn))
        return withheld(one.request, await enter(one.request, effect, intent))

    async def _slowly(self, one: _Begun, effect: Effector, intent: Intent, done: Done) -> None:
        record = None
        try:
            outcome = await self._effect(one, effect, intent)
            record = await self._way.close(one.request, one.judgement, intent, one.hold, outcome)
            record = _refused_late(one, record)
        except StoreFailed as error:
            self._way.stop(error)
            raise
        finally:
            one.request.scope.left(intent.action)
            done(one.number, record)

    async def _close_together(self, quick: list[tuple[_Begun, Intent, Outcome]], done: Done) -> None:
        """Write the RESULTs of quick effects in one commit."""
        rooms = self._rooms
        drafts: list[EntryDraft] = []
        writes: list[Put | Drop] = []
        for one, intent, outcome in quick:
            held = outcome.status == "unknown" and not outcome.settled
            one.charge = None if held else charge_of(one.hold, outcome.spent)
            drafts.append(self._rooms.pen.result(one.request, intent, outcome, one.hold.cost, one.charge))
            writes += outcome.writes
        try:
            first = await rooms.ledger.write(drafts, writes)
        except StoreFailed as error:
            self._way.stop(error)
            for one, intent, _ in quick:
                one.request.scope.left(intent.action)
                done(one.number, None)
            raise
        for number, (one, intent, outcome) in enumerate(quick):
            if one.charge is not None:
                rooms.budget.settle(one.hold, one.charge)
            remember(one.request, one.judgement, intent, first + number, outcome.status)
            one.request.scope.left(intent.action)
            record = record_of(one.request, intent, outcome, first + number, one.charge)
            done(one.number, _refused_late(one, record))


def _refused_late(one: _Begun, record: Record) -> Record:
    """Return the record as a refusal where authority was withdrawn between INTENT and effect."""
    if one.withdrawn is None:
        return record
    one.request.scope.refusals += 1
    why = one.withdrawn
    return msgspec.structs.replace(
        record, status="refused", code=why.code, message=why.message, remedy=why.remedy
    )
