"""A pack for the runner's own tests."""

import asyncio
import os
import threading
import time
from typing import Any

from freehold.sdk import ActionFailed, BlockingContext, Context, Job, Pack, Plan, Refused, StepFailed

pack = Pack("sample", version="2.1")


@pack.step
async def ask(ctx: Context, count: int = 1) -> list[Any]:
    outcomes = await asyncio.gather(*(ctx.act("noop", {"n": n}) for n in range(count)))
    return [outcome.value for outcome in outcomes]


@pack.step
def ask_plainly(ctx: BlockingContext, count: int = 1) -> list[Any]:
    assert threading.current_thread() is not threading.main_thread()
    ctx.progress(1, 2, "half")
    return [ctx.act("noop", {"n": n}).value for n in range(count)]


@pack.step
async def echo(ctx: Context, item: Any) -> Any:
    return item


@pack.step
async def outcome(ctx: Context) -> str:
    try:
        return f"done {(await ctx.act('noop')).status}"
    except Refused as error:
        return f"refused {error.code} {error.message} {error.remedy}"
    except ActionFailed as error:
        return f"{error.status} {error.message}"


@pack.step
async def raises(ctx: Context) -> None:
    raise ValueError("the first line\nthe second line with a secret")


@pack.step
async def fails(ctx: Context) -> None:
    raise StepFailed("The scanner is busy.", code="scanner.busy", retry=True)


@pack.step
async def leaves(ctx: Context) -> None:
    raise SystemExit(3)


@pack.step
async def large(ctx: Context) -> str:
    return "x" * (1 << 20)


@pack.step
async def waits(ctx: Context) -> str:
    await ctx.act("noop")
    return "answered"


@pack.step
def waits_plainly(ctx: BlockingContext) -> str:
    ctx.act("noop")
    return "answered"


@pack.step
def prints(ctx: BlockingContext) -> None:
    print("to the log")


@pack.step
def burns(ctx: BlockingContext, ms: int) -> int:
    until = time.thread_time() + ms / 1000
    while time.thread_time() < until:
        pass
    return os.getpid()


@pack.step
def where(ctx: BlockingContext) -> list[str]:
    return [os.getcwd(), str(ctx.workspace)]


@pack.planner
def plan(job: Job) -> Plan:
    made = Plan()
    made.add(str(job.settings.get("step", "ask")))
    return made
