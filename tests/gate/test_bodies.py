"""What the gate writes of many actions of one kind is what it writes of the first one."""

from typing import Any

from freehold.base import canonical
from freehold.kernel import body
from freehold.kernel.labels import BOTTOM
from freehold.kernel.scope import Request
from freehold.kernel.tools import EffectKind, Outcome
from freehold.store.interface import Cost, EntryKind
from tests.gate.desk import Counting, Desk, a_tool

OWN = {"at", "digest", "id", "intent", "item", "node", "ord", "pay", "run"}
NODES = ['a %s "node" %dé', "plain", "back\\slash\n", "line\u2028end"]


async def test_entries_of_one_kind_differ_only_in_what_is_their_own(desk: Desk) -> None:
    runs, tool = [await desk.scope(), await desk.scope()], a_tool(EffectKind.IDEMPOTENT)
    effect = Counting(*(Outcome("done", b"1", spent=Cost(actions=1, cpu_us=us)) for us in (3, 4, 5, 6)))
    for number, node in enumerate(NODES, 1):
        args: dict[str, Any] = {"to": "printer", "text": number}
        most = Cost(actions=1, cpu_us=100 + number)
        request = Request(runs[number % 2], node, number, number, tool, args, BOTTOM, max_cost=most)
        assert (await desk.estate.gate.perform(request, effect)).status == "done"
    written = [entry for run in runs for entry in desk.rooms.store.entries_of_run(run.run)]
    for kind in (EntryKind.INTENT, EntryKind.RESULT):
        entries = sorted((e for e in written if e.draft.kind is kind), key=lambda e: e.index)
        fields = [body.decode(entry.draft.body) for entry in entries]
        assert len(fields) == 4
        assert [found["id"] for found in fields] == [entry.draft.action for entry in entries]
        for found, entry in zip(fields, entries, strict=True):
            assert found["pay"]["n"] == len(entry.draft.payload or b"")
            assert desk.rooms.ledger.open_payload(entry) is not None
            assert found.get("ord", entry.draft.ordinal) == entry.draft.ordinal
            assert found.get("digest", "") == entry.draft.digest.hex()
            assert (found["run"], found.get("node", entry.draft.node)) == (entry.draft.run, entry.draft.node)
            assert canonical.encode(found) == entry.draft.body
        costs = [found.pop("cost")["cpu_us"] for found in fields]
        assert costs == ([101, 102, 103, 104] if kind is EntryKind.INTENT else [3, 4, 5, 6])
        rest = [{name: value for name, value in found.items() if name not in OWN} for found in fields]
        assert rest == [rest[0]] * 4
        assert [found.keys() for found in fields] == [fields[0].keys()] * 4
