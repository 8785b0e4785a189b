"""Days, times and numbers in a text, as people write them in English, German and French, parsed.

Pure functions; a day without a month or a year stays one, and whoever asks decides what it can mean.
"""

import datetime as dt
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Final, NamedTuple

from freehold.kernel.vocabulary import MONTHS, NUMBER_WORDS, WEEKDAYS
from freehold.kernel.wording import ISO_DAY, fold, number

_DOTTED_DAY: Final = re.compile(r"\b(\d{1,2})[./](\d{1,2})[./](\d{4}|\d{2})?(?!\d)")
_NAMES: Final = "|".join(sorted(MONTHS, key=len, reverse=True))
_MONTH_FIRST: Final = re.compile(
    rf"\b({_NAMES})\.?\s+(?:the\s+)?(\d{{1,2}})(?:st|nd|rd|th)?\b(?:,?\s+(\d{{4}}))?"
)
_DAY_FIRST: Final = re.compile(
    rf"\b(\d{{1,2}})(?:st|nd|rd|th|\.|er)?\s+(?:of\s+)?({_NAMES})\b\.?(?:,?\s+(\d{{4}}))?"
)
_BETWEEN: Final = re.compile(r"(?<=\d)t(?=\d)")
ORDINAL: Final = re.compile(r"\b(\d{1,2})(?:st|nd|rd|th)\b(?!\s+(?:of\s+)?[a-z]+\s+\d{4})")
_NIGHTS: Final = re.compile(
    r"\b(\d+|[a-zà-ÿ]+)[- ]?(nights?|days?|weeks?|nächte|tage?|wochen?|nuits?|jours?|semaines?)\b"
)
_RANGE: Final = re.compile(
    rf"\b(\d{{1,2}})(?:st|nd|rd|th|\.)?\s*(?:-|–|to|until|and|bis|und|au|et)\s*\d{{1,2}}(?:st|nd|rd|th|\.)?\s+(?:of\s+)?({_NAMES})\b"
    r"\.?(?:,?\s+(\d{4}))?"
)
_CLOCK: Final = re.compile(r"\b(\d{1,2})(?:[:.h](\d{2}))?\s*(a\.?m\.?|p\.?m\.?|uhr|h\b|o'?clock)?(?!\d)")
_SPAN: Final = re.compile(
    r"\b(\d+(?:[.,]\d+)?|[a-zà-ÿ]+)[- ]?(hours?|h|stunden?|heures?|minutes?|mins?|minuten)\b"
)
MOMENT: Final = re.compile(r"(\d{4}-\d{2}-\d{2})(?:[t ](\d{2}):(\d{2})(?::\d{2})?(?:z|[+-]\d{2}:?\d{2})?)?\Z")
TIME: Final = re.compile(r"(\d{1,2}):(\d{2})(?::\d{2})?\Z")
DIGITS: Final = re.compile(r"(?<![^\W\d_])(?:\d[\d.,'’]*\d|\d)")


class Figure(NamedTuple):
    """A number, a day or a time in a text: as written, and parsed."""

    text: str
    number: Decimal | None = None
    day: tuple[int | None, int, int] | None = None
    minute: int | None = None


def figures_of(text: str, today: dt.date | None) -> tuple[list[Figure], str]:
    """Return the days, times and numbers of a folded text, and the text without them."""
    found: list[Figure] = []

    def day(match: re.Match[str]) -> str:
        days = list(days_in(match[0], None))
        found.extend(Figure(match[0], day=one) for one in days[:1])
        return " " if days else match[0]

    def clock(match: re.Match[str]) -> str:
        minutes = list(times_in(match[0])) if _tells_time(match) else []
        found.extend(Figure(match[0].strip(), minute=minute) for minute in minutes)
        return " " if minutes else match[0]

    def plain(match: re.Match[str]) -> str:
        found.append(Figure(match[0], number=number(match[0])))
        return " "

    text = _BETWEEN.sub(" ", text)
    for pattern in (ISO_DAY, _DOTTED_DAY, _MONTH_FIRST, _DAY_FIRST):
        text = pattern.sub(day, text)
    text = _CLOCK.sub(clock, text)
    return found, DIGITS.sub(plain, text)


def without_moments(text: str) -> str:
    """Return a folded text without its days and times of day."""
    for pattern in (ISO_DAY, _DOTTED_DAY, _RANGE, _MONTH_FIRST, _DAY_FIRST):
        text = pattern.sub(" ", text)
    return _CLOCK.sub(lambda match: " " if _tells_time(match) else match[0], _BETWEEN.sub(" ", text))


def _tells_time(match: re.Match[str]) -> bool:
    """Say whether what looks like a clock is one: a point alone makes a sum of money."""
    return bool(match[3]) or (bool(match[2]) and not re.match(r"\d+\.", match[0]))


def is_moment(text: str) -> bool:
    """Say whether a value is a day, a time of day, or both, as machines write them."""
    folded = fold(text)
    return bool(MOMENT.match(folded) or TIME.match(folded))


def days_in(text: str, today: dt.date | None) -> Iterator[tuple[int | None, int, int]]:
    """Yield the days of a folded text: year (None where none was said), month, day; a dotted one both ways."""
    for year, month, day in ISO_DAY.findall(text):
        yield int(year), int(month), int(day)
    for one, other, year in _DOTTED_DAY.findall(text):
        full = (int(year) + (2000 if len(year) == 2 else 0)) if year else None
        yield full, int(other), int(one)
        yield full, int(one), int(other)
    for name, day, year in _MONTH_FIRST.findall(text):
        yield int(year) if year else None, MONTHS[name], int(day)
    for day, name, year in _DAY_FIRST.findall(text):
        yield int(year) if year else None, MONTHS[name], int(day)
    yield from _ranges(text)
    if today is not None:
        yield from _relative_days(text, today)


def times_in(text: str) -> Iterator[int]:
    """Yield the times of day of a folded text, in minutes since midnight."""
    text = ISO_DAY.sub(" ", _BETWEEN.sub(" ", text))
    for hour, minute, half in _CLOCK.findall(text):
        hours, half = int(hour), half.replace(".", "")
        if hours > 24 or not (
            minute or half or re.search(rf"\b(?:at|um|à|from|to|until|by|bis|and|-|–)\s*{hour}\b", text)
        ):
            continue
        if half == "pm" and hours < 12:
            hours += 12
        elif half == "am" and hours == 12:
            hours = 0
        yield hours % 24 * 60 + int(minute or 0)
    for word, minute_of_day in (
        ("noon", 720),
        ("midday", 720),
        ("mittag", 720),
        ("midi", 720),
        ("midnight", 0),
    ):
        if re.search(rf"\b{word}\b", text):
            yield minute_of_day


def spans_in(text: str) -> Iterator[int]:
    """Yield the lengths of time of a folded text, in minutes."""
    for much, unit in _SPAN.findall(text):
        each = 60 if unit.startswith(("h", "st")) else 1
        if much in NUMBER_WORDS:
            yield NUMBER_WORDS[much] * each or each // 2
        elif much[0].isdigit():
            yield int(float(much.replace(",", ".")) * each)


def nights_in(text: str) -> Iterator[int]:
    """Yield how many days a folded text speaks of, in nights, days or weeks."""
    for much, unit in _NIGHTS.findall(text):
        each = 7 if unit.startswith(("we", "wo", "s")) else 1
        if much in NUMBER_WORDS:
            yield NUMBER_WORDS[much] * each
        elif much in ("next", "nächste", "prochaine", "following"):
            yield each
        elif much.isdigit() and len(much) <= 2:
            yield int(much) * each


def day_of(year: int, month: int, day: int) -> dt.date | None:
    """Return the day, or None for one that no calendar has."""
    try:
        return dt.date(year, month, day)
    except ValueError:
        return None


def is_day(text: str) -> bool:
    """Say whether a text is a day as machines write it."""
    try:
        dt.date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _ranges(text: str) -> Iterator[tuple[int | None, int, int]]:
    """Yield the first days of `18 to 25 July`, whose month stands behind the second."""
    for first, name, year in _RANGE.findall(text):
        yield int(year) if year else None, MONTHS[name], int(first)


def _relative_days(text: str, today: dt.date) -> Iterator[tuple[int, int, int]]:
    near = {"today": 0, "tonight": 0, "tomorrow": 1, "yesterday": -1, "heute": 0, "morgen": 1, "übermorgen": 2,
            "gestern": -1, "aujourd'hui": 0, "demain": 1, "hier": -1}  # fmt: skip
    for word in re.findall(r"[\w']+", text):
        shifts = [near[word]] if word in near else []
        if word in WEEKDAYS:
            ahead = (WEEKDAYS[word] - today.weekday()) % 7
            shifts = [ahead, ahead + 7] if ahead else [0, 7]
        for shift in shifts:
            day = today + dt.timedelta(days=shift)
            yield day.year, day.month, day.day
