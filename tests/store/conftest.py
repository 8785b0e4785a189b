"""Each test of the store runs on both engines, by the fixture ``address``."""

from pathlib import Path

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
    return str(request.getfixturevalue("fresh_postgres_url"))
