"""A pack whose steps use the workspace, each in another way."""

import asyncio
import hashlib
import os
import signal
import time
from typing import Final

from freehold.sdk import BlockingContext, Context, Job, Pack, Plan

pack: Final = Pack("files", version="1.0")


@pack.step
async def there_and_back(ctx: Context) -> str:
    """Hand over what no message holds, and take it back; return the digest of what came."""
    kept = await ctx.put_artifact(b"x" * (3 << 20), "application/octet-stream", "large")
    return hashlib.sha256(await ctx.get_artifact(kept)).hexdigest()


@pack.step
async def numbers(ctx: Context) -> list[int]:
    return [1, 2]


@pack.step
async def meet(ctx: Context, item: int) -> list[str]:
    """Write a file, give the other runner time to write its own, and say what lies here."""
    (ctx.workspace / f"from-{item}").write_text("mine")
    await asyncio.sleep(0.5)
    return sorted(path.name for path in ctx.workspace.iterdir())


@pack.step
async def both(ctx: Context, meet: list[list[str]]) -> list[list[str]]:
    return meet


@pack.step
def die_once(ctx: BlockingContext) -> list[str]:
    """Leave files and end the process; say what the next attempt finds."""
    here = ctx.workspace
    if not (here / "left").exists():
        (here / "deep").mkdir()
        (here / "deep" / "left").write_text("mine")
        (here / "left").write_text("mine")
        os.abort()
    (here / "deep" / "more").write_text("it may be written")
    (here / "deep" / "more").unlink()
    return sorted(str(path.relative_to(here)) for path in here.rglob("left"))


@pack.step
def burn(ctx: BlockingContext) -> int:
    """Use the processor for a while."""
    end = time.process_time() + 0.2
    while time.process_time() < end:
        pass
    return signal.SIGKILL


@pack.planner
def plan(job: Job) -> Plan:
    """One step, or the meeting of two runners."""
    (name,) = job.settings["plan"]
    made = Plan(runners=int(job.settings.get("runners", 1)))
    if name == "meet":
        found = made.add("numbers")
        met = made.add("meet", each=found)
        made.add("both", needs=[met])
    else:
        made.add(name)
    return made
