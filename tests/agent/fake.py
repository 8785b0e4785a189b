"""A model that says what a test wrote down, for loops that run without a daemon, and the tools beside it."""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from freehold.packs.assistant.pack import pack
from freehold.sdk.testing import Harness

Reply = dict[str, Any]
Brain = Callable[[dict[str, Any]], Reply]
Tool = Callable[[dict[str, Any], bytes | None], Any]

_OBJECT = json.dumps({"type": "object", "properties": {}, "additionalProperties": True})


def says(text: str) -> Reply:
    """A reply without a call."""
    return {"text": text, "tool_calls": [], "finish": "stop"}


def calls(*wanted: tuple[str, Any]) -> Reply:
    """A reply that calls tools, by name and arguments (text is sent as it is)."""
    made = [
        {"id": f"x{number}", "name": name, "arguments": args if isinstance(args, str) else json.dumps(args)}
        for number, (name, args) in enumerate(wanted)
    ]
    return {"text": "", "tool_calls": made, "finish": "tool_calls"}


def scripted(replies: Iterable[Reply]) -> Brain:
    """A brain that gives these replies, one after the other."""
    left = iter(list(replies))
    return lambda args: next(left)


class Loop:
    """One assistant's run in the harness; ``asked`` are the model calls."""

    def __init__(self, brain: Brain, tools: Mapping[str, Tool] | None = None, **more: Any) -> None:
        self.asked: list[dict[str, Any]] = []
        self._brain = brain
        self._given = dict(tools or {})
        own: dict[str, Tool] = {
            "model.call": self._model,
            "tools.list": self._list,
            "context.compact": lambda args, blob: None,
            **self._given,
        }
        self.harness = Harness(pack, tools=own, **more)

    def run(self, goal: str = "Find out.", **settings: Any) -> Any:
        """Run it to its end; raises what the step raised."""
        job = {
            "goal": goal,
            "agent": "ada",
            "owner": "anna",
            "tools": sorted(self._given),
            "settings": settings,
        }
        return self.harness.run(job)

    def acted(self) -> list[tuple[str, dict[str, Any]]]:
        """What the loop asked of its tools, without what belongs to the loop."""
        inner = ("model.call", "tools.list", "context.compact", "artifact.put")
        return [(one.tool, one.args) for one in self.harness.asked if one.tool not in inner]

    def transcript(self) -> list[dict[str, Any]]:
        """All that was said."""
        found: list[dict[str, Any]] = json.loads(
            self.harness.artifacts[self.harness.names["transcript.json"]]
        )
        return found

    def _model(self, args: dict[str, Any], blob: bytes | None) -> Any:
        self.asked.append(args)
        usage = {"input_tokens": 100, "output_tokens": 20, "cached_tokens": 0}
        return {"usage": usage, "model": "fake", "cost_micro": 7, **self._brain(args)}

    def _list(self, args: dict[str, Any], blob: bytes | None) -> Any:
        shown = [
            {"name": name, "description": f"Does {name}.", "parameters": _OBJECT, "written_by": "anybody"}
            for name in sorted(self._given)
        ]
        return {"tools": shown}
