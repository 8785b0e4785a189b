"""Decides which amount on a receipt is the total, and says what speaks for it; tax and currency likewise."""

from __future__ import annotations

import re
from typing import NamedTuple

from freehold.packs.expense_audit.extract.amounts import SYMBOLS, Amount, find_amounts
from freehold.packs.expense_audit.extract.labels import LabelKind, classify
from freehold.packs.expense_audit.layout import Piece, Row

__all__ = ["MoneyRow", "Sum", "Verdict", "find_currency", "find_tax", "find_total", "money_rows"]

_TOTALS: dict[LabelKind, float] = {"rounded": 5.0, "grand": 4.0, "total": 3.0, "inclusive": 3.0}
_TAX_WORD = re.compile(r"(?i)gst|sst|vat|tax|mwst|tva|iva")
_MAX_ROUNDING = 5
"""Cash totals are rounded to five or ten hundredths, so by at most this much."""


class Sum(NamedTuple):
    """An amount as found in a text, and the piece of text that it stands in."""

    amount: Amount
    piece: Piece

    @property
    def minor(self) -> int:
        """The amount in hundredths."""
        return self.amount.minor


class MoneyRow(NamedTuple):
    """Row number `at` with what its words say and its amounts; `summary` marks the rows of a tax table at
    the foot.
    """

    at: int
    kind: LabelKind
    sums: tuple[Sum, ...]
    text: str
    summary: bool


class Verdict(NamedTuple):
    """The total chosen; `support` are independent reasons for it in words, `against` what contradicts it."""

    chosen: Sum | None
    labelled: bool
    support: tuple[str, ...]
    against: tuple[str, ...]
    score: float


def money_rows(rows: list[Row]) -> list[MoneyRow]:
    """Label every row; an amount that stands alone under its label is taken up to it."""
    labelled: list[MoneyRow] = []
    summary = False
    for index, row in enumerate(rows):
        kind = classify(row.text)
        sums = tuple(Sum(amount, piece) for piece in row.pieces for amount in find_amounts(piece.text))
        if not sums and len(row.pieces) > 1 and kind != "none":
            sums = _across_pieces(row)
        if kind == "summary" and labelled:
            summary = True
        bare = kind == "none" and sums and not re.search(r"[A-Za-z]{4}", row.text)
        above = labelled[-1] if labelled else None
        if bare and above is not None and not above.sums and above.kind in (*_TOTALS, "paid", "change"):
            labelled[-1] = above._replace(sums=sums)
            sums = ()
        labelled.append(MoneyRow(index, kind, sums, row.text, summary))
    return _included_tax(labelled)


def _included_tax(rows: list[MoneyRow]) -> list[MoneyRow]:
    """A row like "total includes 6 % GST 0.74" names a tax: known by its size beside the other totals."""
    highest = max((_last(row) for row in rows if row.kind in _TOTALS), default=0)
    return [
        row._replace(kind="tax")
        if row.kind in ("total", "inclusive")
        and row.sums
        and _TAX_WORD.search(row.text)
        and 3 * _last(row) < highest
        else row
        for row in rows
    ]


def _across_pieces(row: Row) -> tuple[Sum, ...]:
    """An amount that detection has cut in two ("12." and "50"): found in the last two pieces joined."""
    left, right = row.pieces[-2], row.pieces[-1]
    if not re.fullmatch(r"\D{0,4}\d{1,6}\s?[.,]", left.text) or not re.fullmatch(r"\d{2}", right.text):
        return ()
    found = find_amounts(left.text.replace(" ", "") + right.text)
    return tuple(Sum(amount._replace(start=0, end=len(left.text), mended=True), left) for amount in found)


def find_total(rows: list[MoneyRow]) -> Verdict:
    """The amount to pay, the last one by the rules of receipts: after discounts, tax, service and
    rounding.
    """
    named = [row for row in rows if row.kind in _TOTALS and row.sums and row.sums[-1].minor > 0]
    early = [row for row in named if not row.summary]
    named = early or [row for row in named if len(row.sums) == 1]
    if not named:
        return _unlabelled(rows)
    paid_at = next((row.at for row in rows if row.kind in ("paid", "change") and row.sums), len(rows) + 9999)
    before_paid = [row for row in named if row.at < paid_at] or named
    best: tuple[float, MoneyRow, Sum] | None = None
    for row in named:
        for place, entry in enumerate(reversed(row.sums)):
            score = _TOTALS[row.kind] + (2.0 if row is before_paid[-1] else 0.0) - 1.5 * place
            score += 1.5 * len(_support(rows, row, entry.minor))
            score += 0.5 * sum(other is not row and _last(other) == entry.minor for other in named)
            score += _rounding_score(rows, named, row, entry.minor)
            score -= 0.5 if entry.amount.mended else 0.0
            if entry.minor > 0 and (best is None or score >= best[0]):
                best = (score, row, entry)
    if best is None:
        return _unlabelled(rows)
    score, row, entry = best
    same = [other for other in named if _last(other) == entry.minor and other is not row]
    support = [*_support(rows, row, entry.minor)]
    if same:
        support.append(f'also printed as "{same[0].text[:40]}"')
    clear = [entry, *(other.sums[-1] for other in same)]
    entry = min(clear, key=lambda item: (item.amount.mended, -min(_sure(item), default=0.0)))
    return Verdict(entry, True, tuple(support), tuple(_against(rows, named, row, entry.minor)), score)


def _sure(entry: Sum) -> tuple[float, ...]:
    return entry.piece.confidences[entry.amount.start : entry.amount.end]


def _last(row: MoneyRow) -> int:
    return row.sums[-1].minor if row.sums else 0


def _rounding(rows: list[MoneyRow]) -> list[MoneyRow]:
    return [
        row for row in rows if row.kind == "rounding" and row.sums and 0 < abs(_last(row)) <= _MAX_ROUNDING
    ]


def _rounding_score(rows: list[MoneyRow], named: list[MoneyRow], row: MoneyRow, minor: int) -> float:
    """A total that stands below the rounding and includes it beats the one above it."""
    score = 0.0
    for rounding in _rounding(rows):
        step = abs(_last(rounding))
        if row.at > rounding.at and any(
            other.at < rounding.at and abs(_last(other) - minor) == step for other in rows if other.sums
        ):
            score += 4.0
        if row.at < rounding.at and any(
            other.at > rounding.at and abs(_last(other) - minor) == step for other in named
        ):
            score -= 3.0
    return score


def _support(rows: list[MoneyRow], row: MoneyRow, minor: int) -> list[str]:
    """Independent reasons for an amount: the money handed over, the parts that add up to it, the item
    prices.
    """
    reasons: list[str] = []
    paid = [other for other in rows if other.kind == "paid" and other.sums and not other.summary]
    change = [abs(_last(other)) for other in rows if other.kind == "change" and other.sums]
    handed = [abs(_last(other)) for other in paid]
    if any(given - back == minor for given in handed for back in change if back):
        reasons.append("money given less change")
    elif minor in handed or (len(handed) > 1 and sum(handed) == minor):
        reasons.append("the amount paid")
    if _parts_add_up(rows, row, minor):
        reasons.append("net, tax and rounding add up")
    if _items_add_up(rows, row, minor):
        reasons.append("the prices of the items add up")
    return reasons


def _parts_add_up(rows: list[MoneyRow], row: MoneyRow, minor: int) -> bool:
    nets = {_last(other) for other in rows if other.kind == "subtotal" and other.sums}
    taxes = {entry.minor for other in rows if other.kind == "tax" for entry in other.sums}
    pairs = [
        {entry.minor for entry in other.sums} for other in rows if other.summary and len(other.sums) >= 2
    ]
    extras = [0]
    for other in rows:
        if other.kind in ("rounding", "service", "discount") and other.sums and not other.summary:
            value = _last(other)
            extras = [*extras, *(extra + sign * value for extra in extras for sign in (1, -1))][:81]
    for net in nets:
        for tax in (*taxes, 0):
            if any(net + tax + extra == minor for extra in extras) and (tax or net != minor):
                return True
    roundings = {0, *(sign * _last(other) for other in _rounding(rows) for sign in (1, -1))}
    for pair in pairs:
        values = sorted(pair)
        if len(values) == 2 and values[0] > 0 and any(sum(values) + step == minor for step in roundings):
            return True
    return len(pairs) > 1 and sum(sum(sorted(pair)[-2:]) for pair in pairs) == minor


def _items_add_up(rows: list[MoneyRow], row: MoneyRow, minor: int) -> bool:
    kinds = (*_TOTALS, "subtotal", "discount", "service")
    first = next((other.at for other in rows if other.sums and other.kind in kinds), row.at)
    priced = ("none", "count", "discount", "tax")
    items = [other for other in rows if other.at < first and other.sums and other.kind in priced]
    without_tax = [_last(other) for other in items if other.kind != "tax"]
    adjust = [0]
    for other in rows:
        between = first <= other.at <= row.at and other.kind in ("rounding", "service", "discount", "tax")
        if between and other.sums:
            adjust = [*adjust, *(a + s * _last(other) for a in adjust for s in (1, -1))][:81]
    return any(
        sum(prices) + extra == minor
        for prices in ([_last(other) for other in items], without_tax)
        for extra in adjust
        if prices
    )


def _against(rows: list[MoneyRow], named: list[MoneyRow], row: MoneyRow, minor: int) -> list[str]:
    """What contradicts a total, in words; nothing here means that the receipt agrees with itself."""
    reasons: list[str] = []
    later = [other for other in named if other.at > row.at and _last(other) != minor and not other.summary]
    if later:
        reasons.append(f'another total follows: "{later[-1].text[:40]}"')
    for rounding in _rounding(rows):
        if rounding.at > row.at and not any(other.at > rounding.at for other in named):
            reasons.append("rounding follows and no total after it")
    change = [abs(_last(other)) for other in rows if other.kind == "change" and other.sums]
    handed = [
        abs(_last(other)) for other in rows if other.kind == "paid" and other.sums and not other.summary
    ]
    if handed and change and not any(g - back == minor for g in {*handed, sum(handed)} for back in change):
        reasons.append("money given less change is another amount")
    larger = [
        other for other in named if _last(other) > minor and not other.summary and other.kind != "total"
    ]
    if larger and not _rounding(rows):
        reasons.append(f'a larger total is printed: "{larger[-1].text[:40]}"')
    return reasons


def _unlabelled(rows: list[MoneyRow]) -> Verdict:
    """No word for total was read: what was paid, else a net sum, else the largest amount; never without
    doubt.
    """
    change = [abs(_last(row)) for row in rows if row.kind == "change" and row.sums]
    back = max(change, default=0)
    for kinds in (("paid",), ("subtotal",), ("none", "count", "tax", "summary")):
        found = [row for row in rows if row.kind in kinds and row.sums and abs(_last(row)) > 0]
        if not found:
            continue
        row = found[-1] if kinds != ("none", "count", "tax", "summary") else max(found, key=_last)
        entry = row.sums[-1]
        if kinds == ("paid",) and back:
            fits = [r.sums[-1] for r in rows if r.sums and _last(r) == abs(entry.minor) - back]
            entry = fits[0] if fits else entry
        return Verdict(
            entry, False, tuple(_support(rows, row, entry.minor)), ("no word for total was read",), 0.0
        )
    return Verdict(None, False, (), ("no amount was read",), 0.0)


def find_tax(rows: list[MoneyRow], total: int | None) -> tuple[Sum | None, int, bool]:
    """The tax in the total: where it stands, its amount in hundredths, and whether it fits a printed rate
    or net.
    """
    best: tuple[int, Sum, int] | None = None
    for row in rows:
        if row.kind not in ("tax", "summary") and not row.summary:
            continue
        rate = _rate(row.text)
        for place, entry in enumerate(row.sums):
            minor = entry.minor
            if minor < 0 or (total is not None and minor * 2 > total):
                continue
            others = [item.minor for item in row.sums if item is not entry]
            base = [*others, *([total] if total is not None else [])]
            fits = rate is not None and any(_fits(minor, amount, rate) for amount in base)
            adds = total is not None and any(minor + other == total for other in others)
            rank = (
                4 * (fits or adds)
                + 2 * (not row.summary)
                + (len(row.sums) == 1 or place == len(row.sums) - 1)
            )
            if best is None or rank > best[0]:
                best = (rank, entry, minor)
    if best is None:
        return None, 0, False
    return best[1], best[2], best[0] >= 4


def _rate(text: str) -> float | None:
    match = re.search(r"(\d{1,2}(?:[.,]\d{1,2})?)\s?%", text)
    return float(match[1].replace(",", ".")) if match else None


def _fits(tax: int, amount: int, rate: float) -> bool:
    return abs(tax - amount * rate / 100) <= 1.5 or abs(tax - amount * rate / (100 + rate)) <= 1.5


_COUNTRY = (
    ("MYR", r"sdn\.? ?bhd|\bs/b\b|malaysia|selangor|kuala lumpur|johor|penang"),
    ("MYR", r"\bgst (reg|id|no)\b.*0{2}\d{10}|jalan\b"),
    ("EUR", r"\bgmbh\b|\bust-?id|steuer-?nr|\bmwst\b|deutschland|österreich"),
    ("EUR", r"\bs\.?r\.?l\.?\b|\btva\b|\biva\b|\bbtw\b"),
    ("GBP", r"\bvat (reg|no)\b.*\bgb|united kingdom|\blondon\b"),
    ("SGD", r"\bpte\.? ltd|singapore"),
)


def find_currency(
    rows: list[Row], money: list[MoneyRow], total: Sum | None
) -> tuple[str | None, bool, Piece | None]:
    """ISO code, whether it is printed (else guessed from the seller's country), and where it is printed."""
    votes: dict[str, int] = {}
    where: dict[str, Piece] = {}
    for row in money:
        for entry in row.sums:
            code = entry.amount.currency
            if code:
                votes[code] = votes.get(code, 0) + (
                    5 if total is not None and entry.minor == total.minor else 1
                )
                where.setdefault(code, entry.piece)
    for line in rows:
        for piece in line.pieces:
            for word in re.findall(
                r"(?<![A-Za-z])(RM|MYR|EUR|EURO|€|GBP|£|CHF|USD|SGD)(?![A-Za-z])", piece.text
            ):
                code = SYMBOLS[word]
                votes[code] = votes.get(code, 0) + 1
                where.setdefault(code, piece)
    page = "\n".join(row.text for row in rows)
    hint = next((code for code, pattern in _COUNTRY if re.search(pattern, page, re.IGNORECASE)), None)
    clear = {code: count for code, count in votes.items() if code not in ("$", "KR")}
    if clear:
        code = max(clear, key=lambda item: (clear[item], item == hint))
        return code, len(clear) == 1, where[code]
    if "$" in votes:
        return hint or "USD", False, where["$"]
    return hint, False, None
