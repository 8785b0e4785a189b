"""The walk over a plan against a model of it: random plans, random outcomes, taken up again anywhere."""

import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.base import BadInput
from freehold.runtime.graph import Graph, ItemState, NodeState
from freehold.runtime.plans import Node, Plan, order

Place = tuple[str, int]


@dataclass
class World:
    """A plan, how long each node's list is, and which items fail."""

    plan: Plan
    lengths: dict[str, int]
    bad: set[Place]
    recorded: dict[Place, int] = field(default_factory=dict)

    def ends(self) -> dict[str, list[ItemState]]:
        """The model: how every item must end, said without any order of events."""
        found: dict[str, list[ItemState]] = {}
        barred: set[str] = set()
        nodes = {node.id: node for node in self.plan.nodes}
        for node in order(self.plan):
            upstream = [nodes[name] for name in node.upstream]
            if any(u.id in barred or (u.each is None and found[u.id] != [ItemState.DONE]) for u in upstream):
                barred.add(node.id)
                found[node.id] = [ItemState.SKIPPED]
                continue
            before: list[ItemState] = [ItemState.DONE]
            if node.each is not None:
                fans = nodes[node.each].each is not None
                before = found[node.each] if fans else [ItemState.DONE] * self.lengths[node.each]
            found[node.id] = [
                ItemState.SKIPPED if was != ItemState.DONE
                else ItemState.FAILED if (node.id, item) in self.bad else ItemState.DONE
                for item, was in enumerate(before)
            ]  # fmt: skip
        return found


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Plans of up to seven nodes, with fan-outs, fan-outs over fan-outs, and needs of anything before."""
    nodes: list[Node] = []
    lengths: dict[str, int] = {}
    for number in range(draw(st.integers(1, 7))):
        names = [node.id for node in nodes]
        needs = draw(st.lists(st.sampled_from(names), unique=True, max_size=3)) if names else []
        each = draw(st.none() | st.sampled_from(names)) if names else None
        bound = draw(st.integers(1, 3))
        nodes.append(Node(f"n{number}", "step", needs=needs, each=each, concurrency=bound))
        lengths[f"n{number}"] = draw(st.integers(0, 4))
    places = st.tuples(st.sampled_from([node.id for node in nodes]), st.integers(0, 3))
    shuffled = draw(st.permutations(nodes))
    return World(Plan(shuffled), lengths, draw(st.sets(places, max_size=4)))


class Walk:
    """Drives a graph as a live run does, in an order that chance decides."""

    def __init__(self, world: World, chance: random.Random, parked: set[Place]) -> None:
        self.world = world
        self.chance = chance
        self.graph = Graph(world.plan)
        self.running: list[tuple[NodeState, int]] = []
        self.parked: list[tuple[NodeState, int]] = []
        self.again = parked

    def open_nodes(self) -> None:
        while (state := self.graph.openable()) is not None:
            if self.graph.blocked(state):
                self.graph.bar(state)
                continue
            total = 1
            if state.streams_from is not None:
                total = state.streams_from.total or 0
            elif state.node.each is not None:
                total = self.world.lengths[state.node.each]
            name = state.node.id
            done = {item: index for (node, item), index in self.world.recorded.items() if node == name}
            parked = [item for node, item in self.again if node == name]
            self.graph.open(state, total, done, parked)
            self.parked += [(state, i) for i in parked if i < total and state.states[i] == ItemState.PARKED]

    def step(self) -> bool:
        """Do one thing; False when nothing is left to do."""
        self.open_nodes()
        for state in self.graph.takeable():
            while (item := state.take()) is not None:
                assert (state.node.id, item) not in self.world.recorded, "a finished item was started again"
                self.running.append((state, item))
            assert state.active <= state.node.bound
        assert self.graph.active == len(self.running)
        assert self.graph.parked == len(self.parked)
        if self.parked and (not self.running or self.chance.random() < 0.3):
            state, item = self.parked.pop(self.chance.randrange(len(self.parked)))
            state.offer(item)
            return True
        if not self.running:
            return False
        state, item = self.running.pop(self.chance.randrange(len(self.running)))
        luck = self.chance.random()
        if luck < 0.15:
            state.stop(item, ItemState.PARKED)
            self.parked.append((state, item))
        elif luck < 0.3:
            state.stop(item, ItemState.PENDING)
            state.offer(item)
        elif (state.node.id, item) in self.world.bad:
            self.graph.settle(state, item, ItemState.FAILED)
        else:
            index = len(self.world.recorded)
            self.world.recorded[state.node.id, item] = index
            self.graph.settle(state, item, ItemState.DONE, index)
        return True


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_barred_step_over_a_list_takes_nothing_from_it_though_it_is_empty_or_still_runs(count: int) -> None:
    graph = Graph(
        Plan(
            [
                Node("fails", "step"),
                Node("list", "step", each="items"),
                Node("items", "step"),
                Node("behind", "step", needs=["fails"], each="list"),
            ]
        )
    )
    ends = {"fails": ItemState.FAILED, "items": ItemState.DONE}
    while (state := graph.openable()) is not None and state.node.id != "behind":
        graph.open(state, count if state.node.id == "list" else 1, {}, ())
        if state.node.id in ends:
            assert state.take() == 0
            graph.settle(state, 0, ends[state.node.id])
    assert state is not None
    assert graph.blocked(state)
    graph.bar(state)
    running = graph.nodes["list"]
    for item in range(count):
        assert running.take() == item
        graph.settle(running, item, ItemState.DONE)
    assert (list(state.states), graph.settled) == ([ItemState.SKIPPED], True)


@settings(max_examples=300, deadline=None)
@given(worlds(), st.integers(0, 2**32), st.lists(st.integers(0, 12), max_size=3))
def test_every_item_ends_as_the_model_says_however_often_the_run_is_taken_up_again(
    world: World, seed: int, lives: list[int]
) -> None:
    chance = random.Random(seed)
    parked: set[Place] = set()
    for steps in lives:
        walk = Walk(world, chance, parked)
        for _ in range(steps):
            walk.step()
        parked = {(state.node.id, item) for state, item in walk.parked}
    walk = Walk(world, chance, parked)
    while walk.step():
        pass
    graph = walk.graph
    assert graph.settled
    assert (graph.active, graph.parked, graph.takeable()) == (0, 0, [])
    ends = {name: [ItemState(state) for state in node.states] for name, node in graph.nodes.items()}
    assert ends == world.ends()
    for state in ItemState:
        assert graph.count(state) == sum(found.count(state) for found in ends.values())
    for (name, item), index in world.recorded.items():
        assert graph.nodes[name].results[item] == index


@given(worlds())
def test_an_order_puts_each_node_behind_what_it_waits_for(world: World) -> None:
    placed: set[str] = set()
    for node in order(world.plan):
        assert placed.issuperset(node.upstream)
        placed.add(node.id)
    assert len(placed) == len(world.plan.nodes)


def test_nodes_that_wait_for_each_other_are_named() -> None:
    nodes = [Node("a", "step"), Node("b", "step", needs=["c", "a"]), Node("c", "step", each="b")]
    with pytest.raises(BadInput, match="circle: b, c"):
        order(Plan(nodes))


def test_a_fan_out_is_worked_off_before_it_widens() -> None:
    nodes = [Node("list", "s"), Node("read", "s", each="list"), Node("check", "s", each="read")]
    graph = Graph(Plan(nodes))
    list_, read, check = (graph.nodes[name] for name in ("list", "read", "check"))
    for state, total in ((list_, 1), (read, 3), (check, 3)):
        assert graph.openable() is state
        graph.open(state, total, {}, ())
        item = state.take() if state is not check else None
        if item is not None:
            graph.settle(state, item, ItemState.DONE, 0)
    assert [state.node.id for state in graph.takeable()] == ["check", "read"]
    assert (check.take(), check.take()) == (0, None)
