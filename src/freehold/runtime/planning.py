"""How a run comes to its plan: the pack's planner makes it, a person sees one that a model proposed, then it is
fixed.

The planner runs in a runner and is journaled as a step like any other; it may ask the gate for a model, for the
list of tools and for a person, and for nothing else. Called by the live run alone.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Final, NamedTuple

import msgspec

from freehold.base import BadInput, Json, Refused
from freehold.base.canonical import encode
from freehold.kernel.grades import Category
from freehold.kernel.rules import Resource
from freehold.kernel.scope import Record, Request, Scope
from freehold.kernel.tools import EffectKind, Intent, Outcome, PrepareContext, Prepared, Tool
from freehold.runtime.asks import Asks
from freehold.runtime.foreseen import foresee
from freehold.runtime.house import House
from freehold.runtime.job import Job
from freehold.runtime.plans import Plan, Planned
from freehold.runtime.proposed import check_proposed, facts_of
from freehold.runtime.runners import Runners
from freehold.runtime.session import Call, Session
from freehold.runtime.thinking import PLANNERS, faced
from freehold.store.interface import Cost
from freehold.wire import messages as m

PLAN_NODE: Final = "$plan"
FIX_NODE: Final = "$fix"
PLAN_LIMIT_S: Final = 60.0
THINKING_LIMIT_S: Final = 1_800.0
MAX_LOST: Final = 3
"""How often planning, or a step, is begun that loses its runner each time."""
LOST: Final = "lost"
PARKED: Final = "parked"
MODEL: Final = "model.call"
_FIX: Final = Resource("step", "plan.fix", "plan.fix")

OnRunner = Callable[[Session, Call, m.Message, float], Awaitable[Outcome]]


class _Ready(NamedTuple):
    """A plan that was validated, whether a model had a part in it, and what its model calls can cost."""

    plan: Plan
    proposed: bool
    costs: str = ""


class Planning:
    """One run's way to its plan. ``under_way`` says that it is being made just now."""

    def __init__(self, house: House, scope: Scope, job: Job, asks: Asks, runners: Runners) -> None:
        self.under_way = False
        self._house = house
        self._scope = scope
        self._job = job
        self._asks = asks
        self._runners = runners
        self._ready: _Ready | None = None

    async def plan(self, done: int | None, on_runner: OnRunner, halted: Callable[[], str]) -> Plan | None:
        """Return the run's plan: the one recorded at ``done``, or a new one; None while a person is waited for.

        Raises Refused with the sentence of a planner that gave none, or of the person who declined it.
        """
        self.under_way = True
        try:
            if self._ready is None:
                self._ready = (
                    self._recorded(done) if done is not None else await self._made(on_runner, halted)
                )
            if self._ready is None:
                return None
            ready = self._ready
            return await self._fixed(ready) if ready.proposed else ready.plan
        finally:
            self.under_way = False

    def concerns(self, node: str) -> bool:
        """Say whether a card at that node holds up the planning."""
        return node in (PLAN_NODE, FIX_NODE)

    def _recorded(self, done: int) -> _Ready:
        planned = msgspec.json.decode(self._house.records.value(done).data, type=Planned)
        self._runners.version = planned.version
        plan = self._house.read_plan(planned.plan, self._job, None)
        return _Ready(plan, planned.proposed, planned.costs)

    async def _made(self, on_runner: OnRunner, halted: Callable[[], str]) -> _Ready | None:
        lost = 0
        while True:
            session = await self._runners.get()
            made, record = await self._ask_planner(session, on_runner)
            self._runners.version = session.version
            if made is not None:
                return made
            if record.code == PARKED:
                if any(self.concerns(node) for node, _ in self._asks.waiting.values()):
                    return None
                continue  # decided meanwhile
            lost += 1
            if record.code != LOST or halted() or lost >= MAX_LOST:
                break
        message = record.message or "The pack's planner gave no plan."
        raise Refused(message, remedy=record.remedy, code=record.code or "refused.plan")

    async def _ask_planner(self, session: Session, on_runner: OnRunner) -> tuple[_Ready | None, Record]:
        """Return the validated plan, and the planner's record."""
        house, scope, job = self._house, self._scope, self._job
        call = session.begin(PLAN_NODE, 0, house.job_label(job), PLANNERS)
        request = Request(
            scope, PLAN_NODE, 0, 0, house.step_tool, {"step": PLAN_NODE, "job": job.digest}, session.label(call),
            max_cost=Cost(actions=1, cpu_us=house.plan_cpu_us),
        )  # fmt: skip
        made: list[_Ready] = []

        async def effect(intent: Intent) -> Outcome:
            ask = m.MakePlan(step=call.number, job=house.job_view(scope.run, job))
            thinks = any(right.action in (MODEL, "*") for right in job.may)
            limit_s = THINKING_LIMIT_S if thinks else PLAN_LIMIT_S
            outcome = await on_runner(session, call, ask, limit_s)
            if outcome.status != "done":
                return outcome
            proposed, costs = MODEL in call.asked, ""
            try:
                plan = house.read_plan(outcome.value, job, session.steps)
                if proposed:
                    check_proposed(plan, job, faced(house.tools, job, house.tools.names))
                    costs = foresee(house, scope, job, plan)
            except BadInput as error:
                return replace(outcome, status="not_done", value=b"null", message=str(error))
            made.append(_Ready(plan, proposed, costs))
            planned = Planned(msgspec.Raw(outcome.value), session.version, proposed, costs)
            return replace(outcome, value=msgspec.json.encode(planned))

        record = await house.gate.perform(request, effect)
        session.finish(call)
        if record.status == "not_done" and call.parked:
            record = msgspec.structs.replace(record, code=PARKED)
        elif record.status == "not_done" and session.lost is not None:
            record = msgspec.structs.replace(record, code=LOST)
        return (made[-1] if record.status == "done" and made else None), record

    async def _fixed(self, ready: _Ready) -> Plan | None:
        """Have the plan fixed, by a person where the job's grade asks for one; None while they are waited for."""
        scope, job, plan = self._scope, self._job, ready.plan
        args: dict[str, Json] = {"plan": msgspec.to_builtins(plan)}
        if ready.costs:
            args["costs"] = ready.costs
        request = Request(scope, FIX_NODE, 0, 1, fix_tool(), args, self._house.job_label(job))
        record = await self._house.gate.perform(request, _fix)
        if record.status == "done":
            return plan
        if record.status == "parked":
            self._asks.waiting[record.card] = (FIX_NODE, 0)
            self._asks.parked_any = True
            self._house.publish(scope.run, {"event": "card", "card": record.card})
            return None
        raise Refused(
            record.message or "The plan was not approved.",
            remedy=record.remedy,
            code=record.code or "refused.plan",
        )


def fix_tool() -> Tool:
    """Return the tool that fixes a plan; what a person is shown is made of the plan's own bytes."""

    def prepare(context: PrepareContext, args: Mapping[str, Json]) -> Prepared:
        sent = encode(args["plan"])
        plan, costs = msgspec.json.decode(sent, type=Plan), str(args.get("costs", ""))
        return Prepared(sent, facts_of(plan, context.job, costs))

    return Tool(
        "plan.fix", EffectKind.IDEMPOTENT, lambda args: (_FIX,), Category.PLAN, prepare=prepare, right="step.run",
        timeout_s=None,
    )  # fmt: skip


async def _fix(intent: Intent) -> Outcome:
    return Outcome("done", spent=Cost(actions=1))
