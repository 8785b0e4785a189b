"""A pack: its steps and its planner, declared with decorators. Declaring does nothing else at import."""

import asyncio
import inspect
import typing
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from typing import Any, Final, TypeVar

import msgspec

from freehold.base import BadInput, FreeholdError
from freehold.sdk.context import BlockingContext, Context
from freehold.sdk.plan import Plan
from freehold.sdk.values import from_raw, to_raw

F = TypeVar("F", bound=Callable[..., Any])

_MAX_NAME: Final = 100
_MISSING: Final = inspect.Parameter.empty


class Job:
    """A job as its file says, for planners: trusted, complete, and all that a plan may depend on."""

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self.fields: Final = dict(fields)

    @property
    def name(self) -> str:
        """The job's name."""
        return str(self.fields.get("name", ""))

    @property
    def goal(self) -> str:
        """What stands under the heading Goal."""
        return str(self.fields.get("goal", ""))

    @property
    def settings(self) -> dict[str, Any]:
        """The pack's own settings in the job's front matter."""
        return dict(self.fields.get("settings") or {})

    @property
    def sources(self) -> list[str]:
        """The names of the job's sources."""
        return list(self.fields.get("sources") or [])

    @property
    def policy(self) -> str:
        """The text of the policy that the job names, as it was pinned for the run."""
        return str(self.fields.get("policy", ""))

    def get(self, field: str, default: Any = None) -> Any:
        """Return any other field."""
        return self.fields.get(field, default)


class Step:
    """One step function of a pack and how its arguments are read."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.name: Final = function.__name__
        self.function: Final = function
        self.is_async: Final = inspect.iscoroutinefunction(function)
        self._arguments: dict[str, tuple[Any, Any]] | None = None

    def bind(self) -> None:
        """Read the function's signature; raises BadInput when it cannot be called with named JSON values."""
        try:
            hints = typing.get_type_hints(self.function)
        except (NameError, TypeError, AttributeError) as error:
            raise BadInput(f"The types of the step '{self.name}' cannot be read: {error}.") from error
        parameters = list(inspect.signature(self.function).parameters.values())
        if not parameters:
            raise BadInput(f"The step '{self.name}' takes no argument.", remedy="The first is the context.")
        for parameter in parameters[1:]:
            if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
                raise BadInput(
                    f"The step '{self.name}' takes '{parameter}', which cannot be given by name.",
                    remedy="Name each argument: item, the nodes it needs, its parameters.",
                )
        self._arguments = {p.name: (hints.get(p.name, Any), p.default) for p in parameters[1:]}

    def arguments(
        self, item: bytes | msgspec.Raw, inputs: Mapping[str, bytes | msgspec.Raw], params: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return the function's arguments, typed; raises BadInput naming the one that is wrong or missing."""
        if self._arguments is None:
            self.bind()
        assert self._arguments is not None
        given = {name.replace("-", "_"): raw for name, raw in inputs.items()}
        values: dict[str, Any] = {}
        for name, (expected, default) in self._arguments.items():
            what = f"The argument '{name}' of the step '{self.name}'"
            if name == "item" and default is not _MISSING and bytes(item) == b"null":
                continue  # the node does not fan out
            if name == "item":
                values[name] = from_raw(item, expected, what)
            elif name in given:
                values[name] = from_raw(given[name], expected, what)
            elif name in params:
                values[name] = _converted(params[name], expected, what)
            elif name == "inputs":
                values[name] = {need: from_raw(raw, Any, what) for need, raw in inputs.items()}
            elif default is _MISSING:
                raise BadInput(f"{what} is missing.", remedy="Name it in the node's needs or params.")
        return values

    async def run(self, context: Context, values: dict[str, Any], threads: Executor) -> msgspec.Raw:
        """Run the function to its end and return its result as JSON; plain functions run in ``threads``."""
        try:
            if self.is_async:
                result = await self.function(context, **values)
            else:
                loop = asyncio.get_running_loop()
                blocking = BlockingContext(context, loop)
                result = await loop.run_in_executor(threads, lambda: self.function(blocking, **values))
        finally:
            context.end()
        return to_raw(result, f"The result of the step '{self.name}'")


class Pack:
    """A job family: ``pack = Pack("name", version="1.0")``, then ``@pack.step`` and ``@pack.planner``."""

    def __init__(self, name: str, *, version: str) -> None:
        self.name: Final = name
        self.version: Final = version
        self.steps: Final[dict[str, Step]] = {}
        self._planner: Callable[..., Any] | None = None

    def step(self, function: F) -> F:
        """Declare a step: ``async def f(ctx: Context, ...)`` or ``def f(ctx: BlockingContext, ...)``.

        After the context it takes, by name: ``item`` (one element of a fan-out), the results of the nodes it
        needs, and its parameters; ``inputs`` are all those results by their nodes' ids. Annotated types are checked
        and built (structs, enums, lists of them).
        """
        if function.__name__ in self.steps:
            raise BadInput(f"The pack '{self.name}' has two steps called '{function.__name__}'.")
        self.steps[function.__name__] = Step(function)
        return function

    def planner(self, function: F) -> F:
        """Declare the planner: a function from the job to a plan. It sees no data, only the job.

        An ``async def`` planner takes the context first and may ask the gate for a model, the list of tools and a
        person: `model.call`, `tools.list` and `question.ask`, and nothing else.
        """
        self._planner = function
        return function

    def bind(self) -> None:
        """Check every step's signature; raises BadInput."""
        self._require_planner()
        for name in (self.name, self.version, *self.steps):
            if not 0 < len(name) <= _MAX_NAME:
                raise BadInput(f"'{name[:_MAX_NAME]}' is too long or empty for a name or a version.")
        for step in self.steps.values():
            step.bind()

    def plan(self, job: Mapping[str, Any]) -> Plan:
        """Return the checked plan for ``job`` of a planner that asks for nothing; raises BadInput."""
        planner = self._require_planner()
        if inspect.iscoroutinefunction(planner):
            raise BadInput(f"The planner of '{self.name}' asks the gate.", remedy="Await make_plan of it.")
        return self._checked(planner(Job(job)))

    async def make_plan(self, context: Context, job: Mapping[str, Any]) -> Plan:
        """Return the checked plan for ``job``, of either kind of planner; raises BadInput and what it raised."""
        planner = self._require_planner()
        if not inspect.iscoroutinefunction(planner):
            return self.plan(job)
        try:
            return self._checked(await planner(context, Job(job)))
        finally:
            context.end()

    def _checked(self, plan: object) -> Plan:
        if not isinstance(plan, Plan):
            raise BadInput(f"The planner of '{self.name}' did not return a Plan.")
        plan.check(self.steps)
        return plan

    def _require_planner(self) -> Callable[..., Any]:
        if self._planner is None:
            raise BadInput(f"The pack '{self.name}' has no planner.", remedy="Declare it with @pack.planner.")
        return self._planner


def find_pack(module: object, attribute: str, entry: str) -> Pack:
    """Return the pack that ``module`` holds; raises BadInput where there is none."""
    pack = getattr(module, attribute, None)
    if not isinstance(pack, Pack):
        raise BadInput(f"'{entry}' names no pack.", remedy=f"Define {attribute} = Pack(...) in that module.")
    pack.bind()
    return pack


def one_sentence(error: BaseException, what: str) -> str:
    """Return what went wrong in one sentence, without a traceback."""
    if isinstance(error, FreeholdError):
        return str(error)
    first = next((line for line in str(error).splitlines() if line.strip()), "")[:300].rstrip(".")
    return f"{what} failed: {type(error).__name__}{': ' + first if first else ''}."


def _converted(value: Any, expected: Any, what: str) -> Any:
    try:
        return msgspec.convert(value, expected)
    except (msgspec.ValidationError, TypeError) as error:
        raise BadInput(f"{what} is not what was declared: {str(error)[:200]}.") from error
