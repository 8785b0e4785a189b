"""The store itself, the same on every engine: sequencer, group commit, tree, and what is open.

``open_store`` builds it; the ledger commits through it. State in memory (size, tree, open intents) moves only
after a commit, on the loop.
"""

import threading
from array import array
from collections.abc import Sequence

from freehold.base import BadInput, Corrupt, StoreFailed, Unavailable
from freehold.store.engine import Engine, Group
from freehold.store.group import GroupCommit, Work
from freehold.store.interface import Batch, CommitStats, Drop, Entry, LeafSink, Put, Tile
from freehold.store.pending import MARK_EVERY, OpenIntents
from freehold.store.reads import Reads
from freehold.store.rows import ACTION, ATTEMPT, FORM, RESULT_FINAL, Row, row_of, text


class JournalStore(Reads):
    """A ``Store`` over an engine. Opening takes the lock; nothing is open before ``open``."""

    def __init__(self, engine: Engine, tree: LeafSink) -> None:
        super().__init__(engine)
        self._tree = tree
        self._open = OpenIntents()
        self._epoch = 0
        self._writing = threading.Lock()
        self._group = GroupCommit(self._write, self._durable)
        self._stats = CommitStats()
        self._closed = False

    def open(self) -> None:
        """Open the engine and read what must be in memory. Raises what ``Engine.open`` raises."""
        self._epoch = self._engine.open()
        try:
            self._size = self._size_on_disk()
            self._restore_open()
        except BaseException:
            self._engine.close()
            raise

    @property
    def epoch(self) -> int:
        """The fencing epoch that this opening took."""
        return self._epoch

    @property
    def stats(self) -> CommitStats:
        """How much was written in how many commits."""
        self._stats.commit_s = self._group.average_s
        return self._stats

    async def commit(self, batch: Batch) -> int:
        """Commit ``batch`` durably and return the index of its first entry, or the size if it has none."""
        if self._closed:
            raise Unavailable("The store is closed.", remedy="Start the daemon again.")
        rows = [row_of(draft) for draft in batch.entries]
        for change in batch.changes:
            _check(change)
        return await self._group.commit(Work(rows, [draft.leaf for draft in batch.entries], batch.changes))

    def open_intents(self) -> list[Entry]:
        """Return, in order, every INTENT of a newest attempt that has no RESULT or only an unknown one."""
        return list(self._entries_at(array("q", self._open.indices())))

    def drop_payloads(self, indices: Sequence[int]) -> None:
        """Remove ciphertexts whose keys are gone."""
        if self._group.failure is not None:
            raise self._group.failure
        with self._writing:
            self._engine.drop_payloads(indices)

    async def reopen(self) -> None:
        """After StoreFailed: connect again, make sure that the store is ours, take in what became durable."""
        if self._closed:
            raise Unavailable("The store is closed.", remedy="Start the daemon again.")
        with self._writing:
            self._engine.reopen()
            size, known = self._size_on_disk(), self._size
            if size < known:
                raise Corrupt(
                    f"The store holds {size} entries, but {known} were acknowledged.",
                    remedy="Restore the newest backup and compare it with the latest checkpoint.",
                )
            self._size = size
            late = list(self.leaves(known, size))
            if late:
                self._tree.advance(known, late)
            self._restore_open()
        self._group.recover()

    async def close(self) -> None:
        """Finish what waits, release the lock; a second call does nothing."""
        if self._closed:
            return
        if self._group.failure is None:
            await self._group.commit(Work([], [], ()))
        self._closed = True
        self._group.shut_down()
        self._engine.close()

    def _size_on_disk(self) -> int:
        newest = self._engine.fetch("SELECT max(idx) FROM entry")[0][0]
        return 0 if newest is None else newest + 1

    def _restore_open(self) -> None:
        marks = self._engine.fetch("SELECT idx, body FROM mark WHERE name = 'open'")
        index, body = marks[0] if marks else (0, None)
        self._open.restore(body, self._tail(index))

    def _write(self, works: list[Work]) -> float | None:
        """Make a group durable, in the loop's thread or the writer's; sets ``first`` or ``error`` of each."""
        with self._writing:
            group, leaves = Group(), list[bytes]()
            for work in works:
                self._place(work, group, leaves)
            if not group.rows and not group.changes:
                return None
            group.tiles = self._tree.tiles_for(self._size, leaves) if leaves else ()
            group.mark = self._mark(len(leaves))
            try:
                return self._engine.write(group)
            except BadInput as error:
                self._engine.abandon()
                if len(works) > 1:
                    return self._write_good_ones(works)
                works[0].error = error
                return None
            except StoreFailed:
                self._engine.abandon()
                raise

    def _write_good_ones(self, works: list[Work]) -> float | None:
        """Write a group of which at least one batch is bad, so that only the bad ones fail."""
        leaves, good = list[bytes](), False
        try:
            self._engine.begin()
            for work in works:
                part = Group()
                before = len(leaves)
                self._place(work, part, leaves)
                try:
                    self._engine.attempt(part.rows, part.changes)
                except BadInput as error:
                    work.error = error
                    del leaves[before:]
                else:
                    good = good or bool(part.rows or part.changes)
            if not good:
                self._engine.abandon()
                return None
            tiles: Sequence[Tile] = self._tree.tiles_for(self._size, leaves) if leaves else ()
            return self._engine.finish(tiles, self._mark(len(leaves)))
        except StoreFailed:
            self._engine.abandon()
            raise

    def _place(self, work: Work, group: Group, leaves: list[bytes]) -> None:
        """Give the work its indices, after the leaves that the group has already, and add it."""
        first = self._size + len(leaves)
        work.first = first
        rows: list[Row] = work.rows
        group.rows.extend([(index, *row) for index, row in enumerate(rows, first)])
        group.changes.extend(work.changes)
        leaves.extend(work.leaves)

    def _mark(self, count: int) -> tuple[int, bytes] | None:
        """Return the mark of the open intents before this group, when the group crosses a multiple of it."""
        if self._size // MARK_EVERY == (self._size + count) // MARK_EVERY:
            return None
        return self._size, self._open.dump()

    def _durable(self, works: list[Work]) -> None:
        """Move the state in memory; runs on the loop, after the commit."""
        leaves = list[bytes]()
        batches = 0
        for work in works:
            if work.error is not None:
                continue
            batches += 1
            leaves.extend(work.leaves)
            for index, row in enumerate(work.rows, work.first):
                if row[FORM] <= RESULT_FINAL:
                    self._open.take(index, row[FORM], row[ACTION], row[ATTEMPT])
        if not batches:
            return
        if leaves:
            self._tree.advance(self._size, leaves)
            self._size += len(leaves)
        self._stats.commits += 1
        self._stats.batches += batches
        self._stats.entries += len(leaves)


def _check(change: Put | Drop) -> None:
    text(change.collection)
    text(change.key)
    if isinstance(change, Put):
        text(change.state)
