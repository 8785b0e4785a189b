"""What a loop of an agent asks of the daemon itself: which tools it has, and that its context was made smaller.

Two tools without an effect outside the run; every step may be given them.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from freehold.base import BadInput, Json, Refused
from freehold.base.canonical import encode
from freehold.kernel.labels import Integrity, Label
from freehold.kernel.rules import Resource
from freehold.kernel.tools import EffectKind, Face, Intent, Outcome, Tool
from freehold.runtime.asker import Asker, Effect
from freehold.runtime.job import Job
from freehold.runtime.kits import Shelf
from freehold.store.interface import Cost

LIST: Final = "tools.list"
COMPACT: Final = "context.compact"
PLANNERS: Final = frozenset({"model.call", LIST, "question.ask"})
"""All that a planner may ask for; it is told of every tool that the job's rights allow."""
_ONE: Final = Cost(actions=1)
_BY: Final = {
    Integrity.OWNER: "your owner",
    Integrity.ESTATE: "this estate",
    Integrity.STRANGER: "anybody",
}
_NO_ARGS: Final[Mapping[str, Json]] = {}


class Thinking:
    """The kit of the loop."""

    def tools(self) -> list[Tool]:
        """Return the two tools; running a step is right enough for them."""
        return [_inner(LIST), _inner(COMPACT)]

    def effects(self, shelf: Shelf) -> dict[str, Effect]:
        """Return how their effects are made; the tools to list are those of ``shelf``."""

        async def listed(asker: Asker, intent: Intent) -> Outcome:
            names = shelf.names if asker.tools == PLANNERS else asker.tools
            faces = faced(shelf, asker.job, names)
            label = Label(max((face.by for face in faces.values()), default=Integrity.ESTATE))
            shown: list[Json] = [_shown(name, faces[name]) for name in sorted(faces)]
            return Outcome("done", encode({"tools": shown}), asker.label.join(label), _ONE)

        async def compacted(asker: Asker, intent: Intent) -> Outcome:
            return Outcome("done", spent=_ONE)

        return {LIST: listed, COMPACT: compacted}


def faced(shelf: Shelf, job: Job, names: frozenset[str]) -> dict[str, Face]:
    """Return the faces of those tools that have one and that the job's rights allow at all."""
    found = {}
    for name in names:
        tool = _tool(shelf, job, name)
        if tool is not None and tool.face is not None and _allowed(job, tool):
            found[name] = tool.face
    return found


def _tool(shelf: Shelf, job: Job, name: str) -> Tool | None:
    try:
        return shelf.tool(name, job, _NO_ARGS)
    except (BadInput, Refused):
        return None


def _allowed(job: Job, tool: Tool) -> bool:
    """Say whether any right of the job could allow the tool; which argument is allowed, the rules say."""
    action = tool.right or tool.name
    permits = [right for right in job.may if right.effect == "permit" and right.action in (action, "*")]
    if action == "tool.call":
        return any(
            right.pattern.rstrip("*") == tool.name[: len(right.pattern.rstrip("*"))] for right in permits
        )
    return bool(permits)


def _shown(name: str, face: Face) -> dict[str, Json]:
    return {
        "name": name,
        "description": face.description,
        "parameters": json.dumps(face.parameters, ensure_ascii=False, sort_keys=True),
        "written_by": _BY[face.written_by.get("", Integrity.STRANGER)],
    }


def _inner(name: str) -> Tool:
    resource = Resource("step", name, name)

    def resources(args: Mapping[str, Any]) -> tuple[Resource, ...]:
        return (resource,)

    return Tool(name, EffectKind.READ, resources, right="step.run", timeout_s=None, quick=True)
