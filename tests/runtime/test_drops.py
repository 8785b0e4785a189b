"""The file drop: each file once, and only when it is whole."""

from pathlib import Path

import msgspec
import pytest

from freehold.runtime.drops import Drops, Watched
from freehold.runtime.job import Drop, Job, Source
from freehold.testing.clock import SetClock
from freehold.testing.estates import ThrowawayEstate, synthetic_job

STILL_US = 2_000_000


def dropped(folder: Path) -> Job:
    """Return a job that is started by files in ``folder``."""
    return msgspec.structs.replace(
        synthetic_job({"shape": "chain", "steps": 1}),
        sources={"in": Source(str(folder))},
        drops=(Drop("in", STILL_US),),
    )


@pytest.fixture
async def drop(estate: ThrowawayEstate, tmp_path: Path) -> tuple[Drops, SetClock, Path]:
    """A drop over one folder, with a clock that the test sets."""
    folder = tmp_path / "in"
    folder.mkdir()
    job = dropped(folder)
    await estate.employ(job)
    clock = SetClock(1_000_000_000)
    watched = [Watched(job, job.drops[0], {"in": folder})]
    return Drops(estate.rooms, estate.engine, clock, lambda: watched), clock, folder


async def test_a_file_that_stands_still_starts_one_run(drop: tuple[Drops, SetClock, Path]) -> None:
    drops, clock, folder = drop
    (folder / "a.txt").write_text("a")
    assert await drops.look() == []
    clock.advance_us(STILL_US - 1)
    assert await drops.look() == []
    clock.advance_us(1)
    assert len(await drops.look()) == 1
    clock.advance_us(10 * STILL_US)
    assert await drops.look() == []


async def test_a_file_that_still_grows_is_waited_for(drop: tuple[Drops, SetClock, Path]) -> None:
    drops, clock, folder = drop
    path = folder / "a.txt"
    for _ in range(5):
        with path.open("a") as file:
            file.write("more")
        assert await drops.look() == []
        clock.advance_us(STILL_US - 1)
    assert await drops.look() == []
    clock.advance_us(STILL_US)
    assert len(await drops.look()) == 1


async def test_a_file_that_is_open_for_writing_is_not_whole(drop: tuple[Drops, SetClock, Path]) -> None:
    drops, clock, folder = drop
    with (folder / "a.txt").open("w") as file:
        file.write("half")
        file.flush()
        await drops.look()
        clock.advance_us(STILL_US)
        assert await drops.look() == []
    assert len(await drops.look()) == 1


async def test_a_file_is_taken_once_over_a_restart(
    drop: tuple[Drops, SetClock, Path], estate: ThrowawayEstate
) -> None:
    drops, clock, folder = drop
    (folder / "a.txt").write_text("a")
    await drops.look()
    clock.advance_us(STILL_US)
    assert len(await drops.look()) == 1
    again = Drops(estate.rooms, estate.engine, clock, drops._watched)
    await again.look()
    clock.advance_us(STILL_US)
    assert await again.look() == []
    (folder / "a.txt").write_text("something else")
    await again.look()
    clock.advance_us(STILL_US)
    assert len(await again.look()) == 1
