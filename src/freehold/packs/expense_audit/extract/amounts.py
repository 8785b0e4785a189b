"""Finds amounts of money in text as it comes out of OCR, and turns them into integer minor units."""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["ZERO_DECIMAL", "Amount", "find_amounts", "format_minor", "parse_minor"]

ZERO_DECIMAL = frozenset({"JPY", "KRW", "VND", "CLP", "ISK", "XAF", "XOF", "PYG", "UGX"})
"""Currencies without minor units (ISO 4217)."""

_CODES = "MYR EUR GBP CHF USD SGD JPY PLN CZK SEK NOK DKK AUD CAD HUF IDR THB INR"
SYMBOLS = {
    **{code: code for code in _CODES.split()},
    "RM": "MYR",
    "€": "EUR",
    "EURO": "EUR",
    "£": "GBP",
    "SFR": "CHF",
    "FR.": "CHF",
    "¥": "JPY",
    "US$": "USD",
    "S$": "SGD",
    "A$": "AUD",
    "C$": "CAD",
    "ZŁ": "PLN",
    "KČ": "CZK",
    "$": "$",
    "KR": "KR",
}
"""Printed signs and their ISO 4217 codes; "$" and "KR" stand for several currencies and stay as they are."""

_DIGIT_LIKE = "0-9OoQDIlSsBZC"
_MEND = str.maketrans({"O": "0", "o": "0", "Q": "0", "D": "0", "I": "1", "l": "1", "S": "5", "s": "5",
                       "B": "8", "Z": "2", "C": "0"})  # fmt: skip
_SIGN = "|".join(sorted((re.escape(sign) for sign in SYMBOLS), key=len, reverse=True))
_AMOUNT = re.compile(
    rf"(?<![0-9.,:/\-])(?:(?P<front>{_SIGN}|[RK][MNH]|S(?=\d))\s?[:.]?\s?)?"
    rf"(?P<minus>[-–]\s?)?(?:(?P<front2>{_SIGN})\s?)?"
    rf"(?P<whole>\d{{1,3}}(?:[ ,.'’]\d{{3}})+|(?-i:[{_DIGIT_LIKE}]{{1,7}})|(?=\.))"
    rf"(?P<sep>\s?[.,·]\s?|\s)(?P<cents>(?-i:[{_DIGIT_LIKE}]{{2}}))(?P<after>-)?"
    rf"(?![0-9/:%]|[.,]\d)(?:\s?(?P<back>{_SIGN})(?![A-Za-z]))?",
    re.IGNORECASE,
)
_WHOLE = re.compile(
    rf"(?<![0-9A-Za-z.,])(?P<front>{_SIGN})\s?(?P<whole>\d{{1,7}})(?![0-9.,%])", re.IGNORECASE
)


class Amount(NamedTuple):
    """An amount in minor units (hundredths), where it stands in the text, the sign printed with it ("" if
    none).

    `mended` means that letters were taken for digits or a gap for the decimal point.
    """

    minor: int
    start: int
    end: int
    currency: str
    mended: bool


def find_amounts(text: str) -> list[Amount]:
    """All amounts with two decimals in a text, left to right; percentages, dates and times are left out."""
    found: list[Amount] = []
    for match in _AMOUNT.finditer(text):
        amount = _amount_of(match)
        if amount is not None:
            found.append(amount)
    if not found:
        for match in _WHOLE.finditer(text):
            code = SYMBOLS.get(match["front"].upper(), "")
            found.append(Amount(int(match["whole"]) * 100, match.start(), match.end(), code, True))
    return found


def _amount_of(match: re.Match[str]) -> Amount | None:
    whole, cents, gap = match["whole"], match["cents"], match["sep"]
    digits = sum(character.isdigit() for character in whole + cents)
    letters = len(whole) + len(cents) - digits
    letters -= sum(character in " ,.'’" for character in whole)
    if digits < letters + 1 or (letters and not gap.strip()):
        return None
    front = match["front"] or match["front2"] or ""
    if not gap.strip() and not _gap_is_a_point(match, front):
        return None
    plain = re.sub(r"[ ,.'’]", "", whole).translate(_MEND)
    minor = int(plain or "0") * 100 + int(cents.translate(_MEND))
    if match["minus"] or match["after"]:
        minor = -minor
    sign = (front or match["back"] or "").upper()
    code = SYMBOLS.get(sign, "MYR" if sign in ("RN", "RH", "KM") else "$" if sign == "S" else "")
    mended = bool(letters) or not gap.strip() or sign in ("RN", "RH", "KM", "S") or not whole
    return Amount(minor, match.start(), match.end(), code, mended)


def _gap_is_a_point(match: re.Match[str], front: str) -> bool:
    """A faint decimal point leaves a gap: believed only where nothing else stands in that piece of text."""
    rest = match.string[: match.start()] + match.string[match.end() :]
    return len(match["whole"]) <= 4 and (bool(front) or not rest.strip(" -:RM$"))


def format_minor(minor: int, currency: str | None) -> str:
    """An amount for people: 12.50 EUR; without a currency where none is known."""
    if currency in ZERO_DECIMAL:
        return f"{minor} {currency}"
    sign = "-" if minor < 0 else ""
    return f"{sign}{abs(minor) // 100}.{abs(minor) % 100:02d}" + (f" {currency}" if currency else "")


def parse_minor(text: str) -> int | None:
    """An amount that a person typed ("12.5", "1.234,50 EUR", "80") in hundredths, or None."""
    match = re.fullmatch(r"[^\d-]*(-?)\s*([\d.,' ’]*\d)[^\d]*", text.strip())
    if match is None:
        return None
    body = re.sub(r"[ '’]", "", match[2])
    last = max(body.rfind("."), body.rfind(","))
    whole, cents = (body, "") if last < 0 else (body[:last], body[last + 1 :])
    if len(cents) > 2:
        whole, cents = body, ""
    whole = re.sub(r"[.,]", "", whole)
    minor = int(whole or "0") * 100 + int((cents + "00")[:2])
    return -minor if match[1] else minor
