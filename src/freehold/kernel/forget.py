"""Forgetting a person or a source file: its key, its ciphertexts, its artifacts; the proofs stay.

The daemon calls ``forget`` for a human's order and ``resume`` at every start. The key goes first, so that
from the first durable step on nothing can be read; every step may be repeated, so a crash only delays.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from freehold.base import Corrupt, canonical
from freehold.kernel.artifacts import Artifacts
from freehold.kernel.change import Change, Note
from freehold.kernel.journal import Ledger
from freehold.store.interface import Put

FORGOTTEN: Final = "forgotten"
"""Documents: by key id, the state ``begun`` or ``done``; what a restored keys folder is measured against."""

_SLICE: Final = 512

Sweep = Callable[[frozenset[str]], Awaitable[list[str]]]
"""Removes what else belongs to these subject sets and says what it was; may be called again."""


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was shredded, and what lies beyond reach, in words."""

    keys: tuple[str, ...]
    payloads: int
    artifacts: tuple[str, ...]
    swept: tuple[str, ...]
    unreachable: tuple[str, ...]


class _Pay(msgspec.Struct, gc=False):
    s: str


class _Body(msgspec.Struct, gc=False):
    pay: _Pay | None = None


class Forgetter:
    """Forgets over one estate. ``sweeps`` are other rooms' hands, called with the opaque ids of the sets."""

    def __init__(self, ledger: Ledger, artifacts: Artifacts, sweeps: Sequence[Sweep] = ()) -> None:
        self._ledger = ledger
        self._artifacts = artifacts
        self._sweeps = tuple(sweeps)
        self._body = msgspec.json.Decoder(_Body)

    def sets_of(self, subject: str) -> frozenset[str]:
        """Return the ids of all subject sets that a subject is in; raises NotFound, also once it is forgotten."""
        return frozenset(self._ledger.sets_with([self._ledger.keys.id_of(subject)]))

    async def forget(self, subject: str, unreachable: Sequence[str] = ()) -> Forgotten:
        """Destroy a subject's key and everything under it; ``unreachable`` is handed back for the person.

        May be called again and completes what a crash interrupted. Raises NotFound for a name that never had
        a key, Refused for the estate's own, StoreFailed.
        """
        identifiers = self._ledger.keys.destroy(subject)
        return await self._shred(identifiers, unreachable)

    async def resume(self) -> Forgotten | None:
        """Finish what was begun before a crash or undone by a restored copy; None where there is nothing."""
        keys, done = self._ledger.keys, self._known("done")
        back = keys.destroy_again(sorted(done | self._known("begun")))
        pending = sorted((keys.destroyed() - done) | set(back))
        return await self._shred(tuple(pending), ()) if pending else None

    async def _shred(self, identifiers: tuple[str, ...], unreachable: Sequence[str]) -> Forgotten:
        known = self._known("begun") | self._known("done")
        await self._note("subject.forget", [name for name in identifiers if name not in known], "begun", {})
        sets = frozenset(self._ledger.sets_with(identifiers))
        payloads = await self._drop_payloads(sets)
        doomed = [address for address, name in self._artifacts.sets() if name in sets or self._orphan(name)]
        self._artifacts.delete(doomed)
        swept = [what for sweep in self._sweeps for what in await sweep(sets)]
        open_still = [name for name in identifiers if name not in self._known("done")]
        counts = {"artifacts": len(doomed), "payloads": payloads, "swept": len(swept)}
        await self._note("subject.forgotten", open_still, "done", counts)
        return Forgotten(identifiers, payloads, tuple(doomed), tuple(swept), tuple(unreachable))

    def _known(self, state: str) -> frozenset[str]:
        return frozenset(item.key for item in self._ledger.store.documents(FORGOTTEN, state=state))

    async def _note(self, kind: str, identifiers: list[str], state: str, counts: dict[str, int]) -> None:
        if identifiers:
            notes = [Note(kind, {"subject": name, **counts}) for name in identifiers]
            body = canonical.encode(dict(counts))
            await self._ledger.commit(
                Change(notes, [Put(FORGOTTEN, name, body, state) for name in identifiers])
            )

    async def _drop_payloads(self, sets: frozenset[str]) -> int:
        """Remove the ciphertexts of these sets, a slice at a time so that others get their turn."""
        store, total, start = self._ledger.store, 0, 0
        while start < self._ledger.size:
            stop = min(start + _SLICE, self._ledger.size)
            found = [
                entry.index
                for entry in store.entries(start, stop)
                if entry.draft.payload is not None and self._set_of(entry.draft.body) in sets
            ]
            if found:
                store.drop_payloads(found)
                total += len(found)
            start = stop
            await asyncio.sleep(0)
        return total

    def _set_of(self, body: bytes) -> str | None:
        try:
            pay = self._body.decode(body).pay
        except msgspec.MsgspecError as error:
            raise Corrupt("A journal entry cannot be read.") from error
        return None if pay is None else pay.s

    def _orphan(self, set_id: str) -> bool:
        """Whether an artifact's subjects are unknown: a crash came between its file and its commit."""
        return not self._ledger.knows_set(set_id)
