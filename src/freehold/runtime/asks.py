"""What the steps of a run ask for: taken to the gate, answered, parked while a person is asked.

One per live run. What one read of a runner's socket brought goes through the gate together, so that sixty
requests at once cost two commits and not a hundred and twenty.
"""

import asyncio
from collections.abc import Callable
from typing import Final, Literal

import msgspec

from freehold.base import FreeholdError, Internal, Json, Refused
from freehold.kernel.scope import MAX_REFUSALS, Record, Request, Scope
from freehold.kernel.together import Asked
from freehold.kernel.tools import Intent, Outcome
from freehold.runtime.abortable import Abortable
from freehold.runtime.house import House
from freehold.runtime.job import Job
from freehold.runtime.passed import Passed
from freehold.runtime.session import Call, Session
from freehold.runtime.thinking import LIST
from freehold.runtime.told import shown
from freehold.runtime.toolbox import Asker
from freehold.wire import messages as m

IN_RUN: Final = frozenset({"artifact.put", "artifact.get"})
"""Tools that a step need not name: what they touch never leaves the run."""
PARK_GRACE_S: Final = 0.5

_ANSWERS: Final[dict[str, Literal["done", "not_done", "unknown", "refused", "proposed"]]] = {
    "done": "done", "not_done": "not_done", "unknown": "unknown", "refused": "refused", "proposed": "proposed",
}  # fmt: skip


class Parked(FreeholdError):
    """A step waits for a person; its process is let go until the card is decided."""


class Asks:
    """The requests of one run's steps. ``waiting`` says which step each open card holds up.

    ``first`` is called before a card is told of: what came before it is told before it.
    """

    def __init__(
        self,
        house: House,
        scope: Scope,
        job: Job,
        trouble: Callable[[FreeholdError], None],
        first: Callable[[], None],
    ) -> None:
        self.waiting: dict[str, tuple[str, int]] = {}
        self.parked_any = False
        self._house = house
        self._scope = scope
        self._job = job
        self.passed = Passed(house, scope)
        self._trouble = trouble
        self._first = first
        self._parked: dict[str, tuple[Session, Call, m.Perform]] = {}
        self._effects = Abortable()

    # ---- to the gate and back ------------------------------------------------------------------------

    async def take(self, session: Session, asked: list[tuple[Call, m.Perform]]) -> None:
        """Take to the gate what one read of a runner brought; each answer leaves as soon as it is there."""
        askers: list[Asker] = []
        requests: list[Asked] = []
        anew: list[tuple[Call, m.Perform]] = []
        for call, message in asked:
            label = self.passed.about(call.node, call.item, message.ordinal or 1, session.label(call))
            asker = Asker(
                self._scope.run, self._job, session.workspace, label, call.tools, call.node, call.item
            )
            request = self._asked(call, message, asker)
            told = self.passed.told(request.request) if LIST in call.tools else None
            if told is not None:
                self._answer(session, call, message, asker, told)
                session.answered(call)
                continue
            anew.append((call, message))
            askers.append(asker)
            requests.append(request)

        def done(number: int, record: Record | None) -> None:
            call, message = anew[number]
            try:
                if record is not None and record.code == "refused.frozen":  # the step waits with its run
                    self._trouble(Refused(record.message, remedy=record.remedy, code=record.code))
                elif record is not None:
                    self._answer(session, call, message, askers[number], record)
            finally:
                session.answered(call)
                self._look_again(session, call)

        try:
            await self._house.gate.perform_many(requests, done)
        except FreeholdError as error:
            self._trouble(error)
        if self._scope.refusals >= MAX_REFUSALS:
            self._trouble(
                Refused("This run was stopped: it was refused too often.", remedy="See: freehold runs show")
            )

    def _asked(self, call: Call, message: m.Perform, asker: Asker) -> Asked:
        house, job = self._house, self._job
        ordinal = message.ordinal or 1
        tool = house.tools.tool(message.tool, job, message.args)
        call.asked.add(message.tool)
        if tool is None or not (tool.name in call.tools or tool.name in IN_RUN):
            wrong = Refused(
                f"The plan does not let step {call.node!r} use {message.tool[:64]!r}.",
                remedy="Name the tool at that node in the pack's planner.",
                code="refused.plan",
            )
            args: dict[str, Json] = {"tool": message.tool[:64]}
            request = Request(
                self._scope, call.node, call.item, ordinal, house.unknown_tool, args, asker.label
            )
            return Asked(request, _nothing, wrong)
        request = Request(
            self._scope, call.node, call.item, ordinal, tool, message.args, asker.label, message.blob,
            planned=call.planned,
        )  # fmt: skip
        effect = house.tools.effector(tool.name, asker)
        inside = tool.category is None and (tool.sink is None or tool.quick)
        return Asked(request, effect if inside else self._effects.wrap(effect))

    def _answer(self, session: Session, call: Call, message: m.Perform, asker: Asker, record: Record) -> None:
        call.actions.add(record.action)
        if record.status in ("refused", "proposed") and not record.replayed:
            self.passed.note(record)
        if record.status == "parked":
            self._park(session, call, message, record.card)
            return
        if record.label is not None:
            session.show(call, record.label)
        blob = None
        if record.status == "done":
            try:
                blob, record = self._house.tools.contents(message.tool, asker, record)
            except FreeholdError as error:
                record = msgspec.structs.replace(
                    record, status="not_done", code=error.code, message=error.message, remedy=error.remedy
                )
        tool = self._house.tools.tool(message.tool, self._job, message.args)
        said = shown(self._scope, tool, message.args, record, blob) if tool is not None else None
        if said is not None:
            session.show(call, said)
        status = _ANSWERS.get(record.status)
        if status is None:
            raise Internal(f"A record with status {record.status!r} cannot be an answer.")
        session.send(
            m.Answer(
                message.seq, status, record.action, msgspec.Raw(record.value), blob, record.code,
                record.message, record.remedy,
            )
        )  # fmt: skip

    @property
    def under_way(self) -> bool:
        """Whether an effect on the world outside has begun and not ended."""
        return self._effects.under_way

    def break_off(self) -> None:
        """The grace is over: what is still under way outside is broken off, and unknown."""
        self._effects.break_off()

    # ---- while a person is asked ---------------------------------------------------------------------

    def _park(self, session: Session, call: Call, message: m.Perform, card: str) -> None:
        call.parked.add(card)
        self.passed.waits(card)
        self.waiting[card] = (call.node, call.item)
        self.parked_any = True
        self._parked[card] = (session, call, message)
        self._first()
        self._house.publish(self._scope.run, {"event": "card", "card": card})

    def _look_again(self, session: Session, call: Call) -> None:
        """See in a moment whether a step only waits for people, once what it asked for beside that is over."""
        if call.parked and not call.performing:
            asyncio.get_running_loop().call_later(PARK_GRACE_S, self._unload, session, call)

    def _unload(self, session: Session, call: Call) -> None:
        """Let a step's process go while it only waits for people."""
        if call.parked and not call.performing and not call.future.done():
            for card in call.parked:
                self._parked.pop(card, None)
            call.future.set_exception(Parked("The step waits for a person."))
            session.cancel(call)  # what its runner still says of it comes too late

    def decided(self, card: str) -> tuple[str, int] | None:
        """Ask the gate again in the step that still waits; return the place of one that must start anew."""
        place = self.waiting.pop(card, None)
        live = self._parked.pop(card, None)
        if live is None:
            return place
        session, call, message = live
        call.parked.discard(card)
        return None if session.take_again(call, message) else place


async def _nothing(intent: Intent) -> Outcome:
    raise Internal("A refused action was carried out.")
