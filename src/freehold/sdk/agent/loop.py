"""Runs one loop of model and tools in a step, on Pydantic AI; whatever leaves it is an action.

No time and no chance goes into a message, and a call's id follows from its place, so a step that starts anew after a
crash or a card asks for the same actions in the same order and is answered from its records up to where it was.
"""

from typing import Any, Final

import msgspec
from pydantic_ai import Agent, ModelRetry, StructuredDict
from pydantic_ai.agent import AgentRetries
from pydantic_ai.exceptions import AgentRunError, UnexpectedModelBehavior
from pydantic_ai.usage import UsageLimits

from freehold.base import Refused, canonical
from freehold.sdk.agent.caps import Caps, Stopped, Tally
from freehold.sdk.agent.compact import Message, Window
from freehold.sdk.agent.fence import RULES
from freehold.sdk.agent.model import GateModel
from freehold.sdk.agent.tools import OF_THE_LOOP, AllShown, GateToolset, Offered
from freehold.sdk.context import Context
from freehold.sdk.errors import ActionFailed, StepFailed
from freehold.sdk.values import Artifact

MANY: Final = 1_000_000
TOO_LONG: Final = "model.context-too-long"
"""The code of a model call that was not done because it was too long for the model; its sentence says it too."""
_TOO_LONG: Final = "too long for the model"


class Voice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which model speaks, and how. ``model`` "" is the job's own; ``context_tokens`` is all that it holds."""

    model: str = ""
    context_tokens: int = 32_000
    max_tokens: int = 4_096
    temperature_milli: int | None = None


class Thought(msgspec.Struct, frozen=True):
    """What a loop came to. ``output`` is the typed result where one was asked for, ``transcript`` all that was said."""

    answer: str
    output: Any = None
    model_calls: int = 0
    tool_calls: int = 0
    tokens: int = 0
    money_micro: int = 0
    transcript: Artifact | None = None


async def think(
    ctx: Context,
    goal: str,
    *,
    system: str = "",
    voice: Voice | None = None,
    caps: Caps | None = None,
    output: type[msgspec.Struct] | None = None,
    tools: list[str] | None = None,
) -> Thought:
    """Let a model work towards ``goal`` with the step's tools (or those of ``tools``) until it answers.

    ``output`` is a type that the result must have; a wrong one is told back ``caps.output_tries`` times.

    Raises:
        Stopped: a cap ended it, or the model gave nothing that can be used.
        StepFailed: the model could not be asked.
    """
    tally = Tally(caps or Caps(), ctx)
    offered = await list_tools(ctx, tools)
    loop = _Loop(ctx, voice or Voice(), tally, offered, system)
    answer, found = await loop.run(goal, output)
    kept = await _keep(ctx, canonical.encode(loop.messages))
    return Thought(answer, found, tally.model_calls, tally.tool_calls, tally.tokens, tally.money_micro, kept)


async def _keep(ctx: Context, transcript: bytes) -> Artifact | None:
    """Keep all that was said as an artifact; None where the budget is used up, so that the answer is not lost."""
    try:
        return await ctx.put_artifact(transcript, "application/json", "transcript.json")
    except Refused:
        return None


async def list_tools(ctx: Context, wanted: list[str] | None = None) -> list[Offered]:
    """Return the tools that the step may use and that can be shown to a model; only ``wanted`` ones where given."""
    listed = (await ctx.act("tools.list", {})).value
    offered = msgspec.convert(listed["tools"], list[Offered])
    return [
        tool for tool in offered if tool.name not in OF_THE_LOOP and (wanted is None or tool.name in wanted)
    ]


async def call_model(
    ctx: Context,
    voice: Voice,
    messages: list[Message],
    tools: list[dict[str, Any]],
    *,
    tool_choice: str = "",
    output_schema: str = "",
) -> dict[str, Any]:
    """Ask the gate for one model call and return its result; raises what ``ctx.act`` raises."""
    args: dict[str, Any] = {
        "model": voice.model, "messages": messages, "tools": tools, "max_tokens": voice.max_tokens,
    }  # fmt: skip
    if voice.temperature_milli is not None:
        args["temperature_milli"] = voice.temperature_milli
    if tool_choice:
        args["tool_choice"] = tool_choice
    if output_schema:
        args["output_schema"] = output_schema
    found: dict[str, Any] = (await ctx.act("model.call", args)).value
    return found


def charged(found: dict[str, Any]) -> tuple[int, int]:
    """Return tokens and money that a model call was charged."""
    usage = found.get("usage") or {}
    return int(usage.get("input_tokens", 0)) + int(usage.get("output_tokens", 0)), int(
        found.get("cost_micro", 0)
    )


class _Loop:
    """One conversation. ``messages`` is all that was said in it, whole."""

    def __init__(
        self, ctx: Context, voice: Voice, tally: Tally, offered: list[Offered], system: str, depth: int = 0
    ) -> None:
        self.messages: list[Message] = []
        self._ctx = ctx
        self._voice = voice
        self._tally = tally
        self._offered = offered
        self._depth = depth
        self._words = system
        self._system = f"{system}\n\n{RULES}".strip()
        begin = self._subtask if depth < tally.caps.depth else None
        self._tools = GateToolset(ctx, tally, offered, begin)
        self._window = Window(voice.context_tokens, voice.max_tokens, self._tools.schema_bytes)
        self._tools.limit = self._window.result_limit
        self._turn = 0

    async def run(self, goal: str, output: type[msgspec.Struct] | None = None) -> tuple[str, Any]:
        """Return the answer and the typed output."""
        agent = self._agent(output)
        try:
            ended = await agent.run(goal, usage_limits=UsageLimits(request_limit=None))
        except UnexpectedModelBehavior as error:
            raise Stopped(
                f"The model gave nothing that can be used: {_first_line(error)} It tried: {self._tally.tried}.",
                remedy="Try another model, or raise `params.caps.output_tries` in the job file.",
            ) from error
        except AgentRunError as error:
            raise Stopped(f"The loop ended: {_first_line(error)}") from error
        found = ended.output
        if output is None:
            self.messages.append({"role": "assistant", "content": str(found)})
            return str(found), None
        return "", found

    def _agent(self, output: type[msgspec.Struct] | None) -> Agent[Any, Any]:
        model = GateModel(self, self._voice.model)
        retries = AgentRetries(tools=MANY, output=self._tally.caps.output_tries - 1)
        if output is None:
            return Agent(model, toolsets=[self._tools], retries=retries, capabilities=[AllShown()])
        schema = msgspec.json.schema(output)
        inner = schema["$defs"][output.__name__]
        whole = {**inner, "$defs": schema["$defs"]} if len(schema["$defs"]) > 1 else inner
        agent: Agent[Any, Any] = Agent(
            model, toolsets=[self._tools], retries=retries, output_type=StructuredDict(whole, name="result"),
            capabilities=[AllShown()],
        )  # fmt: skip

        @agent.output_validator
        def check(value: Any) -> Any:
            try:
                return msgspec.to_builtins(msgspec.convert(value, output))
            except msgspec.ValidationError as error:
                raise ModelRetry(f"The result is not of the asked form: {error}.") from None

        return agent

    async def reply(
        self, messages: list[Message], tools: list[dict[str, Any]], *, must_call: bool
    ) -> dict[str, Any]:
        """Carry out one model call, with the caps before it and the compaction that it needs."""
        if self._turn:
            self._tally.after_turn(self._tools.results)
            self._tools.results.clear()
        await self._tally.before_model_call()
        self._turn += 1
        self.messages = [{"role": "system", "content": self._system}, *messages]
        self._ctx.progress(self._tally.model_calls, self._tally.caps.model_calls, "asks the model")
        found = await self._called(tools, "required" if must_call else "auto")
        self._tally.after_model_call(*charged(found))
        calls = [
            {"id": f"call_{self._turn}_{number}", "name": call["name"], "arguments": call["arguments"]}
            for number, call in enumerate(found.get("tool_calls") or (), 1)
        ]
        real = [(call["name"], call["arguments"]) for call in calls if call["name"] != "final_result"]
        await self._tally.before_tool_calls(real)
        if real:
            names = ", ".join(dict.fromkeys(name for name, _ in real))
            self._ctx.progress(self._tally.model_calls, self._tally.caps.model_calls, f"calls {names}")
        return {**found, "tool_calls": calls}

    async def _called(self, tools: list[dict[str, Any]], tool_choice: str) -> dict[str, Any]:
        for again in (True, False):
            shown = await self._shown()
            try:
                return await call_model(
                    self._ctx, self._voice, shown, tools, tool_choice=tool_choice if tools else ""
                )
            except Refused as error:
                raise Stopped(
                    f"The model could not be asked: {error.message} It tried: {self._tally.tried}.",
                    remedy=error.remedy, code=error.code,
                ) from error  # fmt: skip
            except ActionFailed as error:
                if again and (error.code == TOO_LONG or _TOO_LONG in error.message):
                    self._window.shrink()
                    continue
                raise StepFailed(
                    f"The model could not be asked: {error.message}", remedy=error.remedy, retry=True
                ) from error
        raise Stopped("The model holds too little for this conversation.")

    async def _shown(self) -> list[Message]:
        """Return what is sent of the conversation; what has to be left out for it is an action first."""
        shown, left = self._window.view(self.messages, self._tools.origins)
        if left is not None:
            await self._ctx.act("context.compact", msgspec.to_builtins(left))
            text = f"left out {len(left.results)} results and {left.turns} turns to save space"
            self._ctx.progress(self._tally.model_calls, self._tally.caps.model_calls, text)
        return shown

    async def _subtask(self, goal: str) -> str:
        await self._tally.before_subtask(self._depth + 1)
        inner = _Loop(self._ctx, self._voice, self._tally, self._offered, self._words, self._depth + 1)
        answer, _ = await inner.run(goal)
        return answer


def _first_line(error: Exception) -> str:
    line = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return f"{line[:300].rstrip('.')}."
