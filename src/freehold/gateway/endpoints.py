"""How a call is written to an endpoint: chat completions as OpenAI's, and messages as Anthropic's. Pure functions.

Only what is sent is made here, in the daemon, from data that the gate has seen; what comes back is a stranger's, and a
courier reads it (``freehold.courier.chat``).
"""

import hashlib
import json
import re
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from freehold.gateway.asking import Asked, Message, ToolCall, schema
from freehold.gateway.models import Model
from freehold.gateway.prices import output_limit

ANTHROPIC_VERSION: Final = "2023-06-01"
_PLAIN: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_NOT_PLAIN: Final = re.compile(r"[^A-Za-z0-9_-]")
_NOTHING: Final = "(nothing)"


def send_form(
    model: Model, asked: Asked, *, stream: bool = False
) -> tuple[tuple[tuple[str, str], ...], bytes]:
    """Return headers and body of the request that asks ``model`` this, without the key."""
    if model.kind == "anthropic":
        headers: tuple[tuple[str, str], ...] = (("anthropic-version", ANTHROPIC_VERSION),)
        body = _anthropic(model, asked)
    else:
        headers, body = (), _openai(model, asked)
        if stream:
            body["stream_options"] = {"include_usage": True}
    if stream:
        body["stream"] = True
    headers += (
        ("Content-Type", "application/json"),
        ("Accept", "text/event-stream" if stream else "application/json"),
    )
    try:
        return headers, msgspec.json.encode(body)
    except UnicodeEncodeError:  # half of a pair of surrogates, which JSON lets through and UTF-8 does not
        return headers, json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")


def wire_name(name: str) -> str:
    """Return a tool's name as endpoints take it: they know no dot, and 64 letters at most."""
    if _PLAIN.fullmatch(name) and "__" not in name:
        return name
    dotted = name.replace(".", "__")
    if "__" not in name and _PLAIN.fullmatch(dotted):
        return dotted
    return (
        f"{_NOT_PLAIN.sub('_', name)[:50]}_{hashlib.sha256(name.encode('utf-8', 'replace')).hexdigest()[:8]}"
    )


def own_names(asked: Asked) -> dict[str, str]:
    """Return the tools' own names by those on the wire, of all that a call offers or speaks of."""
    spoken = (call.name for message in asked.messages for call in message.tool_calls)
    return {wire_name(name): name for name in [*spoken, *(tool.name for tool in asked.tools)]}


# ---- OpenAI: POST /chat/completions ------------------------------------------------------------------------------


def _openai(model: Model, asked: Asked) -> dict[str, Any]:
    limit = "max_completion_tokens" if model.place[0] == "api.openai.com" else "max_tokens"
    body: dict[str, Any] = {
        "model": model.id,
        "messages": [_openai_message(message) for message in asked.messages],
        limit: output_limit(model, asked),
    }
    if asked.tools:
        body["tools"] = [
            {
                "type": "function",
                "function": {
                    "name": wire_name(tool.name), "description": tool.description,
                    "parameters": schema(tool.parameters, "The schema of a tool"),
                },
            }
            for tool in asked.tools
        ]  # fmt: skip
        body["tool_choice"] = asked.tool_choice
    if asked.temperature_milli is not None:
        body["temperature"] = asked.temperature_milli / 1_000
    if asked.output_schema is not None:
        shape = {"name": "answer", "schema": schema(asked.output_schema, "The schema of the answer")}
        body["response_format"] = {"type": "json_schema", "json_schema": shape}
    return body


def _openai_message(message: Message) -> dict[str, Any]:
    plain: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.role == "assistant" and message.tool_calls:
        plain["content"] = message.content or None
        plain["tool_calls"] = [
            {"id": call.id, "type": "function",
             "function": {"name": wire_name(call.name), "arguments": call.arguments}}
            for call in message.tool_calls
        ]  # fmt: skip
    elif message.role == "tool":
        plain["tool_call_id"] = message.tool_call_id
    return plain


# ---- Anthropic: POST /messages -----------------------------------------------------------------------------------


def _anthropic(model: Model, asked: Asked) -> dict[str, Any]:
    body: dict[str, Any] = {
        "model": model.id,
        "max_tokens": output_limit(model, asked),
        "messages": _turns(message for message in asked.messages if message.role != "system"),
    }
    system = [message.content for message in asked.messages if message.role == "system" and message.content]
    if system:
        body["system"] = "\n\n".join(system)
    if asked.tools:
        body["tools"] = [
            {
                "name": wire_name(tool.name), "description": tool.description,
                "input_schema": {"type": "object"} | schema(tool.parameters, "The schema of a tool"),
            }
            for tool in asked.tools
        ]  # fmt: skip
        body["tool_choice"] = {"type": "any" if asked.tool_choice == "required" else asked.tool_choice}
    if asked.temperature_milli is not None:
        body["temperature"] = min(asked.temperature_milli, 1_000) / 1_000
    if asked.output_schema is not None:
        shape = schema(asked.output_schema, "The schema of the answer")
        body["output_config"] = {"format": {"type": "json_schema", "schema": shape}}
    return body


def _turns(messages: Iterable[Message]) -> list[dict[str, Any]]:
    """Return the messages as turns that alternate; what tools gave is part of the user's."""
    turns: list[dict[str, Any]] = []
    for message in messages:
        role = "assistant" if message.role == "assistant" else "user"
        blocks = _blocks(message)
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += blocks
        else:
            turns.append({"role": role, "content": blocks})
    if turns and turns[0]["role"] == "assistant":
        turns.insert(0, {"role": "user", "content": [{"type": "text", "text": _NOTHING}]})
    return turns


def _blocks(message: Message) -> list[dict[str, Any]]:
    if message.role == "tool":
        return [{"type": "tool_result", "tool_use_id": _id(message.tool_call_id), "content": message.content}]
    blocks: list[dict[str, Any]] = []
    if message.content.strip():
        blocks.append({"type": "text", "text": message.content})
    for call in message.tool_calls:
        blocks.append(
            {"type": "tool_use", "id": _id(call.id), "name": wire_name(call.name), "input": _input(call)}
        )
    return blocks or [{"type": "text", "text": _NOTHING}]


def _input(call: ToolCall) -> dict[str, Any]:
    """Return the arguments as an object; what a model wrote that is none is handed back to it as text."""
    try:
        found = json.loads(call.arguments or "{}")
    except (ValueError, RecursionError):
        found = None
    return found if isinstance(found, dict) else {"not_json": call.arguments}


def _id(text: str) -> str:
    return _NOT_PLAIN.sub("_", text)[:128] or "none"
