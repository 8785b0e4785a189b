"""The tools that a model may call: each call is an action of the step; what the gate says comes back as the result."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final

import msgspec
from pydantic_ai.capabilities import ToolSearch
from pydantic_ai.tools import RunContext, ToolDefinition
from pydantic_ai.toolsets import AbstractToolset, ToolsetTool
from pydantic_core import SchemaValidator, core_schema

from freehold.base import BadInput, FreeholdError, Refused, canonical, digest
from freehold.sdk.agent.caps import Stopped, Tally
from freehold.sdk.agent.compact import Origin
from freehold.sdk.agent.fence import between, fenced, text_of
from freehold.sdk.context import Context
from freehold.sdk.errors import ActionFailed
from freehold.sdk.values import Outcome, Question

ASK_OWNER: Final = "ask_owner"
SUBTASK: Final = "subtask"
OF_THE_LOOP: Final = frozenset(
    {"tools.list", "model.call", "context.compact", "conversation.recall", "question.ask", "artifact.put"}
)
_TRIES: Final = 1_000_000
"""Arguments that do not fit are told back; caps end that, not a count of Pydantic AI's."""
_ANY: Final = SchemaValidator(schema=core_schema.dict_schema())
_NO_SPACE: Final = ("refused.budget", "refused.too-often")


class Offered(msgspec.Struct, frozen=True):
    """A tool as `tools.list` tells of it; ``parameters`` is a JSON Schema as text."""

    name: str
    description: str
    parameters: str
    written_by: str = "a stranger"


class _Asked(msgspec.Struct, forbid_unknown_fields=True):
    question: str
    choices: list[str] = []


class _Subtask(msgspec.Struct, forbid_unknown_fields=True):
    goal: str


Begin = Callable[[str], Awaitable[str]]
"""Carries out a subtask with that goal and returns its answer."""

_ASK_OWNER: Final[Mapping[str, Any]] = {
    "type": "object",
    "properties": {
        "question": {"type": "string", "description": "One question, complete in itself."},
        "choices": {
            "type": "array",
            "items": {"type": "string"},
            "description": "The answers, if they are few.",
        },
    },
    "required": ["question"],
    "additionalProperties": False,
}
_SUBTASK: Final[Mapping[str, Any]] = {
    "type": "object",
    "properties": {"goal": {"type": "string", "description": "What is to be found out, complete in itself."}},
    "required": ["goal"],
    "additionalProperties": False,
}
_ASKS: Final = (
    "Ask your owner what only they can know or decide. They may answer much later; say all that they need."
)
_BEGINS: Final = "Have a part of the work done apart from this conversation; you get its answer."


class AllShown(ToolSearch[Any]):
    """Stands where Pydantic AI puts a search for tools that are hidden: no tool of a loop is, so none is looked for.

    The search reads the whole conversation several times in each turn, and adds a tool of its own.
    """

    def get_native_tools(self) -> list[Any]:
        return []

    def get_wrapper_toolset(self, toolset: AbstractToolset[Any]) -> AbstractToolset[Any]:
        return toolset


class GateToolset(AbstractToolset[Any]):
    """The tools of one loop. ``origins`` says of each answered call where its result came from."""

    def __init__(self, ctx: Context, tally: Tally, offered: Iterable[Offered], begin: Begin | None) -> None:
        self.origins: dict[str, Origin] = {}
        self.results: list[str] = []
        self.limit = 0
        self._ctx = ctx
        self._tally = tally
        self._refused: dict[str, str] = {}
        self._begin = begin
        self._offered: dict[str, Offered] = {}
        for tool in sorted(offered, key=lambda one: one.name):
            self._offered[tool.name] = tool
        self._tools: dict[str, ToolsetTool[Any]] = {}
        for name, one in self._offered.items():
            schema = msgspec.json.decode(one.parameters)
            self._tools[name] = self._tool(_definition(name, one.description, schema))
        self._tools[ASK_OWNER] = self._tool(_definition(ASK_OWNER, _ASKS, _ASK_OWNER))
        if begin is not None:
            self._tools[SUBTASK] = self._tool(_definition(SUBTASK, _BEGINS, _SUBTASK, alone=True))

    @property
    def id(self) -> str:
        return "gate"

    @property
    def schema_bytes(self) -> int:
        """How many bytes the tools' descriptions and schemas take in each model call."""
        return sum(len(t.description.encode()) + len(t.parameters.encode()) for t in self._offered.values())

    async def get_tools(self, ctx: RunContext[Any]) -> dict[str, ToolsetTool[Any]]:
        return self._tools

    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[Any], tool: ToolsetTool[Any]
    ) -> str:
        call = ctx.tool_call_id or ""
        if name == ASK_OWNER:
            return await self._ask(call, tool_args)
        if name == SUBTASK and self._begin is not None:
            return await self._subtask(call, tool_args, self._begin)
        return await self._act(call, self._offered[name], tool_args)

    # ---- one call ------------------------------------------------------------------------------------

    async def _act(self, call: str, tool: Offered, args: dict[str, Any]) -> str:
        key = _key(tool.name, args)
        if key in self._refused:
            return f"{self._refused[key]} It was refused before; asking again changes nothing."
        try:
            args = _without_fractions(args)
            outcome = await self._answered(tool.name, args, await self._ctx.act(tool.name, args))
        except Refused as error:
            if error.code.startswith(_NO_SPACE):
                raise Stopped(
                    f"The loop was stopped: {error.message} It tried: {self._tally.tried}.",
                    remedy=error.remedy,
                ) from error
            self._refused[key] = f"Refused, nothing was done: {_both(error)}"
            return self._refused[key]
        except ActionFailed as error:
            if error.status == "unknown":
                return f"Nobody knows whether it happened: {_both(error)} Do not do it again."
            return f"Not done: {_both(error)}"
        except BadInput as error:
            return f"The arguments cannot be used: {_both(error)}"
        if outcome.status == "proposed":
            return "Only proposed: it was kept for your owner, and nothing was done or sent."
        text = text_of(outcome)
        self.results.append(text)
        self.origins[call] = Origin(tool.name, outcome.record, len(text.encode()))
        return fenced(tool.name, tool.written_by, outcome, self.limit)

    async def _answered(self, tool: str, args: dict[str, Any], outcome: Outcome) -> Outcome:
        """Have the owner asked what a tool server wants to know, and call it once more with the answers."""
        value = outcome.value
        if not isinstance(value, dict) or not value.get("asks") or "structured" not in value:
            return outcome
        answers = {
            one["key"]: (await self._ctx.act("question.ask", one["question"])).value for one in value["asks"]
        }
        return await self._ctx.act(tool, {**args, "_answers": answers})

    async def _ask(self, call: str, args: dict[str, Any]) -> str:
        try:
            asked = msgspec.convert(args, _Asked)
            kind = "choice" if len(asked.choices) > 1 else "text"
            text = f"{asked.question}\n\nWhat was tried so far: {self._tally.tried}."
            question = Question(
                text, "choice" if kind == "choice" else "text", asked.choices if kind == "choice" else []
            )
            outcome = await self._ctx.act("question.ask", msgspec.to_builtins(question))
        except (msgspec.ValidationError, FreeholdError) as error:
            return f"Your owner could not be asked: {error}"
        answer = outcome.value if isinstance(outcome.value, str) else canonical.encode(outcome.value).decode()
        self.results.append(answer)
        return f"Your owner answered: {answer}"

    async def _subtask(self, call: str, args: dict[str, Any], begin: Begin) -> str:
        try:
            asked = msgspec.convert(args, _Subtask)
        except msgspec.ValidationError as error:
            return f"The arguments cannot be used: {error}."
        answer = await begin(asked.goal)
        self.results.append(answer)
        return between(SUBTASK, "a subtask of yours", "", answer, self.limit)

    # ---- how they are shown --------------------------------------------------------------------------

    def _tool(self, definition: ToolDefinition) -> ToolsetTool[Any]:
        return ToolsetTool(toolset=self, tool_def=definition, max_retries=_TRIES, args_validator=_ANY)


def _definition(name: str, words: str, schema: Mapping[str, Any], *, alone: bool = False) -> ToolDefinition:
    return ToolDefinition(name=name, description=words, parameters_json_schema=dict(schema), sequential=alone)


def _without_fractions(value: Any) -> Any:
    """Return arguments as actions have them: a fraction is text."""
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    if isinstance(value, dict):
        return {name: _without_fractions(one) for name, one in value.items()}
    return [_without_fractions(one) for one in value] if isinstance(value, list) else value


def _key(name: str, args: dict[str, Any]) -> str:
    return digest(f"{name}\0{msgspec.json.encode(args, order='sorted').decode()}".encode())


def _both(error: FreeholdError) -> str:
    return f"{error.message} {error.remedy}".strip()
