"""What the house asks of a store: one journal that only grows, and documents beside it.

The journal holds hashed bytes as they were. A document is derived state (a person, a card, a run) that the
journal entry of the same commit accounts for; only documents change shape in a migration. One process
writes. Every implementation passes the same suite, ``tests/store``.
"""

import enum
from collections.abc import Iterator, Sequence
from typing import Final, Protocol

import msgspec

CONFLICT: Final = "input.conflict"
"""Code of the BadInput that a commit raises for a version or a uniqueness that does not hold."""

UNKNOWN: Final = "unknown"
"""The one status that the store reads: a RESULT that leaves its INTENT open until a final one comes."""


class EntryKind(enum.IntEnum):
    """What a journal entry is; the number is stored and never reused."""

    INTENT = 1
    RESULT = 2
    REFUSAL = 3
    NOTE = 4


class EntryDraft(msgspec.Struct, frozen=True, gc=False):
    """One entry before it has an index.

    ``body`` is hashed and kept as it is; ``leaf`` is SHA-256 over 0x00 and ``body`` (RFC 6962). ``payload``
    is ciphertext that ``body`` commits to by digest. The rest are columns to find it by, derived from
    ``body``: 32-digit hex ids, ``node``/``item``/``ordinal`` as in ``base.action_id``, ``attempt`` from 1;
    ``digest`` is the keyed digest of the canonical action, by which a replay knows its own INTENT again.
    ``reserved`` and ``spent`` are the budget deltas of this entry; a RESULT carries its INTENT's reservation
    as negative numbers. An attempt has one INTENT and one final RESULT, and before that at most one whose
    status is ``unknown``: settling an unknown outcome is writing the final RESULT.
    """

    kind: EntryKind
    body: bytes
    leaf: bytes
    payload: bytes | None = None
    action: str = ""
    run: str = ""
    node: str = ""
    item: int = 0
    ordinal: int = 0
    attempt: int = 1
    status: str = ""
    reserved: "Cost | None" = None
    spent: "Cost | None" = None
    digest: bytes = b""


class Cost(msgspec.Struct, frozen=True, gc=False):
    """An amount in the four dimensions that add up; wall-clock is elapsed time and is not summed."""

    money_micro: int = 0
    tokens: int = 0
    actions: int = 0
    cpu_us: int = 0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            self.money_micro + other.money_micro,
            self.tokens + other.tokens,
            self.actions + other.actions,
            self.cpu_us + other.cpu_us,
        )

    def __sub__(self, other: "Cost") -> "Cost":
        return Cost(
            self.money_micro - other.money_micro,
            self.tokens - other.tokens,
            self.actions - other.actions,
            self.cpu_us - other.cpu_us,
        )


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One committed entry; ``index`` is its place in the journal, from 0."""

    index: int
    draft: EntryDraft


class Put(msgspec.Struct, frozen=True, gc=False):
    """Write a document. ``expect``: None for whatever is there, 0 for new only, else its version now.

    The stored version becomes the old one plus 1 (1 for a new document). ``state`` is a short word to
    select by.
    """

    collection: str
    key: str
    body: bytes
    state: str = ""
    expect: int | None = None


class Drop(msgspec.Struct, frozen=True, gc=False):
    """Remove a document; nothing happens where there is none."""

    collection: str
    key: str


class Document(msgspec.Struct, frozen=True, gc=False):
    """A stored document."""

    collection: str
    key: str
    body: bytes
    state: str
    version: int


class Batch(msgspec.Struct, frozen=True, gc=False):
    """What is committed together or not at all."""

    entries: Sequence[EntryDraft] = ()
    changes: Sequence[Put | Drop] = ()


class LeafSink(Protocol):
    """The Merkle tree, as the sequencer sees it: state moves only after the commit."""

    def tiles_for(self, first_index: int, leaves: Sequence[bytes]) -> Sequence["Tile"]:
        """Return the full tiles that these leaves complete, for the same commit; changes nothing.

        May be called in the writer thread.
        """
        ...

    def advance(self, first_index: int, leaves: Sequence[bytes]) -> None:
        """Take the leaves in, after their commit."""
        ...


class Tile(msgspec.Struct, frozen=True, gc=False):
    """A full tile of 256 hashes at ``level`` (0 holds leaves); ``root`` is its own hash."""

    level: int
    number: int
    hashes: bytes
    root: bytes


class RunAction(msgspec.Struct, frozen=True, gc=False):
    """The newest attempt of one action of a run, without contents, for resuming.

    ``status`` and ``result_index`` are those of its newest RESULT ("" and None where there is none);
    ``digest`` and ``intent_leaf`` are its INTENT's.
    """

    action: str
    node: str
    item: int
    ordinal: int
    attempt: int
    intent_index: int
    intent_leaf: bytes
    result_index: int | None
    status: str
    digest: bytes


class CommitStats(msgspec.Struct):
    """What was written since the store was opened; ``commit_s`` is a moving average of one commit."""

    commits: int = 0
    batches: int = 0
    entries: int = 0
    commit_s: float = 0.0


class Store(Protocol):
    """One estate's store, open in one process that writes. Reads are synchronous and bounded."""

    async def commit(self, batch: Batch) -> int:
        """Commit ``batch`` durably and return the index of its first entry (the size if it has none).

        Whatever waits is committed as one group, and at once when nobody else waits. One bad batch never
        fails its group. Raises BadInput with the code CONFLICT for a version or uniqueness that does not
        hold, StoreFailed when the store cannot promise durability any more: then every later commit fails
        too until ``reopen``. A caller that is cancelled while it waits does not take its batch back.
        """
        ...

    def size(self) -> int:
        """Number of committed entries."""
        ...

    def entries(self, start: int, stop: int) -> Iterator[Entry]:
        """Yield committed entries in order, read in bounded pages."""
        ...

    def leaves(self, start: int, stop: int) -> Iterator[bytes]:
        """Yield the leaf hashes of committed entries in order, read in bounded pages and without bodies."""
        ...

    def entry(self, index: int) -> Entry | None:
        """Return one entry."""
        ...

    def entries_of_run(self, run: str, start: int = 0) -> Iterator[Entry]:
        """Yield the entries of a run in order from journal index ``start``."""
        ...

    def actions_of_run(self, run: str) -> list[RunAction]:
        """Return the newest attempt of every action of a run, in one query and without contents."""
        ...

    def open_intents(self) -> list[Entry]:
        """Return, in order, every INTENT of a newest attempt that has no RESULT or only an unknown one."""
        ...

    def drop_payloads(self, indices: Sequence[int]) -> None:
        """Remove ciphertexts whose keys are gone; bodies, leaves and proofs stay as they are.

        Waits for the commit that is being made, if any. Raises StoreFailed.
        """
        ...

    def tiles(self, level: int, first: int, count: int) -> list[Tile]:
        """Return full tiles of a level, in order."""
        ...

    def document(self, collection: str, key: str) -> Document | None:
        """Return one document."""
        ...

    def documents(
        self, collection: str, *, state: str | None = None, prefix: str = "", limit: int = 1_000_000
    ) -> list[Document]:
        """Return documents of a collection by key order, of one state or with keys that begin so."""
        ...

    @property
    def epoch(self) -> int:
        """The fencing epoch that this opening took; a commit under an older one fails."""
        ...

    @property
    def stats(self) -> CommitStats:
        """How much was written in how many commits."""
        ...

    async def reopen(self) -> None:
        """After StoreFailed: connect again and make sure that this process still owns the store.

        What a failed commit left durable after all is taken into the tree here, so ``size`` may have grown:
        read state again. Raises StoreFailed when another process has taken over or the store is still not
        there, Corrupt when entries that were acknowledged are gone.
        """
        ...

    async def close(self) -> None:
        """Finish what waits, release the lock."""
        ...
