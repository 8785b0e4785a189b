"""What every test of the store builds from: drafts, a tree that only remembers, an opened store."""

import asyncio
import hashlib
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import psycopg

from freehold.base import SystemClock, action_id
from freehold.store import Batch, EntryDraft, EntryKind, LeafSink, Store, Tile, open_store

RUN = "0190000000007000a000000000000001"
OTHER_RUN = "0190000000007000a000000000000002"


class MemoryTree:
    """A sink that keeps the leaves in order; every 256 of them fill a tile of level 0."""

    def __init__(self) -> None:
        self.leaves: list[bytes] = []

    def tiles_for(self, first_index: int, leaves: Sequence[bytes]) -> Sequence[Tile]:
        assert first_index == len(self.leaves)
        known = [*self.leaves[first_index // 256 * 256 :], *leaves]
        tiles = []
        for place in range(0, len(known) - 255, 256):
            hashes = b"".join(known[place : place + 256])
            number = first_index // 256 + place // 256
            tiles.append(Tile(0, number, hashes, hashlib.sha256(hashes).digest()))
        return tiles

    def advance(self, first_index: int, leaves: Sequence[bytes]) -> None:
        assert first_index == len(self.leaves)
        self.leaves.extend(leaves)


def draft(kind: EntryKind, text: str = "", **columns: Any) -> EntryDraft:
    body = f"{kind.name}:{text}:{sorted(columns.items())}".encode()
    return EntryDraft(kind, body, hashlib.sha256(b"\0" + body).digest(), **columns)


def intent(item: int, *, attempt: int = 1, run: str = RUN, node: str = "read", **columns: Any) -> EntryDraft:
    place: dict[str, Any] = {"run": run, "node": node, "item": item, "ordinal": 0}
    action = action_id(run, node, item, 0)
    digest = hashlib.sha256(action.encode()).digest()
    return draft(EntryKind.INTENT, action=action, attempt=attempt, digest=digest, **place, **columns)


def result(
    item: int, status: str = "done", *, attempt: int = 1, run: str = RUN, node: str = "read", **columns: Any
) -> EntryDraft:
    place: dict[str, Any] = {"run": run, "node": node, "item": item, "ordinal": 0}
    action = action_id(run, node, item, 0)
    return draft(EntryKind.RESULT, action=action, attempt=attempt, status=status, **place, **columns)


def note(text: str, **columns: Any) -> EntryDraft:
    return draft(EntryKind.NOTE, text, **columns)


@asynccontextmanager
async def opened(address: str, tree: LeafSink | None = None, **options: Any) -> AsyncIterator[Store]:
    """A store whose tree knows what the store holds, closed afterwards."""
    sink = MemoryTree() if tree is None else tree
    store = open_store(address, SystemClock(), sink, **options)
    if isinstance(sink, MemoryTree):
        sink.leaves = list(store.leaves(0, store.size()))
    try:
        yield store
    finally:
        await store.close()


async def commit_all(store: Store, drafts: Sequence[EntryDraft]) -> list[int]:
    """Commit each draft as its own batch, all at once."""
    return list(await asyncio.gather(*(store.commit(Batch([entry])) for entry in drafts)))


def sql(address: str, *statements: str) -> None:
    """Run statements in the database behind the store's back."""
    if address.startswith("postgresql:"):
        with psycopg.connect(address, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())
        return
    with closing(sqlite3.connect(Path(address) / "freehold.db", isolation_level=None)) as database:
        for statement in statements:
            database.execute(statement)
