"""Reads what a model's endpoint answers, as it comes: chat completions (OpenAI's form) and messages (Anthropic's).

A reply is a stranger's bytes: every field is looked at before it is taken, the whole is bounded, and what leaves this
process is text, tool calls and numbers of one known form. Server-sent events and plain JSON are told apart by their
first byte, since endpoints do not always say.
"""

import base64
import json
import re
from collections.abc import Callable
from typing import Any, Final

from freehold.courier.http import Stream

Result = tuple[str, dict[str, Any], str]
MAX_ANSWER: Final = 512 << 10
MAX_CALLS: Final = 256
_MAX_LINE: Final = 4 << 20
_MAX_PLAIN: Final = 16 << 20
_MAX_WORDS: Final = 200
_MOST_TOKENS: Final = 10**9
_FINISH: Final = {
    "stop": "stop", "end_turn": "stop", "stop_sequence": "stop", "pause_turn": "stop", "length": "length",
    "max_tokens": "length", "model_context_window_exceeded": "length", "tool_calls": "tool_calls",
    "function_call": "tool_calls", "tool_use": "tool_calls", "content_filter": "refusal", "refusal": "refusal",
}  # fmt: skip
_TOO_LONG: Final = re.compile(
    r"context[ _-]?(?:length|window|size)|maximum context|exceeds? the (?:available )?context|"
    r"prompt is too long|too many (?:input )?tokens|exceed_context",
    re.IGNORECASE,
)


class Reader:
    """One reply on its way in. ``say`` gets the text, as it comes; ``result`` says what the whole was."""

    def __init__(self, api: str, say: Callable[[bytes], None]) -> None:
        self._say = say
        self._answer = _Anthropic() if api == "anthropic" else _OpenAI()
        self._events: bool | None = None
        self._held = bytearray()
        self._data: list[bytes] = []
        self._said_something = False

    def through(self, stream: Stream | None) -> Stream | None:
        """Return where the bytes of the reply go: here."""
        return None if stream is None else stream._replace(say=self.feed)

    def feed(self, piece: bytes) -> None:
        """Take the next bytes; raises ValueError for what is no answer of a model."""
        self._held += piece
        if self._events is None:
            start = bytes(self._held[:64]).lstrip(b"\xef\xbb\xbf \r\n\t")
            if not start:
                return
            self._events = start[:1] not in b"{["
        if not self._events:
            if len(self._held) > _MAX_PLAIN:
                raise ValueError("it is too long for an answer")
            return
        *lines, rest = self._held.split(b"\n")
        self._held = bytearray(rest)
        if len(rest) > _MAX_LINE:
            raise ValueError("a line of it is too long")
        for line in lines:
            self._line(bytes(line).rstrip(b"\r"))

    def _line(self, line: bytes) -> None:
        if line.startswith(b"data:"):
            self._data.append(line[5:].removeprefix(b" "))
            if sum(map(len, self._data)) > _MAX_LINE:
                raise ValueError("an event of it is too long")
        elif not line and self._data:
            data, self._data = b"\n".join(self._data), []
            self._event(data)

    def _event(self, data: bytes) -> None:
        self._said_something = True
        if data.strip() == b"[DONE]":
            self._answer.over = True
            return
        text = self._answer.event(_object(data))
        if text:
            self._say(text.encode())

    def result(self, status: str, value: dict[str, Any], text: str) -> Result:
        """Return what the delivery is now that its reply was read."""
        if status != "done":
            return status, _without_body(value), text
        code = value.get("status", 0)
        if not 200 <= code < 300:
            return "done", _without_body(value) | _problem(value), ""
        try:
            if "streamed" not in value:
                self.feed(base64.b64decode(value.get("body", "")))
            if self._events:
                self._line(bytes(self._held))
                self._line(b"")
                if not self._said_something:
                    raise ValueError("it is neither JSON nor a stream of events")
            else:
                self._answer.whole(_object(bytes(self._held)))
                self._say("".join(self._answer.text).encode())
        except ValueError as error:
            return "done", _without_body(value) | {"nonsense": str(error)[:200]}, ""
        if self._answer.error:
            return "done", _without_body(value) | self._answer.error, ""
        if not self._answer.over:
            return "unknown", _without_body(value), "The model's answer broke off before its end."
        return "done", _without_body(value) | {"answer": self._answer.plain()}, ""


class _Answer:
    """What has come so far."""

    def __init__(self) -> None:
        self.over = False
        self.error: dict[str, Any] = {}
        self.text: list[str] = []
        self._calls: dict[int, dict[str, Any]] = {}
        self._finish = ""
        self._model = ""
        self._usage: dict[str, int] | None = None
        self._size = 0

    def event(self, event: dict[str, Any]) -> str:
        """Take one event of a stream; return the text that it brought."""
        raise NotImplementedError

    def whole(self, body: dict[str, Any]) -> None:
        """Take a reply that came in one piece."""
        raise NotImplementedError

    def plain(self) -> dict[str, Any]:
        """Return the answer in the house's form."""
        calls = [
            {
                "id": call["id"] or f"call_{place}",
                "name": call["name"],
                "arguments": "".join(call["arguments"]),
            }
            for place, call in sorted(self._calls.items())
        ]
        finish = self._finish
        if calls and finish in ("", "stop"):  # some endpoints say so of an answer that calls tools
            finish = "tool_calls"
        return {
            "text": "".join(self.text), "tool_calls": calls, "finish": finish or "stop", "usage": self._usage,
            "model": self._model,
        }  # fmt: skip

    def failed(self, found: Any) -> None:
        """Take an error that came instead of an answer, or in the middle of one."""
        self.error = _error_of(found)

    def add_text(self, text: object) -> str:
        clean = _text(text)
        self._count(clean)
        self.text.append(clean)
        return clean

    def call(self, place: object) -> dict[str, Any]:
        """Return the tool call at a place of the answer."""
        at = place if type(place) is int and 0 <= place < 10_000 else len(self._calls)
        if at not in self._calls and len(self._calls) >= MAX_CALLS:
            raise ValueError(f"it calls more than {MAX_CALLS} tools at once")
        return self._calls.setdefault(at, {"id": "", "name": "", "arguments": []})

    def add_arguments(self, call: dict[str, Any], text: object) -> None:
        clean = _text(text if isinstance(text, str) else _json(text))
        self._count(clean)
        call["arguments"].append(clean)

    def finish(self, word: object) -> None:
        if isinstance(word, str):
            self._finish = _FINISH.get(word, "stop")

    def named(self, model: object) -> None:
        if isinstance(model, str):
            self._model = _text(model)[:200]

    def used(self, **amounts: object) -> None:
        """Take what the reply says it took; what is no number of tokens is not taken."""
        for name, amount in amounts.items():
            if type(amount) is int and 0 <= amount <= _MOST_TOKENS:
                self._usage = (self._usage or {"input_tokens": 0, "output_tokens": 0, "cached_tokens": 0}) | {
                    name: amount
                }

    def _count(self, text: str) -> None:
        self._size += len(text.encode())
        if self._size > MAX_ANSWER:
            raise ValueError(f"it is over {MAX_ANSWER >> 10} KiB")


class _OpenAI(_Answer):
    def event(self, event: dict[str, Any]) -> str:
        if event.get("error"):
            self.failed(event["error"])
            return ""
        self.named(event.get("model"))
        self._used(event.get("usage"))
        choice = _first(event.get("choices"))
        if choice.get("finish_reason"):
            self.finish(choice["finish_reason"])
            self.over = True
        return self._take(_dict(choice.get("delta")))

    def whole(self, body: dict[str, Any]) -> None:
        if body.get("error"):
            self.failed(body["error"])
            return
        choice = _first(body.get("choices"))
        if not isinstance(choice.get("message"), dict):
            raise ValueError("it holds no message")
        self.named(body.get("model"))
        self._used(body.get("usage"))
        self.finish(choice.get("finish_reason"))
        self._take(choice["message"])
        self.over = True

    def _take(self, message: dict[str, Any]) -> str:
        text = self.add_text(message["content"]) if isinstance(message.get("content"), str) else ""
        if isinstance(message.get("refusal"), str) and message["refusal"]:
            text += self.add_text(message["refusal"])
            self.finish("refusal")
        calls = message.get("tool_calls")
        for number, given in enumerate(calls if isinstance(calls, list) else []):
            one, function = _dict(given), _dict(_dict(given).get("function"))
            call = self.call(one.get("index", number))
            call["id"] = call["id"] or _text(one.get("id"))[:128]
            call["name"] = call["name"] or _text(function.get("name"))[:128]
            if function.get("arguments"):
                self.add_arguments(call, function["arguments"])
        return text

    def _used(self, usage: object) -> None:
        found = _dict(usage)
        details = _dict(found.get("prompt_tokens_details"))
        self.used(
            input_tokens=found.get("prompt_tokens"), output_tokens=found.get("completion_tokens"),
            cached_tokens=details.get("cached_tokens"),
        )  # fmt: skip


class _Anthropic(_Answer):
    def event(self, event: dict[str, Any]) -> str:
        kind = event.get("type")
        if kind == "error":
            self.failed(event.get("error"))
        elif kind == "message_start":
            message = _dict(event.get("message"))
            self.named(message.get("model"))
            self._used(message.get("usage"))
        elif kind == "content_block_start":
            return self._block(_dict(event.get("content_block")), event.get("index"), whole=False)
        elif kind == "content_block_delta":
            delta = _dict(event.get("delta"))
            if delta.get("type") == "text_delta":
                return self.add_text(delta.get("text"))
            if delta.get("type") == "input_json_delta":
                self.add_arguments(self.call(event.get("index")), _text(delta.get("partial_json")))
        elif kind == "message_delta":
            self.finish(_dict(event.get("delta")).get("stop_reason"))
            self._used(event.get("usage"))
        elif kind == "message_stop":
            self.over = True
        return ""

    def whole(self, body: dict[str, Any]) -> None:
        if body.get("type") == "error":
            self.failed(body.get("error"))
            return
        if not isinstance(body.get("content"), list):
            raise ValueError("it holds no content")
        self.named(body.get("model"))
        self._used(body.get("usage"))
        self.finish(body.get("stop_reason"))
        for number, block in enumerate(body["content"]):
            self._block(_dict(block), number, whole=True)
        self.over = True

    def _block(self, block: dict[str, Any], place: object, *, whole: bool) -> str:
        if block.get("type") == "text":
            return self.add_text(block.get("text"))
        if block.get("type") == "tool_use":
            call = self.call(place)
            call["id"], call["name"] = _text(block.get("id"))[:128], _text(block.get("name"))[:128]
            if whole:
                self.add_arguments(call, block.get("input"))
        return ""

    def _used(self, usage: object) -> None:
        """What was read from a cache and what was put into one is input too, and not in `input_tokens`."""
        found = _dict(usage)
        kept = [found.get(name) for name in ("cache_read_input_tokens", "cache_creation_input_tokens")]
        read, made = (amount if type(amount) is int and amount > 0 else 0 for amount in kept)
        whole = found.get("input_tokens")
        if type(whole) is int:
            self.used(input_tokens=whole + read + made, cached_tokens=read)
        self.used(output_tokens=found.get("output_tokens"))


# ---- errors ------------------------------------------------------------------------------------------------------


def _problem(value: dict[str, Any]) -> dict[str, Any]:
    """Return what an endpoint says in a reply that is no success."""
    body = base64.b64decode(value.get("body", ""))
    try:
        found: Any = _object(body)
        found = found.get("error", found.get("detail", found))
    except ValueError:
        found = " ".join(body[:2_000].decode("utf-8", "replace").split())
        if found.startswith("<"):
            found = "it answered with a web page"
        elif len(found) > _MAX_WORDS:
            found = f"{found[:_MAX_WORDS]} …"
    problem = _error_of(found)
    after = value.get("headers", {}).get("retry-after", "")
    if re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,6})?", after):
        problem["retry_after_ms"] = round(float(after) * 1_000)
    return problem


def _error_of(found: Any) -> dict[str, Any]:
    said = _dict(found)
    message = said.get("message") if said else found
    code = said.get("code") if isinstance(said.get("code"), str) else said.get("type")
    text, word = _text(message)[:500], _text(code)[:100]
    return {"error": text or "it did not say why", "error_code": word,
            "too_long": bool(_TOO_LONG.search(text) or _TOO_LONG.search(word))}  # fmt: skip


def _without_body(value: dict[str, Any]) -> dict[str, Any]:
    return {name: value[name] for name in ("status", "sent", "note", "token_for_s") if name in value}


# ---- fields ------------------------------------------------------------------------------------------------------


def _object(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        raise ValueError("it is not JSON") from None
    if not isinstance(found, dict):
        raise ValueError("it is not a JSON object")
    return found


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _first(value: object) -> dict[str, Any]:
    return _dict(value[0]) if isinstance(value, list) and value else {}


def _text(value: object) -> str:
    """Return a text without halves of characters; "" for what is none."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else ""
