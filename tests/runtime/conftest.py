"""A throw-away estate for every test that runs something."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from freehold.testing.estates import ThrowawayEstate


@pytest.fixture
async def estate(tmp_path: Path) -> AsyncIterator[ThrowawayEstate]:
    """An open estate in a folder of its own."""
    folder = tmp_path / "estate"
    folder.mkdir()
    made = ThrowawayEstate(folder)
    await made.open()
    yield made
    await made.close()
