"""The ledger: drafts entries, commits changes, keeps the house's time, and signs what is committed.

Everything in the kernel that writes goes through it; it alone hands batches to the store. The body format is
``docs/journal-format.md``; checkpoints outside the database are compared with the journal when it opens.
"""

import hashlib
from collections.abc import Sequence
from typing import Any, Final, TypedDict, Unpack

from freehold.base import Clock, Corrupt, FreeholdError, Internal, StoreFailed, canonical
from freehold.kernel import body, merkle
from freehold.kernel.blank import Blank, number, word
from freehold.kernel.change import Change
from freehold.kernel.checkpoint import Checkpoint
from freehold.kernel.keeper import CheckpointKeeper
from freehold.kernel.sealing import SubjectKey
from freehold.kernel.subjects import ESTATE, SubjectKeys
from freehold.kernel.tree import Tree
from freehold.store.interface import Batch, Cost, Drop, Entry, EntryDraft, EntryKind, Put, Store

SUBJECT_SETS: Final = "subjectset"
"""Documents: the key ids of a subject set, by its id. Opaque, so a copy of the database tells nothing."""

_RECENT: Final = 64


class Columns(TypedDict, total=False):
    """What ``draft`` hands through to the store's columns; see ``EntryDraft``."""

    action: str
    run: str
    node: str
    item: int
    ordinal: int
    attempt: int
    status: str
    reserved: Cost | None
    spent: Cost | None
    digest: bytes


class Ledger:
    """The journal of one estate. Nothing is read before ``open``; call ``close`` at the end.

    ``tree`` is the one that the store was opened with; ``epoch`` the fencing epoch that entries carry.
    """

    def __init__(
        self, store: Store, keys: SubjectKeys, tree: Tree, keeper: CheckpointKeeper, clock: Clock
    ) -> None:
        self._store = store
        self._keys = keys
        self._tree = tree
        self._keeper = keeper
        self._clock = clock
        self._last_us = 0
        self.epoch = 0
        self.failed = False
        """Whether a commit failed since the store was opened: every later one does too, until ``reopen``."""
        self._unstored: dict[tuple[str, str], tuple[str, ...]] = {}
        self._stored: set[tuple[str, str]] = set()

    # ---- opening and closing ------------------------------------------------------------------------------

    def open(self) -> None:
        """Read the tree's right edge and compare the journal with the checkpoints kept outside it.

        Raises Corrupt: ``corrupt.truncated`` for fewer entries than were signed, ``corrupt.rewritten`` for
        other ones, ``corrupt.checkpoint-missing`` where entries exist and no checkpoint does.
        """
        self._tree.load(self._store)
        self._keeper.bind(self._tree)
        self.epoch = self._store.epoch
        checkpoints = self._keeper.load()
        size = self._tree.size
        for checkpoint in checkpoints:
            self._compare(checkpoint)
        if not checkpoints:
            if size:
                raise Corrupt(
                    f"The journal has {size} entries, but its checkpoints are missing.",
                    remedy="Restore the folder `checkpoints` from its copy, or keep the journal as evidence.",
                    code="corrupt.checkpoint-missing",
                )
            self._keeper.keep_first(self._keeper.signer.first())
        for entry in self._store.entries(max(0, size - _RECENT), size):
            self._last_us = max(self._last_us, body.decode(entry.draft.body)["at"])

    def _compare(self, checkpoint: Checkpoint) -> None:
        size = self._tree.size
        if size < checkpoint.size:
            raise Corrupt(
                f"The journal has {size} entries, but {checkpoint.size} were signed: entries are missing.",
                remedy="Stop using this store; compare the newest copy with the checkpoint.",
                code="corrupt.truncated",
            )
        if self._tree.root(checkpoint.size) != checkpoint.root:
            raise Corrupt(
                f"The journal's first {checkpoint.size} entries are not those that were signed.",
                remedy="Stop using this store; keep it and the checkpoint as evidence, restore a copy.",
                code="corrupt.rewritten",
            )

    async def reopen(self) -> None:
        """After StoreFailed: connect again and read state anew."""
        await self._store.reopen()
        self.failed = False
        self._tree.load(self._store)
        self.epoch = self._store.epoch

    async def close(self) -> None:
        """Sign what is committed; the store is the caller's to close afterwards."""
        await self._keeper.close()

    # ---- time ---------------------------------------------------------------------------------------------

    def now_us(self) -> int:
        """The house's time: the clock's, or the journal's last where the clock was set back."""
        return max(self._clock.now_us(), self._last_us)

    @property
    def last_time_us(self) -> int:
        """The newest time that the journal knows."""
        return self._last_us

    # ---- writing ------------------------------------------------------------------------------------------

    def draft(
        self,
        kind: EntryKind,
        name: str,
        head: dict[str, Any],
        private: bytes | None = None,
        key: SubjectKey | None = None,
        **columns: Unpack[Columns],
    ) -> EntryDraft:
        """Return an entry ready to commit; ``name`` is its type: intent, result, refusal, note:<type>.

        ``head`` is public for ever and hashed; ``private`` is sealed with ``key``. ``columns`` are what the
        store finds it by. v, t, at, e and pay are the ledger's own and are put into
        ``head``, which is given away; it must lie in canonical JSON (a ``Raw`` in it already written so).
        """
        fields = head
        fields["v"], fields["t"], fields["at"], fields["e"] = body.VERSION, name, self.time(), self.epoch
        payload: bytes | None = None
        if private is not None:
            if key is None:
                raise Internal("Private data came to the journal without a subject's key.")
            payload = self.seal(key, private)
            digest = hashlib.sha256(payload).hexdigest()
            fields["pay"] = {"d": digest, "n": len(payload), "s": key.set_id}
        encoded = canonical.encode_trusted(fields)
        return EntryDraft(kind, encoded, merkle.leaf_hash(encoded), payload, **columns)

    def blank(self, name: str, head: dict[str, Any], key: SubjectKey) -> Blank:
        """Return the body of entries of one type under one key, to be filled in; ``head`` as for ``draft``.

        To be filled in besides the blanks of ``head``, in the order of the names: ``at`` with ``time``, ``e`` with
        ``epoch``, ``d`` and ``n`` of ``pay`` with hash and length of what ``seal`` returns.
        """
        pay = {"d": word(), "n": number(), "s": key.set_id}
        return Blank({**head, "v": body.VERSION, "t": name, "at": number(), "e": number(), "pay": pay})

    def seal(self, key: SubjectKey, private: bytes) -> bytes:
        """Return the payload that keeps ``private``; who is in a set of several subjects is committed with it."""
        payload = key.seal(private)
        if len(key.members) > 1:
            self.keep_set(SUBJECT_SETS, key.set_id, key.members)
        return payload

    def keep_set(self, collection: str, name: str, members: tuple[str, ...]) -> None:
        """Have a set, which an entry names by its digest, written with the next commit; once is enough."""
        if (collection, name) not in self._stored:
            self._unstored[collection, name] = members

    def time(self) -> int:
        """Return the time of an entry that is drafted now: the clock's, or the newest where that is later."""
        now_us = self._clock.now_us()
        if now_us > self._last_us:
            self._last_us = now_us
        return self._last_us

    def drafts(self, change: Change) -> list[EntryDraft]:
        """Return the entries of a change's notes."""
        found: list[EntryDraft] = []
        for note in change.notes:
            head: dict[str, Any] = {"head": note.head}
            canonical.check(head)
            if note.run:
                head["run"] = note.run
            private, key = None, None
            if note.private is not None:
                private, key = canonical.encode(note.private), self._keys.key(note.subjects or (ESTATE,))
            found.append(self.draft(EntryKind.NOTE, f"note:{note.type}", head, private, key, run=note.run))
        return found

    async def write(self, entries: Sequence[EntryDraft], writes: Sequence[Put | Drop] = ()) -> int:
        """Commit entries and documents together; returns the first index, raises what the store raises."""
        new = self._unstored
        if new:
            writes = [
                *writes,
                *(Put(*key, canonical.encode(list(members))) for key, members in new.items()),
            ]
            new = dict(new)
        try:
            first = await self._store.commit(Batch(entries, writes))
        except StoreFailed:
            self.failed = True
            raise
        finally:
            if entries:
                self._keeper.committed()
        if new:
            self._stored.update(new)
            for key in new:
                self._unstored.pop(key, None)
        return first

    async def commit(self, change: Change) -> Any:
        """Make a change: notes and documents in one commit, then its moves in memory; returns its value."""
        try:
            await self.write(self.drafts(change), change.writes)
        except FreeholdError:
            for move in change.undo:
                move()
            raise
        for move in change.after:
            move()
        return change.value

    # ---- reading ------------------------------------------------------------------------------------------

    @property
    def size(self) -> int:
        """Number of committed entries."""
        return self._tree.size

    @property
    def tree(self) -> Tree:
        """The tree over the committed entries."""
        return self._tree

    @property
    def store(self) -> Store:
        """The store beneath."""
        return self._store

    @property
    def keys(self) -> SubjectKeys:
        """The subject keys."""
        return self._keys

    @property
    def keeper(self) -> CheckpointKeeper:
        """The checkpoints outside the database."""
        return self._keeper

    async def checkpoint(self) -> Checkpoint:
        """Return a signed checkpoint of everything committed, kept outside the database."""
        return await self._keeper.flush()

    def open_payload(self, entry: Entry) -> bytes | None:
        """Return what an entry keeps private; None where it keeps nothing or its subject was forgotten.

        Raises Corrupt where the ciphertext is missing or altered though its key lives.
        """
        commitment = body.payload_of(canonical.decode(entry.draft.body))
        if commitment is None:
            return None
        key = self.key_of(commitment["s"])
        if key is None:
            return None
        payload = entry.draft.payload
        if payload is None or hashlib.sha256(payload).hexdigest() != commitment["d"]:
            raise Corrupt(f"The encrypted part of journal entry {entry.index} is missing or altered.")
        return key.open(payload)

    def key_of(self, set_id: str) -> SubjectKey | None:
        """Return the key of a subject set by its id; None once one of its subjects was forgotten."""
        return self._keys.live(set_id) or self._keys.open_set(set_id, self.members_of(set_id))

    def members_of(self, set_id: str) -> tuple[str, ...]:
        """Return the key ids of a subject set."""
        found = self._unstored.get((SUBJECT_SETS, set_id))
        if found is None:
            document = self._store.document(SUBJECT_SETS, set_id)
            found = (set_id,) if document is None else tuple(canonical.decode(document.body))
        return found

    def knows_set(self, set_id: str) -> bool:
        """Whether the members of a set are known: stored, about to be stored, in use now, or a lone key."""
        known = (SUBJECT_SETS, set_id) in self._unstored or self._keys.live(set_id) is not None
        return known or self._store.document(SUBJECT_SETS, set_id) is not None

    def sets_with(self, members: Sequence[str]) -> set[str]:
        """Return the ids of all sets that hold one of these key ids, those of one member among them."""
        wanted = set(members)
        found = set(wanted)
        for (collection, name), ids in self._unstored.items():
            if collection == SUBJECT_SETS and not wanted.isdisjoint(ids):
                found.add(name)
        for document in self._store.documents(SUBJECT_SETS):
            if not wanted.isdisjoint(canonical.decode(document.body)):
                found.add(document.key)
        return found
