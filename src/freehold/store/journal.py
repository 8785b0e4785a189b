"""The store itself, the same on every engine: sequencer, group commit, tree, and what is open.

``open_store`` builds it; the ledger commits through it. State in memory (size, tree, open intents) moves only
after a commit, on the loop.
"""

import threading
from array import array
from collections.abc import Sequence
from dataclasses import dataclass

from freehold.base import BadInput, Corrupt, Unavailable
from freehold.store.engine import Engine, Group
from freehold.store.group import GroupCommit, Work
from freehold.store.interface import Batch, CommitStats, Drop, Entry, LeafSink, Put
from freehold.store.pending import MARK_EVERY, OpenIntents
from freehold.store.reads import Reads
from freehold.store.rows import ACTION, ATTEMPT, FORM, INDEX, LEAF, RESULT_FINAL, Row, row_of, text


class JournalStore(Reads):
    """A ``Store`` over an engine. Opening takes the lock; nothing is open before ``open``."""

    def __init__(self, engine: Engine, tree: LeafSink) -> None:
        super().__init__(engine)
        self._tree = tree
        self._open = OpenIntents()
        self._epoch = 0
        self._writing = threading.Lock()
        self._group = GroupCommit(self._stage, self._write, self._durable)
        self._stats = CommitStats()
        self._staged = _Staged([])
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
        for change in batch.changes:
            _check(change)
        work = Work([row_of(draft) for draft in batch.entries], batch.changes)
        waits = self._group.submit(work)
        if waits is not None:
            await waits
        if work.error is not None:
            raise work.error
        return work.first

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
        if self._group.failure is None:
            return
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
            waits = self._group.submit(Work([], ()))
            if waits is not None:
                await waits
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

    def _stage(self, works: list[Work]) -> bool:
        """Give the works their indices and prepare their commit; False when there is nothing to commit."""
        group = Group()
        for work in works:
            _place(work, self._size + len(group.rows))
            group.rows += work.rows
            if work.changes:
                group.changes += work.changes
        self._staged = _Staged(works)
        if not group.rows and not group.changes:
            return False
        self._writing.acquire()
        try:
            leaves = [row[LEAF] for row in group.rows]
            group.tiles = self._tree.tiles_for(self._size, leaves) if leaves else ()
            group.mark = self._mark(len(leaves))
            self._staged = _Staged(works, group.rows, leaves, len(works))
            self._engine.stage(group)
        except BadInput as error:
            self._staged.bad = error
        except BaseException:
            self._engine.abandon()
            self._writing.release()
            raise
        return True

    def _write(self) -> float | None:
        """Make durable what is staged, on the loop or in the writer thread; sets ``error`` of bad works."""
        staged = self._staged
        try:
            if staged.bad is None:
                try:
                    return self._engine.commit()
                except BadInput as error:
                    staged.bad = error
            self._engine.abandon()
            works, self._staged = staged.works, _Staged(staged.works)
            if len(works) > 1:
                return self._write_good_ones(works)
            works[0].error = staged.bad
            return None
        except BaseException:
            self._engine.abandon()
            raise
        finally:
            self._writing.release()

    def _write_good_ones(self, works: list[Work]) -> float:
        """Write a group of which at least one batch is bad, so that only the bad ones fail."""
        rows, good = list[Row](), 0
        self._engine.begin()
        for work in works:
            _place(work, self._size + len(rows))
            try:
                self._engine.attempt(work.rows, work.changes)
            except BadInput as error:
                work.error = error
            else:
                rows += work.rows
                good += 1
        leaves = [row[LEAF] for row in rows]
        tiles = self._tree.tiles_for(self._size, leaves) if leaves else ()
        seconds = self._engine.finish(tiles, self._mark(len(leaves)))
        self._staged = _Staged(works, rows, leaves, good)
        return seconds

    def _mark(self, count: int) -> tuple[int, bytes] | None:
        """Return the mark of the open intents before this group, when the group crosses a multiple of it."""
        if self._size // MARK_EVERY == (self._size + count) // MARK_EVERY:
            return None
        return self._size, self._open.dump()

    def _durable(self) -> None:
        """Move the state in memory by what was staged and is durable now; runs on the loop."""
        staged = self._staged
        if not staged.batches:
            return
        if staged.leaves:
            self._tree.advance(self._size, staged.leaves)
            self._size += len(staged.leaves)
            self._open.take(
                (row[INDEX], row[FORM], row[ACTION], row[ATTEMPT])
                for row in staged.rows
                if row[FORM] <= RESULT_FINAL
            )
        self._stats.commits += 1
        self._stats.batches += staged.batches
        self._stats.entries += len(staged.leaves)


@dataclass(slots=True)
class _Staged:
    """The group that is on its way: all its works, and what its commit makes durable."""

    works: list[Work]
    rows: Sequence[Row] = ()
    leaves: Sequence[bytes] = ()
    batches: int = 0
    bad: BadInput | None = None


def _place(work: Work, first: int) -> None:
    """Give the work its indices."""
    work.first = first
    for index, row in enumerate(work.rows, first):
        row[INDEX] = index


def _check(change: Put | Drop) -> None:
    text(change.collection)
    text(change.key)
    if isinstance(change, Put):
        text(change.state)
