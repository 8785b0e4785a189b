"""What ends a loop that would not end by itself: counts, amounts, the same call again, turns without anything new.

The job's budget holds anyway; caps end a runaway sooner, within one call, and say in one sentence what it tried.
"""

from collections import Counter
from collections.abc import Iterable
from typing import ClassVar, Final, Literal

import msgspec

from freehold.base import digest
from freehold.sdk.context import Context
from freehold.sdk.errors import StepFailed
from freehold.sdk.values import Question

_MOST_NAMED: Final = 8
_GO_ON: Final = "go on as far again"
_STOP: Final = "stop"


class Caps(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The caps of one loop, subtasks included.

    ``tokens`` and ``money_micro`` are what model calls were charged. ``repeats`` is how often the same call may be
    made with the same arguments, ``idle_turns`` how many turns in a row may bring no result that was not there
    before. ``depth`` bounds subtasks within subtasks, ``subtasks`` their number. ``output_tries`` bounds attempts at a
    typed result. ``on_stop`` says whether a cap fails the step, or asks the owner with what was tried.
    """

    model_calls: int = 40
    tool_calls: int = 200
    tokens: int = 2_000_000
    money_micro: int | None = None
    repeats: int = 3
    idle_turns: int = 4
    depth: int = 1
    subtasks: int = 8
    output_tries: int = 3
    on_stop: Literal["fail", "ask"] = "fail"


class Stopped(StepFailed):
    """A cap, or nothing left to try, ended a loop; the sentence says which, and what was tried."""

    default_code: ClassVar[str] = "step.stopped"


class Tally:
    """What a loop has used so far, with its subtasks, held against its caps."""

    def __init__(self, caps: Caps, ctx: Context) -> None:
        self.caps: Final = caps
        self.model_calls = 0
        self.tool_calls = 0
        self.tokens = 0
        self.money_micro = 0
        self.subtasks = 0
        self._ctx = ctx
        self._rounds = 1
        self._tried: Counter[str] = Counter()
        self._same: Counter[str] = Counter()
        self._seen: set[str] = set()
        self._idle = 0

    # ---- before something is done ---------------------------------------------------------------------

    async def before_model_call(self) -> None:
        """Raise Stopped, or ask, where no further model call is left."""
        caps = self.caps
        if self._idle >= caps.idle_turns:
            await self._end(f"{_counted(self._idle, 'turn')} in a row brought nothing new", "idle_turns")
        if self.model_calls >= caps.model_calls * self._rounds:
            await self._end(f"it made {_counted(self.model_calls, 'model call')}", "model_calls")
        if self.tokens >= caps.tokens * self._rounds:
            await self._end(f"it used {self.tokens:,} tokens", "tokens")
        if caps.money_micro is not None and self.money_micro >= caps.money_micro * self._rounds:
            await self._end(f"it spent {self.money_micro / 1_000_000:.6f}", "money_micro")
        self.model_calls += 1

    async def before_tool_calls(self, calls: Iterable[tuple[str, str]]) -> None:
        """Count the calls (name and arguments) of one turn; raise Stopped, or ask, where they are too many."""
        for name, arguments in calls:
            key = digest(f"{name}\0{arguments}".encode())
            self._same[key] += 1
            if self._same[key] > self.caps.repeats:
                times = self._same[key]
                await self._end(f"it called {name} {times} times with the same arguments", "repeats")
                self._same[key] = 1
            if self.tool_calls >= self.caps.tool_calls * self._rounds:
                await self._end(f"it made {_counted(self.tool_calls, 'tool call')}", "tool_calls")
            self.tool_calls += 1
            self._tried[name] += 1

    async def before_subtask(self, depth: int) -> None:
        """Raise Stopped, or ask, where a subtask would be one too many."""
        if self.subtasks >= self.caps.subtasks * self._rounds:
            await self._end(f"it began {_counted(self.subtasks, 'subtask')}", "subtasks")
        self.subtasks += 1

    # ---- afterwards ----------------------------------------------------------------------------------

    def after_model_call(self, tokens: int, money_micro: int) -> None:
        """Count what a model call was charged."""
        self.tokens += tokens
        self.money_micro += money_micro

    def after_turn(self, results: Iterable[str]) -> None:
        """Note what the tools of a turn gave; a turn without anything new is an idle one."""
        found = {digest(result.encode()) for result in results}
        self._idle = 0 if found - self._seen else self._idle + 1
        self._seen |= found

    @property
    def tried(self) -> str:
        """What was called how often, in words."""
        named = [f"{name} ({count})" for name, count in self._tried.most_common(_MOST_NAMED)]
        more = len(self._tried) - len(named)
        if more > 0:
            named.append(f"{_counted(more, 'other tool')}")
        return ", ".join(named) or "nothing yet"

    async def _end(self, why: str, cap: str) -> None:
        sentence = f"The loop was stopped: {why}. It tried: {self.tried}."
        if self.caps.on_stop == "ask":
            question = Question(f"{sentence} Shall it go on?", "choice", [_GO_ON, _STOP])
            if await self._ctx.ask(question) == _GO_ON:
                self._rounds += 1
                self._idle = 0
                return
        raise Stopped(
            sentence, remedy=f"Make the goal clearer, or raise `params.caps.{cap}` in the job file."
        )


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'s'[: count != 1]}"
