"""Which version a database is of, and how it gets to ours. Only the engines call it.

The stamp is read with one SELECT; Alembic and SQLAlchemy are loaded only when there is something to migrate, and for
a new database of PostgreSQL; a new one of SQLite is made from the statements that the migrations come to.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from freehold.base import BadInput
from freehold.store.newest import STATEMENTS

HEAD: Final = "0001"
"""The revision that this code reads and writes."""

KNOWN: Final = frozenset({HEAD})
"""Every revision that can be brought to HEAD; a test compares both with the migrations."""

VERSION_TABLE: Final = "freehold_version"
OUR_TABLES: Final = frozenset({"document", "entry", "house", "mark", "tile"})


def bring_to_head(
    stamp: str | None, tables: set[str], what: str, dialect: str, connect: Callable[[], Any]
) -> None:
    """Make or migrate the schema where needed; a database of a newer version stays untouched.

    ``stamp`` is the database's revision, None where it has none; ``tables`` are the tables it has; ``what``
    names it in sentences; ``connect`` opens a connection of its own, which is closed again. Raises BadInput
    when the database is newer or not ours; lets errors of the engine's library out for the engine to word.
    """
    if stamp == HEAD:
        return
    if stamp is None and tables & OUR_TABLES:
        raise BadInput(
            f"{what} holds tables that are not Freehold's.",
            remedy="Name an empty folder or database, or Freehold's own.",
            code="input.store.foreign",
        )
    if stamp is not None and stamp not in KNOWN:
        raise BadInput(
            f"{what} was written by a newer Freehold (its schema is {stamp}, this version knows {HEAD}).",
            remedy="Install the newer version again; nothing was changed.",
            code="input.store.newer",
        )
    if stamp is None and dialect == "sqlite":
        _make(connect)
    else:
        migrate(dialect, connect)


def _make(connect: Callable[[], Any]) -> None:
    connection = connect()
    try:
        connection.execute("BEGIN IMMEDIATE")
        for statement in STATEMENTS:
            connection.execute(statement)
        connection.execute("COMMIT")
    finally:
        connection.close()


def migrate(dialect: str, connect: Callable[[], Any]) -> None:
    """Run every migration that a database has not seen, all in one transaction."""
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import create_engine
    from sqlalchemy.exc import DBAPIError
    from sqlalchemy.pool import NullPool

    config = Config()
    folder = str(Path(__file__).parent / "migrations")
    config.set_main_option("script_location", folder.replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    engine = create_engine(f"{dialect}://", creator=connect, poolclass=NullPool)
    try:
        with engine.connect() as connection:
            # The libraries' own idea of when a transaction begins leaves SQLite's DDL outside of it.
            if dialect == "sqlite":
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            config.attributes["connection"] = connection
            config.attributes["version_table"] = VERSION_TABLE
            command.upgrade(config, "head")
            connection.commit()
    except DBAPIError as error:
        raise (error.orig or error) from None
    finally:
        engine.dispose()
