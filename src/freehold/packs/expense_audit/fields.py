"""Makes the five fields of a receipt: rules choose a value, the second reading and the sums say whether it
stands.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

from freehold.packs.expense_audit.extract.amounts import ZERO_DECIMAL, find_amounts
from freehold.packs.expense_audit.extract.dates import find_dates
from freehold.packs.expense_audit.extract.days import find_day
from freehold.packs.expense_audit.extract.labels import legibility
from freehold.packs.expense_audit.extract.merchant import find_merchant, mend_name, same_name, strip_name
from freehold.packs.expense_audit.extract.money import (
    Sum,
    Verdict,
    find_currency,
    find_tax,
    find_total,
    money_rows,
)
from freehold.packs.expense_audit.layout import Piece, Row
from freehold.packs.expense_audit.values import Field, Reading, Region

if TYPE_CHECKING:
    from freehold.packs.expense_audit.ocr import Text

__all__ = ["date_field", "merchant_field", "money_fields"]

Source = Literal["first", "second", "third"]


class Eye(Protocol):
    """Reads a piece a second time, or with `faint` a third time, with faint strokes darkened."""

    def __call__(self, piece: Piece, *, faint: bool = False) -> Text:
        """Read it; the same piece is read once."""


_LEAST_SURE = 0.55
_LEAST_SURE_ALONE = 0.85
_LEAST_SURE_NAME = 0.8


def money_fields(rows: list[Row], eye: Eye) -> tuple[Field, Field, Field]:
    """Total, currency and tax; amounts are integer minor units as text (hundredths, units for a yen)."""
    money = money_rows(rows)
    verdict = find_total(money)
    code, printed, where = find_currency(rows, money, verdict.chosen)
    total = _total_field(verdict, eye, code)
    doubt = (
        "" if code and printed else "not printed; taken from the seller's country" if code else "not printed"
    )
    if code and not printed and where is not None:
        doubt = "the sign printed stands for several currencies"
    currency = Field(
        "currency",
        code,
        0.99 if printed else 0.7 if code else 0.0,
        stated=bool(code) and (printed or where is None),
        region=where.region() if where else None,
        doubt=doubt,
    )
    tax, minor, fits = find_tax(money, verdict.chosen.minor if verdict.chosen else None)
    if tax is None:
        return total, currency, Field("tax", None, 0.0, stated=False, doubt="no tax was read")
    sure = _least(tax)
    return (
        total,
        currency,
        Field(
            "tax",
            _scaled(minor, code),
            round(sure if fits else sure * 0.6, 3),
            stated=fits and not tax.amount.mended and sure >= _LEAST_SURE,
            region=tax.piece.region(tax.amount.start, tax.amount.end),
            doubt="" if fits else "it fits no printed rate",
            readings=(Reading(_slice(tax), _scaled(minor, code), round(sure, 3), "first"),),
        ),
    )


def _total_field(verdict: Verdict, eye: Eye, code: str | None) -> Field:
    chosen = verdict.chosen
    if chosen is None:
        return Field("total", None, 0.0, stated=False, doubt=verdict.against[0])
    sure = _least(chosen)
    again = eye(chosen.piece)
    second = _nearest_amount(again, chosen)
    agree = second is not None and second.minor == chosen.minor
    doubts = list(verdict.against)
    if not agree:
        doubts.insert(0, "a second reading differs")
    elif chosen.amount.mended and (second is None or second.amount.mended) and len(verdict.support) < 2:
        doubts.append("a letter or a gap was taken for part of the number")
    if sure < (_LEAST_SURE if verdict.support else _LEAST_SURE_ALONE):
        doubts.append("a digit is hard to read")
    if not verdict.support:
        doubts.append("nothing else on the receipt confirms it")
    readings = [
        Reading(_slice(chosen), _scaled(chosen.minor, code), round(sure, 3), "first"),
        _amount_reading(again, second, code, "second"),
    ]
    if agree and not verdict.support:
        faint = eye(chosen.piece, faint=True)
        third = _nearest_amount(faint, chosen)
        readings.append(_amount_reading(faint, third, code, "third"))
        if third is None or third.minor != chosen.minor:
            doubts.insert(0, "a third reading differs")
            agree = False
    confidence = (
        sure
        * (1.0 if agree else 0.5)
        * (0.97 if verdict.support else 0.8)
        * (0.7 if verdict.against else 1.0)
    )
    return Field(
        "total",
        _scaled(chosen.minor, code),
        round(confidence, 3),
        stated=not doubts,
        region=chosen.piece.region(chosen.amount.start, chosen.amount.end),
        doubt="; ".join(doubts),
        readings=tuple(readings),
    )


def _amount_reading(text: Text, found: Sum | None, code: str | None, source: Source) -> Reading:
    if found is None:
        return Reading(text.text.strip(), None, 0.0, source)
    return Reading(_slice(found), _scaled(found.minor, code), round(_least(found), 3), source)


def date_field(rows: list[Row], eye: Eye, month_first: bool = False) -> Field:
    """The date of purchase as ISO 8601."""
    verdict = find_day(rows, month_first)
    if verdict.found is None or verdict.piece is None:
        return Field("date", None, 0.0, stated=False, doubt=verdict.doubt)
    found, piece = verdict.found, verdict.piece
    again = eye(piece)
    candidates = find_dates(again.text, month_first)
    second = next(
        (other for other in candidates if other.day == found.day), candidates[0] if candidates else None
    )
    agree = second is not None and second.day == found.day
    sure = min(piece.confidences[found.start : found.end], default=0.0)
    doubts = [verdict.doubt] if verdict.doubt else []
    if not agree:
        doubts.insert(0, "a second reading differs")
    if sure < _LEAST_SURE:
        doubts.append("a character is hard to read")
    second_text = again.text if second is None else again.text[second.start : second.end]
    return Field(
        "date",
        found.day.isoformat(),
        round(sure * (1.0 if agree else 0.5) * (1.0 if verdict.clear else 0.7), 3),
        stated=not doubts,
        region=piece.region(found.start, found.end),
        doubt="; ".join(doubts),
        readings=(
            Reading(piece.text[found.start : found.end], found.day.isoformat(), round(sure, 3), "first"),
            Reading(
                second_text.strip(),
                second.day.isoformat() if second else None,
                round(again.confidence, 3),
                "second",
            ),
        ),
    )


def merchant_field(rows: list[Row], eye: Eye) -> Field:
    """The seller's name as printed."""
    verdict = find_merchant(rows)
    if not verdict.name:
        return Field("merchant", None, 0.0, stated=False, doubt=verdict.doubt)
    texts = [eye(piece) for piece in verdict.pieces]
    second = mend_name(strip_name(" ".join(text.text for text in texts)))[0]
    agree = same_name(second, verdict.name)
    sure = min((min(piece.confidences, default=0.0) for piece in verdict.pieces), default=0.0)
    mean = sum(piece.confidence for piece in verdict.pieces) / len(verdict.pieces)
    doubts = [verdict.doubt] if verdict.doubt else []
    if not agree:
        doubts.insert(0, "a second reading differs")
    if verdict.mended:
        doubts.append("letters were mended")
    if not verdict.name.isascii():
        doubts.append("a letter with an accent cannot be told for sure")
    if mean < _LEAST_SURE_NAME or sure < 0.4:
        doubts.append("a letter is hard to read")
    exact, missed = legibility([row.text for row in rows])
    if missed > max(2, 0.35 * (exact + missed)):
        doubts.append("many common words on this receipt were misread")
    return Field(
        "merchant",
        verdict.name,
        round(mean * (1.0 if agree else 0.6) * (1.0 if verdict.strong else 0.7), 3),
        stated=not doubts,
        region=_around([piece.region() for piece in verdict.pieces]),
        doubt="; ".join(doubts),
        readings=(
            Reading(" ".join(piece.text for piece in verdict.pieces), verdict.name, round(sure, 3), "first"),
            Reading(
                " ".join(text.text for text in texts),
                second,
                round(min(t.confidence for t in texts), 3),
                "second",
            ),
        ),
    )


def _nearest_amount(again: Text, chosen: Sum) -> Sum | None:
    """The amount of a second reading that stands where the first one stood."""
    piece = chosen.piece._replace(text=again.text, confidences=again.confidences, places=again.places)
    found = [Sum(amount, piece) for amount in find_amounts(again.text)]
    before = len(find_amounts(chosen.piece.text[: chosen.amount.start]))
    return found[min(before, len(found) - 1)] if found else None


def _least(entry: Sum) -> float:
    return min(entry.piece.confidences[entry.amount.start : entry.amount.end], default=0.0)


def _slice(entry: Sum) -> str:
    return entry.piece.text[entry.amount.start : entry.amount.end].strip()


def _scaled(minor: int | None, code: str | None) -> str | None:
    if minor is None:
        return None
    return str(minor // 100 if code in ZERO_DECIMAL else minor)


def _around(regions: list[Region]) -> Region:
    same = [region for region in regions if region.page == regions[0].page]
    return Region(
        same[0].page,
        min(region.x0 for region in same),
        min(region.y0 for region in same),
        max(region.x1 for region in same),
        max(region.y1 for region in same),
    )
