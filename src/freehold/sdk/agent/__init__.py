"""The loop of an agent that thinks: models and tools, each call an action of its step.

    from freehold.sdk.agent import Caps, think

    @pack.step
    async def work(ctx: Context, goal: str) -> Thought:
        return await think(ctx, goal, caps=Caps(model_calls=20))

It runs on Pydantic AI, which takes a while to import; so only packs that think import this package.
"""

from freehold.sdk.agent.caps import Caps, Stopped
from freehold.sdk.agent.loop import Thought, Voice, think
from freehold.sdk.agent.readers import Reader, compose, read_value

__all__ = ["Caps", "Reader", "Stopped", "Thought", "Voice", "compose", "read_value", "think"]
