"""How far a run is: which items of which nodes are done, and which may start next. Pure; nothing is read.

One byte and one journal index an item, so a fan-out of ten thousand costs a hundred kilobytes; contents
stay in the journal. ``LiveRun`` moves it, and only after the journal has moved.
"""

import enum
from array import array
from collections import deque
from collections.abc import Iterator

from freehold.base import Internal
from freehold.runtime.plans import Node, Plan, order


class ItemState(enum.IntEnum):
    """Where one item of a node stands."""

    PENDING = 0
    RUNNING = 1
    DONE = 2
    FAILED = 3
    PARKED = 4
    SKIPPED = 5


SETTLED = (ItemState.DONE, ItemState.FAILED, ItemState.SKIPPED)
_LETTER = {state: state.name.lower() for state in ItemState}


class NodeState:
    """One node with its items; ``total`` is unknown (None) until what it fans out over is known."""

    __slots__ = (
        "_again",
        "_cursor",
        "active",
        "counts",
        "node",
        "planned",
        "results",
        "states",
        "streams_from",
        "total",
    )

    def __init__(self, node: Node, streams_from: "NodeState | None") -> None:
        self.node = node
        self.streams_from = streams_from
        self.total: int | None = None
        self.states = bytearray()
        self.results = array("q")
        self.active = 0
        self.counts = [0] * len(ItemState)
        self.planned: frozenset[str] | None = None
        self._again: deque[int] = deque()
        self._cursor = 0

    def open(self, total: int) -> None:
        """Say how many items there are; from now on they can be taken."""
        if self.total is not None:
            raise Internal(f"Node {self.node.id} was opened twice.")
        self.total = total
        self.states = bytearray(total)
        self.results = array("q", [-1]) * total
        self.counts[ItemState.PENDING] = total

    @property
    def fans_out(self) -> bool:
        """Whether the node's result is a list with an entry for each item."""
        return self.node.each is not None

    @property
    def settled(self) -> bool:
        """Whether every item is done, failed or skipped."""
        return self.total is not None and sum(self.counts[state] for state in SETTLED) == self.total

    @property
    def idle(self) -> bool:
        """Whether nothing of the node can be taken right now."""
        return self.total is None or (not self._again and not self._has_cursor())

    def take(self) -> int | None:
        """Return the next item that may start, now RUNNING; None when there is none or the bound is reached."""
        if self.total is None or self.active >= self.node.bound:
            return None
        while self._again:
            item = self._again.popleft()
            if self.states[item] == ItemState.PENDING:
                return self._start(item)
        if self.streams_from is None and self._has_cursor():
            return self._start(self._cursor)
        return None

    def _has_cursor(self) -> bool:
        if self.streams_from is not None or self.total is None:
            return False
        while self._cursor < self.total and self.states[self._cursor] != ItemState.PENDING:
            self._cursor += 1
        return self._cursor < self.total

    def _start(self, item: int) -> int:
        self.move(item, ItemState.RUNNING)
        self.active += 1
        return item

    def offer(self, item: int) -> None:
        """Let a pending item be taken (again): its input is there, its wait is over, or it may be retried."""
        if self.states[item] != ItemState.PENDING:
            self.move(item, ItemState.PENDING)
        self._again.append(item)

    def stop(self, item: int, state: ItemState, result: int = -1) -> None:
        """Move an item out of RUNNING."""
        self.active -= 1
        self.results[item] = result
        self.move(item, state)

    def move(self, item: int, state: ItemState) -> None:
        """Set an item's state and keep the counts."""
        self.counts[self.states[item]] -= 1
        self.counts[state] += 1
        self.states[item] = state

    def summary(self) -> dict[str, int | str]:
        """Return the counts by name, for people who watch."""
        shown: dict[str, int | str] = {
            "node": self.node.id,
            "total": -1 if self.total is None else self.total,
        }
        for state, name in _LETTER.items():
            shown[name] = self.counts[state]
        return shown


class Graph:
    """All nodes of a run in an order in which each stands behind what it waits for."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.nodes: dict[str, NodeState] = {}
        for node in order(plan):
            upstream = self.nodes.get(node.each) if node.each is not None else None
            streams = upstream if upstream is not None and upstream.fans_out else None
            self.nodes[node.id] = NodeState(node, streams)
        self._followers: dict[str, list[NodeState]] = {name: [] for name in self.nodes}
        for state in self.nodes.values():
            if state.streams_from is not None:
                self._followers[state.streams_from.node.id].append(state)

    def openable(self) -> Iterator[NodeState]:
        """Yield nodes that are not open yet and whose inputs are there; the caller opens or skips them."""
        for state in self.nodes.values():
            if state.total is None and self._inputs_there(state):
                yield state

    def _inputs_there(self, state: NodeState) -> bool:
        if not all(self.nodes[name].settled for name in state.node.needs):
            return False
        if state.streams_from is not None:
            return state.streams_from.total is not None
        each = state.node.each
        return each is None or state.node.source is not None or self.nodes[each].settled

    def opened(self, state: NodeState) -> None:
        """Hand on what an upstream node already has, after ``state`` was opened."""
        upstream = state.streams_from
        if upstream is not None:
            for item in range(state.total or 0):
                self._hand_on(state, item, ItemState(upstream.states[item]))

    def settle(self, state: NodeState, item: int, outcome: ItemState, result: int = -1) -> None:
        """Move a RUNNING item to its end and hand its result to the nodes that stream from this one."""
        state.stop(item, outcome, result)
        self._tell(state, item, outcome)

    def restore(self, state: NodeState, item: int, result: int) -> None:
        """Mark an item done from the journal, before anything was started."""
        state.results[item] = result
        state.move(item, ItemState.DONE)

    def _tell(self, state: NodeState, item: int, outcome: ItemState) -> None:
        for follower in self._followers[state.node.id]:
            if follower.total is not None:
                self._hand_on(follower, item, outcome)

    def _hand_on(self, follower: NodeState, item: int, outcome: ItemState) -> None:
        if follower.states[item] != ItemState.PENDING:
            return
        if outcome == ItemState.DONE:
            follower.offer(item)
        elif outcome in (ItemState.FAILED, ItemState.SKIPPED):
            follower.move(item, ItemState.SKIPPED)
            self._tell(follower, item, ItemState.SKIPPED)

    def blocked(self, state: NodeState) -> bool:
        """Whether a node can never run: a single node that it waits for has failed or was skipped."""
        for name in state.node.upstream:
            upstream = self.nodes.get(name)
            single = upstream is not None and not upstream.fans_out and upstream.settled
            if single and upstream is not None and upstream.states[0] != ItemState.DONE:
                return True
        return False

    def skip(self, state: NodeState) -> None:
        """Open a blocked node as skipped, so that what waits for it is settled too."""
        state.open(1)
        state.move(0, ItemState.SKIPPED)
        self._tell(state, 0, ItemState.SKIPPED)

    @property
    def settled(self) -> bool:
        """Whether nothing is left to do."""
        return all(state.settled for state in self.nodes.values())

    @property
    def active(self) -> int:
        """How many items are running."""
        return sum(state.active for state in self.nodes.values())

    @property
    def parked(self) -> int:
        """How many items wait for a human."""
        return sum(state.counts[ItemState.PARKED] for state in self.nodes.values())

    def count(self, wanted: ItemState) -> int:
        """How many items are in one state."""
        return sum(state.counts[wanted] for state in self.nodes.values())
