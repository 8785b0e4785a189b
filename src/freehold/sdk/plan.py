"""Plans as data: what a planner returns. The daemon checks it again; the checks here are for its author."""

import re
from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec

from freehold.base import BadInput
from freehold.sdk.values import plain
from freehold.wire.doing import AnyDoing

_ID: Final = re.compile(r"[a-z][a-z0-9_-]{0,63}\Z")
_IDS: Final = "Use a-z, 0-9, - and _, at most 64."
_LIMITS: Final = frozenset({"retries", "timeout_s", "cpu_s", "concurrency"})
_USE: Final = "Use retries, timeout_s, cpu_s or concurrency."
_SOURCE: Final = "source:"


class Node(msgspec.Struct, omit_defaults=True, kw_only=True):
    """One step of a plan.

    ``needs`` are nodes whose results it takes, as arguments of the same name (``-`` becomes ``_``). ``each``
    is a node that returns a list, or ``source:NAME`` for the files of a source: the step runs once for every
    element, which it takes as ``item``. ``tools`` are all it may ask the gate for. ``params`` are fixed
    arguments. ``retries`` counts further attempts after the first, ``timeout_s`` (wall-clock) and ``cpu_s``
    bound one attempt, ``concurrency`` how many items run at once.
    """

    id: str
    step: str
    needs: list[str] = []
    each: str | None = None
    tools: list[str] = []
    params: dict[str, Any] = {}
    retries: int = 0
    timeout_s: int | None = None
    cpu_s: int | None = None
    concurrency: int | None = None
    does: AnyDoing | None = None

    @property
    def started_with(self) -> dict[str, Any]:
        """The fixed arguments of the step, what the node does among them."""
        return self.params if self.does is None else {**self.params, "does": msgspec.to_builtins(self.does)}


class Plan:
    """A tree of steps, built node by node; the last one gives the run's result unless another is named.

    ``runners`` is how many processes the run may use at once, for steps that keep a whole core busy. ``mounts`` are
    sources of the job that steps see as folders, read-only, at ``sources/NAME`` in their workspace.
    """

    def __init__(self, *, runners: int = 1, mounts: Iterable[str] = ()) -> None:
        self.nodes: list[Node] = []
        self.result: str = ""
        self.runners = runners
        self.mounts = list(mounts)

    def add(
        self,
        step: "str | Callable[..., Any]",
        *,
        id: str = "",
        needs: Iterable["str | Node"] = (),
        each: "str | Node | None" = None,
        tools: Iterable[str] = (),
        params: dict[str, Any] | None = None,
        does: AnyDoing | None = None,
        **limits: int,
    ) -> Node:
        """Add a step (the function or its name) and return its node, to be named in ``needs`` and ``each``.

        ``limits`` are ``retries``, ``timeout_s``, ``cpu_s`` and ``concurrency``. The id is the step's name
        unless one is given.
        """
        unknown = limits.keys() - _LIMITS
        if unknown:
            raise BadInput(f"A step has no limit called {min(unknown)}.", remedy=_USE)
        name = step if isinstance(step, str) else step.__name__
        node = Node(
            id=id or name,
            step=name,
            needs=[_id_of(need) for need in needs],
            each=None if each is None else _id_of(each),
            tools=list(tools),
            params=params or {},
            does=does,
            **limits,
        )
        self.nodes.append(node)
        self.result = node.id
        return node

    def check(self, steps: Iterable[str]) -> None:
        """Raise BadInput unless the plan can be walked with ``steps``; names the node that is wrong."""
        known, seen = set(steps), set[str]()
        if not self.nodes:
            raise BadInput("The plan has no step.", remedy="Add one with plan.add(...).")
        for node in self.nodes:
            if not _ID.match(node.id):
                raise BadInput(f"'{node.id}' is no id for a step.", remedy=_IDS)
            if node.id in seen:
                raise BadInput(f"Two steps are called '{node.id}'.", remedy="Give one of them another id.")
            if node.step not in known:
                raise BadInput(f"The plan uses the step '{node.step}', which the pack does not have.")
            for need in _upstream(node):
                if need not in seen:
                    raise BadInput(f"'{node.id}' needs '{need}', which does not come before it.")
            plain(node.started_with, f"The parameters of '{node.id}'")
            seen.add(node.id)
        if self.result not in seen:
            raise BadInput(f"The plan's result is '{self.result}', which is no step of it.")

    def data(self) -> dict[str, Any]:
        """Return the plan as JSON data, in the form that the daemon walks."""
        nodes = [msgspec.to_builtins(node) for node in self.nodes]
        mounts = {"mounts": self.mounts} if self.mounts else {}
        return {"nodes": nodes, "result": self.result, "runners": self.runners, **mounts}


def _id_of(node: "str | Node") -> str:
    return node if isinstance(node, str) else node.id


def _upstream(node: Node) -> list[str]:
    each = [node.each] if node.each is not None and not node.each.startswith(_SOURCE) else []
    return [*node.needs, *each]
