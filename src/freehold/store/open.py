"""Choosing the engine from an address. The daemon's composition root and tests call it."""

import os
from pathlib import Path
from typing import Final

from freehold.base import BadInput, Clock, Unavailable
from freehold.store.engine import Engine
from freehold.store.interface import LeafSink
from freehold.store.journal import JournalStore

_SQLITE: Final = "sqlite:///"
_POSTGRES: Final = ("postgresql://", "postgres://")


def open_store(
    address: str | os.PathLike[str],
    clock: Clock,
    tree: LeafSink,
    *,
    commit_delay_s: float = 0.0,
    busy_timeout_s: float = 2.0,
) -> JournalStore:
    """Open the one store of an estate for writing; makes and migrates its schema where needed.

    ``address`` is a folder, ``sqlite:///folder`` (``sqlite:////folder`` from the root), or ``postgresql://…``.
    ``commit_delay_s`` is put into every commit, for tests and benchmarks; ``busy_timeout_s`` is how long a
    lock of a foreign program is waited for. Raises BadInput (address, not ours, newer version), Unavailable
    (not reachable, in use, not readable), Corrupt.
    """
    text = os.fspath(address)
    engine: Engine
    if text.startswith(_POSTGRES):
        engine = _postgres(text, clock, commit_delay_s, busy_timeout_s)
    else:
        engine = _sqlite(text, clock, commit_delay_s, busy_timeout_s)
    store = JournalStore(engine, tree)
    store.open()
    return store


def _sqlite(text: str, clock: Clock, commit_delay_s: float, busy_timeout_s: float) -> Engine:
    from freehold.store.sqlite import SqliteEngine

    if text.startswith(_SQLITE):
        text = text.removeprefix(_SQLITE)
    elif "://" in text:
        raise BadInput(
            f"The store's address {text.split('://')[0]}://… is of no kind that Freehold knows.",
            remedy="Use a folder, sqlite:///folder or postgresql://host/database.",
        )
    if not text:
        raise BadInput("The store's address names no folder.", remedy="Name a folder.")
    return SqliteEngine(Path(text), clock, commit_delay_s=commit_delay_s, busy_timeout_s=busy_timeout_s)


def _postgres(text: str, clock: Clock, commit_delay_s: float, busy_timeout_s: float) -> Engine:
    try:
        from freehold.store.postgres import PostgresEngine
    except ImportError as error:
        raise Unavailable(
            "PostgreSQL needs the package psycopg, which is not installed.",
            remedy="Install it: pip install 'freehold[postgres]'.",
            code="unavailable.store.driver",
        ) from error
    return PostgresEngine(text, clock, commit_delay_s=commit_delay_s, busy_timeout_s=busy_timeout_s)
