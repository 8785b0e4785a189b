"""What the engines' libraries say becomes one of our sentences, whatever state the database is in."""

import sqlite3
from pathlib import Path

import psycopg
import pytest

from freehold.base import BadInput, Corrupt, FreeholdError, StoreFailed, SystemClock
from freehold.store import Batch, Cost, open_store
from freehold.store.pgerrors import in_words
from tests.store.helpers import OTHER_RUN, RUN, MemoryTree, intent, note, opened, result

WHAT = "The PostgreSQL database estate on db"


@pytest.mark.parametrize(
    ("error", "kind", "says", "code"),
    [
        (psycopg.errors.DiskFull("x"), StoreFailed, "has no disk space left", "unavailable.store.full"),
        (psycopg.errors.CannotConnectNow("x"), StoreFailed, "is starting up", "unavailable.store"),
        (psycopg.errors.AdminShutdown("x"), StoreFailed, "was shut down", "unavailable.store"),
        (psycopg.errors.CrashShutdown("x"), StoreFailed, "crashed and restarts", "unavailable.store"),
        (psycopg.errors.TooManyConnections("x"), StoreFailed, "has no connection left", "unavailable.store"),
        (psycopg.errors.ReadOnlySqlTransaction("x"), StoreFailed, "is read-only", "unavailable.store"),
        (
            psycopg.errors.LockNotAvailable("x"),
            StoreFailed,
            "is locked by another",
            "unavailable.store.locked",
        ),
        (psycopg.errors.InsufficientPrivilege("x"), StoreFailed, "the right to do that", "unavailable.store"),
        (psycopg.errors.UndefinedTable("no\nmore"), StoreFailed, "cannot go on: no.", "unavailable.store"),
        (psycopg.errors.DataCorrupted("x"), Corrupt, "is damaged", "corrupt"),
        (
            psycopg.errors.ProgramLimitExceeded("too long"),
            BadInput,
            "refuses the content: too long.",
            "input",
        ),
        (psycopg.errors.UniqueViolation("x"), StoreFailed, "written to the journal", "unavailable.store"),
        (
            psycopg.OperationalError("connection failed: FATAL: the database system is starting up"),
            StoreFailed,
            "is starting up",
            "unavailable.store",
        ),
        (
            psycopg.OperationalError('connection failed: FATAL: password authentication failed for user "x"'),
            StoreFailed,
            "refuses the password",
            "unavailable.store",
        ),
        (
            psycopg.OperationalError("consuming input failed: server closed the connection unexpectedly"),
            StoreFailed,
            "is not reachable: consuming input failed",
            "unavailable.store.unreachable",
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_every_state_of_a_server_has_its_sentence(
    error: Exception, kind: type[FreeholdError], says: str, code: str
) -> None:
    found = in_words(error, WHAT, StoreFailed)
    assert type(found) is kind
    assert says in found.message
    assert found.code == code
    assert found.remedy


async def test_no_question_reads_the_whole_journal(tmp_path: Path) -> None:
    async with opened(str(tmp_path)) as store:
        await store.commit(Batch([intent(0, reserved=Cost(actions=1)), result(0), note("n", run=RUN)]))
    asked: list[str] = []
    store = open_store(tmp_path, SystemClock(), MemoryTree())
    engine = store._engine
    reader = engine._reader  # type: ignore[attr-defined]
    reader.set_trace_callback(asked.append)
    store._size_on_disk()
    store._restore_open()
    list(store.entries(0, 3))
    list(store.leaves(0, 3))
    list(store.entries_of_run(RUN))
    store.actions_of_run(OTHER_RUN)
    store.open_intents()
    store.tiles(0, 0, 9)
    store.document("a", "b")
    store.documents("a")
    store.documents("a", state="open", prefix="x")
    reader.set_trace_callback(None)
    assert len(asked) >= 12
    for question in asked:
        plan = [row[3] for row in engine.fetch(f"EXPLAIN QUERY PLAN {question}")]
        scans = [step for step in plan if step.startswith("SCAN")]
        assert [step for step in scans if "json_each" not in step] == [], question
        assert not any("TEMP B-TREE" in step for step in plan), question
    await store.close()


async def test_every_failure_of_sqlite_has_its_sentence(tmp_path: Path) -> None:
    store = open_store(tmp_path, SystemClock(), MemoryTree())
    worded = store._engine._in_words  # type: ignore[attr-defined]
    for code, says in {
        sqlite3.SQLITE_FULL: "is full",
        sqlite3.SQLITE_BUSY: "is locked by another process",
        sqlite3.SQLITE_IOERR: "cannot go on",
        sqlite3.SQLITE_READONLY: "cannot be opened for writing",
        sqlite3.SQLITE_CORRUPT: "is damaged",
        sqlite3.SQLITE_NOTADB: "is not a SQLite database",
        sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY: "Something else has written",
    }.items():
        error = sqlite3.OperationalError("what the library says")
        error.sqlite_errorcode = code
        found = worded(error)
        assert says in found.message
        assert found.remedy
    await store.close()
