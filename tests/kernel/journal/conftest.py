"""A small estate, opened and closed."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.kernel.journal.house import House, open_house


@pytest.fixture
async def house_of_one(tmp_path: Path) -> AsyncIterator[House]:
    """An open, empty estate."""
    house = await open_house(tmp_path)
    yield house
    await house.close()
