"""Steps that misbehave in ways the runtime must bear, and steps that read sources; loaded by runners."""

import asyncio
import os
import signal
import time
from pathlib import Path

from freehold.sdk import Context, Job, Pack, Plan, SourceFile, StepFailed

pack = Pack("runtime", version="1")


def _tries(folder: Path, name: str) -> int:
    """Count one more try of ``name``, in the workspace, and return how many there were."""
    path = folder / f"tries-{name}"
    with path.open("a") as file:
        file.write(".")
    return path.stat().st_size


@pack.step
async def numbers(ctx: Context, count: int) -> list[int]:
    return list(range(count))


@pack.step
async def word(ctx: Context) -> str:
    return "not a list"


@pack.step
async def square(ctx: Context, item: int) -> int:
    return item * item


@pack.step
async def add_up(ctx: Context, each: list[int | None]) -> int:
    return sum(value for value in each if value is not None)


@pack.step
async def ask(ctx: Context) -> str:
    return str(await ctx.ask("Go on?"))


@pack.step
async def name_of(ctx: Context, item: SourceFile) -> str:
    return item.path


@pack.step
async def read(ctx: Context, item: SourceFile) -> str:
    return (await ctx.read_source(item)).decode()


@pack.step
async def listed(ctx: Context) -> int:
    return len(await ctx.source("in"))


@pack.step
async def flaky(ctx: Context, good_at: int, retry: bool = True) -> int:
    tries = _tries(ctx.workspace, "flaky")
    if tries < good_at:
        raise StepFailed(f"Try {tries} was no good.", retry=retry)
    return ctx.attempt


@pack.step
async def dies(ctx: Context, times: int) -> int:
    tries = _tries(ctx.workspace, "dies")
    if tries <= times:
        os.kill(os.getpid(), signal.SIGKILL)
    return tries


@pack.step
async def stalls(ctx: Context, item: int | None = None) -> int:
    _tries(ctx.workspace, "stalls")
    await asyncio.sleep(3_600)
    return 1


@pack.step
async def slow(ctx: Context, item: int) -> int:
    """Takes a little, and writes down how many of its kind ran at once."""
    path = ctx.workspace / f"slow-{item}"
    path.write_text("")
    at_once = len(list(ctx.workspace.glob("slow-*")))
    await asyncio.sleep(0.02)
    path.unlink()
    return at_once


@pack.step
def spins(ctx: object, item: int) -> int:
    while True:
        time.sleep(3_600)


@pack.step
async def sends(ctx: Context, to: str) -> int:
    await ctx.act("mail.send", {"to": [to], "subject": "Hello", "text": "Text."})
    return 1


@pack.planner
def plan(job: Job) -> Plan:
    made = Plan(runners=job.settings.get("runners", 1))
    for node in job.settings["plan"]:
        made.add(**node)
    return made
