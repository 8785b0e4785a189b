"""Verbs on the journal, and on whose data is kept."""

from pathlib import Path
from typing import Any

import msgspec

from freehold.base import BadInput, FreeholdError, NotFound
from freehold.base.canonical import decode
from freehold.control.resolve import resolve
from freehold.control.server import Call, Handler
from freehold.control.verbs.desk import Desk, Nothing, Signable
from freehold.kernel import body as bodies
from freehold.kernel.export import export_journal, prove_entry
from freehold.runtime.forgetting import Forgetting
from freehold.store.interface import Entry, EntryKind

MAX_SHOWN = 1_000


class _Show(msgspec.Struct, forbid_unknown_fields=True):
    run: str = ""
    index: int = -1
    limit: int = 30


class _Export(msgspec.Struct, forbid_unknown_fields=True):
    path: str
    payloads: bool = True


class _Prove(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    payload: bool = True


class _Forget(Signable):
    name: str


class RecordVerbs:
    """The verbs, over one desk."""

    def __init__(self, desk: Desk, forgetting: Forgetting) -> None:
        self._desk = desk
        self._rooms = desk.rooms
        self._forgetting = forgetting

    def table(self) -> dict[str, Handler]:
        """Return the verbs by name."""
        return {
            "journal.show": self._show, "journal.export": self._export, "journal.proof": self._proof,
            "journal.key": self._key, "journal.checkpoint": self._checkpoint,
            "subjects.list": self._subjects, "subjects.forget": self._forget,
            "subjects.readmit": self._readmit,
        }  # fmt: skip

    async def _show(self, call: Call) -> dict[str, Any]:
        args = call.read(_Show)
        store, size = self._rooms.store, self._rooms.ledger.size
        limit = max(1, min(args.limit, MAX_SHOWN))
        if args.index >= 0:
            entry = store.entry(args.index)
            if entry is None:
                raise NotFound(
                    f"The journal has no entry {args.index}.", remedy=f"It has {size}, counted from 0."
                )
            return {"size": size, "entries": [{**_row(entry), "body": bodies.decode(entry.draft.body),
                                              "private": self._private(entry)}]}  # fmt: skip
        if args.run:
            ids = [document.id for document in self._desk.engine.documents()]
            run = resolve(args.run, ids, "run", "freehold runs")
            rows: list[dict[str, Any]] = []
            for entry in store.entries_of_run(run):
                rows.append(_row(entry))
                if len(rows) == MAX_SHOWN:
                    break
            return {"size": size, "entries": rows}
        return {"size": size, "entries": [_row(entry) for entry in store.entries(max(0, size - limit), size)]}

    def _private(self, entry: Entry) -> Any:
        try:
            plain = self._rooms.ledger.open_payload(entry)
            return None if plain is None else decode(plain)
        except FreeholdError as error:
            return {"problem": error.message}

    async def _export(self, call: Call) -> dict[str, Any]:
        args = call.read(_Export)
        path = Path(args.path)
        if not path.is_absolute() or not path.parent.is_dir():
            raise BadInput(
                f"There is no folder {path.parent}.", remedy="Name a file in a folder that exists."
            )
        checkpoint = await export_journal(self._rooms.ledger, path, payloads=args.payloads)
        return {"path": str(path), "entries": checkpoint.size, "root": checkpoint.root.hex()}

    async def _proof(self, call: Call) -> dict[str, Any]:
        args = call.read(_Prove)
        index = int(args.name) if args.name.isdigit() and len(args.name) < 8 else self._index_of(args.name)
        proof = await prove_entry(self._rooms.ledger, index, payload=args.payload)
        return {"index": index, "proof": proof.decode()}

    def _index_of(self, given: str) -> int:
        """Return the journal index of the newest RESULT (else INTENT) of an action named by a short id."""
        found: dict[str, int] = {}
        size = self._rooms.ledger.size
        for entry in self._rooms.store.entries(max(0, size - 100_000), size):
            if entry.draft.kind in (EntryKind.INTENT, EntryKind.RESULT):
                found[entry.draft.action] = entry.index
        return found[resolve(given, found, "action", "freehold runs show RUN")]

    async def _key(self, call: Call) -> dict[str, Any]:
        call.read(Nothing)
        return {"key": self._desk.kernel.signer.key.text}

    async def _checkpoint(self, call: Call) -> dict[str, Any]:
        call.read(Nothing)
        checkpoint = await self._rooms.ledger.checkpoint()
        return {"checkpoint": checkpoint.note, "entries": checkpoint.size}

    async def _subjects(self, call: Call) -> list[str]:
        call.read(Nothing)
        return [name for name in self._rooms.keys.names() if name != "estate"]

    async def _forget(self, call: Call) -> dict[str, Any]:
        args = call.read(_Forget)
        used = self._desk.judge(args.signed, "people.change", args.name, args.content("subjects.forget"))
        self._desk.check_steward(str(used.value), "forget a person")
        await self._desk.commit(used)
        forgotten = await self._forgetting.forget(args.name)
        return {
            "name": args.name, "keys": len(forgotten.keys), "payloads": forgotten.payloads,
            "artifacts": len(forgotten.artifacts), "removed": list(forgotten.swept),
            "unreachable": list(forgotten.unreachable),
        }  # fmt: skip

    async def _readmit(self, call: Call) -> dict[str, Any]:
        args = call.read(_Forget)
        used = self._desk.judge(args.signed, "people.change", args.name, args.content("subjects.readmit"))
        self._desk.check_steward(str(used.value), "let a forgotten name be used again")
        await self._desk.commit(used)
        self._rooms.keys.readmit(args.name)
        return {"name": args.name}


def _row(entry: Entry) -> dict[str, Any]:
    draft, fields = entry.draft, bodies.decode(entry.draft.body)
    head = fields.get("head", {})
    fields = {**head, **fields} if isinstance(head, dict) else fields
    who = fields.get("who", {})
    return {
        "index": entry.index, "at_us": fields.get("at", 0), "type": fields.get("t", ""), "status": draft.status,
        "tool": fields.get("tool", ""), "node": draft.node, "item": draft.item, "run": draft.run,
        "action": draft.action, "agent": who.get("agent", "") if isinstance(who, dict) else "",
        "by": fields.get("by", "") or fields.get("approver", ""), "code": fields.get("code", ""),
    }  # fmt: skip
