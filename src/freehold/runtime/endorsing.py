"""Narrow values on their way into a plan's next tool call: what a reader read is checked again here, by the house.

A number, a date, one of a closed set cannot instruct; where the fixed plan says that it fills an argument,
within bounds, the value counts as chosen by the plan. Each such way down is journaled. A short name is text and
stays what it is.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from freehold.base import Json, Refused
from freehold.kernel.labels import Label
from freehold.kernel.lowering import BUILTIN, Lowerings
from freehold.runtime.graph import Graph
from freehold.runtime.house import House
from freehold.runtime.inputs import Inputs
from freehold.runtime.plans import Node
from freehold.wire.doing import Read, Use, refs

_NONE: Final[frozenset[str]] = frozenset()


async def endorse(house: House, run: str, graph: Graph, node: Node, inputs: Inputs) -> frozenset[str]:
    """Return the texts of the values that readers read for this node's call and that may choose what it hits."""
    if not isinstance(node.does, Use):
        return _NONE
    ways, found = Lowerings(BUILTIN.values()), set()
    for name in sorted({ref.node for ref in refs(node.does)}):
        reader = graph.nodes[name].node.does
        raw = inputs.inputs.get(name)
        if not isinstance(reader, Read) or raw is None or reader.kind == "name":
            continue
        value = await _lowered(house, run, ways, reader, raw, inputs.label)
        if value is not None:
            found.add(value if isinstance(value, str) else str(value))
    return frozenset(found)


async def _lowered(
    house: House, run: str, ways: Lowerings, reader: Read, raw: msgspec.Raw, label: Label
) -> Json:
    """Return one value after its way down; None where there is none, or it is not of its kind after all."""
    value: Json = msgspec.json.decode(raw)
    if value is None or isinstance(value, dict | list):
        return None
    try:
        change = ways.apply(f"endorse.{reader.kind}", value, label, _params(reader), by="the plan", run=run)
    except Refused:
        return None
    lowered = await house.rooms.ledger.commit(change)
    return lowered.value  # type: ignore[no-any-return]


def _params(reader: Read) -> Mapping[str, Json]:
    if reader.kind == "number":
        return {"min": reader.minimum, "max": reader.maximum}
    return {"of": list(reader.choices)} if reader.kind == "choice" else {}
