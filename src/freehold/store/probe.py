"""A look at a store's engine from outside, for `freehold doctor`: which one, which version, whether it answers.

Opens nothing of an estate, takes no lock, changes nothing.
"""

import sqlite3
from typing import Final

from freehold.base import Unavailable

OLDEST_SQLITE: Final = (3, 37, 0)
CONNECT_S: Final = 5


def probe(address: str) -> str:
    """Return what the store at ``address`` runs on, in words; raises Unavailable with the remedy."""
    if "://" in address and not address.startswith("sqlite:"):
        return _postgres(address)
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        raise Unavailable(f"SQLite {sqlite3.sqlite_version} is too old.", remedy="Use a newer Python.")
    return f"SQLite {sqlite3.sqlite_version} in {address}"


def _postgres(address: str) -> str:
    try:
        import psycopg
    except ImportError as error:
        raise Unavailable(
            "PostgreSQL needs the package psycopg, which is missing.",
            remedy="Install it: pip install 'freehold[postgres]'",
            code="unavailable.store.driver",
        ) from error
    try:
        with psycopg.connect(address, connect_timeout=CONNECT_S) as connection:
            return f"PostgreSQL {connection.info.server_version // 10_000} answers"
    except psycopg.Error as error:
        said = (str(error).strip().splitlines() or ["no answer"])[0]
        raise Unavailable(
            f"PostgreSQL does not answer: {said}", remedy="Check `store` in estate.toml, and the server."
        ) from error
