"""The assistant as a pack: one step that loops over its goal, or a plan that a model proposed and that is fixed."""

from typing import Final

from freehold.packs.assistant.settings import Settings, goal_of, read_settings, system_of
from freehold.sdk import Context, Job, Pack, Plan
from freehold.sdk.agent import Thought, think
from freehold.sdk.agent.tools import OF_THE_LOOP

pack: Final = Pack("assistant", version="1.0")

WORK_S: Final = 4 * 3_600
WORK_CPU_S: Final = 300


@pack.step
async def work(ctx: Context, goal: str, system: str, settings: Settings) -> Thought:
    """Work towards the goal until the model answers, a cap ends it, or it waits for a person."""
    return await think(
        ctx, goal, system=system, voice=settings.voice, caps=settings.caps, tools=settings.tools
    )


@pack.planner
def plan(job: Job) -> Plan:
    """Return one step that loops."""
    settings = read_settings(job)
    made = Plan()
    made.add(
        work,
        tools=tools_of(job, settings),
        params={"goal": goal_of(job, settings), "system": system_of(job), "settings": job.settings},
        timeout_s=WORK_S,
        cpu_s=WORK_CPU_S,
        retries=1,
    )
    return made


def tools_of(job: Job, settings: Settings) -> list[str]:
    """Return the tools that the work may use: those that the job names, else all that its rights allow."""
    found = settings.tools if settings.tools is not None else list(job.get("tools") or [])
    return sorted({*found, *OF_THE_LOOP})
