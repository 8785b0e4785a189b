"""How far an agent goes alone, per job and category of effect. Anyone in the trusted tower may ask.

A grade is not a right: rules say whether an effect is allowed at all, the grade who looks at it first.
"""

import enum
from collections.abc import Mapping

from freehold.base import BadInput


class Category(enum.StrEnum):
    """What kind of effect an action has; an action without one only reads or stays inside the run."""

    CHANGE_SOURCE = "change_source"
    SEND = "send"
    SPEND = "spend"
    DELETE = "delete"
    RUN_CODE = "run_code"
    SHARE = "share"
    PLAN = "plan"


class Grade(enum.IntEnum):
    """From least to most alone. The number orders them; people write the ``word``."""

    PROPOSE = 0
    ASK = 1
    ACT_AND_REPORT = 2
    ACT = 3

    @property
    def word(self) -> str:
        """The grade as people write it in a job file."""
        return self.name.lower().replace("_", "-")


Grades = Mapping[Category, Grade]


def parse_grade(text: object) -> Grade:
    """Return the grade that ``text`` names; raises BadInput with the possible words."""
    for grade in Grade:
        if text == grade.word:
            return grade
    words = ", ".join(f"`{grade.word}`" for grade in Grade)
    raise BadInput(f"{text!r} is not a grade.", remedy=f"Write one of {words}.")


def parse_category(text: object) -> Category:
    """Return the category that ``text`` names; raises BadInput with the possible words."""
    for category in Category:
        if text == category.value:
            return category
    words = ", ".join(f"`{category.value}`" for category in Category)
    raise BadInput(f"{text!r} is not a category of effect.", remedy=f"Write one of {words}.")


def parse_grades(table: object) -> dict[Category, Grade]:
    """Return the grades of a job file's ``grades`` table; raises BadInput naming the first mistake."""
    if table is None:
        return {}
    if not isinstance(table, Mapping):
        raise BadInput("`grades` is not a table.", remedy="Write lines such as `send: ask` below `grades:`.")
    found: dict[Category, Grade] = {}
    for key, value in table.items():
        category = parse_category(key)
        try:
            found[category] = parse_grade(value)
        except BadInput as error:
            raise BadInput(f"`grades.{category.value}`: {error.message}", remedy=error.remedy) from None
    return found


def grade_for(grades: Grades, category: Category | None, ceiling: Grades | None = None) -> Grade:
    """Return how far a job's agent may go alone with an effect of ``category``.

    No category needs nobody (``ACT``). A category that the job does not name is ``ASK``. ``ceiling`` is the
    estate's own table: a job never goes further than it.
    """
    if category is None:
        return Grade.ACT
    grade = grades.get(category, Grade.ASK)
    return grade if ceiling is None else min(grade, ceiling.get(category, Grade.ACT))
