"""The rules by which a context that grows too large is made smaller. Pure: the same turns always give the same context.

When the estimate passes three quarters of what the model holds:
1. results of tools are replaced by a line that names their record and size, oldest first;
2. then whole turns are left out, oldest first, with one line in their place.
The system's words, the goal and the last turns stay as they are; what was left out once stays out. Each time is an
action, `context.compact`, that says what was left out.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from freehold.sdk.agent.fence import left_out

FULL_PERMILLE: Final = 750
LAST_TURNS: Final = 4
MAX_BYTES: Final = 600_000
"""What one model call may carry at most, whatever the model holds: it crosses to the daemon as one message."""
BYTES_A_TOKEN: Final = 3
_PER_MESSAGE: Final = 8

Message = dict[str, Any]


class Origin(msgspec.Struct, frozen=True):
    """Where a tool message came from: tool, record and size of what it gave."""

    tool: str
    record: str
    size: int


class Compaction(msgspec.Struct, frozen=True):
    """What was left out at once, and the estimates before and after, in tokens."""

    results: list[dict[str, Any]]
    turns: int
    before_tokens: int
    after_tokens: int


def estimate(messages: Iterable[Message], other_bytes: int = 0) -> int:
    """Return about how many tokens messages come to, rather too many than too few."""
    total = other_bytes // BYTES_A_TOKEN
    for message in messages:
        size = len(message.get("content", "").encode())
        size += sum(
            len(call["name"]) + len(call["arguments"].encode()) for call in message.get("tool_calls", ())
        )
        total += size // BYTES_A_TOKEN + _PER_MESSAGE
    return total


class Window:
    """The part of a conversation that a model is shown. ``context_tokens`` is what the model holds in all."""

    def __init__(self, context_tokens: int, answer_tokens: int, other_bytes: int = 0) -> None:
        self._room = min(context_tokens * FULL_PERMILLE // 1_000, MAX_BYTES // BYTES_A_TOKEN) - answer_tokens
        self._other = other_bytes
        self._out: set[str] = set()
        self._gone = 0

    @property
    def result_limit(self) -> int:
        """The most characters that one result may have, so that several fit."""
        return max(1_000, self._room * BYTES_A_TOKEN // 4)

    def shrink(self) -> None:
        """Hold a quarter less from now on: the model said that it was too much."""
        self._room = self._room * 3 // 4

    def view(
        self, messages: Sequence[Message], origins: Mapping[str, Origin]
    ) -> tuple[list[Message], Compaction | None]:
        """Return what to show of ``messages``, and what was left out for it this time, if anything.

        ``messages`` begin with the system's words and the goal; ``origins`` are by the id of the tool call.
        """
        shown = self._without(messages, origins)
        before = estimate(shown, self._other)
        if before <= self._room:
            return shown, None
        turns = _turns(messages)
        results: list[dict[str, Any]] = []
        old = [at for turn in turns[self._gone : max(self._gone, len(turns) - LAST_TURNS)] for at in turn]
        for at in old:
            call = messages[at].get("tool_call_id", "")
            if messages[at]["role"] == "tool" and call in origins and call not in self._out:
                self._out.add(call)
                origin = origins[call]
                results.append({"tool": origin.tool, "record": origin.record, "bytes": origin.size})
                shown = self._without(messages, origins)
                if estimate(shown, self._other) <= self._room:
                    break
        gone = 0
        while estimate(shown, self._other) > self._room and len(turns) - self._gone > 1:
            self._gone += 1
            gone += 1
            shown = self._without(messages, origins)
        if not results and not gone:
            return shown, None
        return shown, Compaction(results, gone, before, estimate(shown, self._other))

    @property
    def room(self) -> int:
        """How many tokens may be shown."""
        return self._room

    def _without(self, messages: Sequence[Message], origins: Mapping[str, Origin]) -> list[Message]:
        turns = _turns(messages)
        skipped = {at for turn in turns[: self._gone] for at in turn}
        shown = []
        for at, message in enumerate(messages):
            if at in skipped:
                continue
            call = message.get("tool_call_id", "")
            if call in self._out:
                origin = origins[call]
                message = {**message, "content": left_out(origin.tool, origin.record, origin.size)}
            shown.append(message)
        if self._gone:
            line = f"({self._gone} earlier turns were left out here to save space.)"
            first = _first_turn(messages)
            shown.insert(first, {"role": "user", "content": line})
        return shown


def _first_turn(messages: Sequence[Message]) -> int:
    return next((at for at, message in enumerate(messages) if message["role"] == "assistant"), len(messages))


def _turns(messages: Sequence[Message]) -> list[list[int]]:
    """Return the places of the messages of each turn: an assistant's message and what follows it."""
    turns: list[list[int]] = []
    for at, message in enumerate(messages):
        if message["role"] == "assistant":
            turns.append([at])
        elif turns:
            turns[-1].append(at)
    return turns
