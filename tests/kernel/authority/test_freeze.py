"""The brake takes hold before it is durable and lets go only after."""

import pytest

from freehold.base import BadInput, NotFound
from freehold.kernel.freeze import Frozen
from tests.kernel.authority.house import House


@pytest.mark.parametrize("scope", ["estate", "agent:bookkeeper", "job:expenses", "tool:mail.send"])
def test_a_freeze_holds_at_once_and_after_a_restart(scope: str) -> None:
    house = House()
    before = house.epoch.value
    change = house.freezes.freeze(scope, "odd mails", by="anna", at_us=5)
    assert house.epoch.value > before
    reason = house.freezes.reason("bookkeeper", "expenses", "mail.send")
    assert reason is not None
    assert reason.endswith("is frozen by anna: odd mails.")
    house.make(change)
    assert house.freezes.unsaved() == []
    assert house.reopened().freezes.reason("bookkeeper", "expenses", "mail.send") == reason
    assert (house.freezes.reason("clerk", "travel", "noop") is not None) is (scope == "estate")


def test_a_freeze_whose_commit_failed_goes_on_holding_and_says_that_it_is_not_saved() -> None:
    house = House()
    house.freezes.freeze("agent:bookkeeper", "", by="anna", at_us=5)
    assert house.freezes.unsaved() == [Frozen("agent:bookkeeper", "", "anna", 5)]
    house.freezes.load(house.shelf)  # the state is read again after the store failed
    assert house.freezes.reason("bookkeeper", "", "noop") is not None
    house.make(house.freezes.freeze("agent:bookkeeper", "", by="anna", at_us=6))
    assert house.freezes.unsaved() == []


def test_a_thaw_lets_go_only_when_it_is_durable() -> None:
    house = House()
    house.make(house.freezes.freeze("estate", "", by="anna", at_us=5))
    change = house.freezes.thaw("estate", by="anna")
    assert house.freezes.reason("a", "b", "c") is not None
    before = house.epoch.value
    house.make(change)
    assert house.freezes.reason("a", "b", "c") is None
    assert house.epoch.value > before
    assert house.reopened().freezes.all() == []
    with pytest.raises(NotFound):
        house.freezes.thaw("estate", by="anna")


@pytest.mark.parametrize("freeze_first", [True, False])
def test_a_freeze_that_comes_during_a_thaw_wins_in_memory_and_on_disk(freeze_first: bool) -> None:
    house = House()
    house.make(house.freezes.freeze("job:expenses", "first", by="anna", at_us=5))
    thaw = house.freezes.thaw("job:expenses", by="anna")
    freeze = house.freezes.freeze("job:expenses", "second", by="berta", at_us=6)
    if freeze_first:
        house.make(freeze)
        with pytest.raises(BadInput, match="meanwhile"):
            house.make(thaw)
    else:
        house.make(thaw)
        house.make(freeze)
    for freezes in (house.freezes, house.reopened().freezes):
        assert freezes.reason("x", "expenses", "y") == "Job expenses is frozen by berta: second."
    house.make(house.freezes.thaw("job:expenses", by="berta"))
    assert house.reopened().freezes.all() == []


def test_listeners_hear_of_a_freeze_before_it_is_durable() -> None:
    house = House()
    heard: list[Frozen] = []
    house.freezes.listen(heard.append)
    house.freezes.freeze("tool:mail.send", "", by="anna", at_us=5)
    assert [frozen.scope for frozen in heard] == ["tool:mail.send"]


def test_what_an_agent_delegated_stands_still_with_it() -> None:
    house = House()
    house.freezes.freeze("agent:chief", "", by="anna", at_us=5)
    assert house.freezes.reason("clerk", "expenses", "noop") is None
    assert house.freezes.reason_for_any(("clerk", "chief"), "expenses", "noop") is not None


@pytest.mark.parametrize(
    "scope", ["", "agent", "agent:", "human:anna", "estate:x", "job:a\nb", "job:" + "x" * 201]
)
def test_what_cannot_be_frozen_is_named(scope: str) -> None:
    with pytest.raises(BadInput, match="cannot be frozen"):
        House().freezes.freeze(scope, "", by="anna", at_us=5)
