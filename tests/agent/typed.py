"""A pack whose loop must come to a result of a type; for ``test_results.py``."""

from typing import Annotated, Any, Final

import msgspec

from freehold.sdk import Context, Job, Pack, Plan
from freehold.sdk.agent import Caps, think

pack: Final = Pack("typed", version="1.0")


class Total(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the loop is to find out."""

    currency: str
    cents: Annotated[int, msgspec.Meta(ge=0)]


@pack.step
async def work(ctx: Context, goal: str) -> dict[str, Any]:
    """Return the typed result, and what it took."""
    thought = await think(ctx, goal, caps=Caps(output_tries=2), output=Total)
    found = msgspec.convert(thought.output, Total)
    return {"currency": found.currency, "cents": found.cents, "model_calls": thought.model_calls}


@pack.planner
def plan(job: Job) -> Plan:
    """Return the one step."""
    made = Plan()
    tools = ["tools.list", "model.call", "context.compact", "question.ask", "source.list", "artifact.put"]
    made.add(work, tools=tools, params={"goal": job.goal})
    return made
