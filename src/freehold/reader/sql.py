"""One query over a copy of an SQLite database in memory: it only reads, for a few seconds."""

import sqlite3
import time
from typing import Any, Final

from freehold.base import BadInput

MAX_ROWS: Final = 500
MAX_CELL: Final = 4_000
MAX_ANSWER: Final = 1 << 20
LIMIT_S: Final = 5.0
_STEPS: Final = 10_000
_JOURNAL: Final = slice(18, 20)
_REFUSED: Final = frozenset(
    {"load_extension", "fts3_tokenizer", "writefile", "readfile", "edit", "zeroblob", "randomblob"}
)
_ALLOWED: Final = (
    sqlite3.SQLITE_SELECT,
    sqlite3.SQLITE_READ,
    sqlite3.SQLITE_FUNCTION,
    sqlite3.SQLITE_RECURSIVE,
)


def read(data: bytes, options: dict[str, Any]) -> dict[str, Any]:
    """Return ``columns`` and ``rows`` of the query; raises BadInput for what is no database or no query."""
    if not data.startswith(b"SQLite format 3\0"):
        raise BadInput("The file is no SQLite database.", remedy="Name one.")
    image = bytearray(data)
    image[_JOURNAL] = b"\x01\x01"  # one in WAL mode cannot be opened in memory; its log is not here anyway
    connection = sqlite3.connect(":memory:")
    try:
        connection.deserialize(bytes(image))
        connection.execute("PRAGMA trusted_schema=OFF")
        connection.execute("PRAGMA query_only=ON")
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 16 << 20)
        connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        deadline = time.monotonic() + LIMIT_S
        connection.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)
        connection.set_authorizer(_judge)
        return _answer(
            connection, str(options["query"]), int(options["limit"]), list(options.get("values", []))
        )
    except sqlite3.OperationalError as error:
        if "interrupted" in str(error):
            raise BadInput(f"The query took over {LIMIT_S:g} s.", remedy="Ask for less.") from error
        raise BadInput(
            f"The query cannot be answered: {error}.", remedy="See the tables in sqlite_master."
        ) from error
    except (sqlite3.Error, sqlite3.Warning, OverflowError) as error:
        raise BadInput(
            f"The query cannot be answered: {error}.", remedy="Only one SELECT is answered."
        ) from error
    finally:
        connection.close()


def _answer(connection: sqlite3.Connection, query: str, limit: int, values: list[Any]) -> dict[str, Any]:
    cursor = connection.execute(query, values)
    if cursor.description is None:
        raise BadInput("The query asks for nothing.", remedy="Only one SELECT is answered.")
    rows: list[list[str | int | None]] = []
    most, room, more = max(1, min(limit, MAX_ROWS)), MAX_ANSWER, False
    for row in cursor:
        cells = [_cell(value) for value in row]
        room -= sum(len(cell) if isinstance(cell, str) else 8 for cell in cells)
        if len(rows) >= most or room < 0:
            more = True
            break
        rows.append(cells)
    return {
        "columns": [str(column[0])[:200] for column in cursor.description],
        "rows": rows,
        "truncated": more,
    }


def _judge(action: int, first: str | None, second: str | None, base: str | None, inner: str | None) -> int:
    if action == sqlite3.SQLITE_FUNCTION and (second or "").lower() in _REFUSED:
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK if action in _ALLOWED else sqlite3.SQLITE_DENY


def _cell(value: Any) -> str | int | None:
    """Return a value as JSON without floats: bytes by their number, a number with a fraction as text."""
    if isinstance(value, bytes):
        return f"({len(value):,} bytes)"
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()[:MAX_CELL]
    return value if value is None or abs(value) < 2**53 else str(value)
