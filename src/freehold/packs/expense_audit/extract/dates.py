"""Finds dates in text as it comes out of OCR."""

from __future__ import annotations

import datetime
import re
from typing import NamedTuple

__all__ = ["FoundDate", "find_dates", "parse_date"]

_NAMES = """
jan january januar janvier enero gennaio januari
feb february februar fevrier février febrero febbraio
mar march märz maerz mrz mars marzo mac maart
apr april avril abril aprile
may mai mayo maggio mei
jun june juni juin junio giugno
jul july juli juillet julio luglio julai
aug august août aout agosto ogos augustus
sep sept september septembre septiembre settembre
oct october okt oktober octobre octubre ottobre
nov november novembre noviembre
dec december dez dezember décembre decembre diciembre dicembre dis disember
"""
_MONTHS = {
    name: number for number, names in enumerate(_NAMES.strip().split("\n"), start=1) for name in names.split()
}
_WORD = "|".join((*sorted(_MONTHS, key=len, reverse=True), r"m\wrz"))
_D = "[0-9OoIl]"
_SEP = r"\s?(?P<s>[-/.])\s?"
_SAME = r"\s?(?P=s)\s?"
_DAY, _MONTH, _YEAR = rf"(?P<d>{_D}{{1,2}})", rf"(?P<m>{_D}{{1,2}})", r"(?P<y>(?:19|20)\d{2})"
_PATTERNS = (
    re.compile(rf"(?<![\dA-Za-z./-]){_YEAR}{_SEP}{_MONTH}{_SAME}{_DAY}(?!\d(?!\d?:\d\d))"),
    re.compile(rf"(?<![\d./]){_DAY}{_SEP}{_MONTH}{_SAME}{_YEAR}(?!\d{{3}}(?!:))"),
    re.compile(rf"(?<![\d./,-]){_DAY}{_SEP}{_MONTH}{_SAME}(?P<y>\d{{2}})(?![\d/-]|\.\d)"),
    re.compile(
        rf"(?<![\dA-Za-z])(?P<d>\d{{1,2}})(?:st|nd|rd|th)?[\s./'-]{{0,3}}(?P<w>{_WORD})"
        r"[\s.,/'-]{0,3}(?P<y>(?:20)?\d{2})(?!\d)",
        re.IGNORECASE,
    ),
    re.compile(
        rf"(?<![A-Za-z])(?P<w>{_WORD})[\s.]{{0,2}}(?P<d>\d{{1,2}})(?:st|nd|rd|th)?"
        r"[\s,.]{1,3}(?P<y>20\d{2})(?!\d)",
        re.IGNORECASE,
    ),
)
_MEND = str.maketrans({"O": "0", "o": "0", "I": "1", "l": "1"})
_FIRST_YEAR, _LAST_YEAR = 1995, 2099


class FoundDate(NamedTuple):
    """A date and where it stands in the text.

    `swapped` is the other date that the same digits give when day and month change places, or None;
    `mended` means that letters were taken for digits.
    """

    day: datetime.date
    start: int
    end: int
    swapped: datetime.date | None
    mended: bool


def find_dates(text: str, month_first: bool = False) -> list[FoundDate]:
    """All plausible dates in a text, left to right; day before month unless `month_first` or impossible."""
    found: list[FoundDate] = []
    taken: list[tuple[int, int]] = []
    for pattern in _PATTERNS:
        for match in pattern.finditer(text):
            if any(match.start() < end and start < match.end() for start, end in taken):
                continue
            entry = _date_of(match, month_first)
            if entry is not None:
                found.append(entry)
                taken.append((match.start(), match.end()))
    return sorted(found, key=lambda entry: entry.start)


def parse_date(text: str) -> datetime.date | None:
    """The only date in a text that a person typed, or None."""
    found = find_dates(text)
    return found[0].day if len(found) == 1 else None


def _date_of(match: re.Match[str], month_first: bool) -> FoundDate | None:
    parts = match.groupdict()
    raw = "".join(parts.get(key) or "" for key in ("d", "m"))
    mended = not raw.isdigit()
    if mended and sum(character.isdigit() for character in raw) < 2:
        return None
    year = int(parts["y"])
    year += 2000 if year < 100 else 0
    day = int(parts["d"].translate(_MEND))
    if parts.get("w"):
        only = _make(year, _MONTHS.get(parts["w"].lower(), 3), day)
        return None if only is None else FoundDate(only, match.start(), match.end(), None, mended)
    month = int(parts["m"].translate(_MEND))
    usual, other = _make(year, month, day), _make(year, day, month)
    if len(parts["y"]) == 4 and match.start("y") < match.start("d"):
        other = None
    elif month_first:
        usual, other = other, usual
    if usual is None:
        usual, other, mended = other, None, True
    if usual is None:
        return None
    return FoundDate(usual, match.start(), match.end(), other if other != usual else None, mended)


def _make(year: int, month: int, day: int) -> datetime.date | None:
    if not _FIRST_YEAR <= year <= _LAST_YEAR:
        return None
    try:
        return datetime.date(year, month, day)
    except ValueError:
        return None
