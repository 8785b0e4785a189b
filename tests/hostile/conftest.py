"""An estate in which one job is employed with a pack that attacks it, and another does honest work."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.hostile.siege import Siege


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def besieged(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Siege]:
    """One estate for all attacks of a file: what one of them breaks, the next ones show."""
    made = Siege(tmp_path_factory.mktemp("estate"))
    await made.open()
    yield made
    await made.close()


@pytest_asyncio.fixture(loop_scope="module")
async def siege(besieged: Siege) -> AsyncIterator[Siege]:
    """The estate under siege; whatever happened, honest work goes through it at the end."""
    yield besieged
    await besieged.honest_work()
