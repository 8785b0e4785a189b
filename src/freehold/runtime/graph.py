"""How far a run is: which items of which nodes are done, and which may start next. Pure; nothing is read.

One byte and one journal index an item, so a fan-out of ten thousand costs a hundred kilobytes; contents
stay in the journal. ``LiveRun`` moves it, and only after the journal has moved.
"""

import enum
from array import array
from bisect import insort
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Final

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


SETTLED: Final = (ItemState.DONE, ItemState.FAILED, ItemState.SKIPPED)
_IS_SETTLED: Final = tuple(state in SETTLED for state in ItemState)
_NAMES: Final = {state: state.name.lower() for state in ItemState}


class NodeState:
    """One node with its items; ``total`` is unknown (None) until what it fans out over is known."""

    __slots__ = (
        "_again", "_cursor", "active", "barred", "counts", "node", "place", "results", "states", "streams_from",
        "total", "unsettled",
    )  # fmt: skip

    def __init__(self, node: Node, streams_from: "NodeState | None", place: int = 0) -> None:
        self.node = node
        self.streams_from = streams_from
        self.place = place
        self.total: int | None = None
        self.states = bytearray()
        self.results = array("q")
        self.active = 0
        self.barred = False
        self.unsettled = 0
        self.counts = [0] * len(ItemState)
        self._again: deque[int] = deque()
        self._cursor = 0

    def open(self, total: int) -> None:
        """Say how many items there are; from now on they can be taken."""
        if self.total is not None:
            raise Internal(f"Node {self.node.id} was opened twice.")
        self.total = self.unsettled = total
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
        return self.unsettled == 0 and self.total is not None

    def take(self) -> int | None:
        """Return the next item that may start, now RUNNING; None when there is none or the bound is reached."""
        if self.total is None or self.active >= self.node.bound:
            return None
        while self._again:
            item = self._again.popleft()
            if self.states[item] == ItemState.PENDING:
                return self._start(item)
        if self.streams_from is not None:
            return None
        while self._cursor < self.total:
            item = self._cursor
            self._cursor += 1
            if self.states[item] == ItemState.PENDING:
                return self._start(item)
        return None

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
        before = self.states[item]
        self.counts[before] -= 1
        self.counts[state] += 1
        self.unsettled += _IS_SETTLED[before] - _IS_SETTLED[state]
        self.states[item] = state

    def summary(self) -> dict[str, int | str]:
        """Return the counts by name, for people who watch."""
        shown: dict[str, int | str] = {
            "node": self.node.id,
            "total": -1 if self.total is None else self.total,
        }
        for state, name in _NAMES.items():
            shown[name] = self.counts[state]
        return shown


class Graph:
    """All nodes of a run in an order in which each stands behind what it waits for.

    What a step's end costs depends on the nodes that wait for its node, not on the size of the plan.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.nodes: dict[str, NodeState] = {}
        for place, node in enumerate(order(plan)):
            upstream = self.nodes.get(node.each) if node.each is not None else None
            streams = upstream if upstream is not None and upstream.fans_out else None
            self.nodes[node.id] = NodeState(node, streams, place)
        self._followers: dict[str, list[NodeState]] = {name: [] for name in self.nodes}
        self._behind: dict[str, list[NodeState]] = {name: [] for name in self.nodes}
        self._awaits: dict[str, int] = {}
        self._openable: deque[NodeState] = deque()
        self._open: list[NodeState] = []
        self._left = len(self.nodes)
        for state in self.nodes.values():
            names = list(state.node.upstream)
            if state.streams_from is not None:
                names.remove(state.streams_from.node.id)
                names.append("")  # the node that it streams from need only be open
                self._followers[state.streams_from.node.id].append(state)
            for name in names:
                if name:
                    self._behind[name].append(state)
            self._awaits[state.node.id] = len(names)
            if not names:
                self._openable.append(state)

    def openable(self) -> NodeState | None:
        """Return a node that is not open yet and whose inputs are there; the caller opens or skips it."""
        return self._openable.popleft() if self._openable else None

    def open(self, state: NodeState, total: int, done: Mapping[int, int], parked: Iterable[int]) -> None:
        """Open a node of ``total`` items: ``done`` are those that the journal knows, with their results.

        ``parked`` wait for a human. What an upstream node already has is handed on.
        """
        state.open(total)
        for item, result in done.items():
            if item < total:
                state.results[item] = result
                state.move(item, ItemState.DONE)
        for item in parked:
            if item < total and state.states[item] == ItemState.PENDING:
                state.move(item, ItemState.PARKED)
        insort(self._open, state, key=_from_the_end)
        for follower in self._followers[state.node.id]:
            self._one_less(follower)
        upstream = state.streams_from
        if upstream is not None:
            for item in range(total):
                self._hand_on(upstream, state, item)
        self._look(state)

    def takeable(self) -> list[NodeState]:
        """Return the nodes that are open and not settled, the last of the plan first."""
        return self._open

    def settle(self, state: NodeState, item: int, outcome: ItemState, result: int = -1) -> None:
        """Move a RUNNING item to its end and hand its result to the nodes that stream from this one."""
        state.stop(item, outcome, result)
        self._tell(state, item)
        self._look(state)

    def _tell(self, state: NodeState, item: int) -> None:
        for follower in self._followers[state.node.id]:
            if follower.total is not None:
                self._hand_on(state, follower, item)
                self._look(follower)

    def _hand_on(self, state: NodeState, follower: NodeState, item: int) -> None:
        """Say how an item ended to a node that streams from this one; a barred one has no such item."""
        if follower.barred or follower.states[item] != ItemState.PENDING:
            return
        outcome = state.states[item]
        if outcome == ItemState.DONE:
            follower.offer(item)
        elif outcome in (ItemState.FAILED, ItemState.SKIPPED):
            follower.move(item, ItemState.SKIPPED)
            self._tell(follower, item)

    def _look(self, state: NodeState) -> None:
        """Let go on what waited for a node that is settled now."""
        if state.unsettled == 0 and state in self._open:
            self._open.remove(state)
            self._left -= 1
            for behind in self._behind[state.node.id]:
                self._one_less(behind)

    def _one_less(self, state: NodeState) -> None:
        left = self._awaits[state.node.id] = self._awaits[state.node.id] - 1
        if left == 0:
            self._openable.append(state)

    def blocked(self, state: NodeState) -> bool:
        """Whether a node can never run: what it waits for failed or was barred, more than single items of it."""
        for name in state.node.upstream:
            upstream = self.nodes[name]
            if upstream.barred or not (upstream.fans_out or upstream.states[0] == ItemState.DONE):
                return True
        return False

    def bar(self, state: NodeState, outcome: ItemState = ItemState.SKIPPED) -> None:
        """Open a node that can never run as one item that is skipped or failed, so that nothing waits for it."""
        state.barred = True
        self.open(state, 1, {}, ())
        state.move(0, outcome)
        self._look(state)

    def result_index(self) -> int:
        """Return where the journal holds the result of the plan's last node; -1 where there is none."""
        last = self.nodes.get(self.plan.result)
        return last.results[0] if last is not None and last.total else -1

    @property
    def lacks_its_result(self) -> bool:
        """Whether the node that gives the plan's result has failed or was skipped."""
        last = self.nodes.get(self.plan.result)
        return last is not None and (last.barred or not (last.fans_out or last.states[0] == ItemState.DONE))

    @property
    def settled(self) -> bool:
        """Whether nothing is left to do."""
        return self._left == 0

    @property
    def active(self) -> int:
        """How many items are running."""
        return sum([state.active for state in self._open])

    @property
    def parked(self) -> int:
        """How many items wait for a human."""
        return sum([state.counts[ItemState.PARKED] for state in self._open])

    def count(self, wanted: ItemState) -> int:
        """How many items are in one state."""
        return sum(state.counts[wanted] for state in self.nodes.values())


def _from_the_end(state: NodeState) -> int:
    return -state.place
