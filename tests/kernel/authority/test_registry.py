"""Who there is, who answers for whom, and what becomes of an agent whose owner has gone."""

from collections.abc import Callable
from typing import Any

import pytest

from freehold.base import BadInput, Corrupt, NotFound, Refused
from freehold.kernel.change import Change
from freehold.kernel.labels import Confidentiality
from freehold.kernel.registry import Human
from freehold.store.interface import Put
from tests.kernel.authority.house import House, office


def test_everyone_is_still_there_after_a_restart() -> None:
    house = office()
    house.make(house.registry.add_service("inbox", by="anna"))
    again = house.reopened().registry
    assert again.humans() == house.registry.humans()
    assert again.agents() == house.registry.agents()
    assert again.services() == house.registry.services()
    assert again.human("anna").email == "anna@example.org"


def test_nothing_moves_in_memory_before_the_commit() -> None:
    house = office()
    before = house.epoch.value
    house.registry.add_agent("clerk", "anna", by="anna")
    with pytest.raises(NotFound):
        house.registry.agent("clerk")
    assert house.epoch.value == before


def test_every_change_moves_the_epoch() -> None:
    house = office()
    registry = house.registry
    changes: list[Callable[[], Change]] = [
        lambda: registry.change_agent("bookkeeper", owner="berta", by="anna"),
        lambda: registry.set_manager("anna", None, by="anna"),
        lambda: registry.change_human("anna", name="Anna B.", by="anna"),
        lambda: registry.retire("bookkeeper", by="anna"),
    ]
    for change in changes:
        before = house.epoch.value
        house.make(change())
        assert house.epoch.value > before


def test_an_agent_needs_an_active_human_owner() -> None:
    house = office()
    with pytest.raises(NotFound, match="there is no human named 'carla'"):
        house.registry.add_agent("clerk", "carla", by="anna")
    with pytest.raises(NotFound, match="no human named 'bookkeeper'"):
        house.registry.add_agent("clerk", "bookkeeper", by="anna")
    house.make(house.registry.retire("anna", by="berta"))
    with pytest.raises(Refused, match="anna is retired and cannot own agent clerk"):
        house.registry.add_agent("clerk", "anna", by="berta")


def test_an_agent_whose_owner_retired_does_nothing_until_it_has_another() -> None:
    house = office()
    assert house.registry.chain_of("bookkeeper").owner == "anna"
    house.make(house.registry.retire("anna", by="berta"))
    with pytest.raises(Refused, match="Agent bookkeeper does nothing: its owner anna is not an active human"):
        house.registry.chain_of("bookkeeper")
    assert house.registry.owner_of("bookkeeper") is None
    assert house.registry.approvers_confirm("bookkeeper") == ()
    assert house.registry.approvers_four_eyes("bookkeeper") == ()
    house.make(house.registry.change_agent("bookkeeper", owner="berta", by="berta"))
    assert house.registry.chain_of("bookkeeper").owner == "berta"


def test_a_retired_agent_and_an_unknown_one_do_nothing() -> None:
    house = office()
    house.make(house.registry.retire("bookkeeper", by="anna"))
    with pytest.raises(Refused, match="Agent bookkeeper is retired"):
        house.registry.chain_of("bookkeeper")
    with pytest.raises(NotFound, match="Nobody is named 'clerk'"):
        house.registry.chain_of("clerk")
    with pytest.raises(NotFound, match="no agent named 'anna'"):
        house.registry.chain_of("anna")


def test_the_last_active_human_cannot_retire() -> None:
    house = House()
    house.add_human("anna")
    with pytest.raises(Refused, match="anna is the last active human"):
        house.registry.retire("anna", by="anna")


def test_the_chart_has_no_circle() -> None:
    house = office()
    with pytest.raises(BadInput, match="circle"):
        house.registry.set_manager("berta", "anna", by="anna")
    with pytest.raises(BadInput, match="circle"):
        house.registry.set_manager("anna", "anna", by="anna")


def test_two_changes_of_the_chart_at_once_cannot_make_a_circle() -> None:
    house = House()
    house.add_human("anna")
    house.add_human("berta")
    first = house.registry.set_manager("anna", "berta", by="anna")
    second = house.registry.set_manager("berta", "anna", by="anna")
    house.make(first)
    with pytest.raises(BadInput, match="meanwhile"):
        house.make(second)
    house.make(house.registry.set_manager("anna", None, by="anna"))
    house.make(house.registry.set_manager("berta", "anna", by="anna"))


def test_a_name_is_given_once_across_humans_agents_and_services() -> None:
    house = office()
    with pytest.raises(BadInput, match="The name anna is taken"):
        house.registry.add_agent("anna", "berta", by="berta")
    first = house.registry.add_agent("clerk", "anna", by="anna")
    second = house.registry.add_service("clerk", by="anna")
    house.make(first)
    with pytest.raises(BadInput, match="meanwhile"):
        house.make(second)
    with pytest.raises(BadInput, match="estate is taken"):
        house.registry.add_service("estate", by="anna")


@pytest.mark.parametrize("slug", ["", "Anna", "a b", "a/b", "a--b", "-a", "9a", "a\n", "ä", "a" * 64, 'a"b'])
def test_a_name_that_could_be_mistaken_is_refused(slug: str) -> None:
    with pytest.raises(BadInput, match="cannot be the name of an agent"):
        office().registry.add_agent(slug, "anna", by="anna")


def test_the_owner_confirms_and_the_manager_is_the_first_of_the_other_eyes() -> None:
    house = office()
    house.add_human("alma")
    assert house.registry.approvers_confirm("bookkeeper") == ("anna",)
    assert house.registry.approvers_four_eyes("bookkeeper") == ("berta", "alma")
    house.make(house.registry.retire("berta", by="anna"))
    assert house.registry.approvers_four_eyes("bookkeeper") == ("alma",)


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"email": "anna"}, "not a mail address"),
        ({"name": " "}, "needs a name"),
        ({"public_key": "00"}, "not an Ed25519 key"),
        ({"email": "BERTA@EXAMPLE.org"}, "berta has that mail address"),
        ({"manager": "nobody"}, "no human named 'nobody'"),
    ],
)
def test_a_human_with_a_mistake_is_refused_with_what_is_wrong(facts: dict[str, Any], words: str) -> None:
    house = House()
    house.add_human("berta")
    plain: dict[str, Any] = {"name": "Anna", "email": "anna@example.org", "public_key": "ab" * 32}
    with pytest.raises(BadInput, match=words):
        house.registry.add_human(Human("anna", **{**plain, **facts}), by="berta")


def test_a_humans_name_and_address_lie_under_their_own_key_and_can_be_forgotten() -> None:
    house = office()
    bodies = b"".join(document.body for document in house.shelf.documents("human"))
    assert b"example.org" not in bodies
    assert b"Anna" not in bodies
    change = house.registry.change_human("anna", name="Anna Zorn", by="anna")
    assert "Zorn" not in str(change.notes[0].head)
    house.keys.forgotten.add("human:anna")
    again = house.reopened().registry
    assert (again.human("anna").name, again.human("anna").email) == ("(forgotten)", "")
    assert again.owner_of("bookkeeper") == "anna"


def test_a_forgotten_human_can_still_retire_and_has_no_name_in_memory_either() -> None:
    house = office()
    house.keys.forgotten.add("human:anna")
    house.registry.forget("anna")
    assert house.registry.human("anna").email == ""
    house.make(house.registry.retire("anna", by="berta"))
    assert house.reopened().registry.human("anna").status == "retired"
    with pytest.raises(BadInput):
        house.registry.change_human("berta", name="(forgotten)", by="berta")


def test_a_clearance_is_the_lowest_of_the_agent_and_its_owner() -> None:
    house = office()
    assert house.registry.chain_of("bookkeeper").clearance is Confidentiality.CONFIDENTIAL
    house.make(house.registry.change_human("anna", clearance=Confidentiality.INTERNAL, by="berta"))
    assert house.registry.chain_of("bookkeeper").clearance is Confidentiality.INTERNAL


def test_a_stored_agent_that_cannot_be_read_is_an_alarm() -> None:
    house = office()
    change = house.registry.retire("bookkeeper", by="anna")
    change.writes = [Put("agent", "bookkeeper", b'{"slug":1}')]
    house.shelf.commit(change)
    with pytest.raises(Corrupt, match="bookkeeper"):
        house.reopened()
