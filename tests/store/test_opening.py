"""Opening a store that cannot be opened: one clear sentence each, and nothing is changed or left behind."""

import os
import re
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

import freehold.store.schema as schema
from freehold.base import BadInput, Corrupt, FreeholdError, StoreFailed, SystemClock, Unavailable
from freehold.store import Batch, open_store
from tests.store.helpers import MemoryTree, commit_all, note, opened, sql


def refusal(address: str, **options: float) -> FreeholdError:
    """The error that opening raises."""
    with pytest.raises(FreeholdError) as caught:
        open_store(address, SystemClock(), MemoryTree(), **options)
    assert caught.value.remedy
    assert "Traceback" not in str(caught.value)
    return caught.value


def python(code: str, *arguments: str) -> str:
    """What a fresh interpreter prints."""
    command = [sys.executable, "-c", code, *arguments]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()


OPEN = """
import sys
from freehold.base import FreeholdError, SystemClock
from freehold.store import open_store
class Tree:
    def tiles_for(self, first, leaves): return ()
    def advance(self, first, leaves): pass
try:
    store = open_store(sys.argv[1], SystemClock(), Tree())
    print(store.size(), *(name for name in ("alembic", "sqlalchemy", "psycopg") if name in sys.modules))
except FreeholdError as error:
    print(error)
"""


async def test_a_second_opener_is_told_which_process_has_the_store(address: str) -> None:
    async with opened(address) as store:
        await store.commit(Batch([note("mine")]))
        error = refusal(address)
        assert isinstance(error, Unavailable)
        assert f"in use by process {os.getpid()}" in error.message
        assert f"in use by process {os.getpid()}" in python(OPEN, address)
        assert await store.commit(Batch([note("undisturbed")])) == 1
    async with opened(address) as store:
        assert store.size() == 2


async def test_migration_tools_are_loaded_only_when_there_is_something_to_migrate(
    address: str, engine: str
) -> None:
    driver = ["psycopg"] if engine == "postgres" else []
    tools = ["alembic", "sqlalchemy"] if engine == "postgres" else []
    assert python(OPEN, address).split() == ["0", *tools, *driver]
    assert python(OPEN, address).split() == ["0", *driver]


async def test_a_database_of_a_newer_version_is_refused_and_untouched(address: str, engine: str) -> None:
    async with opened(address) as store:
        await commit_all(store, [note("a"), note("b")])
    sql(address, "UPDATE freehold_version SET version_num = '0999'")
    path = Path(address) / "freehold.db"
    before = path.read_bytes() if engine == "sqlite" else b""
    error = refusal(address)
    assert isinstance(error, BadInput)
    assert "written by a newer Freehold (its schema is 0999" in error.message
    assert not before or path.read_bytes() == before
    sql(address, f"UPDATE freehold_version SET version_num = '{schema.HEAD}'")
    async with opened(address) as store:
        assert (store.size(), store.epoch) == (2, 2)


async def test_a_database_with_other_tables_of_our_names_is_refused(address: str, engine: str) -> None:
    if engine == "sqlite":
        os.mkdir(address)
    sql(address, "CREATE TABLE entry (theirs integer)")
    assert "holds tables that are not Freehold's" in refusal(address).message
    sql(address, "DROP TABLE entry", "CREATE TABLE customers (theirs integer)")
    async with opened(address) as store:
        assert store.size() == 0


def test_the_code_knows_every_migration_and_the_newest() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(schema.__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    script = ScriptDirectory.from_config(config)
    assert script.get_heads() == [schema.HEAD]
    assert {revision.revision for revision in script.walk_revisions()} == schema.KNOWN


async def test_a_new_database_is_what_the_migrations_make(tmp_path: Path) -> None:
    async with opened(str(tmp_path / "made")):
        pass
    migrated = tmp_path / "migrated.db"
    schema.migrate("sqlite", lambda: sqlite3.connect(migrated, isolation_level=None))
    made = tmp_path / "made" / "freehold.db"
    assert structure(made) == structure(migrated)
    for query in ("SELECT version_num FROM freehold_version", "SELECT one FROM house"):
        assert rows(made, query) == rows(migrated, query) != []


def structure(database: Path) -> dict[str, tuple[str, str]]:
    """What a database is made of: each table's and index's kind and definition, white space aside."""
    found = rows(database, "SELECT name, type, coalesce(sql, '') FROM sqlite_master")
    return {name: (kind, re.sub(r"\s+", "", definition)) for name, kind, definition in found}


def rows(database: Path, query: str) -> list[tuple[str, ...]]:
    """What a query finds."""
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute(query).fetchall()


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("mysql://host/database", "no kind that Freehold knows"),
        ("sqlite:///", "names no folder"),
        ("postgresql://[::1/x", "not a PostgreSQL URL"),
    ],
)
def test_an_address_of_no_known_kind_is_bad_input(address: str, says: str) -> None:
    error = refusal(address)
    assert isinstance(error, BadInput)
    assert says in error.message


async def test_a_folder_may_be_named_by_path_or_by_url(tmp_path: Path) -> None:
    folder = tmp_path / "a b%20" / "estate"
    async with opened(f"sqlite:///{folder}") as store:
        await store.commit(Batch([note("a")]))
    async with opened(str(folder)) as store:
        assert store.size() == 1
    assert (folder / "freehold.db").stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700


@contextmanager
def somebody() -> Iterator[None]:
    """Somebody who may not do everything, where the tests run as root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert (
        "cannot be used for the store: Not a directory" in refusal(str(tmp_path / "file" / "estate")).message
    )
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    with somebody():
        error = refusal(str(closed / "estate"))
    assert "cannot be used for the store: Permission denied" in error.message
    assert isinstance(error, Unavailable)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody may go through, unlike pytest's."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        yield Path(folder)


async def test_a_database_that_may_only_be_read_is_refused(open_folder: Path) -> None:
    async with opened(str(open_folder)):
        pass
    os.chmod(open_folder / "freehold.lock", 0o666)
    os.chmod(open_folder / "freehold.db", 0o444)
    with somebody():
        error = refusal(str(open_folder))
    assert "cannot be opened for writing" in error.message


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "freehold.db").write_text("Dear diary, " * 500)
    before = (tmp_path / "freehold.db").read_bytes()
    error = refusal(str(tmp_path))
    assert isinstance(error, BadInput)
    assert "is not a SQLite database" in error.message
    assert (tmp_path / "freehold.db").read_bytes() == before


async def test_a_damaged_database_says_so(tmp_path: Path) -> None:
    async with opened(str(tmp_path)) as store:
        await commit_all(store, [note(str(number) * 200) for number in range(500)])
    path = tmp_path / "freehold.db"
    whole = path.read_bytes()
    path.write_bytes(whole[:8192] + b"\xaa" * (len(whole) - 8192))
    error = refusal(str(tmp_path))
    assert isinstance(error, Corrupt)
    assert "is damaged" in error.message


async def test_a_database_locked_by_another_program_is_waited_for_and_then_named(tmp_path: Path) -> None:
    async with opened(str(tmp_path)) as store:
        await store.commit(Batch([note("a")]))
    with closing(sqlite3.connect(tmp_path / "freehold.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        error = refusal(str(tmp_path), busy_timeout_s=0.05)
        assert isinstance(error, Unavailable)
        assert "is locked by another process" in error.message
        other.execute("ROLLBACK")
        async with opened(str(tmp_path), busy_timeout_s=0.05) as store:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreFailed, match="is locked by another process"):
                await store.commit(Batch([note("b")]))
            other.execute("ROLLBACK")
            with pytest.raises(StoreFailed):
                await store.commit(Batch([note("c")]))
            await store.reopen()
            assert await store.commit(Batch([note("d")])) == 1


async def test_a_replaced_lock_file_lets_the_newer_process_win(tmp_path: Path) -> None:
    async with opened(str(tmp_path)) as older:
        (tmp_path / "freehold.lock").unlink()
        async with opened(str(tmp_path)) as newer:
            assert await newer.commit(Batch([note("newer")])) == 0
            with pytest.raises(StoreFailed, match="taken the store over"):
                await older.commit(Batch([note("older")]))
            with pytest.raises(StoreFailed, match="removed or replaced"):
                await older.reopen()
            assert [entry.draft for entry in newer.entries(0, 9)] == [note("newer")]


async def test_entries_that_were_acknowledged_and_are_gone_are_an_alarm(address: str) -> None:
    async with opened(address) as store:
        await commit_all(store, [note("a"), note("b")])
        sql(address, "DELETE FROM entry WHERE idx = 1", "UPDATE house SET epoch = epoch + 1")
        with pytest.raises(StoreFailed):
            await store.commit(Batch([note("c")]))
        sql(address, "UPDATE house SET epoch = epoch - 1")
        with pytest.raises(Corrupt, match="holds 1 entries, but 2 were acknowledged"):
            await store.reopen()


def test_a_server_that_is_not_there_is_named_without_the_password() -> None:
    error = refusal("postgresql://someone:s3cret@127.0.0.1:1/estate")
    assert isinstance(error, Unavailable)
    assert "database estate on 127.0.0.1:1 is not reachable" in error.message
    assert "s3cret" not in str(error)


def test_a_database_that_does_not_exist_is_named(postgres_url: str) -> None:
    error = refusal(postgres_url.replace("/freehold?", "/elsewhere?"))
    assert "database elsewhere" in error.message
    assert "does not exist" in error.message


def test_a_server_that_only_reads_is_refused(postgres_schema_url: str) -> None:
    url = postgres_schema_url.replace("search_path", "default_transaction_read_only%3Don%20-csearch_path")
    assert "is read-only" in refusal(url).message


def test_without_the_driver_the_sentence_says_what_to_install() -> None:
    code = f"import sys; sys.modules['psycopg'] = None\n{OPEN}"
    said = python(code, "postgresql://localhost/estate")
    assert "needs the package psycopg" in said
    assert "freehold[postgres]" in said
