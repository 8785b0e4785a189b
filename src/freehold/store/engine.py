"""What an engine does for the store: one durable write at a time, and rows for a question.

Only ``journal.py`` calls it; ``sqlite.py`` and ``postgres.py`` implement it. An engine keeps no state of the
journal; it says BadInput when the database refuses the content of a batch, StoreFailed when it cannot promise
durability, and lets no exception of its library out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from freehold.base import BadInput, StoreFailed
from freehold.store.interface import CONFLICT, Drop, Put, Tile
from freehold.store.rows import Row


@dataclass(slots=True)
class Group:
    """What one commit writes. ``rows`` carry their index; ``mark`` is (index, body) of the open intents."""

    rows: list[Row]
    changes: Sequence[Put | Drop] = ()
    tiles: Sequence[Tile] = ()
    mark: tuple[int, bytes] | None = None


class Engine(Protocol):
    """One database, opened by the one process that writes it; keeps the epoch that ``open`` took."""

    def open(self) -> int:
        """Take the lock, check or make the schema, take the next fencing epoch and return it.

        Raises BadInput (not ours, newer version), Unavailable (not reachable, locked), Corrupt. On failure
        nothing stays open.
        """
        ...

    def reopen(self) -> None:
        """Connect again under the same lock and epoch; raises StoreFailed if another owns the store."""
        ...

    def close(self) -> None:
        """Close the connections, then release the lock."""
        ...

    def stage(self, group: Group) -> None:
        """Bring a group as far as it goes on the loop: what costs processor time, nothing that waits.

        In the writer thread the same work would give the interpreter's lock away and wait for it, row by row.
        Raises BadInput when the database refuses the content already.
        """
        ...

    def commit(self) -> float:
        """Commit what is staged durably, all or nothing; returns the seconds that took.

        May run in the writer thread. Raises BadInput when the database refuses the content.
        """
        ...

    def begin(self) -> None:
        """Begin a transaction that parts are put into one by one, instead of ``stage`` and ``commit``."""
        ...

    def attempt(self, rows: list[Row], changes: Sequence[Put | Drop]) -> None:
        """Put a part into the transaction; on BadInput the part alone is undone."""
        ...

    def finish(self, tiles: Sequence[Tile], mark: tuple[int, bytes] | None) -> float:
        """Commit the transaction durably; returns the seconds that the commit itself took."""
        ...

    def abandon(self) -> None:
        """Undo what is not committed, if anything; never raises."""
        ...

    def drop_payloads(self, indices: Sequence[int]) -> None:
        """Set the payload of these entries to null, durably."""
        ...

    def fetch(self, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
        """Return all rows of a SELECT over committed state; ``?`` marks a parameter."""
        ...

    def among(self, numbers: Sequence[int]) -> tuple[str, Any]:
        """Return the right side of ``idx`` being one of these numbers, and its parameter."""
        ...


def conflict(message: str) -> BadInput:
    """Return the error for a version or a uniqueness that does not hold."""
    return BadInput(message, remedy="Read the state again and decide anew.", code=CONFLICT)


def version_conflict(put: Put, found: int | None) -> BadInput:
    """Return the error for a document whose version is not the expected one; ``found`` None: no document."""
    name = f"The document {put.collection}/{put.key}"
    if put.expect == 0:
        return conflict(f"{name} exists already.")
    if found is None:
        return conflict(f"{name} does not exist; version {put.expect} was expected.")
    return conflict(f"{name} has version {found}; version {put.expect} was expected.")


def fenced() -> StoreFailed:
    """Return the error for a commit under an epoch that is no longer the newest."""
    return StoreFailed(
        "Another process has taken the store over; this one may not write any more.",
        remedy="Stop this daemon; the other one has its work.",
        code="unavailable.store.fenced",
    )
