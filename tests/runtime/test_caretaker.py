"""What is looked after while nobody asks: freezes that could not be written, and a store that failed."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from freehold.base import StoreFailed
from freehold.runtime.caretaker import Caretaker
from freehold.testing.estates import ThrowawayEstate


@contextmanager
def no_room() -> Iterator[None]:
    """Let no file of this process grow, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def caretaker_of(estate: ThrowawayEstate) -> Caretaker:
    """The estate's caretaker, to be asked to look."""
    return Caretaker(estate.kernel, estate.engine, lambda run, pinned: pinned)


async def test_a_freeze_that_could_not_be_written_is_written_later_and_holds_over_a_restart(
    estate: ThrowawayEstate,
) -> None:
    estate.rooms.freezes.freeze("agent:worker", "stop", by="anna", at_us=1)  # as a failed commit leaves it
    (held,) = estate.rooms.freezes.unsaved()
    await caretaker_of(estate).look()
    assert estate.rooms.freezes.unsaved() == []
    await estate.close()
    await estate.open()
    assert estate.rooms.freezes.all() == [held]


async def test_a_store_that_failed_at_a_person_s_change_is_opened_again(estate: ThrowawayEstate) -> None:
    rooms = estate.rooms
    change = rooms.freezes.freeze("tool:noop", "stop", by="anna", at_us=1)
    with no_room(), pytest.raises(StoreFailed):
        await rooms.ledger.commit(change)
    stopped = estate.kernel.stopped
    await caretaker_of(estate).look()
    assert (stopped, estate.kernel.stopped) == (True, False)
    assert rooms.freezes.unsaved() == []
    assert rooms.store.document("freeze", "tool:noop") is not None
