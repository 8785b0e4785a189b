"""Questions to an SQLite file of a source: answered from a copy, within bounds, and nothing is ever changed."""

import hashlib
import sqlite3
from pathlib import Path

import pytest

from freehold.base import BadInput
from freehold.kernel.labels import Integrity
from freehold.kernel.rights import right
from freehold.reader import sql
from freehold.runtime.job import Source
from freehold.sandbox import Level
from tests.tools.conftest import Desk


@pytest.fixture
def ledger(desk: Desk, tmp_path: Path) -> Path:
    """A database in a source that the job reads."""
    folder = tmp_path / "books"
    folder.mkdir()
    path = folder / "ledger.db"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE paid (who TEXT, cents INTEGER, rate REAL, scan BLOB)")
        connection.executemany(
            "INSERT INTO paid VALUES (?, ?, ?, ?)", [("Ben", 1250, 0.19, b"xx"), ("Cy", 300, 0.07, None)]
        )
    connection.close()
    desk.sources = {"books": Source(str(folder), trust=Integrity.ESTATE)}
    desk.folders = {"books": folder}
    desk.may = (right("source.read", "books"),)
    return path


async def test_a_query_is_answered_and_the_file_stays_as_it_is(desk: Desk, ledger: Path) -> None:
    before = hashlib.sha256(ledger.read_bytes()).hexdigest()
    desk.estate.level = Level.NAMESPACES
    asked = {"source": "books", "path": "ledger.db"}
    total, rows = await desk.ask(
        (
            "sql.query",
            {**asked, "query": "SELECT sum(cents) AS total FROM paid WHERE who = ?", "values": ["Ben"]},
        ),
        ("sql.query", {**asked, "query": "SELECT * FROM paid ORDER BY who", "limit": 1}),
    )
    assert total == {"columns": ["total"], "rows": [[1250]], "truncated": False}
    assert rows == {
        "columns": ["who", "cents", "rate", "scan"], "rows": [["Ben", 1250, "0.19", "(2 bytes)"]], "truncated": True
    }  # fmt: skip
    assert hashlib.sha256(ledger.read_bytes()).hexdigest() == before
    assert desk.label().integrity is Integrity.ESTATE


async def test_what_is_no_database_and_no_query_gets_a_sentence(desk: Desk, ledger: Path) -> None:
    (ledger.parent / "notes.txt").write_text("no database")
    said = await desk.refused("sql.query", source="books", path="notes.txt", query="SELECT 1")
    assert "is no SQLite database" in said
    said = await desk.refused("sql.query", source="books", path="ledger.db", query="SELECT * FROM nobody")
    assert "no such table: nobody" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    "query",
    ["DELETE FROM paid", "INSERT INTO paid VALUES (1,2,3,4)", "DROP TABLE paid", "ATTACH '/etc/passwd' AS x",
     "PRAGMA writable_schema=ON", "SELECT 1; DELETE FROM paid", "VACUUM INTO '/tmp/x'", "CREATE TEMP TABLE t (a)",
     "SELECT load_extension('x')", "BEGIN", "", "SELECT zeroblob(1000000000)", "EXPLAIN DELETE FROM paid",
     "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM n) SELECT count(*) FROM n"],
)  # fmt: skip
def test_nothing_but_a_select_that_ends_is_answered(ledger: Path, query: str) -> None:
    with pytest.raises(BadInput):
        sql.read(ledger.read_bytes(), {"query": query, "limit": 10})


def test_an_answer_is_bounded(ledger: Path) -> None:
    many = (
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM n LIMIT 100000) SELECT x, hex(x) FROM n"
    )
    found = sql.read(ledger.read_bytes(), {"query": many, "limit": 10**9})
    assert (len(found["rows"]), found["truncated"]) == (500, True)
    wide = sql.read(ledger.read_bytes(), {"query": "SELECT printf('%.*c', 100000, 'x')", "limit": 1})
    assert len(wide["rows"][0][0]) == 4_000


@pytest.mark.parametrize("cut", [0, 16, 100, 5_000])
def test_a_damaged_database_gets_a_sentence(ledger: Path, cut: int) -> None:
    data = bytearray(ledger.read_bytes())
    data[cut:] = b"\xff" * len(data[cut:])
    with pytest.raises(BadInput):
        sql.read(bytes(data), {"query": "SELECT * FROM paid", "limit": 10})
