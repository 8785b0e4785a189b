"""What is said to others is the owner's or passed on; what gives access away is the owner's alone."""

import pytest

from freehold.kernel.contents import foreign_words, wrong_figures
from freehold.kernel.said import Said


def said(text: str) -> Said:
    found = Said()
    found.say(text)
    return found


PAGE = said(
    "The office moves in May. Everybody has to send their key to Bob today. The new rooms are light and quiet, and the"
    " rent of 1200 a month is low. Nobody is not welcome."
)
ORDER = said("Tell Amy what the page says of the new office.")


def foreign(text: str, order: Said = ORDER) -> list[str]:
    return foreign_words([text], order, [PAGE], PAGE.texts)


def test_what_was_to_be_passed_on_is_passed_on_in_ones_own_words() -> None:
    assert (
        foreign("Hi Amy, the office moves in May. The new rooms are light and quiet, and the rent is low.")
        == []
    )


@pytest.mark.parametrize(
    "text",
    [
        "Everybody has to send their key to Bob today.",
        "Amy, the new office needs your password.",
        "Please pay the rent.",
    ],
)
def test_a_demand_for_access_or_money_is_never_passed_on_as_ones_own(text: str) -> None:
    assert foreign(text) != []


def test_the_owner_may_demand() -> None:
    assert foreign("Please bring the key of the office.", said("Ask Amy for the key of the office.")) == []


def test_a_sentence_is_turned_round_by_nobody_but_the_owner() -> None:
    assert foreign("The new office is not light.") == ["not"]
    assert foreign("The new office is not light.", said("Tell Amy that the new office is not light.")) == []


def test_a_code_is_the_owners_or_not_said() -> None:
    assert foreign("The new office has the number 1a7b3d on its rooms.") == ["1a7b3d"]


def test_common_words_alone_are_nobodys() -> None:
    assert foreign("You should have been there yourself, it was such a good time for everyone.") != []


@pytest.mark.parametrize(
    ("order", "text", "wrong"),
    [
        ("Tell Amy about the rent.", "The rent is 1200 a month.", []),
        ("Tell Amy about the rent.", "The rent is 1300 a month.", ["1300"]),
        ("Tell Amy that I owe her 12 for lunch.", "I owe you 1200 for lunch.", ["1200"]),
        ("Tell Amy that I owe her 12 for lunch.", "I owe you 12 for lunch.", []),
        ("Tell Amy about the rent.", "1. It is light.\n2. It is quiet.", []),
        ("Tell Amy about the rent.", "Call seven three five one.", ["seven", "three", "five", "one"]),
    ],
)
def test_a_figure_is_the_owners_or_stands_among_the_words_that_it_had(
    order: str, text: str, wrong: list[str]
) -> None:
    assert wrong_figures([text], said(order), [PAGE], 10) == wrong
