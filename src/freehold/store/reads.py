"""Every question that the house asks of a store, written once for both engines.

Only ``journal.py`` builds on it. Rows come in bounded pages and no cursor stays open between them, so that a
slow reader never holds the database's past alive.
"""

from array import array
from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from freehold.store.engine import Engine
from freehold.store.interface import Document, Entry, RunAction, Tile
from freehold.store.rows import ACTION, COLUMNS, INTENT, REFUSAL, RESULT_FINAL, entry_of, id_bytes

PAGE_ROWS: Final = 256
_NARROW_PAGE_ROWS: Final = 4096
_ALL: Final = ", ".join(COLUMNS)


class Reads:
    """The reading half of a store. ``_size`` is the number of entries whose commit memory has taken in."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._size = 0

    def size(self) -> int:
        """Number of committed entries."""
        return self._size

    def entries(self, start: int, stop: int) -> Iterator[Entry]:
        """Yield committed entries in order, read in bounded pages."""
        for row in self._pages(_ALL, start, stop, PAGE_ROWS):
            yield entry_of(row)

    def leaves(self, start: int, stop: int) -> Iterator[bytes]:
        """Yield the leaf hashes of committed entries in order."""
        for row in self._pages("idx, leaf", start, stop, _NARROW_PAGE_ROWS):
            yield row[1]

    def entry(self, index: int) -> Entry | None:
        """Return one entry."""
        return next(self.entries(index, index + 1), None)

    def entries_of_run(self, run: str, start: int = 0) -> Iterator[Entry]:
        """Yield the entries of a run in order from journal index ``start``."""
        key = id_bytes(run)
        found = self._engine.fetch(
            f"SELECT idx FROM entry WHERE run = ? AND form <= {RESULT_FINAL} AND idx >= ? "
            f"UNION ALL SELECT idx FROM entry WHERE run = ? AND form >= {REFUSAL} AND idx >= ?",
            (key, start, key, start),
        )
        yield from self._entries_at(array("q", sorted(row[0] for row in found)))

    def actions_of_run(self, run: str) -> list[RunAction]:
        """Return the newest attempt of every action of a run, in one query and without contents."""
        rows = self._engine.fetch(
            "SELECT action, node, item, ordinal, attempt, form, idx, status, leaf, digest FROM entry "
            f"WHERE run = ? AND form <= {RESULT_FINAL} ORDER BY node, item, ordinal, action, attempt, form",
            (id_bytes(run),),
        )
        newest: dict[bytes, RunAction] = {}
        for action, node, item, ordinal, attempt, form, index, status, leaf, digest in rows:
            if form == INTENT:
                newest[action] = RunAction(
                    action.hex(), node, item, ordinal, attempt, index, leaf, None, "", digest
                )
                continue
            intent = newest.get(action)
            if intent is not None and intent.attempt == attempt:
                newest[action] = msgspec.structs.replace(intent, result_index=index, status=status)
        return list(newest.values())

    def tiles(self, level: int, first: int, count: int) -> list[Tile]:
        """Return full tiles of a level, in order."""
        rows = self._engine.fetch(
            "SELECT level, number, hashes, root FROM tile WHERE level = ? AND number >= ? AND number < ? "
            "ORDER BY number",
            (level, first, first + count),
        )
        return [Tile(*row) for row in rows]

    def document(self, collection: str, key: str) -> Document | None:
        """Return one document."""
        rows = self._engine.fetch(
            "SELECT collection, key, body, state, version FROM document WHERE collection = ? AND key = ?",
            (collection, key),
        )
        return Document(*rows[0]) if rows else None

    def documents(
        self, collection: str, *, state: str | None = None, prefix: str = "", limit: int = 1_000_000
    ) -> list[Document]:
        """Return documents of a collection by key order, of one state or with keys that begin so."""
        where, parameters = ["collection = ?"], [collection]
        if state is not None:
            where.append("state = ?")
            parameters.append(state)
        if prefix:
            where.append("key >= ?")
            parameters.append(prefix)
            after = _after(prefix)
            if after is not None:
                where.append("key < ?")
                parameters.append(after)
        rows = self._engine.fetch(
            f"SELECT collection, key, body, state, version FROM document WHERE {' AND '.join(where)} "
            f"ORDER BY key LIMIT {int(limit)}",
            parameters,
        )
        return [Document(*row) for row in rows]

    def _tail(self, start: int) -> Iterator[Sequence[Any]]:
        """Yield the columns up to the action of entries from ``start``."""
        return self._pages(", ".join(COLUMNS[: ACTION + 1]), start, self._size, _NARROW_PAGE_ROWS)

    def _pages(self, columns: str, start: int, stop: int, rows: int) -> Iterator[Any]:
        """Yield rows of the index range; ``columns`` begins with ``idx``."""
        start, stop = max(start, 0), min(stop, self._size)
        sql = f"SELECT {columns} FROM entry WHERE idx >= ? AND idx < ? ORDER BY idx"
        while start < stop:
            page = min(start + rows, stop)
            yield from self._engine.fetch(sql, (start, page))
            start = page

    def _entries_at(self, indices: "array[int]") -> Iterator[Entry]:
        for place in range(0, len(indices), PAGE_ROWS):
            among, numbers = self._engine.among(indices[place : place + PAGE_ROWS])
            sql = f"SELECT {_ALL} FROM entry WHERE idx {among} ORDER BY idx"
            for row in self._engine.fetch(sql, (numbers,)):
                yield entry_of(row)


def _after(prefix: str) -> str | None:
    """Return the smallest text above everything that begins with ``prefix``, by code point; None if none."""
    head = prefix.rstrip(chr(0x10FFFF))
    if not head:
        return None
    following = ord(head[-1]) + 1
    if 0xD800 <= following <= 0xDFFF:  # half pairs are no text
        following = 0xE000
    return head[:-1] + chr(following)
