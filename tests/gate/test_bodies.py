"""What the gate writes of many actions of one kind is what it writes of the first one."""

from typing import Any

from freehold.kernel import body
from freehold.kernel.labels import BOTTOM
from freehold.kernel.scope import Request
from freehold.kernel.tools import EffectKind
from freehold.store.interface import EntryKind
from tests.gate.desk import DONE, Counting, Desk, a_tool

OWN = {"at", "digest", "id", "intent", "item", "ord", "pay"}


async def test_entries_of_one_kind_differ_only_in_what_is_their_own(desk: Desk) -> None:
    run, tool, effect = await desk.scope(), a_tool(EffectKind.IDEMPOTENT), Counting(DONE)
    for number in range(1, 5):
        args: dict[str, Any] = {"to": "printer", "text": number}
        request = Request(run, 'a %s "node" %dé', number, number, tool, args, BOTTOM)
        assert (await desk.estate.gate.perform(request, effect)).status == "done"
    for kind in (EntryKind.INTENT, EntryKind.RESULT):
        entries = [e for e in desk.rooms.store.entries_of_run(run.run) if e.draft.kind is kind]
        fields = [body.decode(entry.draft.body) for entry in entries]
        assert len(fields) == 4
        assert [found["id"] for found in fields] == [entry.draft.action for entry in entries]
        for found, entry in zip(fields, entries, strict=True):
            assert found["pay"]["n"] == len(entry.draft.payload or b"")
            assert desk.rooms.ledger.open_payload(entry) is not None
            assert found.get("ord", entry.draft.ordinal) == entry.draft.ordinal
            assert found.get("digest", "") == entry.draft.digest.hex()
        rest = [{name: value for name, value in found.items() if name not in OWN} for found in fields]
        assert rest == [rest[0]] * 4
        assert [found.keys() for found in fields] == [fields[0].keys()] * 4
