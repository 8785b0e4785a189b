"""Group commit: whatever waits is written as one group, and at once when nobody else waits.

Only ``journal.py`` calls it. A caller that is alone is served in its own call, without a turn of the loop;
now and then, and as long as groups hold more than one, a turn is waited for, or callers that never yield
would each commit alone. A commit that is slow on average is made in a thread, so that the loop goes on.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from freehold.base import FreeholdError, StoreFailed
from freehold.store.interface import Drop, Put
from freehold.store.rows import Row

INLINE_LIMIT_S: Final = 0.0015
"""Where a commit needs longer than this it is made in the writer thread."""

ALONE_LIMIT: Final = 8
"""Commits in a row that a lone caller gets before the loop is asked whether anybody else waits."""

LARGEST_GROUP: Final = 512
_NEWEST_WEIGHT: Final = 0.1
_LONGER_WEIGHT: Final = 0.02
"""What a commit needs follows the short ones at once and the long ones slowly: a busy machine makes some long."""


class Work:
    """One batch on its way: ``first`` once it has an index, or ``error`` if it alone was refused."""

    __slots__ = ("changes", "error", "first", "future", "rows")

    def __init__(self, rows: list[Row], changes: Sequence[Put | Drop]) -> None:
        self.rows = rows
        self.changes = changes
        self.first = 0
        self.error: FreeholdError | None = None
        self.future: asyncio.Future[None] | None = None


class GroupCommit:
    """Turns many callers into few commits.

    ``stage(works)`` prepares a group on the loop and says whether there is anything to commit; ``write()``
    makes it durable, perhaps in the writer thread, and returns the seconds that its commit took or None;
    ``durable()`` moves the state in memory, on the loop again. One group is on its way at a time. When any of
    them raises, every work of the group fails with StoreFailed, and so does everything after it.
    """

    def __init__(
        self,
        stage: Callable[[list[Work]], bool],
        write: Callable[[], float | None],
        durable: Callable[[], None],
    ) -> None:
        self._stage = stage
        self._write = write
        self._durable = durable
        self._waiting: list[Work] = []
        self._collecting = False
        self._in_flight = False
        self._alone = 0
        self._last_size = 1
        self._executor: ThreadPoolExecutor | None = None
        self.average_s = 0.0
        self._needs_s = 0.0
        self.failure: FreeholdError | None = None

    def submit(self, work: Work) -> "asyncio.Future[None] | None":
        """Write the work at once and return None, or return what to wait for; then look at ``work.error``."""
        if self.failure is not None:
            raise _again(self.failure)
        if (
            self._last_size == 1
            and self._alone < ALONE_LIMIT
            and self._needs_s < INLINE_LIMIT_S
            and not self._waiting
            and not self._in_flight
        ):
            self._alone += 1
            self._guarded([work], self._stage_and_write)
            return None
        loop = asyncio.get_running_loop()
        work.future = loop.create_future()
        self._waiting.append(work)
        if not self._collecting and not self._in_flight:
            self._collecting = True
            loop.call_soon(self._collect)
        return work.future

    def fail(self, failure: FreeholdError) -> None:
        """Let everything that waits and everything that comes fail, until ``recover``."""
        self.failure = failure
        waiting, self._waiting = self._waiting, []
        self._refuse(waiting, failure)

    def recover(self) -> None:
        """Take work again."""
        self.failure = None
        self._alone, self._last_size = 0, 1

    def shut_down(self) -> None:
        """End the writer thread."""
        if self._executor is not None:
            self._executor.shutdown(wait=True)
            self._executor = None

    def _collect(self) -> None:
        self._collecting = False
        works = self._waiting[:LARGEST_GROUP]
        del self._waiting[:LARGEST_GROUP]
        if not works:
            return
        self._alone, self._last_size = 0, len(works)
        if self._needs_s < INLINE_LIMIT_S:
            if self._guarded(works, self._stage_and_write):
                self._wake(works)
                self._collect_rest()
        else:
            self._write_there(works)

    def _stage_and_write(self, works: list[Work]) -> None:
        if self._stage(works):
            self._measure(self._write())
            self._durable()

    def _write_there(self, works: list[Work]) -> None:
        if self._executor is None:
            self._executor = ThreadPoolExecutor(1, thread_name_prefix="freehold-writer")
        if not self._guarded(works, self._launch):
            return
        if not self._in_flight:
            self._wake(works)
            self._collect_rest()

    def _launch(self, works: list[Work]) -> None:
        if self._stage(works):
            self._in_flight = True
            flight = asyncio.get_running_loop().run_in_executor(self._executor, self._write)
            flight.add_done_callback(lambda done: self._landed(works, done))

    def _landed(self, works: list[Work], flight: asyncio.Future[float | None]) -> None:
        def take(_: list[Work]) -> None:
            self._measure(flight.result())
            self._durable()

        self._in_flight = False
        if self._guarded(works, take):
            self._wake(works)
            self._collect_rest()

    def _guarded(self, works: list[Work], step: Callable[[list[Work]], None]) -> bool:
        """Take a step; when it raises, all its works and everything after them fail."""
        try:
            step(works)
        except Exception as error:  # whatever it is, nobody may wait for ever
            failure = error if isinstance(error, FreeholdError) else _bug(error)
            self._refuse(works, failure)
            self.fail(failure)
            return False
        return True

    def _collect_rest(self) -> None:
        # The callers just served get a turn first, so that what they ask for next joins the group.
        if self._waiting and not self._collecting:
            self._collecting = True
            asyncio.get_running_loop().call_soon(self._collect)

    def _measure(self, taken: float | None) -> None:
        if taken is not None:
            self.average_s += (taken - self.average_s) * _NEWEST_WEIGHT
            longer = taken - self._needs_s
            self._needs_s += longer * _LONGER_WEIGHT if longer > 0 else longer

    def _refuse(self, works: list[Work], failure: FreeholdError) -> None:
        for work in works:
            work.error = _again(failure)
        self._wake(works)

    def _wake(self, works: list[Work]) -> None:
        for work in works:
            if work.future is not None and not work.future.done():
                work.future.set_result(None)


def _again(failure: FreeholdError) -> FreeholdError:
    """Return a failure anew: one instance raised in many tasks would gather all their tracebacks."""
    return type(failure)(failure.message, remedy=failure.remedy, code=failure.code)


def _bug(error: Exception) -> StoreFailed:
    failure = StoreFailed(
        f"The store stopped because of an error inside Freehold: {type(error).__name__}: {error}.",
        remedy="Restart the daemon; if it happens again, report it.",
    )
    failure.__cause__ = error
    return failure
