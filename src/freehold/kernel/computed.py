"""What can be worked out from trusted values by the owner's own words: sums, differences, the largest, the last.

Pure functions; ``freehold.kernel.origins`` and ``freehold.kernel.pointing`` ask them. A strange value has no part here.
"""

import datetime as dt
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from decimal import ROUND_HALF_EVEN, Decimal, DivisionByZero, InvalidOperation
from types import MappingProxyType
from typing import Final

from freehold.kernel.moments import is_day
from freehold.kernel.said import Said
from freehold.kernel.seen import Record
from freehold.kernel.vocabulary import NUMBER_WORDS
from freehold.kernel.wording import number, stem

_MOST: Final = 40
"""So many numbers are tried, so that a long list does not offer any result at all."""
_CENT: Final = Decimal("0.01")
_FIGURE: Final = re.compile(r"\d+(?:[.,]\d+)*")
_GLUED: Final = re.compile(r"[^\W\d_]#")
_NAMES: Final = re.compile(r"(?:\A|[._])id_?\Z")
"""Fields and values that name a thing and measure nothing of it."""
_MOMENT: Final = re.compile(r"\d{4}-\d{2}-\d{2}(?:[t ]\d{2}:\d{2}.*)?\Z")
_SHARES: Final[Mapping[str, int]] = MappingProxyType(
    {
        "half": 2,
        "hälfte": 2,
        "halb": 2,
        "moitié": 2,
        "third": 3,
        "drittel": 3,
        "tiers": 3,
        "quarter": 4,
        "viertel": 4,
    }
)
_TIMES: Final[Mapping[str, int]] = MappingProxyType(
    {"double": 2, "twice": 2, "doppelt": 2, "verdopple": 2, "triple": 3}
)
_SUMS: Final = (
    "total",
    "sum",
    "altogether",
    "add up",
    "together",
    "all",
    "summe",
    "insgesamt",
    "somme",
    "totaux",
)
_APART: Final = ("difference", "extra", "differenz", "différence")
_INCREASES: Final = (
    "more", "extra", "increase", "increased", "raise", "above", "plus", "mehr", "erhöhe", "augmente", "added", "higher",
)  # fmt: skip
_DECREASES: Final = (
    "less", "decrease", "decreased", "lower", "reduce", "below", "minus", "off", "discount", "weniger", "moins",
)  # fmt: skip
_DIFFERENCES: Final = (
    *_INCREASES, *_DECREASES, "difference", "rest", "remaining", "remainder", "left", "missing", "differenz",
    "différence", "reste", "cost", "instead",
)  # fmt: skip
_DIVIDED: Final = (
    "divide",
    "divided",
    "split",
    "share",
    "each",
    "equal",
    "equally",
    "parts",
    "teile",
    "partage",
)
_COUNTS: Final = (
    "number of", "count", "counts", "how many", "how often", "times", "ranking", "rank", "most", "points", "score",
    "anzahl", "wie viele", "zähle", "combien", "nombre de",
)  # fmt: skip
_FEW: Final = 100
_PERCENT: Final = re.compile(r"(\d+(?:[.,]\d+)?|[a-z]+)\s*(?:%|percent|per cent|prozent|pour ?cent)")
_PRICES: Final = frozenset(["price", "cost", "amount", "rate", "fee", "fare"])
_SIZES: Final = frozenset(["size", "amount", "length", "total", "capacity", "quantity", "number", "budget"])
_TIMES_OF: Final = frozenset(["length", "duration", "time", "hours", "minutes", "days"])
_NONE: Final[Set[str]] = frozenset()
_LARGEST: Final[Mapping[str, Set[str]]] = MappingProxyType(
    {
        "largest": _SIZES,
        "biggest": _SIZES,
        "highest": _NONE,
        "most": _NONE,
        "best": frozenset({"rating", "score"}),
        "longest": _TIMES_OF,
        "größte": _SIZES,
        "höchste": _NONE,
        "plus grand": _SIZES,
        "expensive": _PRICES,
        "teuerste": _PRICES,
        "top": frozenset({"rating", "score"}),
    }
)
_SMALLEST: Final[Mapping[str, Set[str]]] = MappingProxyType(
    {
        "smallest": _SIZES,
        "lowest": _NONE,
        "cheapest": _PRICES,
        "least": _NONE,
        "shortest": _TIMES_OF,
        "kleinste": _SIZES,
        "billigste": _PRICES,
        "moins cher": _PRICES,
    }
)
"""Superlatives, and what they measure; those without measure what stands behind them."""
_LAST: Final = ("latest", "newest", "most recent", "last", "letzte", "neueste", "dernier", "dernière")
_FIRST: Final = ("oldest", "earliest", "first", "älteste", "erste", "premier", "première")
_NEXT: Final = ("next", "upcoming", "nächste", "prochain", "prochaine")


def results(said: Said, known: Iterable[str]) -> Iterator[Decimal]:
    """Yield what the owner's words make of the known numbers; nothing where they ask for no computing."""
    every = [value for value in map(number, known) if value is not None]
    numbers = sorted(set(every))
    if not numbers or len(numbers) > _MOST:
        return
    own = sorted(said.amounts)
    for share in (parts for word, parts in _SHARES.items() if said.asks((word,))):
        yield from (value / share for value in (*numbers, *own))
    for times in (times for word, times in _TIMES.items() if said.asks((word,))):
        yield from (value * times for value in (*numbers, *own))
    if said.asks(_DIVIDED):
        yield from (value / parts for value in numbers for parts in said.counted if parts > 1)
    for percent in _percents(said):
        apart = said.asks(_APART)
        more, less = said.asks(_INCREASES) and not apart, said.asks(_DECREASES) and not apart
        for value in numbers:
            yield value * (
                1 + percent if more and not less else 1 - percent if less and not more else percent
            )
    if said.asks(_SUMS):
        yield sum(every, Decimal())
    if said.asks(_DIFFERENCES):
        yield from (abs(one - other) for one in own for other in numbers)
        if len(numbers) <= 2:
            yield numbers[-1] - numbers[0]
    if said.asks(_INCREASES):
        yield from (one + other for one in own for other in numbers)


def is_result(value: Decimal, said: Said, known: Iterable[str]) -> bool:
    """Say whether a number is such a result, to the cent."""
    wanted = value.quantize(_CENT)
    try:
        return any(found.quantize(_CENT, ROUND_HALF_EVEN) == wanted for found in results(said, known))
    except (InvalidOperation, DivisionByZero):
        return False


def is_count(value: Decimal, said: Said) -> bool:
    """Say whether a number is one that counts, where the owner asked for counting and gave no number to say."""
    return value == int(value) and 0 <= value < _FEW and not said.counts and said.asks(_COUNTS)


def _percents(said: Said) -> Iterator[Decimal]:
    for text in said.texts:
        for much in _PERCENT.findall(text):
            value = Decimal(NUMBER_WORDS[much]) if much in NUMBER_WORDS else number(much)
            if value is not None:
                yield value / 100


def is_shifted(moment: str, said: Said, known: Iterable[str]) -> bool:
    """Say whether a folded moment is as many days or weeks as were said before or behind a known one.

    It has that one's time of day, or one that the owner gave.
    """
    day, clock = _parted(moment)
    if day is None:
        return False
    for other, at in map(_parted, known):
        if (
            other is not None
            and abs((day - other).days) in said.nights
            and (clock in ("", at) or said.names(clock))
        ):
            return True
    return False


def _parted(moment: str) -> tuple[dt.date | None, str]:
    if not _MOMENT.match(moment) or not is_day(moment[:10]):
        return None, ""
    return dt.date.fromisoformat(moment[:10]), moment[11:16]


def is_extreme(said: Said, every: Sequence[Record], chosen: Sequence[Record]) -> bool:
    """Say whether the owner asked for the largest, the smallest, the first or the last of a list, and this is it.

    Only trusted fields that all have are compared, and a tie is no answer.
    """
    if len(every) < 2 or len(chosen) != 1:
        return False
    (one,) = chosen
    return any(
        column.count(value) == 1
        and _leads(
            said,
            value,
            column,
            {stem(word) for word in one.called.get(value, ())},
        )
        for field, value in one.fields.items()
        if not _NAMES.search(field)
        for column in [[other.fields[field] for other in every if field in other.fields]]
        if len(column) == len(every)
    )


def is_latest(one: Record, every: Sequence[Record]) -> bool:
    """Say whether this thing has the one latest moment of all, in a field that each of them has."""
    return any(
        _MOMENT.match(value) and column.count(value) == 1 and value == max(column)
        for field, value in one.fields.items()
        for column in [[other.fields.get(field, "") for other in every]]
    )


def is_name(field: str) -> bool:
    """Say whether a field names its thing and measures nothing."""
    return bool(_NAMES.search(field))


def _sizes(text: str) -> tuple[Decimal, ...]:
    return tuple(size for size in map(number, _FIGURE.findall(text)) if size is not None)


def _leads(said: Said, value: str, column: Sequence[str], called: Set[str]) -> bool:
    if all(_MOMENT.match(text) for text in column):
        today = said.today.isoformat() if said.today else ""
        past = [text for text in column if not today or text[:10] <= today]
        ahead = [text for text in column if text[:10] >= today]
        return (
            (said.asks(_LAST) and value == max(past, default=""))
            or (said.asks(_NEXT) and value == min(ahead, default=""))
            or (said.asks(_FIRST) and value == min(column))
        )
    sizes, forms = [_sizes(text) for text in column], {_FIGURE.sub("#", text) for text in column}
    if len(forms) != 1 or not all(sizes) or any(_GLUED.search(form) for form in forms):
        return False
    mine = _sizes(value)
    return (said.measures(_LARGEST, called) and max(sizes) == mine) or (
        said.measures(_SMALLEST, called) and min(sizes) == mine
    )
