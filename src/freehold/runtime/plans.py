"""A plan as data: the dependency tree that a pack's planner returns and the daemon walks.

The planner runs in a runner, so what it returns is a stranger's word: it is decoded into these types and
validated before anything is done, and fixed from then on. What is read later fills values in; it cannot add
a node, and a node can use no tool that it did not name here.
"""

from collections import Counter
from collections.abc import Collection
from typing import Any, Final

import msgspec

from freehold.base import BadInput
from freehold.base.canonical import check, digest, encode
from freehold.wire.doing import AnyDoing

MAX_NODES: Final = 200
MAX_FAN_OUT: Final = 100_000
MAX_CONCURRENCY: Final = 256
MAX_RUNNERS: Final = 16
MAX_RETRIES: Final = 10
SOURCE_PREFIX: Final = "source:"
DEFAULT_TIMEOUT_S: Final = 300
DEFAULT_CONCURRENCY: Final = 8


class Node(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One step of a plan.

    ``each`` names what the node fans out over: another node (its list, or item by item where that node
    fans out itself) or ``source:NAME`` for the files of a source that were pinned when the run began.
    ``needs`` are nodes whose whole results come in as inputs. ``tools`` are the only tools that the step may
    ask for. ``timeout_s`` is wall-clock for one attempt, ``cpu_s`` the most CPU that an attempt may burn and
    what is reserved for it. ``retries`` counts further attempts after the first.
    """

    id: str
    step: str
    needs: list[str] = []
    each: str | None = None
    tools: list[str] = []
    params: dict[str, Any] = {}
    retries: int = 0
    timeout_s: int | None = None
    cpu_s: int = 60
    concurrency: int | None = None
    does: AnyDoing | None = None

    @property
    def started_with(self) -> dict[str, Any]:
        """The fixed arguments of the step, what the node does among them."""
        return self.params if self.does is None else {**self.params, "does": msgspec.to_builtins(self.does)}

    @property
    def time_limit_s(self) -> int:
        """Wall-clock for one attempt, where the plan says nothing."""
        return self.timeout_s or DEFAULT_TIMEOUT_S

    @property
    def bound(self) -> int:
        """How many items run at once, where the plan says nothing."""
        return self.concurrency or DEFAULT_CONCURRENCY

    @property
    def source(self) -> str | None:
        """The source whose files the node fans out over."""
        each = self.each
        return (
            each.removeprefix(SOURCE_PREFIX) if each is not None and each.startswith(SOURCE_PREFIX) else None
        )

    @property
    def upstream(self) -> tuple[str, ...]:
        """Every node that this one waits for."""
        if self.each is not None and self.source is None:
            return (*self.needs, self.each)
        return tuple(self.needs)


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A whole plan: ``result`` is the node whose value the run ends with, ``runners`` how many processes.

    ``mounts`` are the sources whose folders the processes are to see, from the first step on.
    """

    nodes: list[Node]
    result: str = ""
    runners: int = 1
    mounts: list[str] = []

    def encoded(self) -> bytes:
        """Return the plan's canonical bytes, as they are pinned."""
        return encode(msgspec.to_builtins(self))

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical plan."""
        return digest(self.encoded())


class Planned(msgspec.Struct, frozen=True):
    """What a run pins: the plan as the planner gave it, and the version of the pack that it is for.

    ``proposed`` says that a model had a part in it, ``costs`` what its own model calls can cost, in a sentence.
    """

    plan: msgspec.Raw
    version: str
    proposed: bool = False
    costs: str = ""


def read_plan(
    data: bytes | msgspec.Raw,
    *,
    steps: Collection[str] | None,
    tools: Collection[str],
    sources: Collection[str],
) -> Plan:
    """Return the plan in ``data`` (JSON), validated against the pack's steps and the job's tools and sources.

    ``steps`` None leaves out whether the pack has them, for a plan that was validated when it was pinned.
    Raises BadInput naming the node and the mistake.
    """
    try:
        plan = msgspec.json.decode(data, type=Plan)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _wrong(f"it cannot be read: {error}") from error
    if not 0 < len(plan.nodes) <= MAX_NODES:
        raise _wrong(f"it has {len(plan.nodes)} nodes; 1 to {MAX_NODES} are possible")
    if not 1 <= plan.runners <= MAX_RUNNERS:
        raise _wrong(f"it wants {plan.runners} runners; 1 to {MAX_RUNNERS} are possible")
    names = {node.id for node in plan.nodes}
    if len(names) < len(plan.nodes):
        name, _ = Counter(node.id for node in plan.nodes).most_common(1)[0]
        raise _wrong(f"two nodes are called {name!r}")
    for node in plan.nodes:
        _check_node(node, names, steps=steps, tools=tools, sources=sources)
    if plan.result and plan.result not in names:
        raise _wrong(f"its result {plan.result!r} is not a node")
    for source in plan.mounts:
        if source not in sources:
            raise _wrong(f"it mounts {source!r}, which is not a source of the job")
    order(plan)
    return plan


def _check_node(
    node: Node,
    names: set[str],
    *,
    steps: Collection[str] | None,
    tools: Collection[str],
    sources: Collection[str],
) -> None:
    where = f"node {node.id!r}"
    if not (node.id.isascii() and node.id.replace("-", "").replace("_", "").isalnum() and len(node.id) <= 64):
        raise _wrong(f"{where}: a name is made of at most 64 letters, digits, - and _")
    if steps is not None and node.step not in steps:
        raise _wrong(f"{where}: the pack has no step {node.step!r}")
    for name in node.needs:
        if name not in names:
            raise _wrong(f"{where}: it needs {name!r}, which is not a node")
    if node.source is not None and node.source not in sources:
        raise _wrong(f"{where}: the job has no source {node.source!r}")
    if node.each is not None and node.source is None and node.each not in names:
        raise _wrong(f"{where}: it fans out over {node.each!r}, which is not a node")
    for tool in node.tools:
        if tool not in tools:
            raise _wrong(f"{where}: there is no tool {tool!r}")
    bounds = (
        ("retries", node.retries, 0, MAX_RETRIES),
        ("timeout_s", node.time_limit_s, 1, 86_400),
        ("cpu_s", node.cpu_s, 1, 86_400),
        ("concurrency", node.bound, 1, MAX_CONCURRENCY),
    )
    for field, value, low, high in bounds:
        if not low <= value <= high:
            raise _wrong(f"{where}: {field} is {value}; {low} to {high} are possible")
    check(node.started_with)


def order(plan: Plan) -> list[Node]:
    """Return the nodes so that each stands behind what it waits for; raises BadInput for a circle."""
    awaits = {node.id: set(node.upstream) for node in plan.nodes}
    behind: dict[str, list[Node]] = {node.id: [] for node in plan.nodes}
    for node in plan.nodes:
        for name in awaits[node.id]:
            behind[name].append(node)
    done = [node for node in plan.nodes if not awaits[node.id]]
    for node in done:
        for other in behind[node.id]:
            awaits[other.id].discard(node.id)
            if not awaits[other.id]:
                done.append(other)
    if len(done) < len(plan.nodes):
        left = sorted(name for name, names in awaits.items() if names)
        raise _wrong(f"its nodes wait for each other in a circle: {', '.join(left)}")
    return done


def _wrong(what: str) -> BadInput:
    return BadInput(f"The plan cannot be used: {what}.", remedy="Mend the pack's planner.", code="input.plan")
