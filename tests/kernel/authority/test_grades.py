"""How far an agent goes alone."""

import pytest

from freehold.base import BadInput
from freehold.kernel.grades import Category, Grade, grade_for, parse_category, parse_grade, parse_grades


def test_grades_are_ordered_from_least_to_most_alone() -> None:
    assert [grade.word for grade in sorted(Grade)] == ["propose", "ask", "act-and-report", "act"]
    assert all(parse_grade(grade.word) is grade for grade in Grade)
    assert all(parse_category(category.value) is category for category in Category)


def test_a_category_that_the_job_does_not_name_is_asked_for() -> None:
    grades = parse_grades({"send": "act"})
    assert grade_for(grades, Category.SEND) is Grade.ACT
    assert grade_for(grades, Category.DELETE) is Grade.ASK
    assert grade_for(grades, None) is Grade.ACT
    assert grade_for(parse_grades(None), Category.SPEND) is Grade.ASK


def test_no_job_goes_further_than_the_estates_ceiling() -> None:
    grades, ceiling = parse_grades({"send": "act", "spend": "propose"}), {Category.SEND: Grade.ASK}
    assert grade_for(grades, Category.SEND, ceiling) is Grade.ASK
    assert grade_for(grades, Category.SPEND, ceiling) is Grade.PROPOSE


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"sned": "ask"}, "'sned' is not a category"),
        ({"send": "ACT"}, "`grades.send`: 'ACT' is not a grade"),
        ({"send": True}, "`grades.send`: True is not a grade"),
        ({1: "ask"}, "1 is not a category"),
        ("ask", "`grades` is not a table"),
    ],
)
def test_a_mistake_in_the_grades_is_named(table: object, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        parse_grades(table)
