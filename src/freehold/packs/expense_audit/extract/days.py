"""Chooses the date of purchase among the dates on a receipt."""

from __future__ import annotations

import re
from typing import NamedTuple

from freehold.packs.expense_audit.extract.dates import FoundDate, find_dates
from freehold.packs.expense_audit.layout import Piece, Row

__all__ = ["DayVerdict", "find_day"]

_NAMED = re.compile(r"(?i)\bd[ao]te?d?\b|\bdatum\b|\btarikh\b|\bdate|\bdata\b|\bfecha\b|\bdt\b|datum:")
_NOT_IT = re.compile(
    r"(?i)valid|expir|\bexp\b|until|due|delivery|printed|member|since|approved|act \d|promo|effective|gültig"
)
_TIME = re.compile(r"\b\d{1,2}[:.]\d{2}(?:[:.]\d{2})?\s?(?:[AaPp]\.?[Mm])?\b")


class DayVerdict(NamedTuple):
    """The date chosen and where it stands; `clear` where nothing on the receipt says otherwise, else
    `doubt`.
    """

    found: FoundDate | None
    piece: Piece | None
    clear: bool
    doubt: str


def find_day(rows: list[Row], month_first: bool = False) -> DayVerdict:
    """The date of purchase: named as such, beside a time, or the only one; day before month unless said."""
    seen: list[tuple[float, FoundDate, Piece]] = []
    for row in rows:
        for piece in row.pieces:
            for found in find_dates(piece.text, month_first):
                seen.append((_score(row, piece, found), found, piece))
    if not seen:
        seen = [(0.5, found, piece) for row in rows for found, piece in _joined(row, month_first)]
    if not seen:
        return DayVerdict(None, None, False, "no date was read")
    best_score = max(score for score, _, _ in seen)
    _, found, piece = next(entry for entry in seen if entry[0] == best_score)
    others = [(score, other) for score, other, _ in seen if other.day != found.day]
    rivals = [other for score, other in others if score > best_score - 1.5]
    repeats = sum(other.day == found.day for _, other, _ in seen)
    if rivals and repeats <= max(sum(o.day == r.day for _, o in others) for r in rivals):
        return DayVerdict(found, piece, False, f"another date is printed: {rivals[0].day.isoformat()}")
    if found.mended and repeats < 2:
        return DayVerdict(
            found, piece, False, "the date was read with a letter for a digit or a month over 12"
        )
    return DayVerdict(found, piece, True, "")


def _score(row: Row, piece: Piece, found: FoundDate) -> float:
    before = (
        " ".join(other.text for other in row.pieces[: row.pieces.index(piece)])
        + " "
        + piece.text[: found.start]
    )
    score = 2.0 if _NAMED.search(before) else 0.0
    rest = row.text.replace(piece.text[found.start : found.end], " ")
    score += 1.0 if _TIME.search(rest) else 0.0
    score -= 2.0 if _NOT_IT.search(row.text) else 0.0
    return score - (0.5 if found.mended else 0.0)


def _joined(row: Row, month_first: bool) -> list[tuple[FoundDate, Piece]]:
    """Dates that detection has cut in two pieces."""
    return [
        (found._replace(start=0, end=len(left.text), mended=True), left)
        for left, right in zip(row.pieces, row.pieces[1:], strict=False)
        for found in find_dates(left.text + " " + right.text, month_first)
    ]
