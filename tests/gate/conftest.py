"""A gate for every test that needs one."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.gate.desk import Desk


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    """An open gate in a folder of its own."""
    folder = tmp_path / "estate"
    folder.mkdir()
    made = await Desk(folder).open()
    yield made
    await made.close()
