"""Amounts as people write them: `2.00 EUR`, `10 min`, `7 days`; and back into words.

Pure; used by the job file and by the commands that print amounts. Money is integers in millionths of the
currency's unit, time is integers in microseconds.
"""

import re
from typing import Final

from freehold.base.canonical import MAX_INT
from freehold.base.errors import BadInput

MICRO: Final = 1_000_000
_MONEY: Final = re.compile(r"(?:([A-Z]{3})\s+)?(\d[\d_,']{0,15})(?:\.(\d{1,6}))?(?:\s+([A-Z]{3}))?")
_AMOUNT: Final = re.compile(r"(\d{1,12})(?:\.(\d{1,3}))?\s*([a-z]+)")
_UNITS_US: Final = {
    "ms": 1_000,
    "s": MICRO,
    "min": 60 * MICRO,
    "h": 3_600 * MICRO,
    "day": 86_400 * MICRO,
    "week": 7 * 86_400 * MICRO,
}
_OTHER_NAMES: Final = {
    "second": "s",
    "seconds": "s",
    "sec": "s",
    "minute": "min",
    "minutes": "min",
    "mins": "min",
    "hour": "h",
    "hours": "h",
    "days": "day",
    "d": "day",
    "weeks": "week",
}


def parse_money(text: str) -> tuple[int, str]:
    """Return (millionths, currency) of an amount such as `2.00 EUR`; raises BadInput."""
    match = _MONEY.fullmatch(text.strip())
    if match is None or (match[1] is None) == (match[4] is None):
        raise BadInput(
            f"{text!r} is not an amount of money.",
            remedy="Write a number and a currency, such as `2.00 EUR`.",
        )
    micro = int(re.sub(r"[_,']", "", match[2])) * MICRO + int((match[3] or "").ljust(6, "0") or 0)
    if micro > MAX_INT:
        raise BadInput(f"{text!r} is more money than Freehold can count.", remedy="Write a smaller amount.")
    return micro, match[1] or match[4]


def parse_duration(text: str) -> int:
    """Return the microseconds of a span such as `10 min`; raises BadInput."""
    match = _AMOUNT.fullmatch(text.strip().lower())
    unit = None if match is None else _UNITS_US.get(_OTHER_NAMES.get(match[3], match[3]))
    if match is None or unit is None:
        raise BadInput(
            f"{text!r} is not a span of time.",
            remedy="Write a number and a unit: ms, s, min, h, days, weeks; such as `10 min`.",
        )
    thousandths = int(match[1]) * 1_000 + int((match[2] or "").ljust(3, "0") or 0)
    span = thousandths * unit // 1_000
    if span > MAX_INT:
        raise BadInput(f"{text!r} is longer than Freehold can count.", remedy="Write a shorter span.")
    return span


def money_words(micro: int, currency: str) -> str:
    """Return an amount as people read it: two decimals, more only where they are not zero."""
    sign, micro = ("-", -micro) if micro < 0 else ("", micro)
    whole, rest = divmod(micro, MICRO)
    decimals = f"{rest:06d}".rstrip("0").ljust(2, "0")
    return f"{sign}{whole:,}.{decimals} {currency}".rstrip()


def duration_words(span_us: int) -> str:
    """Return a span as people read it, in its largest whole unit."""
    for name, size in (("week", 7 * 86_400 * MICRO), ("day", 86_400 * MICRO)):
        if span_us and span_us % size == 0:
            count = span_us // size
            return f"{count} {name}" + ("s" if count != 1 else "")
    for name, size in (("h", 3_600 * MICRO), ("min", 60 * MICRO), ("s", MICRO)):
        if span_us >= size and span_us % size == 0:
            return f"{span_us // size} {name}"
    if span_us >= MICRO:
        return f"{span_us / MICRO:.1f} s"
    return f"{span_us / 1_000:.0f} ms"
