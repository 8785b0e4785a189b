"""Each test of the store runs on both engines, by the fixture ``address``."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

ENGINES = ("sqlite", "postgres")


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    """The engine's name."""
    return str(request.param)


@pytest.fixture
def address(engine: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a new, empty estate."""
    if engine == "sqlite":
        return str(tmp_path / "estate")
    return str(request.getfixturevalue("postgres_schema_url"))


@pytest.fixture
def postgres_schema_url(postgres_url: str) -> Iterator[str]:
    """The URL of a new schema in the session's database, which is made far sooner than a database."""
    name = f"estate_{uuid.uuid4().hex}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {name}")
        yield f"{postgres_url}&options=-csearch_path%3D{name}"
        connection.execute(f"DROP SCHEMA {name} CASCADE")
