"""What the owner's words make of trusted numbers, and nothing else."""

from decimal import Decimal

import pytest

from freehold.kernel.computed import is_count, is_result, is_shifted
from freehold.kernel.said import Said


def said(text: str) -> Said:
    found = Said()
    found.say(text)
    return found


@pytest.mark.parametrize(
    ("text", "known", "result"),
    [
        ("Raise it by 10 %.", ["1100"], "1210"),
        ("Give one percent of it.", ["1350"], "13.5"),
        ("Pay half of it back.", ["98.70"], "49.35"),
        ("Split it in three equal parts.", ["100"], "33.33"),
        ("It cost 120, pay the difference.", ["100"], "20"),
        ("Pay the difference.", ["100", "120"], "20"),
        ("Pay the total.", ["10", "20.5", "4"], "34.5"),
        ("Double it.", ["15"], "30"),
        ("20 more, please.", ["50"], "70"),
    ],
)
def test_a_sum_that_the_owner_asked_for_is_theirs(text: str, known: list[str], result: str) -> None:
    assert is_result(Decimal(result), said(text), known)
    assert not is_result(Decimal(result) + 1, said(text), known)
    assert not is_result(Decimal(result), said("Pay it."), known)


def test_of_many_numbers_nothing_is_worked_out() -> None:
    many = [str(number * number) for number in range(60)]
    assert not is_result(Decimal(9 - 4), said("Pay the difference, half of it."), many)


def test_a_count_is_small_and_asked_for_and_not_where_a_number_was_given() -> None:
    assert is_count(Decimal(7), said("Tell Amy how many came."))
    assert not is_count(Decimal(700), said("Tell Amy how many came."))
    assert not is_count(Decimal("7.5"), said("Tell Amy how many came."))
    assert not is_count(Decimal(7), said("Tell Amy about it."))
    assert not is_count(Decimal(7), said("Tell Amy how many came, and that I owe her 12."))


def test_a_moment_is_shifted_by_what_was_said_alone() -> None:
    known = ["2026-12-03 09:00"]
    assert is_shifted("2026-12-10 09:00", said("the same time next week"), known)
    assert is_shifted("2026-12-10", said("a week later"), known)
    assert not is_shifted("2026-12-11 09:00", said("the same time next week"), known)
    assert not is_shifted("2026-12-10 10:00", said("the same time next week"), known)
    assert not is_shifted("soon", said("next week"), known)


def test_more_is_no_less_and_a_difference_no_sum() -> None:
    for text, right, wrong in (
        ("Raise it by 10 %.", "1210", "990"),
        ("Lower it by 10 %.", "990", "1210"),
        ("Pay 10 % of it.", "110", "1210"),
        ("The rent rose by 10 %, pay the difference.", "110", "1210"),
        ("It cost 120, pay the difference.", "980", "1220"),
    ):
        assert is_result(Decimal(right), said(text), ["1100"]), text
        assert not is_result(Decimal(wrong), said(text), ["1100"]), text


def test_equal_numbers_are_added_each() -> None:
    assert is_result(Decimal("30"), said("Pay the total."), ["10", "10", "10"])
    assert not is_result(Decimal("10"), said("Pay the total."), ["10", "10", "10"])
