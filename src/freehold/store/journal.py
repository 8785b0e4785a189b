"""The store itself, the same on every engine: sequencer, group commit, tree, and what is open.

``open_store`` builds it; the ledger commits through it. State in memory (size, tree, open intents) moves only
after a commit, on the loop.
"""

import threading
from array import array
from collections.abc import Sequence

from freehold.base import BadInput, Corrupt, Unavailable
from freehold.store.engine import Engine, Group
from freehold.store.group import GroupCommit, Work
from freehold.store.interface import Batch, CommitStats, Drop, Entry, LeafSink, Put
from freehold.store.pending import MARK_EVERY, OpenIntents
from freehold.store.reads import Reads
from freehold.store.rows import INDEX, LEAF, Row, row_of, text


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
        self._staged = _Staged([], [], [])
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
        if batch.changes:
            _check(batch.changes)
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
        if len(works) == 1:
            rows, changes = works[0].rows, works[0].changes
        else:
            rows = [row for work in works for row in work.rows]
            changes = [change for work in works for change in work.changes]
        size = index = self._size
        for work in works:
            work.first = index
            for row in work.rows:
                row[INDEX] = index
                index += 1
        leaves = [row[LEAF] for row in rows]
        staged = self._staged = _Staged(works, rows, leaves)
        if not rows and not changes:
            return False
        self._writing.acquire()
        try:
            tiles = self._tree.tiles_for(size, leaves) if leaves else ()
            mark = None if size // MARK_EVERY == index // MARK_EVERY else self._mark()
            self._engine.stage(Group(rows, changes, tiles, mark))
        except BadInput as error:
            staged.bad = error
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
            if len(staged.works) > 1:
                return self._write_good_ones(staged)
            staged.works[0].error = staged.bad
            staged.works, staged.leaves = [], []
            return None
        except BaseException:
            self._engine.abandon()
            raise
        finally:
            self._writing.release()

    def _write_good_ones(self, staged: "_Staged") -> float:
        """Write a group of which at least one batch is bad, so that only the bad ones fail."""
        rows, good = list[Row](), list[Work]()
        self._engine.begin()
        for work in staged.works:
            work.first = self._size + len(rows)
            for index, row in enumerate(work.rows, work.first):
                row[INDEX] = index
            try:
                self._engine.attempt(work.rows, work.changes)
            except BadInput as error:
                work.error = error
            else:
                rows += work.rows
                good.append(work)
        staged.works, staged.rows, staged.leaves = good, rows, [row[LEAF] for row in rows]
        tiles = self._tree.tiles_for(self._size, staged.leaves) if rows else ()
        crosses = self._size // MARK_EVERY != (self._size + len(rows)) // MARK_EVERY
        return self._engine.finish(tiles, self._mark() if crosses else None)

    def _mark(self) -> tuple[int, bytes]:
        """Return the mark of the intents that are open before the group on its way."""
        return self._size, self._open.dump()

    def _durable(self) -> None:
        """Move the state in memory by what was staged and is durable now; runs on the loop."""
        staged, stats = self._staged, self._stats
        if staged.leaves:
            self._tree.advance(self._size, staged.leaves)
            self._size += len(staged.leaves)
            self._open.take(staged.rows)
            stats.entries += len(staged.leaves)
        if staged.works:
            stats.commits += 1
            stats.batches += len(staged.works)


class _Staged:
    """The group that is on its way: the works and entries that its commit makes durable."""

    __slots__ = ("bad", "leaves", "rows", "works")

    def __init__(self, works: list[Work], rows: list[Row], leaves: list[bytes]) -> None:
        self.works = works
        self.rows = rows
        self.leaves = leaves
        self.bad: BadInput | None = None


def _check(changes: Sequence[Put | Drop]) -> None:
    for change in changes:
        text(change.collection)
        text(change.key)
        if isinstance(change, Put):
            text(change.state)
