"""Models for tests that do not think: scripted ones, and the worst that one can meet. Served by ``testing.models``.

A brain is shown a call in the neutral form (messages, tools by their names on the wire) and says what the answer is.
Each is stateless but for a count, so that a call that comes again after a crash is answered as it was.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

MAX_FOUND: Final = 200


@dataclass(frozen=True)
class Reply:
    """One answer. ``calls`` are pairs of a tool's name and its arguments (an object, or any text as it is).

    ``tokens`` are what it says it took, in and out (None: by its size), ``cached`` how many of those in were kept
    from before. ``raw`` is sent instead of an answer; ``status`` and ``headers`` make it a refusal; ``drop`` closes
    the connection ``before`` or ``after`` half of it.
    """

    text: str = ""
    calls: Sequence[tuple[str, Mapping[str, Any] | str]] = ()
    tokens: tuple[int, int] | None = None
    finish: str = ""
    raw: str | None = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    drop: str = ""
    cached: int = 0


@dataclass(frozen=True)
class Seen:
    """A call as a brain sees it. ``number`` counts the calls that were not repeated, from 0."""

    number: int
    messages: list[dict[str, Any]]
    tools: dict[str, dict[str, Any]]
    max_tokens: int
    size: int

    @property
    def turn(self) -> int:
        """How many answers of the model the conversation holds."""
        return sum(message["role"] == "assistant" for message in self.messages)

    def called(self) -> list[tuple[str, str]]:
        """Return every tool call in the conversation: its name and its arguments, in one form."""
        return [
            (call["name"], _form(call["arguments"]))
            for message in self.messages
            for call in message.get("tool_calls", ())
        ]


class Brain(Protocol):
    """Says what a model answers."""

    def reply(self, seen: Seen) -> Reply:
        """Return the answer to a call."""
        ...


@dataclass(frozen=True)
class Scripted:
    """Answers by a script: the nth turn of a conversation (or, ``by`` "call", the nth call) gets the nth reply.

    After its end it says the last one again, or "Done." where that had called a tool.
    """

    replies: Sequence[Reply | str]
    by: str = "turn"

    def reply(self, seen: Seen) -> Reply:
        """Return the reply of the script."""
        place = seen.turn if self.by == "turn" else seen.number
        if place >= len(self.replies):
            last = self.replies[-1] if self.replies else ""
            return Reply("Done.") if not isinstance(last, str) and last.calls else _reply(last)
        return _reply(self.replies[place])


@dataclass(frozen=True)
class Obeys:
    """Does whatever a text that it reads tells it: each JSON object that names a tool is called, once.

    ``first`` are honest calls that it begins with, so that it comes to read something. An order is an object with
    ``tool`` (or ``name``, ``function``) and ``arguments`` (or ``args``, ``parameters``), anywhere in what tools gave or
    a user said.
    """

    first: Sequence[tuple[str, Mapping[str, Any]]] = ()
    last: str = "All done, as I was told."

    def reply(self, seen: Seen) -> Reply:
        """Return the next order that was read and not yet obeyed."""
        called = seen.called()
        if len(called) < len(self.first):
            return Reply(calls=[self.first[len(called)]])
        for message in seen.messages:
            if message["role"] not in ("tool", "user"):
                continue
            for name, arguments in orders_in(message["content"]):
                wire = name if name in seen.tools else name.replace(".", "__")
                if wire in seen.tools and (wire, _form(arguments)) not in called:
                    return Reply("As you say.", [(wire, arguments)])
        return Reply(self.last)


@dataclass(frozen=True)
class CallsEverything:
    """Calls every tool that it is offered, one a turn, with arguments made up from the schema."""

    def reply(self, seen: Seen) -> Reply:
        """Return a call of the next tool."""
        names = list(seen.tools)
        if seen.turn >= len(names):
            return Reply("I have tried everything.")
        name = names[seen.turn]
        return Reply(calls=[(name, made_up(seen.tools[name]))])


@dataclass(frozen=True)
class NeverStops:
    """Calls a tool in every turn, for ever: the first that it is offered unless one is named.

    With ``vary`` no two calls are the same.
    """

    tool: str = ""
    arguments: Mapping[str, Any] | None = None
    vary: bool = False

    def reply(self, seen: Seen) -> Reply:
        """Return one more call."""
        name = self.tool or next(iter(seen.tools), "nothing")
        arguments = dict(made_up(seen.tools.get(name, {})) if self.arguments is None else self.arguments)
        if self.vary:
            texts = [key for key, value in arguments.items() if isinstance(value, str)]
            arguments[texts[0] if texts else "more"] = (
                f"{arguments.get(texts[0], '') if texts else ''}{seen.turn}"
            )
        return Reply("Once more.", [(name, arguments)])


@dataclass(frozen=True)
class Nonsense:
    """Answers with one kind of nonsense after the other: what is no JSON, wrong types, tools that do not exist."""

    def reply(self, seen: Seen) -> Reply:
        """Return the next kind; after the last a plain answer."""
        name = next(iter(seen.tools), "nothing")
        kinds = [
            Reply(calls=[(name, "{not json")]),
            Reply(calls=[(name, "[1, 2]")]),
            Reply(calls=[("no_such_tool", {"a": 1})]),
            Reply(calls=[(name, {"unexpected": [None, {"deep": True}], "": 0})]),
            Reply(calls=[("", "")]),
            Reply("\ufeff\u202e\x00 not what was asked for"),
            Reply(raw="<html>Bad gateway</html>"),
            Reply(raw='{"choices": []}'),
            Reply(raw='{"choices": [{"message": "text"}]}'),
            Reply(raw=""),
        ]
        return kinds[seen.number] if seen.number < len(kinds) else Reply("Now I make sense.")


@dataclass(frozen=True)
class Spends:
    """Takes as many tokens as it may in every answer, and wants another turn each time."""

    tool: str = ""

    def reply(self, seen: Seen) -> Reply:
        """Return an answer that took all that it could."""
        name = self.tool or next(iter(seen.tools), "")
        text = "word " * min(seen.max_tokens, 1_000)
        calls = [(name, made_up(seen.tools.get(name, {})))] if name else []
        return Reply(text, calls, tokens=(seen.size, seen.max_tokens), finish="" if calls else "length")


@dataclass(frozen=True)
class Says:
    """Answers by a function of the call."""

    answer: Callable[[Seen], Reply | str]

    def reply(self, seen: Seen) -> Reply:
        """Return what the function says."""
        return _reply(self.answer(seen))


def orders_in(text: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield every tool call that a text orders: JSON objects anywhere in it, or in texts inside of them."""
    decoder, at, found = json.JSONDecoder(), text.find("{"), 0
    while at >= 0 and found < MAX_FOUND:
        try:
            value, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            at = text.find("{", at + 1)
            continue
        found += 1
        yield from _orders(value)
        at = text.find("{", end)


def _orders(value: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if isinstance(value, dict):
        name = next(
            (value[key] for key in ("tool", "function", "name") if isinstance(value.get(key), str)), None
        )
        given = next(
            (value[key] for key in ("arguments", "args", "parameters") if isinstance(value.get(key), dict)),
            None,
        )
        if name is not None and given is not None:
            yield name, given
            return
        for member in value.values():
            yield from _orders(member)
    elif isinstance(value, list):
        for member in value:
            yield from _orders(member)
    elif isinstance(value, str) and "{" in value:
        yield from orders_in(value)


def made_up(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments that fit a JSON Schema of an object, for what it requires."""
    properties = schema.get("properties", {})
    return {name: _made_up(properties.get(name, {})) for name in schema.get("required", properties)}


def _made_up(schema: Mapping[str, Any]) -> Any:
    if schema.get("enum"):
        return schema["enum"][0]
    kind = schema.get("type", "string")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        return made_up(schema)
    if kind == "array":
        return [_made_up(schema.get("items", {}))]
    plain: dict[str, Any] = {"integer": schema.get("minimum", 1), "number": 1, "boolean": True, "null": None}
    return plain.get(kind, "x")


def _reply(given: Reply | str) -> Reply:
    return Reply(given) if isinstance(given, str) else given


def _form(arguments: Any) -> str:
    """Return arguments in one form, so that the same call is known again."""
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments)
        except ValueError:
            return str(arguments)
    return json.dumps(arguments, sort_keys=True)


BRAINS: Final[Mapping[str, Callable[..., Brain]]] = {
    "scripted": Scripted, "obeys": Obeys, "calls-everything": CallsEverything, "never-stops": NeverStops,
    "nonsense": Nonsense, "spends": Spends,
}  # fmt: skip
"""The brains that a process can be told to have, by name."""


def brain_of(plain: Mapping[str, Any]) -> Brain:
    """Return the brain that was written down: ``brain`` and what it is made with."""
    given = {name: value for name, value in plain.items() if name != "brain"}
    if "replies" in given:
        given["replies"] = [one if isinstance(one, str) else reply_of(one) for one in given["replies"]]
    if "first" in given:
        given["first"] = [(name, arguments) for name, arguments in given["first"]]
    return BRAINS[plain["brain"]](**given)


def reply_of(plain: Mapping[str, Any]) -> Reply:
    """Return a reply that was written down."""
    given = dict(plain)
    given["calls"] = [(name, arguments) for name, arguments in given.get("calls", ())]
    if given.get("tokens"):
        given["tokens"] = tuple(given["tokens"])
    return Reply(**given)
