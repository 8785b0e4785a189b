"""The only room that speaks SQL: the journal and the documents beside it, on SQLite and on PostgreSQL."""

from freehold.store.interface import (
    CONFLICT,
    UNKNOWN,
    Batch,
    CommitStats,
    Cost,
    Document,
    Drop,
    Entry,
    EntryDraft,
    EntryKind,
    LeafSink,
    Put,
    RunAction,
    Store,
    Tile,
)
from freehold.store.open import open_store

__all__ = [
    "CONFLICT",
    "UNKNOWN",
    "Batch",
    "CommitStats",
    "Cost",
    "Document",
    "Drop",
    "Entry",
    "EntryDraft",
    "EntryKind",
    "LeafSink",
    "Put",
    "RunAction",
    "Store",
    "Tile",
    "open_store",
]
