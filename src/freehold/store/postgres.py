"""The store on PostgreSQL: one daemon writes, under an advisory lock and an epoch that every commit checks.

``open_store`` builds it and loads this module, and psycopg with it, only then. A group of entries is one
prepared statement in autocommit, its columns sent as arrays; the connection is a synchronous one because
group commit already decides which thread waits.
"""

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from freehold.base import BadInput, Clock, FreeholdError, StoreFailed, Unavailable
from freehold.store.arrays import bytea_array, int8_array, text_array
from freehold.store.documents import VERSION_OF, statement
from freehold.store.engine import Group, fenced, version_conflict
from freehold.store.interface import Drop, Put, Tile
from freehold.store.pgerrors import in_words
from freehold.store.rows import COLUMNS, Row
from freehold.store.schema import VERSION_TABLE, bring_to_head

OLDEST_SERVER: Final = 120_000
LOCK_CLASS: Final = int.from_bytes(b"free", "big")
"""First key of the one writer's advisory lock; the second is the schema, so that each may hold an estate."""

_DEFAULTS: Final = {
    "connect_timeout": "10",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}
_TYPES: Final = {
    "idx": "bigint", "form": "bigint", "attempt": "bigint", "item": "bigint", "ordinal": "bigint",
    "run": "bytea", "action": "bytea", "node": "text", "status": "text", "digest": "bytea", "leaf": "bytea",
    "deltas": "text", "body": "bytea", "payload": "bytea",
}  # fmt: skip
_PACK: Final[dict[str, Callable[[Sequence[Any]], bytes]]] = {
    "bigint": int8_array,
    "bytea": bytea_array,
    "text": text_array,
}
_PACKERS: Final = tuple(_PACK[_TYPES[column]] for column in COLUMNS)
_FENCE: Final = "SELECT 1 FROM house WHERE epoch = $1 FOR SHARE"
_INSERT: Final = (
    f"INSERT INTO entry ({', '.join(COLUMNS)}) SELECT entries.* FROM unnest("
    + ", ".join(f"${place}::{_TYPES[column]}[]" for place, column in enumerate(COLUMNS, 2))
    + ") AS entries, fence"
)
_ONE: Final = (
    f"INSERT INTO entry ({', '.join(COLUMNS)}) SELECT "
    + ", ".join(f"${place}::{_TYPES[column]}" for place, column in enumerate(COLUMNS, 2))
    + " FROM house WHERE epoch = $1 FOR SHARE"
)
_ENTRIES: Final = f"WITH fence AS MATERIALIZED ({_FENCE}) {_INSERT}"
_AND_TILES: Final = f"""
    WITH fence AS MATERIALIZED ({_FENCE}),
    tiles AS (
        INSERT INTO tile (level, number, root, hashes) SELECT tiles.*
        FROM unnest($16::bigint[], $17::bigint[], $18::bytea[], $19::bytea[]) AS tiles, fence
    ),
    marks AS (
        INSERT INTO mark (name, idx, body) SELECT 'open', marks.*
        FROM unnest($20::bigint[], $21::bytea[]) AS marks, fence
        ON CONFLICT (name) DO UPDATE SET idx = excluded.idx, body = excluded.body
    )
    {_INSERT}
"""


class PostgresEngine:
    """One estate's database. ``commit_delay_s`` is put into every commit, for tests and benchmarks."""

    def __init__(
        self, url: str, clock: Clock, *, commit_delay_s: float = 0.0, busy_timeout_s: float = 2.0
    ) -> None:
        self._clock = clock
        self._delay_s = commit_delay_s
        self._busy_timeout_s = busy_timeout_s
        self._conninfo, self._what = _address(url)
        self._writer: psycopg.Connection[Any] | None = None
        self._reader: psycopg.Connection[Any] | None = None
        self._prepared: dict[str, bytes] = {}
        self._epoch = 0
        self._staged: tuple[Group, list[Any]] | None = None

    def open(self) -> int:
        """Take the lock, check or make the schema, take the next fencing epoch and return it."""
        try:
            with self._worded(Unavailable):
                writer = self._connect_writer()
                self._prepare_schema(writer)
                taken = writer.execute("UPDATE house SET epoch = epoch + 1 RETURNING epoch").fetchall()
                self._epoch = int(taken[0][0])
                self._reader = self._connect_reader()
                return self._epoch
        except BaseException:
            self.close()
            raise

    def reopen(self) -> None:
        """Connect again under the same lock and epoch; raises StoreFailed if another owns the store."""
        self.close()
        try:
            with self._worded(StoreFailed):
                writer = self._connect_writer()
                if writer.execute("SELECT epoch FROM house").fetchall() != [(self._epoch,)]:
                    raise fenced()
                self._reader = self._connect_reader()
        except FreeholdError as error:
            self.close()
            raise StoreFailed(error.message, remedy=error.remedy, code=error.code) from error

    def close(self) -> None:
        """Close the connections; the lock goes with the one that writes."""
        for connection in (self._reader, self._writer):
            if connection is not None:
                with contextlib.suppress(psycopg.Error):
                    connection.close()
        self._reader = self._writer = None
        self._prepared = {}

    def stage(self, group: Group) -> None:
        """Encode the group; nothing is sent yet."""
        alone = len(group.rows) == 1 and not group.tiles and group.mark is None
        self._staged = group, group.rows[0] if alone else _packed(group)

    def commit(self) -> float:
        """Commit what is staged durably, all or nothing; returns the seconds that took."""
        if self._staged is None:
            return self._commit_transaction()
        (group, packed), self._staged = self._staged, None
        if group.changes:
            self.begin()
            if packed:
                self._insert(packed, len(group.rows))
            self._change(group.changes)
            return self._commit_transaction()
        started = self._clock.monotonic_s()
        self._wait()
        self._insert(packed, len(group.rows))
        return self._clock.monotonic_s() - started

    def begin(self) -> None:
        """Begin a transaction that parts are put into one by one."""
        self._command("BEGIN")
        if self._run(_FENCE, (self._epoch,)).ntuples != 1:
            raise fenced()

    def attempt(self, rows: list[Row], changes: Sequence[Put | Drop]) -> None:
        """Put a part into the transaction; on BadInput the part alone is undone."""
        self._command("SAVEPOINT part")
        try:
            if rows:
                self._insert(rows[0] if len(rows) == 1 else _packed(Group(rows)), len(rows))
            self._change(changes)
        except BadInput:
            self._command("ROLLBACK TO SAVEPOINT part")
            raise
        self._command("RELEASE SAVEPOINT part")

    def finish(self, tiles: Sequence[Tile], mark: tuple[int, bytes] | None) -> float:
        """Commit the transaction durably; returns the seconds that the commit itself took."""
        if tiles or mark is not None:
            self._insert(_packed(Group([], [], tiles, mark)), 0)
        return self._commit_transaction()

    def abandon(self) -> None:
        """Undo what is not committed, if anything; never raises."""
        self._staged = None
        # A failure here leaves a dead connection, which `reopen` replaces.
        with contextlib.suppress(psycopg.Error):
            idle = (pq.TransactionStatus.IDLE, pq.TransactionStatus.UNKNOWN)
            if self._writer is not None and self._writer.info.transaction_status not in idle:
                self._writer.pgconn.exec_(b"ROLLBACK")

    def drop_payloads(self, indices: Sequence[int]) -> None:
        """Set the payload of these entries to null, durably."""
        try:
            self.begin()
            self._run("UPDATE entry SET payload = NULL WHERE idx = ANY($1::bigint[])", (int8_array(indices),))
            self._commit_transaction()
        finally:
            self.abandon()

    def fetch(self, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
        """Return all rows of a SELECT over committed state; ``?`` marks a parameter."""
        if self._writer is None:
            raise Unavailable("The store is closed.", remedy="Reopen the store.")
        with self._worded(Unavailable):
            # A reader that the server dropped while the writer lives is simply made anew.
            if self._reader is None or self._reader.closed:
                self._reader = self._connect_reader()
            return self._reader.execute(sql.replace("?", "%s"), parameters, binary=True).fetchall()

    def among(self, numbers: Sequence[int]) -> tuple[str, Any]:
        """Return the right side of ``idx`` being one of these numbers, and its parameter."""
        return "= ANY(?)", list(numbers)

    def _insert(self, packed: list[Any], count: int) -> None:
        sql = _AND_TILES if len(packed) > len(COLUMNS) else _ONE if count == 1 else _ENTRIES
        if self._run(sql, (self._epoch, *packed)).command_tuples != count:
            raise fenced()

    def _change(self, changes: Sequence[Put | Drop]) -> None:
        for change in changes:
            sql, parameters = statement(change)
            done = self._run(sql, parameters).command_tuples
            if done != 1 and isinstance(change, Put):
                found = self._run(VERSION_OF, (change.collection, change.key))
                raise version_conflict(change, int(found.get_value(0, 0) or 0) if found.ntuples else None)

    def _commit_transaction(self) -> float:
        started = self._clock.monotonic_s()
        self._wait()
        if self._command("COMMIT").command_status != b"COMMIT":
            raise StoreFailed("PostgreSQL rolled the commit back.", remedy="Look at the server's log.")
        return self._clock.monotonic_s() - started

    def _run(self, sql: str, parameters: Sequence[Any] = ()) -> "pq.abc.PGresult":
        """Run a prepared statement on the driver's lowest level: it is the path of every action."""
        connection = self._connected()
        name = self._prepared.get(sql)
        if name is None:
            name = b"freehold_%d" % len(self._prepared)
            self._checked(connection.prepare(name, _numbered(sql).encode()))
            self._prepared[sql] = name
        values: list[Any] = []
        formats: list[int] = []
        for value in parameters:
            binary = value is None or type(value) is bytes
            values.append(value if binary else str(value).encode())
            formats.append(pq.Format.BINARY if binary else pq.Format.TEXT)
        return self._checked(connection.exec_prepared(name, values, formats))

    def _command(self, sql: str) -> "pq.abc.PGresult":
        return self._checked(self._connected().exec_(sql.encode()))

    def _checked(self, result: "pq.abc.PGresult") -> "pq.abc.PGresult":
        if result.status in (pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK):
            return result
        raise in_words(psycopg.errors.error_from_result(result), self._what, StoreFailed)

    def _wait(self) -> None:
        if self._delay_s:
            time.sleep(self._delay_s)

    def _connected(self) -> "pq.abc.PGconn":
        if self._writer is None or self._writer.pgconn.status != pq.ConnStatus.OK:
            raise StoreFailed(f"The connection to {self._what} is lost.", remedy="Reopen the store.")
        return self._writer.pgconn

    def _connect(self, role: str) -> psycopg.Connection[Any]:
        name = f"freehold {os.getpid()} {role}"
        return psycopg.connect(self._conninfo, autocommit=True, application_name=name)

    def _connect_reader(self) -> psycopg.Connection[Any]:
        reader = self._connect("reads")
        reader.execute("SET default_transaction_read_only = on")
        return reader

    def _connect_writer(self) -> psycopg.Connection[Any]:
        """Connect, see that the server can keep the promise, take the lock."""
        writer = self._writer = self._connect("writes")
        version = writer.info.server_version
        if version < OLDEST_SERVER:
            raise BadInput(
                f"{self._what} runs PostgreSQL {version // 10_000}, which is too old.",
                remedy="Use version 12 or newer.",
            )
        if writer.info.parameter_status("server_encoding") != "UTF8":
            raise BadInput(f"{self._what} is not in UTF-8.", remedy="Create it with ENCODING 'UTF8'.")
        settings = "SELECT current_setting('transaction_read_only'), current_setting('synchronous_commit')"
        read_only, synchronous = writer.execute(settings).fetchall()[0]
        if read_only == "on":
            raise Unavailable(
                f"{self._what} is read-only: a standby, or set so.",
                remedy="Use the primary server's address.",
            )
        if synchronous == "off":
            writer.execute("SET synchronous_commit = on")
        writer.execute(f"SET lock_timeout = {max(1, round(self._busy_timeout_s * 1_000))}")
        writer.execute("SET idle_in_transaction_session_timeout = 0")
        if not writer.execute(
            "SELECT pg_try_advisory_lock(%s, hashtext(current_schema()))", (LOCK_CLASS,)
        ).fetchall()[0][0]:
            raise self._in_use(writer)
        return writer

    def _in_use(self, writer: psycopg.Connection[Any]) -> Unavailable:
        holders = writer.execute(
            "SELECT activity.application_name, coalesce(host(activity.client_addr), 'this machine') "
            "FROM pg_locks JOIN pg_stat_activity AS activity USING (pid) "
            "WHERE locktype = 'advisory' AND granted AND pg_locks.database = "
            "(SELECT oid FROM pg_database WHERE datname = current_database()) "
            "AND classid::bigint = %s AND objid = hashtext(current_schema())::bigint & 4294967295",
            (LOCK_CLASS,),
        ).fetchall()
        name, host = holders[0] if holders else ("", "")
        words = (name or "").split()
        process = (
            f"process {words[1]} on {host}" if words[:1] == ["freehold"] and len(words) > 1 else "another"
        )
        return Unavailable(
            f"{self._what} is in use by {process}.",
            remedy="One daemon serves an estate: stop that process, or name another database.",
            code="unavailable.store.locked",
        )

    def _prepare_schema(self, writer: psycopg.Connection[Any]) -> None:
        found = writer.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
        ).fetchall()
        tables = {row[0] for row in found}
        stamp = None
        if VERSION_TABLE in tables:
            rows = writer.execute(f"SELECT version_num FROM {VERSION_TABLE}").fetchall()
            stamp = rows[0][0] if rows else None
        bring_to_head(stamp, tables, self._what, "postgresql+psycopg", lambda: self._connect("migrates"))

    @contextmanager
    def _worded(self, kind: type[Unavailable]) -> Iterator[None]:
        try:
            yield
        except (psycopg.Error, UnicodeEncodeError, OverflowError) as error:
            raise in_words(error, self._what, kind) from error


def _packed(group: Group) -> list[bytes]:
    """Return the statement's arrays: the entries', and those of tiles and mark where there are any."""
    if not group.rows and not group.tiles and group.mark is None:
        return []
    columns = zip(*group.rows, strict=True) if group.rows else [()] * len(COLUMNS)
    packed = [pack(column) for pack, column in zip(_PACKERS, columns, strict=True)]
    tiles, mark = group.tiles, group.mark
    if tiles or mark is not None:
        packed += [
            int8_array([tile.level for tile in tiles]),
            int8_array([tile.number for tile in tiles]),
            bytea_array([tile.root for tile in tiles]),
            bytea_array([tile.hashes for tile in tiles]),
            int8_array([] if mark is None else [mark[0]]),
            bytea_array([] if mark is None else [mark[1]]),
        ]
    return packed


def _numbered(sql: str) -> str:
    """Return the statement with ``$1``, ``$2``, … for each ``?``."""
    first, *rest = sql.split("?")
    return first + "".join(f"${place}{part}" for place, part in enumerate(rest, 1))


def _address(url: str) -> tuple[str, str]:
    """Return the connection string with our defaults, and the name of the database without its password."""
    try:
        given = conninfo_to_dict(url)
    except psycopg.Error as error:
        raise BadInput(
            "The store's address is not a PostgreSQL URL.",
            remedy="Write postgresql://user@host:port/database.",
        ) from error
    name = given.get("dbname") or given.get("user") or "?"
    host, port = given.get("host") or "this machine", given.get("port")
    what = f"The PostgreSQL database {name} on {host}{f':{port}' if port else ''}"
    return make_conninfo(url, **{key: value for key, value in _DEFAULTS.items() if key not in given}), what
