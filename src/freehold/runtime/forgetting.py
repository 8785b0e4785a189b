"""Forgetting a subject everywhere that the estate reaches: runs, documents, workspaces, outbox, memory.

The kernel's forgetter destroys the key and what the journal and the artifacts hold; this finds the rest and ends the
runs that work on it. The composition root makes one; the verb `subjects.forget` and the daemon's start call it.
"""

import asyncio
import os
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from freehold.base import FreeholdError, Refused
from freehold.base.canonical import decode, encode
from freehold.kernel import files
from freehold.kernel.asking import REPORTS
from freehold.kernel.card import Card
from freehold.kernel.cards import CARDS
from freehold.kernel.forget import Forgetter, Forgotten
from freehold.kernel.limits import utc
from freehold.kernel.principals import subject_of
from freehold.kernel.rooms import Rooms
from freehold.runtime.engine import Engine
from freehold.runtime.house import House
from freehold.runtime.outbox import Outbox
from freehold.runtime.pins import PINS
from freehold.runtime.puts import PUTS_FILES, read_puts
from freehold.runtime.toolbox import ARTIFACTS
from freehold.store.interface import Document, Drop, Entry, EntryKind, Put

MAX_LISTED: Final = 200
_SLICE: Final = 512
_SENT: Final = {
    "mail.send": "Mail", "http.request": "A request", "page.read": "A request", "mailbox.draft": "A draft",
    "calendar.create": "An entry", "calendar.change": "A changed entry", "calendar.cancel": "A cancelled entry",
    "model.call": "What was shown",
}  # fmt: skip
"""The tools that give something to another machine, and what that is."""
_GENERAL: Final = (
    "Your own source folders and whatever else lies outside the estate: delete the files there. What agents wrote "
    "into them while strangers had a say is not remembered as that any more.",
    "What was given to tool servers and to programs from elsewhere, as arguments or as answers.",
    "Files that people took from the outbox, saved as evidence or printed, and runs saved as pages.",
    "Exports and proofs of the journal that were given away: what is sealed in them can no longer be opened, "
    "and who kept a copy of the folder `keys` can still open it.",
    "The daemon's log may name a file: logs/daemon.log.",
)


class _Pay(msgspec.Struct, gc=False):
    s: str


class _Body(msgspec.Struct, gc=False):
    tool: str = ""
    kind: str = ""
    at: int = 0
    pay: _Pay | None = None


@dataclass(slots=True)
class _Traces:
    """Where a subject was met: runs, what left the estate, and what effects put into people's folders, in words."""

    runs: set[str] = field(default_factory=set)
    sent: list[str] = field(default_factory=list)
    put: list[str] = field(default_factory=list)


class Forgetting:
    """Forgets over one running estate."""

    def __init__(self, rooms: Rooms, engine: Engine, house: House, outbox: Outbox) -> None:
        self._rooms = rooms
        self._engine = engine
        self._house = house
        self._outbox = outbox
        self._body = msgspec.json.Decoder(_Body)
        self._forgetter = Forgetter(rooms.ledger, rooms.artifacts, [self._sweep])

    async def resume(self) -> Forgotten | None:
        """Finish what was interrupted; to be called before runs are taken up."""
        return await self._forgetter.resume()

    async def forget(self, subject: str) -> Forgotten:
        """End the runs of a subject and destroy everything of it that the estate has; the rest is listed.

        Runs end first, so that nothing is written any more under the key; the key goes next. May be called again.
        Raises NotFound, Refused for the estate's own and for a human who is active.
        """
        self._check(subject)
        unreachable = list(_GENERAL)
        if subject in self._rooms.keys.names():
            sets = self._forgetter.sets_of(subject)
            traces = await self._traces(sets)
            unreachable = [*traces.sent, *traces.put, *self._own_files(sets), *unreachable]
            await self._end_runs(sets)
            found = await self._forgetter.forget(subject, unreachable)
            await self._end_runs(sets)  # one may have begun before the key was gone
        else:
            found = await self._forgetter.forget(subject, unreachable)
        if subject.startswith(subject_of("")):
            self._rooms.registry.forget(subject.removeprefix(subject_of("")))
        return found

    def _check(self, subject: str) -> None:
        human = subject.removeprefix(subject_of(""))
        if human != subject and self._rooms.registry.is_active_human(human):
            raise Refused(
                f"{human} is active here, and what is forgotten cannot answer for anything.",
                remedy=f"Retire them first: freehold humans retire {human}",
                code="refused.active",
            )

    async def _end_runs(self, sets: frozenset[str]) -> None:
        for document in self._engine.alive():
            if any(
                self._touches(entry, sets) for entry in self._rooms.store.entries_of_run(document.id)
            ) or any(
                _sealed_for(pin.body, sets) for pin in self._rooms.store.documents(PINS, state=document.id)
            ):
                await self._engine.forget(document.id)

    # ---- finding -------------------------------------------------------------------------------------

    def _touches(self, entry: Entry, sets: frozenset[str]) -> bool:
        if entry.draft.payload is None:
            return False
        pay = self._body.decode(entry.draft.body).pay
        return pay is not None and pay.s in sets

    async def _traces(self, sets: frozenset[str]) -> _Traces:
        """Look through the whole journal, a slice at a time so that others get their turn."""
        store, traces = self._rooms.store, _Traces()
        sent: dict[str, Entry] = {}
        putting: set[str] = set()
        put: dict[str, str] = {}
        start, size = 0, self._rooms.ledger.size
        while start < size:
            for entry in store.entries(start, min(start + _SLICE, size)):
                draft, body = entry.draft, self._body.decode(entry.draft.body)
                if body.pay is None or body.pay.s not in sets:
                    continue
                if draft.run:
                    traces.runs.add(draft.run)
                if draft.kind is EntryKind.INTENT and _leaves(body):
                    sent[draft.action] = entry
                elif draft.kind is EntryKind.INTENT and body.tool in PUTS_FILES:
                    putting.add(draft.action)
                elif draft.kind is EntryKind.RESULT and draft.status == "not_done":
                    sent.pop(draft.action, None)
                elif draft.kind is EntryKind.RESULT and draft.action in putting:
                    put |= self._put(entry, body.at)
            start += _SLICE
            await asyncio.sleep(0)
        told = Counter(self._in_words(entry) for entry in sent.values())
        traces.sent = _bounded([text if n == 1 else f"{text[:-1]}, {n:,} times." for text, n in told.items()])
        traces.put = _bounded([put[path] for path in sorted(put) if os.path.lexists(path)])
        return traces

    def _put(self, entry: Entry, at: int) -> dict[str, str]:
        """Return what an effect put into people's folders: the words for each file, by its path."""
        try:
            puts = read_puts(decode(self._house.records.value(entry.index).data))
        except FreeholdError:
            return {}
        return {
            (
                path := f"{one.folder}/{one.file}"
            ): f"The file {path}, which a run wrote on {utc(at)}: delete it there."
            for one in puts
            if one.folder and one.digest
        }

    def _in_words(self, entry: Entry) -> str:
        body = self._body.decode(entry.draft.body)
        try:
            plain = decode(self._rooms.ledger.open_payload(entry) or b"{}")
        except FreeholdError:
            plain = {}
        args = plain.get("args", {}) if isinstance(plain, dict) else {}
        if body.tool == "model.call":
            return f"What the model {args.get('model') or 'of its job'} was shown."
        to = args.get("to") or args.get("url") or "somebody"
        whom = ", ".join(str(one) for one in to) if isinstance(to, list) else str(to)
        what = _SENT[body.tool]
        if body.tool == "mailbox.draft":
            whom = f"{args.get('server', '')}/{args.get('folder', '')}"
        return f"{what} to {whom}, {utc(body.at)} (action {entry.draft.action[-8:]})."

    def _own_files(self, sets: frozenset[str]) -> list[str]:
        """Name the owner's source files that runs have read for this subject; they are the owner's to delete."""
        found = set()
        for document in self._rooms.store.documents(PINS):
            row = decode(document.body)
            if not row["d"] or not _sealed_for(document.body, sets):
                continue
            path = decode(self._rooms.sealer.open(document.body))["path"]
            found.add(f"The file {path} of the source {document.key.split('/')[1]}.")
        return _bounded(sorted(found))

    # ---- sweeping ------------------------------------------------------------------------------------

    async def _sweep(self, sets: frozenset[str]) -> list[str]:
        """Remove what these sets have outside journal and artifacts; does it again without harm."""
        self._rooms.pen.forget()
        writes: list[Put | Drop] = []
        for collection, blank in _BLANKS.items():
            for document in self._rooms.store.documents(collection):
                write = blank(collection, document, sets)
                if write is not None:
                    writes.append(write)
        writes += self._rooms.hearsay.without(sets)
        said = [f"{len(writes)} documents"] if writes else []
        copies, drops = self._outbox.remove(sets)
        said += [f"outbox/{path}" for path in copies]
        writes += drops
        for start in range(0, len(writes), _SLICE):
            await self._rooms.ledger.write([], writes[start : start + _SLICE])
        traces = await self._traces(sets)
        for run in sorted(traces.runs):
            if await asyncio.to_thread(_remove_workspace, self._house.workspace(run)):
                said.append(f"workspaces/{run}")
        return said


def _remove_workspace(folder: Path) -> bool:
    """Remove a run's folder and what its pack printed; says whether there was anything."""
    log = folder.with_suffix(".log")
    there = folder.exists() or log.exists()
    with files.guarded("The workspace"):
        if folder.exists():
            shutil.rmtree(folder)
        log.unlink(missing_ok=True)
    return there


def _leaves(body: _Body) -> bool:
    """Whether an action sends something out of the estate; mail without a server only goes to the outbox."""
    return body.tool in _SENT and (body.tool != "mail.send" or body.kind == "once")


def _bounded(lines: list[str]) -> list[str]:
    more = len(lines) - MAX_LISTED
    return lines if more <= 0 else [*lines[:MAX_LISTED], f"And {more:,} more like these."]


# ---- documents: what is sealed for the forgotten is taken out, whose it was stays as opaque ids ------------


def _sealed_for(envelope: bytes, sets: frozenset[str]) -> bool:
    row = decode(envelope)
    return not sets.isdisjoint((*row["m"], row["s"]))


def _emptied(envelope: bytes) -> bytes:
    return encode({**decode(envelope), "d": ""})


def _blank_pin(collection: str, document: Document, sets: frozenset[str]) -> Put | None:
    if not _sealed_for(document.body, sets) or not decode(document.body)["d"]:
        return None
    return Put(collection, document.key, _emptied(document.body), document.state)


def _blank_card(collection: str, document: Document, sets: frozenset[str]) -> Put | None:
    card = msgspec.json.decode(document.body, type=Card)
    if not _sealed_for(card.sealed, sets) or not decode(card.sealed)["d"]:
        return None
    reply = _emptied(card.reply) if card.reply else b""
    emptied = msgspec.structs.replace(card, sealed=_emptied(card.sealed), reply=reply)
    return Put(collection, document.key, emptied.encoded(), document.state)


def _drop_report(collection: str, document: Document, sets: frozenset[str]) -> Drop | None:
    facts = str(decode(document.body)["facts"]).encode()
    return Drop(collection, document.key) if _sealed_for(facts, sets) else None


def _blank_artifact(collection: str, document: Document, sets: frozenset[str]) -> Put | None:
    row = decode(document.body)
    if row["set"] not in sets or not row["meta"]:
        return None
    return Put(collection, document.key, encode({**row, "meta": ""}), document.state)


_Blank = Callable[[str, Document, frozenset[str]], Put | Drop | None]
_BLANKS: Final[dict[str, _Blank]] = {
    PINS: _blank_pin,
    CARDS: _blank_card,
    REPORTS: _drop_report,
    ARTIFACTS: _blank_artifact,
}
