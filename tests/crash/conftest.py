"""One harness for each store: the servers run as long as the test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.harness import Harness


@pytest.fixture
def harness(tmp_path: Path) -> Iterator[Harness]:
    """An estate on SQLite."""
    made = Harness(tmp_path, str(tmp_path / "estate" / "store"))
    with made.running():
        yield made


@pytest.fixture
def postgres_harness(tmp_path: Path, fresh_postgres_url: str) -> Iterator[Harness]:
    """An estate on PostgreSQL."""
    made = Harness(tmp_path, fresh_postgres_url)
    with made.running():
        yield made
