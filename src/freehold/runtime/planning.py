"""Has a pack's planner make the plan of a run, journaled as a step like any other. Called by the live run alone."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final

import msgspec

from freehold.base import BadInput
from freehold.kernel.scope import Record, Request, Scope
from freehold.kernel.tools import Intent, Outcome
from freehold.runtime.house import House
from freehold.runtime.job import Job
from freehold.runtime.plans import Plan, Planned
from freehold.runtime.session import Call, Session
from freehold.store.interface import Cost
from freehold.wire import messages as m

PLAN_NODE: Final = "$plan"
PLAN_LIMIT_S: Final = 60.0
LOST: Final = "lost"

OnRunner = Callable[[Session, Call, m.Message, float], Awaitable[Outcome]]


async def ask_planner(
    house: House, scope: Scope, job: Job, session: Session, on_runner: OnRunner
) -> tuple[Plan | None, Record]:
    """Return the validated plan and its record; the record's code is ``LOST`` where the runner was lost over it."""
    call = session.begin(PLAN_NODE, 0, house.job_label(job), frozenset())
    request = Request(
        scope, PLAN_NODE, 0, 0, house.step_tool, {"step": PLAN_NODE, "job": job.digest}, session.label(call),
        max_cost=Cost(actions=1, cpu_us=house.plan_cpu_us),
    )  # fmt: skip
    made: list[Plan] = []

    async def effect(intent: Intent) -> Outcome:
        ask = m.MakePlan(step=call.number, job=house.job_view(scope.run, job))
        outcome = await on_runner(session, call, ask, PLAN_LIMIT_S)
        if outcome.status != "done":
            return outcome
        try:
            made.append(house.read_plan(outcome.value, job, session.steps))
        except BadInput as error:
            return replace(outcome, status="not_done", value=b"null", message=str(error))
        planned = Planned(msgspec.Raw(outcome.value), session.version)
        return replace(outcome, value=msgspec.json.encode(planned))

    record = await house.gate.perform(request, effect)
    session.finish(call)
    if record.status == "not_done" and session.lost is not None:
        record = msgspec.structs.replace(record, code=LOST)
    return (made[-1] if record.status == "done" and made else None), record
