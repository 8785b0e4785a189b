"""The policy file: what it may say, and how its mistakes are told."""

import re

import pytest

from freehold.packs.expense_audit.errors import PolicyError
from freehold.packs.expense_audit.policy import parse_policy, sample_policy


def mistake(before: str, after: str) -> PolicyError:
    """The error that the sample policy gives when one piece of it is replaced."""
    text = sample_policy()
    assert before in text
    with pytest.raises(PolicyError) as caught:
        parse_policy(text.replace(before, after, 1), "policy.md")
    return caught.value


def test_the_sample_policy_reads() -> None:
    policy = parse_policy(sample_policy())
    assert policy.first_day == "2026-10-01"
    assert policy.currencies == ("EUR",)
    assert policy.limits[2].category == "Meals"
    assert policy.limits[2].minor == 6000
    assert policy.human_from_minor == 15000
    assert policy.rules["limits"].cite == "§ 3 Limits"


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("## 3. Limits", "## 3. Limts", "'Limts' is no rule"),
        ("From: 2026-10-01", "From: 1 October", "is no date"),
        ("To: 2026-10-31", "To: 2026-09-01", "ends before it begins"),
        ("60.00 EUR", "sixty", "is no amount with a currency"),
        ("60.00 EUR |", "", "three filled columns"),
        ("Allowed: EUR", "Allowed: Euro", "is no currency code"),
        ("Saturday and Sunday: ask", "Saturday and Sunday: maybe", "is no decision"),
        ("Required: merchant", "Required: shop", "is no field of a receipt"),
        ("- Doubtful values: ask", "- Doubtful value: ask", "has no setting 'doubtful value'"),
        ("- Unreadable: refuse", "- Unreadable", "is no setting"),
        ("## 5. Duplicates", "## 5. Weekends", "stands twice"),
        ("- From: 150.00 EUR", "", "says nothing about 'from'"),
        ("| Category | Words | Limit |", "| Category | Limit | Words |", "columns must be"),
    ],
)
def test_each_mistake_is_told_with_its_line_and_a_remedy(before: str, after: str, said: str) -> None:
    error = mistake(before, after)
    assert said in error.message
    assert re.search(r"policy\.md, line \d+:", error.message)
    assert error.remedy


def test_the_line_is_the_line_of_the_mistake() -> None:
    text = sample_policy()
    line = text.splitlines().index("- From: 2026-10-01") + 1
    assert f"line {line}:" in mistake("- From: 2026-10-01", "- From: soon").message


def test_an_empty_policy_is_a_mistake() -> None:
    with pytest.raises(PolicyError, match="holds no rule"):
        parse_policy("# Our policy\n\nBe reasonable.\n")


def test_a_rule_that_is_deleted_is_not_checked_and_a_note_is_prose() -> None:
    policy = parse_policy(
        "# P\n\n## Weekends\n\n- Saturday and Sunday: ask\n\n## Note for managers\n\n- anything\n"
    )
    assert set(policy.rules) == {"weekends"}
    assert policy.rules["weekends"].cite == "§ 1 Weekends"
