"""A gate for every test that needs one."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.gate.desk import Desk


@pytest.fixture(params=[False, True], ids=["alone", "together"])
async def desk(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Desk]:
    """An open gate in a folder of its own, and every test on both ways through it."""
    folder = tmp_path / "estate"
    folder.mkdir()
    made = await Desk(folder, together=request.param).open()
    yield made
    await made.close()
