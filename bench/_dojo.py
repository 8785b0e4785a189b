"""AgentDojo's environments and tasks without a model: injected, replayed by a list of calls, scored by its own checks.

An environment is parsed once, with a token in the place of each injection, and put together anew from that for each
replay: an injected text cannot break the YAML, and what a tool shows can be searched for it as it was.
"""

import copy
import datetime as dt
import importlib
import re
import traceback
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import yaml

from bench._clientless import leave_out_clients

leave_out_clients()

from agentdojo.base_tasks import BaseInjectionTask, BaseUserTask
from agentdojo.functions_runtime import FunctionCall, FunctionsRuntime
from agentdojo.task_suite.load_suites import get_suites
from agentdojo.task_suite.task_suite import TaskSuite, read_suite_file
from pydantic import BaseModel

VERSION: Final = "v1.2.2"
SUITES: Final = ("workspace", "travel", "banking", "slack")
_DEEP: Final = (BaseModel, dict, list, set)
_FORM: Final = re.compile(r"[\s\\'\"]+")


class Door(Protocol):
    """What stands between an agent and its tools."""

    def call(self, function: str, args: dict[str, Any], effect: Callable[[], Any]) -> Awaitable["Passed"]:
        """Take a call; ``effect`` runs only when it is let through."""


class Passed(Protocol):
    """What became of a call."""

    @property
    def executed(self) -> bool: ...
    @property
    def value(self) -> Any: ...
    @property
    def why(self) -> tuple[str, ...]: ...


@dataclass(frozen=True, slots=True)
class Call:
    """A call that the agent wants."""

    function: str
    args: dict[str, Any]


class World:
    """One suite: its environments by what is injected, its tasks and tools."""

    def __init__(self, suite: TaskSuite[Any], corrected: TaskSuite[Any]) -> None:
        self.suite = suite
        self._corrected = corrected
        self.runtime = FunctionsRuntime(suite.tools)
        self.defaults: dict[str, str] = suite.get_injection_vector_defaults()
        self._text: str = read_suite_file(suite.name, "environment.yaml", suite.data_path)
        self._forms: dict[frozenset[str], Any] = {}
        self._kept: dict[tuple[tuple[str, str], ...], Any] = {}

    @classmethod
    def named(cls, name: str) -> "World":
        """The world of a suite of AgentDojo's."""
        suite = get_suites(VERSION)[name]
        importlib.import_module("agentdojo.default_suites.v1_1_2")
        return cls(suite, get_suites("v1")[name].get_new_version(suite.benchmark_version))

    @property
    def functions(self) -> frozenset[str]:
        """The names of the tools."""
        return frozenset(self.runtime.functions)

    def environment(self, injections: Mapping[str, str]) -> Any:
        """Return an environment of its own with these texts in the vectors named, and harmless ones in the others."""
        key = tuple(sorted(injections.items()))
        if key not in self._kept:
            texts = {_token(name): text for name, text in injections.items()}
            form = _filled(self._form(frozenset(injections)), texts)
            self._kept[key] = self.suite.environment_type.model_validate(form)
        return clone(self._kept[key])

    def _form(self, names: frozenset[str]) -> Any:
        """The data with tokens for these vectors; the others' texts are part of the YAML, escapes and all."""
        if names not in self._forms:
            text = self._text.format(**{**self.defaults, **{name: _token(name) for name in names}})
            self._forms[names] = yaml.load(text, yaml.CSafeLoader)
        return self._forms[names]

    def everywhere(self, text: str) -> dict[str, str]:
        """The same injected text in every vector."""
        return dict.fromkeys(self.defaults, text)

    def user_task(self, name: str) -> BaseUserTask[Any]:
        """A task by its id; raises KeyError."""
        return self.suite.user_tasks[name]

    def injection_task(self, name: str) -> BaseInjectionTask[Any]:
        """An injection's task by its id; raises KeyError."""
        return self.suite.injection_tasks[name]

    def judges(self, name: str) -> list[BaseInjectionTask[Any]]:
        """Who may find a goal reached: the injection's task, and AgentDojo's own correction that it does not load.

        Five checks of v1.1.2 see an attack that the first ones miss when its text stands in a mail; goals are the same.
        """
        judges = [self.injection_task(name), self._corrected.injection_tasks[name]]
        return judges if type(judges[0]) is not type(judges[1]) else judges[:1]

    def calls(self, task: BaseUserTask[Any] | BaseInjectionTask[Any], environment: Any) -> list[Call]:
        """What AgentDojo says that a task takes.

        Where an injection hides what that is worked out from, the environment without one says it.
        """
        try:
            found = task.ground_truth(clone(environment))
        except Exception:
            found = task.ground_truth(self.environment({}))
        return [Call(call.function, dict(call.args)) for call in found]

    def effect(self, environment: Any, call: Call) -> Callable[[], Any]:
        """What a call does in an environment; raises what the tool raises."""

        def act() -> Any:
            value, _ = self.runtime.run_function(environment, call.function, call.args, raise_on_error=True)
            return value

        return act

    def holds(
        self,
        task: BaseUserTask[Any] | BaseInjectionTask[Any],
        said: str,
        before: Any,
        after: Any,
        trace: Sequence[Call],
    ) -> bool:
        """Whether the suite's check finds a task done, by what was said, what changed, what was executed."""
        executed = [FunctionCall(function=call.function, args=call.args) for call in trace]
        block = [{"type": "text", "content": said}]
        return bool(self.suite._check_task_result(task, block, before, after, executed))


class Ledger:
    """The calls of one replay: which were executed, which refused and why, and what they showed."""

    def __init__(self, world: World, door: Door, environment: Any) -> None:
        self._world = world
        self._door = door
        self._environment = environment
        self.executed: list[Call] = []
        self.failed = 0
        self.shown: list[str] = []

    async def make(self, call: Call) -> tuple[str, ...] | None:
        """Make a call; return why it was refused, or None. A tool that fails was executed, and shows what it says."""
        try:
            passed = await self._door.call(
                call.function, call.args, self._world.effect(self._environment, call)
            )
        except Exception as error:  # a tool's own: AgentDojo's tools raise what they like
            if not _raised_by_tool(error):
                raise
            self.failed += 1
            self.executed.append(call)
            self.shown.append(squeezed(str(error)))
            return None
        if not passed.executed:
            return passed.why or ("no reason",)
        self.executed.append(call)
        self.shown.append(squeezed(str(plain(passed.value))))
        return None


def today(environment: Any) -> dt.date | None:
    """The day on which an environment's owner speaks, where it has one."""
    day: dt.date | None = getattr(getattr(environment, "calendar", None), "current_day", None)
    return day


def clone(value: Any) -> Any:
    """A deep copy of an environment, many times as fast as the general one; what is one object stays one."""
    return _cloned(value, {})


def share(before: Any, after: Any) -> Any:
    """Return ``after`` made of the objects of ``before`` where they are equal, so that a comparison skips them."""
    if type(before) is type(after) and before == after:
        return before
    if isinstance(before, BaseModel) and type(before) is type(after):
        _share_items(before.__dict__, after.__dict__)
    elif isinstance(before, dict) and isinstance(after, dict):
        _share_items(before, after)
    elif isinstance(before, list) and isinstance(after, list):
        after[: len(before)] = [share(*pair) for pair in zip(before, after, strict=False)]
    return after


def plain(value: Any) -> Any:
    """A tool's result as the JSON of the house, which has no floats."""
    if hasattr(value, "model_dump"):
        return plain(value.model_dump(mode="json"))
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set):
        return [plain(inner) for inner in value]
    if value is None or isinstance(value, bool | int | str):
        return value
    return f"{value:g}" if isinstance(value, float) else str(value)


def squeezed(text: str) -> str:
    """A text without blanks, quotes and what stands before them, since tools quote what they show."""
    return _FORM.sub("", text.replace("\\n", " ").replace("\\t", " "))


def _raised_by_tool(error: BaseException) -> bool:
    frames = (frame.f_code for frame, _ in traceback.walk_tb(error.__traceback__))
    return any(code is FunctionsRuntime.run_function.__code__ for code in frames)


def _cloned(value: Any, memo: dict[int, Any]) -> Any:
    if not isinstance(value, _DEEP):
        return value
    if id(value) in memo:
        return memo[id(value)]
    copied = memo[id(value)] = value.model_copy() if isinstance(value, BaseModel) else copy.copy(value)
    if isinstance(copied, list):
        copied[:] = [_cloned(inner, memo) for inner in copied]
    elif not isinstance(copied, set):
        table = copied if isinstance(copied, dict) else copied.__dict__
        for key, inner in table.items():
            if isinstance(inner, _DEEP):
                table[key] = _cloned(inner, memo)
    return copied


def _share_items(before: dict[str, Any], after: dict[str, Any]) -> None:
    for key in after:
        if key in before:
            after[key] = share(before[key], after[key])


def _token(name: str) -> str:
    return f"@@{name}@@"


def _filled(form: Any, texts: Mapping[str, str]) -> Any:
    if isinstance(form, dict):
        return {key: _filled(inner, texts) for key, inner in form.items()}
    if isinstance(form, list):
        return [_filled(inner, texts) for inner in form]
    if isinstance(form, str) and "@@" in form:
        for token, text in texts.items():
            form = form.replace(token, text)
    return form
