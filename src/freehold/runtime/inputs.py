"""Puts a step's inputs together from the journal, with the label of everything that they were made of."""

import hashlib
import os
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Final

import msgspec

from freehold.base import BadInput, Unavailable
from freehold.base.canonical import encode_trusted
from freehold.kernel.labels import Label
from freehold.runtime.graph import Graph, ItemState, NodeState
from freehold.runtime.plans import MAX_FAN_OUT
from freehold.runtime.records import Records, Value, as_array
from freehold.runtime.workspace import give_to_owner

MAX_IN_FRAME: Final = 512 << 10
MAX_LISTS: Final = 4
MAX_KEPT: Final = 16
MAX_KEPT_BYTES: Final = 4_096
NULL: Final = msgspec.Raw(b"null")


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a step is started with. ``digest`` names the records it was made of, for the step's own record."""

    item: msgspec.Raw
    inputs: dict[str, msgspec.Raw]
    label: Label
    digest: str


class Elements:
    """What a step fans out over, taken apart once: the elements' bytes in a row, and where each ends."""

    __slots__ = ("_data", "_ends", "label")

    def __init__(self, values: list[msgspec.Raw], label: Label) -> None:
        self.label = label
        self._data = b"".join(values)
        self._ends = array("L", accumulate(map(len, values)))

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, item: int) -> msgspec.Raw:
        return msgspec.Raw(self._data[self._ends[item - 1] if item else 0 : self._ends[item]])


@dataclass(frozen=True, slots=True)
class Sources:
    """Where inputs are read from: the journal, the pinned files of a source, and the job's own label.

    ``lists`` holds the few lists that nodes are fanning out over now, ``kept`` the few small results that were
    just recorded and are likely what the next step takes in, both by journal index.
    """

    records: Records
    pins: Callable[[str], int]
    pinned: Callable[[str, int], Value]
    base: Label
    lists: dict[int, Elements] = field(default_factory=dict)
    kept: dict[int, Value] = field(default_factory=dict)

    def value(self, index: int) -> Value:
        """Return the value of the RESULT at ``index``; raises Refused when its subject was forgotten."""
        found = self.kept.get(index)
        if found is None:
            return self.records.value(index)
        self.records.check(found.label)
        return found

    def keep(self, index: int, data: bytes, label: Label) -> None:
        """Keep a small result that was just recorded, in place of the oldest one kept."""
        if len(data) <= MAX_KEPT_BYTES:
            if len(self.kept) >= MAX_KEPT:
                del self.kept[next(iter(self.kept))]
            self.kept[index] = Value(data, label)


def elements(sources: Sources, upstream: NodeState) -> Elements:
    """Return the list that a step returned; raises BadInput for anything else, Refused when it was forgotten."""
    index = upstream.results[0]
    found = sources.lists.get(index)
    if found is not None:
        sources.records.check(found.label)
        return found
    value = sources.value(index)
    try:
        found = Elements(msgspec.json.decode(value.data, type=list[msgspec.Raw]), value.label)
    except msgspec.DecodeError as error:
        raise BadInput(
            f"The step {upstream.node.step!r} was to return a list, and returned something else.",
            remedy="Mend the pack: a step that others fan out over returns a list.",
        ) from error
    if len(sources.lists) >= MAX_LISTS:
        del sources.lists[next(iter(sources.lists))]
    sources.lists[index] = found
    return found


def width(sources: Sources, graph: Graph, state: NodeState) -> int:
    """Return how many items a node has; raises BadInput where that cannot be told, or is too many."""
    node = state.node
    if state.streams_from is not None:
        return state.streams_from.total or 0
    if node.each is None:
        return 1
    source = node.source
    found = sources.pins(source) if source else len(elements(sources, graph.nodes[node.each]))
    if found > MAX_FAN_OUT:
        raise BadInput(
            f"The step {node.step!r} would run {found:,} times; {MAX_FAN_OUT:,} is the most.",
            remedy="Divide the work among several runs.",
        )
    return found


def gather(sources: Sources, graph: Graph, state: NodeState, item: int) -> Inputs:
    """Return the inputs of one item; raises Refused when one of them was sealed for a forgotten subject.

    A node that fans out comes in as a list, null for an item that failed. Which records were used is part
    of the step's digest, so a step that would run on other inputs than before is found out as diverged.
    """
    label, used = sources.base, hashlib.sha256()
    value = NULL
    if state.streams_from is not None:
        value, label = _one(sources, state.streams_from, item, label)
        used.update(b"%d" % state.streams_from.results[item])
    elif state.node.source is not None:
        pinned = sources.pinned(state.node.source, item)
        value, label = msgspec.Raw(pinned.data), label.join(pinned.label)
    elif state.node.each is not None:
        upstream = graph.nodes[state.node.each]
        value, label = _element(sources, upstream, item, label)
        used.update(b"%d" % upstream.results[0])
    inputs: dict[str, msgspec.Raw] = {}
    for name in state.node.needs:
        upstream = graph.nodes[name]
        if not upstream.fans_out:
            inputs[name], label = _one(sources, upstream, 0, label)
        else:
            inputs[name], label = _all(sources, upstream, label)
        used.update(b"%s\0" % name.encode())
        used.update(upstream.results.tobytes())
    return Inputs(value, inputs, label, used.hexdigest())


def _one(sources: Sources, upstream: NodeState, item: int, label: Label) -> tuple[msgspec.Raw, Label]:
    found = sources.value(upstream.results[item])
    return msgspec.Raw(found.data), label.join(found.label)


def _element(sources: Sources, upstream: NodeState, item: int, label: Label) -> tuple[msgspec.Raw, Label]:
    found = elements(sources, upstream)
    if item >= len(found):
        raise BadInput(f"The step {upstream.node.step!r} no longer has an element {item}.")
    return found[item], label.join(found.label)


def _all(sources: Sources, upstream: NodeState, label: Label) -> tuple[msgspec.Raw, Label]:
    values: list[bytes | None] = []
    for item in range(upstream.total or 0):
        if upstream.states[item] != ItemState.DONE:
            values.append(None)
            continue
        found = sources.value(upstream.results[item])
        values.append(found.data)
        label = label.join(found.label)
    return as_array(values), label


def handed_over(workspace: Path, step: int, inputs: Inputs) -> Inputs:
    """Return inputs that fit into one message; larger ones are put into a file of the workspace first."""
    size = len(inputs.item) + sum(len(value) for value in inputs.inputs.values())
    if size <= MAX_IN_FRAME:
        return inputs
    name = f"inputs-{step}.json"
    content = msgspec.json.encode({"item": inputs.item, "inputs": inputs.inputs})
    try:
        (workspace / name).unlink(missing_ok=True)  # a runner may have left a pipe there that nobody reads
        descriptor = os.open(workspace / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with open(descriptor, "wb") as file:
            give_to_owner(descriptor, workspace.stat().st_uid)
            file.write(content)
    except OSError as error:
        raise Unavailable(f"The workspace cannot be written: {error.strerror}.") from error
    pointer = msgspec.Raw(encode_trusted({"$file": name}))
    return Inputs(pointer, {}, inputs.label, inputs.digest)
