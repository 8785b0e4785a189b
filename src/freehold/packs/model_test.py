"""What `freehold models test` runs: one tiny call of a model, as any step makes it, and how long it took."""

import time
from typing import Any

from freehold.sdk import ActionFailed, Context, Job, Pack, Plan, Refused

pack = Pack("model-test", version="1")


@pack.step
async def call(ctx: Context) -> dict[str, Any]:
    """Ask the job's model to say a word; what refuses it is the result, in its words."""
    asked = {"messages": [{"role": "user", "content": "Answer with the one word: ready"}], "max_tokens": 16}
    begun = time.perf_counter()
    try:
        answer = (await ctx.act("model.call", asked)).value
    except (ActionFailed, Refused) as error:
        return {"problem": error.message, "remedy": error.remedy, "code": error.code}
    return {**answer, "latency_ms": round((time.perf_counter() - begun) * 1_000)}


@pack.planner
def plan(job: Job) -> Plan:
    """Return the plan of the one call."""
    made = Plan()
    made.add(call, tools=["model.call"])
    return made
