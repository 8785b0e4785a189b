"""What the job's `params` say to the assistant, and how its goal is put to the model."""

from typing import Literal

import msgspec

from freehold.sdk import BadInput, Job
from freehold.sdk.agent import Caps, Voice

SYSTEM = (
    "You are {agent}, an agent who works for {owner}. Work towards the goal with the tools that you have, step by "
    "step. Every call is judged by rules; where one is refused, the answer says why: do not try it again, find another "
    "way or ask. Do not guess what you can look up, and ask your owner what only they know. When the goal is reached, "
    "or cannot be, answer in a few sentences: what you did, what you found, what is left."
)


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`params` of an assistant's job.

    ``way`` is `loop` (the model decides each step as it goes) or `plan` (it proposes all steps before anything is
    read). ``tools`` narrows what the job's rights allow; without it all of them are offered.
    """

    model: str = ""
    way: Literal["loop", "plan"] = "loop"
    tools: list[str] | None = None
    goal: str = ""
    context_tokens: int = 32_000
    max_tokens: int = 4_096
    temperature_milli: int | None = None
    caps: Caps = Caps()

    @property
    def voice(self) -> Voice:
        """Which model speaks, and how."""
        return Voice(self.model, self.context_tokens, self.max_tokens, self.temperature_milli)


def read_settings(job: Job) -> Settings:
    """Return the job's settings; raises BadInput naming the one that is wrong."""
    try:
        settings = msgspec.convert(job.settings, Settings)
    except msgspec.ValidationError as error:
        raise BadInput(
            f"The job's `params` do not fit the assistant: {error}.",
            remedy="It takes: model, way, tools, goal, context_tokens, max_tokens, temperature_milli, caps.",
        ) from error
    if settings.context_tokens < 2_000 or not 0 < settings.max_tokens <= settings.context_tokens // 2:
        raise BadInput(
            "`params.context_tokens` and `params.max_tokens` do not fit together.",
            remedy="The context has 2,000 tokens at least, and an answer takes up at most half of it.",
        )
    if not (settings.goal or job.goal).strip():
        raise BadInput("The job has no goal.", remedy="Write it under the heading Goal.")
    return settings


def goal_of(job: Job, settings: Settings) -> str:
    """Return what the model is to work towards, in the owner's words."""
    parts = [settings.goal or job.goal]
    earlier = [f"- {text}" for text in job.get("earlier" if settings.way == "plan" else "open") or ()]
    if earlier:
        parts.append("\n".join(["Before that your owner said:", *earlier]))
    for heading in ("context", "source", "expectations"):
        text = str(job.get(heading, "")).strip()
        if text:
            parts.append(f"{heading.capitalize()}:\n{text}")
    return "\n\n".join(parts)


def system_of(job: Job) -> str:
    """Return what the model is told of its place, and its owner's standing rules."""
    place = SYSTEM.format(agent=job.get("agent", "an agent"), owner=job.get("owner", "a person"))
    standing = [f"- {text}" for text in job.get("standing") or ()]
    return "\n".join([place, "", "Your owner's standing rules:", *standing]) if standing else place
