"""A pack without a subject, for tests and benchmarks of the runtime: its plan is what the job's params say.

``params`` may hold: ``plan`` (a whole plan as data) and ``runners``, else ``shape`` "chain" with ``steps``,
or "fan" with ``items``. It is loaded by runners like any pack.
"""

import asyncio
from typing import Any

from freehold.sdk import Context, Job, Pack, Plan, StepFailed

pack = Pack("synthetic", version="1")


@pack.step
async def echo(ctx: Context, value: Any = None) -> Any:
    """Return a small result, as a step does that only computes."""
    return {"ok": True, "n": value, "v": "x" * 64}


@pack.step
async def numbers(ctx: Context, count: int) -> list[int]:
    """Return the numbers below ``count``."""
    return list(range(count))


@pack.step
async def square(ctx: Context, item: int) -> int:
    """Return the square of a number."""
    return item * item


@pack.step
async def brittle(ctx: Context, item: int, bad: list[int]) -> int:
    """Return the number; fail for the bad ones."""
    if item in bad:
        raise StepFailed(f"{item} is a bad number.")
    return item


@pack.step
async def add_up(ctx: Context, square: list[int | None]) -> int:
    """Return the sum of what came in; a failed item is null."""
    return sum(value for value in square if value is not None)


@pack.step
async def act(ctx: Context, tool: str, args: dict[str, Any], item: Any = None) -> Any:
    """Ask the gate for one action and return what came of it."""
    return (await ctx.act(tool, args)).value


@pack.step
async def several(ctx: Context, calls: list[dict[str, Any]], item: Any = None) -> list[Any]:
    """Ask for several actions one after the other and return what each gave.

    A call is ``{"tool", "args"}``, or ``{"put", "name"}`` for an artifact; the text ``$0`` in an argument
    stands for what the first one gave.
    """
    given: list[Any] = []
    for call in calls:
        if "put" in call:
            given.append((await ctx.put_artifact(call["put"], "text/plain", call["name"])).id)
        else:
            given.append((await ctx.act(call["tool"], _filled(call["args"], given))).value)
    return given


def _filled(value: Any, given: list[Any]) -> Any:
    if isinstance(value, dict):
        return {name: _filled(member, given) for name, member in value.items()}
    if isinstance(value, list):
        return [_filled(member, given) for member in value]
    return given[int(value[1:])] if isinstance(value, str) and value.startswith("$") else value


@pack.step
async def act_often(ctx: Context, tool: str, times: int, at_once: int) -> int:
    """Ask for the same tool many times, so many at once."""
    left = times

    async def worker() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            await ctx.act(tool, {})

    await asyncio.gather(*(worker() for _ in range(at_once)))
    return times


@pack.step
async def ask(ctx: Context, question: dict[str, Any], item: Any = None) -> Any:
    """Ask a person and return the answer."""
    return (await ctx.act("question.ask", question)).value


@pack.step
async def stall(ctx: Context, seconds_micro: int = 60_000_000, item: Any = None) -> int:
    """Wait; for tests of cancelling and freezing."""
    await asyncio.sleep(seconds_micro / 1_000_000)
    return 1


@pack.planner
def plan(job: Job) -> Plan:
    """Return the plan that the job's params describe."""
    settings = job.settings
    made = Plan(runners=settings.get("runners", 1))
    given = settings.get("plan")
    if given is not None:
        for node in given:
            made.add(**node)
        return made
    if settings.get("shape") == "fan":
        made.add("numbers", params={"count": settings["items"]})
        made.add("square", each="numbers", concurrency=settings.get("at_once", 32))
        made.add("add_up", id="sum", needs=["square"])
        return made
    for number in range(settings.get("steps", 3)):
        needs = [f"s{number - 1}"] if number else []
        made.add("echo", id=f"s{number}", needs=needs, params={"value": number})
    return made
