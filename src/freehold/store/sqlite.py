"""The store on SQLite: one folder, write-ahead log, every commit synced before it counts.

``open_store`` builds it. One connection writes, another reads, so that no read meets an open
transaction.
"""

import json
import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, Final

from freehold.base import BadInput, Clock, Corrupt, FreeholdError, StoreFailed, Unavailable
from freehold.store.documents import VERSION_OF, statement
from freehold.store.engine import Group, conflict, fenced, version_conflict
from freehold.store.interface import Drop, Put, Tile
from freehold.store.lock import FolderLock
from freehold.store.rows import COLUMNS, Row
from freehold.store.schema import VERSION_TABLE, bring_to_head

DATABASE_NAME: Final = "freehold.db"
_MARKS: Final = ", ".join("?" * len(COLUMNS))
_INSERT: Final = f"INSERT INTO entry ({', '.join(COLUMNS)}) VALUES ({_MARKS})"
_TOGETHER: Final = 16
"""Rows in one statement of a large group: a seventh less processor time than a statement a row."""
_INSERT_TOGETHER: Final = _INSERT + f", ({_MARKS})" * (_TOGETHER - 1)
_INSERT_FENCED: Final = (
    f"INSERT INTO entry ({', '.join(COLUMNS)}) SELECT {_MARKS} WHERE (SELECT epoch FROM house) = ?"
)
_CACHE_KIB: Final = 16_384
_REFUSED_CONTENT: Final = (
    sqlite3.IntegrityError,
    sqlite3.DataError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
    OverflowError,
    UnicodeEncodeError,
)
_LIBRARY: Final = (sqlite3.Error, OverflowError, UnicodeEncodeError)


class SqliteEngine:
    """One estate's folder. ``commit_delay_s`` is put into every commit, for tests and benchmarks."""

    def __init__(
        self, folder: Path, clock: Clock, *, commit_delay_s: float = 0.0, busy_timeout_s: float = 2.0
    ) -> None:
        self._folder = folder
        self._path = folder / DATABASE_NAME
        self._clock = clock
        self._delay_s = commit_delay_s
        self._busy_timeout_s = busy_timeout_s
        self._lock = FolderLock(folder)
        self._epoch = 0
        self._alone: Row | None = None
        self._writer: sqlite3.Connection | None = None
        self._reader: sqlite3.Connection | None = None

    def open(self) -> int:
        """Take the lock, check or make the schema, take the next fencing epoch and return it."""
        try:
            self._make_folder()
            self._lock.take()
        except OSError as error:
            raise _unreadable(self._folder, error) from error
        try:
            with self._worded(Unavailable):
                self._prepare()
                self._connect()
                taken = self._connected().execute("UPDATE house SET epoch = epoch + 1 RETURNING epoch")
                self._epoch = int(taken.fetchall()[0][0])
                return self._epoch
        except OSError as error:
            self.close()
            raise _unreadable(self._folder, error) from error
        except BaseException:
            self.close()
            raise

    def reopen(self) -> None:
        """Connect again under the same lock and epoch; raises StoreFailed if another owns the store."""
        self._lock.check()
        with self._worded(StoreFailed):
            self._disconnect()
            self._connect()
            # After a failed sync the log's pages may look written and be lost: write them once more.
            writer = self._connected()
            writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            if writer.execute("SELECT epoch FROM house").fetchone()[0] != self._epoch:
                raise fenced()

    def close(self) -> None:
        """Close the connections, then release the lock."""
        try:
            with self._worded(StoreFailed):
                self._disconnect()
        finally:
            self._lock.release()

    def stage(self, group: Group) -> None:
        """Put the group into a transaction; an entry that comes alone waits to be a statement of its own."""
        if len(group.rows) == 1 and not group.changes and not group.tiles and group.mark is None:
            self._alone = group.rows[0]
            return
        self.begin()
        try:
            self._put(group.rows, group.changes)
            self._put_beside(group.tiles, group.mark)
        except _LIBRARY as error:
            raise self._in_words(error) from error

    def commit(self) -> float:
        """Commit what is staged durably, all or nothing; returns the seconds that took."""
        writer = self._connected()
        alone, self._alone = self._alone, None
        started = self._clock.monotonic_s()
        if self._delay_s:
            time.sleep(self._delay_s)
        try:
            if alone is None:
                writer.execute("COMMIT")
            elif writer.execute(_INSERT_FENCED, (*alone, self._epoch)).rowcount != 1:
                raise fenced()
        except _LIBRARY as error:
            raise self._in_words(error, whole=alone is None) from error
        return self._clock.monotonic_s() - started

    def begin(self) -> None:
        """Begin a transaction that parts are put into one by one."""
        writer = self._connected()
        try:
            writer.execute("BEGIN IMMEDIATE")
            found = writer.execute("SELECT epoch FROM house").fetchone()[0]
        except _LIBRARY as error:
            raise self._in_words(error) from error
        if found != self._epoch:
            raise fenced()

    def attempt(self, rows: list[Row], changes: Sequence[Put | Drop]) -> None:
        """Put a part into the transaction; on BadInput the part alone is undone."""
        writer = self._connected()
        try:
            writer.execute("SAVEPOINT part")
            try:
                self._put(rows, changes)
            except (BadInput, *_REFUSED_CONTENT):
                writer.execute("ROLLBACK TO part")
                raise
            finally:
                if writer.in_transaction:
                    writer.execute("RELEASE part")
        except _LIBRARY as error:
            raise self._in_words(error) from error

    def finish(self, tiles: Sequence[Tile], mark: tuple[int, bytes] | None) -> float:
        """Commit the transaction durably; returns the seconds that the commit itself took."""
        try:
            self._put_beside(tiles, mark)
        except _LIBRARY as error:
            raise self._in_words(error, whole=True) from error
        return self.commit()

    def abandon(self) -> None:
        """Undo what is not committed, if anything; never raises."""
        self._alone = None
        try:
            if self._writer is not None and self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
        except sqlite3.Error:
            pass  # the store has failed already, and `reopen` begins with a new connection

    def drop_payloads(self, indices: Sequence[int]) -> None:
        """Set the payload of these entries to null, durably."""
        try:
            self.begin()
            with self._worded(StoreFailed):
                self._connected().executemany(
                    "UPDATE entry SET payload = NULL WHERE idx = ?", [(index,) for index in indices]
                )
            self.finish((), None)
        finally:
            self.abandon()

    def fetch(self, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
        """Return all rows of a SELECT over committed state; ``?`` marks a parameter."""
        if self._reader is None:
            raise Unavailable("The store is closed.", remedy="Start the daemon again.")
        try:
            return self._reader.execute(sql, parameters).fetchall()
        except _LIBRARY as error:
            raise self._in_words(error, Unavailable) from error

    def among(self, numbers: Sequence[int]) -> tuple[str, Any]:
        """Return the right side of ``idx`` being one of these numbers, and its parameter."""
        return "IN (SELECT value FROM json_each(?))", json.dumps(list(numbers))

    def _put(self, rows: list[Row], changes: Sequence[Put | Drop]) -> None:
        writer = self._connected()
        whole = len(rows) - len(rows) % _TOGETHER
        for place in range(0, whole, _TOGETHER):
            writer.execute(_INSERT_TOGETHER, list(chain.from_iterable(rows[place : place + _TOGETHER])))
        if whole < len(rows):
            writer.executemany(_INSERT, rows[whole:])
        for change in changes:
            done = writer.execute(*statement(change)).rowcount
            if done != 1 and isinstance(change, Put):
                found = writer.execute(VERSION_OF, (change.collection, change.key)).fetchone()
                raise version_conflict(change, found[0] if found else None)

    def _put_beside(self, tiles: Sequence[Tile], mark: tuple[int, bytes] | None) -> None:
        writer = self._connected()
        for tile in tiles:
            writer.execute(
                "INSERT INTO tile (level, number, root, hashes) VALUES (?, ?, ?, ?)",
                (tile.level, tile.number, tile.root, tile.hashes),
            )
        if mark is not None:
            writer.execute("INSERT OR REPLACE INTO mark (name, idx, body) VALUES ('open', ?, ?)", mark)

    def _make_folder(self) -> None:
        missing = not self._folder.exists()
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if missing:
            _sync_folder(self._folder.parent)

    def _prepare(self) -> None:
        """Check the version and make or migrate the schema on a connection of its own."""
        if not self._path.exists():
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
        connection = self._connection()
        try:
            tables = {
                row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            }
            stamp = None
            if VERSION_TABLE in tables:
                rows = connection.execute(f"SELECT version_num FROM {VERSION_TABLE}").fetchall()
                stamp = rows[0][0] if rows else None
        finally:
            connection.close()
        what = f"The database {self._path}"
        bring_to_head(stamp, tables, what, "sqlite", self._connection)
        if stamp is None:
            _sync_folder(self._folder)

    def _connect(self) -> None:
        self._writer = self._connection()
        mode = self._writer.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        if mode != "wal":
            raise Unavailable(
                f"The file system of {self._folder} cannot hold a write-ahead log.",
                remedy="Put the estate on a local disk.",
            )
        self._writer.execute("PRAGMA synchronous = FULL")
        self._writer.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        self._reader = self._connection()
        self._reader.execute("PRAGMA query_only = ON")

    def _disconnect(self) -> None:
        for connection in (self._reader, self._writer):
            if connection is not None:
                connection.close()
        self._reader = self._writer = None

    def _connection(self) -> sqlite3.Connection:
        return sqlite3.connect(
            self._path, timeout=self._busy_timeout_s, isolation_level=None, check_same_thread=False
        )

    def _connected(self) -> sqlite3.Connection:
        if self._writer is None:
            raise StoreFailed("The store's connection is closed.", remedy="Reopen the store.")
        return self._writer

    @contextmanager
    def _worded(self, kind: type[Unavailable]) -> Iterator[None]:
        try:
            yield
        except _LIBRARY as error:
            raise self._in_words(error, kind) from error

    def _in_words(
        self, error: Exception, kind: type[Unavailable] = StoreFailed, *, whole: bool = False
    ) -> FreeholdError:
        """Return what SQLite raised as an error of ours; BadInput for a batch's content unless ``whole``."""
        code = getattr(error, "sqlite_errorcode", 0)
        if code == sqlite3.SQLITE_CONSTRAINT_UNIQUE and not whole:
            return conflict("The journal already holds an INTENT or RESULT of this action's attempt.")
        if code == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY or "closed" in str(error):
            return kind(
                f"Something else has written to {self._path} or closed it.", remedy="Reopen the store."
            )
        if isinstance(error, _REFUSED_CONTENT) and not whole:
            return BadInput(f"SQLite refuses the content: {error}.", remedy="Correct the values.")
        return _in_words(error, code & 0xFF, self._path, kind)


def _in_words(error: Exception, code: int, path: Path, kind: type[Unavailable]) -> FreeholdError:
    if code == sqlite3.SQLITE_NOTADB:
        return BadInput(
            f"{path} is not a SQLite database.", remedy="Name Freehold's own folder or an empty one."
        )
    if code == sqlite3.SQLITE_CORRUPT:
        return Corrupt(
            f"The database {path} is damaged.", remedy="Restore the newest backup; then verify the journal."
        )
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return kind(
            f"The database {path} is locked by another process.",
            remedy="Close the program that has it open, then try again.",
            code="unavailable.store.locked",
        )
    if code == sqlite3.SQLITE_FULL:
        return kind(
            f"The disk that holds {path} is full.",
            remedy="Free some space, then resume.",
            code="unavailable.store.full",
        )
    if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH):
        return kind(
            f"The database {path} cannot be opened for writing.",
            remedy="Give this user the right to read and write the folder and its files.",
            code="unavailable.store.unreadable",
        )
    return kind(f"SQLite cannot go on with {path}: {error}.", remedy="Look at the disk and the system's log.")


def _unreadable(folder: Path, error: OSError) -> Unavailable:
    return Unavailable(
        f"The folder {folder} cannot be used for the store: {error.strerror}.",
        remedy="Name a folder that this user may read and write.",
        code="unavailable.store.unreadable",
    )


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
