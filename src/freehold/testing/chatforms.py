"""The two forms in which models are spoken to over HTTP, from the server's side, for ``testing.models``.

Requests are checked strictly, fields that the real endpoints do not know included, so that a mistake in what we send is
a failing test.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from freehold.testing.brains import Reply, Seen, reply_of

_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_FIELDS: Final = {
    "openai": {"model", "messages", "max_tokens", "max_completion_tokens", "tools", "tool_choice", "temperature",
               "response_format", "stream", "stream_options"},
    "anthropic": {"model", "messages", "max_tokens", "system", "tools", "tool_choice", "temperature", "output_config",
                  "stream"},
}  # fmt: skip
_ANTHROPIC_FINISH: Final = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "refusal": "refusal",
}
_OPENAI_FINISH: Final = {"refusal": "content_filter"}
Wrong = tuple[int, str]


# ---- what comes in -----------------------------------------------------------------------------------------------


def check(
    api: str, path: str, headers: Mapping[str, str], raw: bytes, key: str
) -> tuple[Wrong | None, dict[str, Any]]:
    """Return what is wrong with a request, as status and sentence, and its body."""
    named = {name.lower(): value for name, value in headers.items()}
    wanted = "/messages" if api == "anthropic" else "/chat/completions"
    given = (
        named.get("x-api-key", "")
        if api == "anthropic"
        else named.get("authorization", "").removeprefix("Bearer ")
    )
    if not path.endswith(wanted):
        return (404, f"There is nothing at {path}."), {}
    if key and given != key:
        return (401, f"Incorrect API key provided: {given[:4]}***."), {}
    if named.get("content-type") != "application/json":
        return (400, "The content type is not application/json."), {}
    if api == "anthropic" and named.get("anthropic-version") != "2023-06-01":
        return (400, "anthropic-version: header is required"), {}
    try:
        body = json.loads(raw)
        assert isinstance(body, dict)
        problem = (_anthropic_problem if api == "anthropic" else _openai_problem)(body)
    except (ValueError, AssertionError, KeyError, TypeError, AttributeError) as error:
        return (400, f"The body is malformed: {type(error).__name__} {error}"), {}
    unknown = sorted(set(body) - _FIELDS[api])
    problem = problem or (f"Unrecognized request argument: {unknown[0]}" if unknown else "")
    return ((400, problem), {}) if problem else (None, body)


def _openai_problem(body: dict[str, Any]) -> str:
    pending: set[str] = set()
    for message in body["messages"]:
        role, content = message["role"], message.get("content")
        if role not in ("system", "user", "assistant", "tool"):
            return f"Invalid role {role!r}."
        if not isinstance(content, str) and not (
            role == "assistant" and content is None and message.get("tool_calls")
        ):
            return f"Invalid content of a message of role {role}."
        if role == "tool" and message["tool_call_id"] not in pending:
            return "A message of role tool must follow a tool call of its id."
        for call in message.get("tool_calls", ()):
            if call["type"] != "function" or not isinstance(call["function"]["arguments"], str):
                return "A tool call is malformed."
            pending.add(call["id"])
    for tool in body.get("tools", ()):
        if tool["type"] != "function" or not _NAME.fullmatch(tool["function"]["name"]):
            return f"Invalid tool {tool!r}"
        if tool["function"]["parameters"].get("type", "object") != "object":
            return "The parameters of a tool are an object."
    if "tool_choice" in body and body["tool_choice"] not in ("auto", "required", "none"):
        return "Invalid tool_choice."
    if "stream_options" in body and not body.get("stream"):
        return "stream_options is only allowed when stream is enabled."
    return "" if isinstance(body["model"], str) and body["messages"] else "model and messages are required."


def _anthropic_problem(body: dict[str, Any]) -> str:
    before, open_calls = "", set[str]()
    for message in body["messages"]:
        role, blocks = message["role"], message["content"]
        if role not in ("user", "assistant") or role == before:
            return f"messages: roles must alternate between user and assistant, not {before!r} and {role!r}"
        before = role
        if not isinstance(blocks, list) or not blocks:
            return "messages: content is a list that is not empty."
        answered = {block["tool_use_id"] for block in blocks if block["type"] == "tool_result"}
        if role == "user" and answered != open_calls:
            return "messages: tool_use ids were found without tool_result blocks immediately after, or the reverse."
        if role == "user":
            open_calls = set()
        for block in blocks:
            if block["type"] == "text" and not block["text"].strip():
                return "messages: text content blocks must be non-empty"
            if block["type"] == "tool_use":
                if not isinstance(block["input"], dict) or not _NAME.fullmatch(block["name"]):
                    return "messages: tool_use is malformed."
                open_calls.add(block["id"])
    if not body["messages"] or body["messages"][0]["role"] != "user":
        return "messages: first message must use the user role"
    for tool in body.get("tools", ()):
        if not _NAME.fullmatch(tool["name"]) or tool["input_schema"]["type"] != "object":
            return "tools: malformed."
    if (
        not isinstance(body.get("system", ""), str)
        or type(body["max_tokens"]) is not int
        or body["max_tokens"] < 1
    ):
        return "system is text and max_tokens a number."
    if "tool_choice" in body and (
        body["tool_choice"]["type"] not in ("auto", "any", "none") or not body.get("tools")
    ):
        return "tool_choice: malformed."
    return ""


def seen(api: str, body: dict[str, Any], number: int) -> Seen:
    """Return a checked request as a brain sees it."""
    if api == "anthropic":
        tools = {tool["name"]: tool["input_schema"] for tool in body.get("tools", ())}
        messages = [{"role": "system", "content": body["system"]}] if "system" in body else []
        for message in body["messages"]:
            messages += _from_blocks(message)
    else:
        tools = {tool["function"]["name"]: tool["function"]["parameters"] for tool in body.get("tools", ())}
        messages = [
            {**message, "content": message.get("content") or "", "tool_calls": [
                {"id": call["id"], **call["function"]} for call in message.get("tool_calls", ())
            ]}
            for message in body["messages"]
        ]  # fmt: skip
    most = body.get("max_tokens") or body.get("max_completion_tokens") or 1_024
    return Seen(
        number, messages, tools, most, len(json.dumps(body, ensure_ascii=False).encode("utf-8", "replace"))
    )


def _from_blocks(message: dict[str, Any]) -> list[dict[str, Any]]:
    text = "".join(block["text"] for block in message["content"] if block["type"] == "text")
    calls = [
        {"id": block["id"], "name": block["name"], "arguments": json.dumps(block["input"])}
        for block in message["content"]
        if block["type"] == "tool_use"
    ]
    results = [
        {"role": "tool", "tool_call_id": block["tool_use_id"], "content": block["content"], "tool_calls": []}
        for block in message["content"]
        if block["type"] == "tool_result"
    ]
    own = [{"role": message["role"], "content": text, "tool_calls": calls}] if text or calls else []
    return [*results, *own]


# ---- what goes out -----------------------------------------------------------------------------------------------


def with_tokens(reply: Reply, asked: Seen) -> Reply:
    """Return the reply with what it says it took: a token for four bytes, where it does not say itself."""
    if reply.tokens is not None:
        return reply
    out = len(reply.text) + sum(len(name) + len(_text(arguments)) for name, arguments in reply.calls)
    plain = written(reply) | {"tokens": (asked.size // 4 + 1, min(out // 4 + 1, asked.max_tokens))}
    return stored(plain)


def error(api: str, status: int, text: str) -> dict[str, Any]:
    """Return the body of a refusal."""
    kind = {401: "authentication_error", 404: "not_found_error", 429: "rate_limit_error"}.get(
        status, "invalid_request_error"
    )
    found = {"message": text, "type": kind}
    if api == "anthropic":
        return {"type": "error", "error": found}
    return {"error": found | {"code": "context_length_exceeded" if "context length" in text else None}}


def whole(api: str, body: dict[str, Any], reply: Reply) -> dict[str, Any]:
    """Return an answer in one piece."""
    if api == "anthropic":
        return {
            "id": "msg_1", "type": "message", "role": "assistant", "model": body["model"],
            "content": _blocks(reply), "stop_reason": _ANTHROPIC_FINISH[_finish(reply)], "usage": _usage(api, reply),
        }  # fmt: skip
    message: dict[str, Any] = {"role": "assistant", "content": reply.text or None}
    if reply.calls:
        message["tool_calls"] = _calls(reply)
    finish = _OPENAI_FINISH.get(_finish(reply), _finish(reply))
    return {
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1_700_000_000, "model": body["model"],
        "choices": [{"index": 0, "message": message, "finish_reason": finish}], "usage": _usage(api, reply),
    }  # fmt: skip


def events(api: str, body: dict[str, Any], reply: Reply) -> Iterator[bytes]:
    """Yield an answer as server-sent events: text by words, arguments in two pieces."""
    if api == "anthropic":
        for event in _anthropic_events(body, reply):
            yield f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()
        return
    for chunk in _openai_chunks(body, reply):
        yield f"data: {json.dumps(chunk)}\n\n".encode()
    yield b"data: [DONE]\n\n"


def _openai_chunks(body: dict[str, Any], reply: Reply) -> Iterator[dict[str, Any]]:
    head = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1_700_000_000,
        "model": body["model"],
    }

    def chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        return {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}

    yield chunk({"role": "assistant", "content": ""})
    for piece in re.findall(r"\S*\s*", reply.text):
        if piece:
            yield chunk({"content": piece})
    for number, call in enumerate(_calls(reply)):
        text = call["function"]["arguments"]
        begun = {**call, "index": number, "function": {"name": call["function"]["name"], "arguments": ""}}
        yield chunk({"tool_calls": [begun]})
        for piece in (text[: len(text) // 2], text[len(text) // 2 :]):
            yield chunk({"tool_calls": [{"index": number, "function": {"arguments": piece}}]})
    yield chunk({}, _OPENAI_FINISH.get(_finish(reply), _finish(reply)))
    if body.get("stream_options", {}).get("include_usage"):
        yield {**head, "choices": [], "usage": _usage("openai", reply)}


def _anthropic_events(body: dict[str, Any], reply: Reply) -> Iterator[dict[str, Any]]:
    usage = _usage("anthropic", reply)
    message = {
        "id": "msg_1", "type": "message", "role": "assistant", "model": body["model"], "content": [],
        "stop_reason": None, "usage": {**usage, "output_tokens": 1},
    }  # fmt: skip
    yield {"type": "message_start", "message": message}
    for number, block in enumerate(_blocks(reply)):
        empty: dict[str, Any] = {"text": ""} if block["type"] == "text" else {"input": {}}
        yield {"type": "content_block_start", "index": number, "content_block": {**block, **empty}}
        whole_text = block["text"] if block["type"] == "text" else json.dumps(block["input"])
        for piece in (whole_text[: len(whole_text) // 2], whole_text[len(whole_text) // 2 :]):
            delta = (
                {"type": "text_delta", "text": piece}
                if block["type"] == "text"
                else {"type": "input_json_delta", "partial_json": piece}
            )
            yield {"type": "content_block_delta", "index": number, "delta": delta}
        yield {"type": "content_block_stop", "index": number}
    yield {"type": "message_delta", "delta": {"stop_reason": _ANTHROPIC_FINISH[_finish(reply)]},
           "usage": {"output_tokens": usage["output_tokens"]}}  # fmt: skip
    yield {"type": "message_stop"}


def _blocks(reply: Reply) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = [{"type": "text", "text": reply.text}] if reply.text else []
    for number, (name, arguments) in enumerate(reply.calls):
        given = arguments if isinstance(arguments, Mapping) else {"text": arguments}
        blocks.append({"type": "tool_use", "id": f"toolu_{number}", "name": name, "input": dict(given)})
    return blocks


def _calls(reply: Reply) -> list[dict[str, Any]]:
    return [
        {
            "id": f"call_{number}",
            "type": "function",
            "function": {"name": name, "arguments": _text(arguments)},
        }
        for number, (name, arguments) in enumerate(reply.calls)
    ]


def _usage(api: str, reply: Reply) -> dict[str, Any]:
    given, made = reply.tokens or (0, 0)
    if api == "anthropic":
        return {"input_tokens": given - reply.cached, "output_tokens": made,
                "cache_read_input_tokens": reply.cached, "cache_creation_input_tokens": 0}  # fmt: skip
    kept = {"prompt_tokens_details": {"cached_tokens": reply.cached}} if reply.cached else {}
    return {"prompt_tokens": given, "completion_tokens": made, "total_tokens": given + made, **kept}


def _finish(reply: Reply) -> str:
    return reply.finish or ("tool_calls" if reply.calls else "stop")


def _text(arguments: Mapping[str, Any] | str) -> str:
    return arguments if isinstance(arguments, str) else json.dumps(arguments)


# ---- on disk -----------------------------------------------------------------------------------------------------


def written(reply: Reply) -> dict[str, Any]:
    """Return a reply as it can be written down."""
    return {
        "text": reply.text, "calls": [[name, arguments] for name, arguments in reply.calls], "tokens": reply.tokens,
        "finish": reply.finish, "raw": reply.raw, "status": reply.status, "headers": dict(reply.headers),
        "drop": reply.drop, "cached": reply.cached,
    }  # fmt: skip


def stored(plain: Mapping[str, Any]) -> Reply:
    """Return a reply that was written down."""
    return reply_of(plain)
