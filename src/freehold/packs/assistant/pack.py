"""The assistant as a pack: one step that loops over its goal, or a plan that a model proposed and that is fixed."""

from typing import Any, Final

from freehold.packs.assistant.settings import Settings, goal_of, read_settings, system_of
from freehold.sdk import Context, Job, Pack, Plan
from freehold.sdk.agent import Thought, Voice, think
from freehold.sdk.agent.earlier import recall
from freehold.sdk.agent.loop import list_tools
from freehold.sdk.agent.planner import propose
from freehold.sdk.agent.tools import OF_THE_LOOP
from freehold.sdk.agent.walk import carry_out
from freehold.wire.doing import AnyDoing

pack: Final = Pack("assistant", version="1.0")

WORK_S: Final = 4 * 3_600
WORK_CPU_S: Final = 60


@pack.step
async def work(ctx: Context, goal: str, system: str, settings: Settings, resumes: bool = False) -> Thought:
    """Work towards the goal until the model answers, a cap ends it, or it waits for a person."""
    before = await recall(ctx, settings.voice) if resumes else ""
    return await think(
        ctx, before + goal, system=system, voice=settings.voice, caps=settings.caps, tools=settings.tools
    )


@pack.step
async def do(ctx: Context, does: AnyDoing, inputs: dict[str, Any], voice: Voice | None = None) -> Any:
    """Do what one node of the plan says: one tool call, one value read, one text written."""
    return await carry_out(ctx, does, inputs, voice or Voice())


@pack.planner
async def plan(ctx: Context, job: Job) -> Plan:
    """Return one step that loops, or the plan that a model proposes for the goal."""
    settings = read_settings(job)
    goal, system = goal_of(job, settings), system_of(job)
    if settings.way == "plan":
        offered = await list_tools(ctx, settings.tools)
        return await propose(
            ctx, goal, system=system, voice=settings.voice, tools=offered, step="do", sources=job.sources
        )
    made = Plan()
    made.add(
        work,
        tools=tools_of(job, settings),
        params={
            "goal": goal,
            "system": system,
            "settings": job.settings,
            "resumes": job.get("resumes") is True,
        },
        timeout_s=WORK_S,
        cpu_s=WORK_CPU_S,
        retries=1,
    )
    return made


def tools_of(job: Job, settings: Settings) -> list[str]:
    """Return the tools that the work may use: those that the job names, else all that its rights allow."""
    found = settings.tools if settings.tools is not None else list(job.get("tools") or [])
    return sorted({*found, *OF_THE_LOOP})
