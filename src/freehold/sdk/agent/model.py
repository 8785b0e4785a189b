"""Pydantic AI's side of a model call: its messages become plain ones and leave as the action `model.call`."""

import json
from typing import Any, Final, Protocol

from pydantic_ai.messages import (
    FinishReason,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    RetryFeedbackPart,
    SystemPromptPart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import RequestUsage

from freehold.sdk.agent.compact import Message

_FINISH: Final[dict[str, FinishReason]] = {
    "stop": "stop", "length": "length", "tool_calls": "tool_call", "refusal": "content_filter",
}  # fmt: skip


class Speaks(Protocol):
    """What takes a turn to the gate and brings the reply back."""

    async def reply(
        self, messages: list[Message], tools: list[dict[str, Any]], *, must_call: bool
    ) -> dict[str, Any]:
        """Return the result of `model.call`, its tool calls numbered by turn and order."""
        ...


class GateModel(Model[Any]):
    """A model behind the gate. ``name`` is for people; the job's rights say which one it may be."""

    def __init__(self, speaks: Speaks, name: str) -> None:
        super().__init__()
        self._speaks = speaks
        self._name = name or "the job's model"
        self._written: dict[int, tuple[Any, str]] = {}

    @property
    def model_name(self) -> str:
        return self._name

    @property
    def system(self) -> str:
        return "freehold"

    def prepare_messages(
        self, messages: list[ModelMessage], model_request_parameters: ModelRequestParameters | None = None
    ) -> list[ModelMessage]:
        """Leave them as they are: ``plain`` takes every kind that can come up here."""
        return messages

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        tools = [*model_request_parameters.function_tools, *model_request_parameters.output_tools]
        offered = [
            {
                "name": tool.name,
                "description": tool.description or "",
                "parameters": self._schema(tool.parameters_json_schema),
            }
            for tool in tools
        ]
        must_call = not model_request_parameters.allow_text_output and bool(offered)
        found = await self._speaks.reply(plain(messages), offered, must_call=must_call)
        usage = found.get("usage") or {}
        parts: list[Any] = [TextPart(found["text"])] if found.get("text") else []
        parts += [
            ToolCallPart(call["name"], call["arguments"], tool_call_id=call["id"])
            for call in found.get("tool_calls") or ()
        ]
        return ModelResponse(
            parts,
            usage=RequestUsage(
                input_tokens=int(usage.get("input_tokens", 0)),
                output_tokens=int(usage.get("output_tokens", 0)),
            ),
            model_name=str(found.get("model", "")),
            finish_reason=_FINISH.get(str(found.get("finish")), "stop"),
        )

    def _schema(self, schema: dict[str, Any]) -> str:
        """Return a schema as text; that of a tool is the same object in every turn, and is written once."""
        known = self._written.get(id(schema))
        if known is None or known[0] is not schema:
            text = json.dumps(schema, sort_keys=True, ensure_ascii=False)
            known = self._written[id(schema)] = (schema, text)
        return known[1]


def plain(messages: list[ModelMessage]) -> list[Message]:
    """Return Pydantic AI's messages in the form of `model.call`; times and ids of its own are left behind."""
    found: list[Message] = []
    for message in messages:
        if isinstance(message, ModelRequest):
            found += [one for part in message.parts if (one := _asked(part)) is not None]
        else:
            found.append(_said(message))
    return found


def _asked(part: Any) -> Message | None:
    if isinstance(part, ToolReturnPart):
        return {"role": "tool", "content": part.model_response_str(), "tool_call_id": part.tool_call_id}
    if isinstance(part, UserPromptPart):
        asked = part.content
        return {"role": "user", "content": asked if isinstance(asked, str) else "".join(map(str, asked))}
    if isinstance(part, RetryFeedbackPart):
        content = part.content
        said = content if isinstance(content, str) else json.dumps([_problem(one) for one in content])
        return {"role": "user", "content": f"Your last message cannot be used: {said}"}
    if isinstance(part, SystemPromptPart):
        return {"role": "system", "content": part.content}
    return None


def _problem(error: Any) -> dict[str, str]:
    return {"at": ".".join(map(str, error.get("loc", ()))), "problem": str(error.get("msg", ""))}


def _said(message: ModelResponse) -> Message:
    text = "".join(part.content for part in message.parts if isinstance(part, TextPart))
    said: Message = {"role": "assistant", "content": text}
    calls = [
        {"id": part.tool_call_id, "name": part.tool_name, "arguments": part.args_as_json_str()}
        for part in message.parts
        if isinstance(part, ToolCallPart)
    ]
    if calls:
        said["tool_calls"] = calls
    return said
