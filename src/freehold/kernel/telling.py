"""What a card says of where a value came from: the value as a whole, and what of others' stands in an agent's own text.

Only for people to read; nothing is judged by it. ``freehold.kernel.asking`` calls it.
"""

import re
from collections.abc import Iterator
from decimal import Decimal
from itertools import islice
from typing import Final

from freehold.base import Json
from freehold.kernel.facts import visible
from freehold.kernel.moments import figures_of
from freehold.kernel.origins import OWN, YOURS, Origins
from freehold.kernel.wording import fold, marked, number, words

MAX_PARTS: Final = 400
MAX_SHOWN: Final = 5
MAX_CHARS: Final = 48
_FEW: Final = 4
"""A sentence of so many words is looked for as a whole; a shorter one could be anybody's."""
_SENTENCE: Final = re.compile(r"(?<=[.!?;:])\s+|\n+")


def told_of(origins: Origins, value: Json) -> str:
    """Return where a value came from. Of an agent's own text it adds what stands in it of others, and whose that is."""
    whole = origins.origin_of(value)
    if whole != OWN:
        return whole
    found: dict[str, list[str]] = {}
    for part in islice(_parts(value), MAX_PARTS):
        ways = _spellings(part, cents=isinstance(value, int))
        origin = next((one for way in ways if (one := origins.origin_of(way)) != OWN), OWN)
        if origin not in (OWN, YOURS) and part not in found.setdefault(origin, []):
            found[origin].append(part)
    own = f"{OWN}, written after it read strangers' text" if origins.steered else OWN
    return "; ".join([own, *(f"{_few(parts)} from {origin}" for origin, parts in found.items())])


def _parts(value: Json) -> Iterator[str]:
    """Yield what in a value can be told apart: addresses and links, numbers and days, whole sentences."""
    if not isinstance(value, str):
        yield str(value)
        return
    rest = value
    for mark in marked(value):
        yield mark
        rest = rest.replace(mark, " ")
    yield from (figure.text for figure in figures_of(fold(rest), None)[0])
    yield from (one for one in map(str.strip, _SENTENCE.split(value)) if len(words(fold(one))) >= _FEW)


def _spellings(part: str, *, cents: bool) -> Iterator[str]:
    """Yield a part as it is written, and a number as others write it; with ``cents`` as so many hundredths too."""
    yield part
    amount = number(part)
    if amount is None or not part.isascii():
        return
    for one in [amount, amount / 100] if cents else [amount]:
        yield from _written(one, "0" if one == one.to_integral_value() else "0.01")
        yield from _written(one, "0.01")


def _written(amount: Decimal, places: str) -> Iterator[str]:
    plain = f"{amount.quantize(Decimal(places)):,f}"
    yield plain.replace(",", "")
    yield plain
    yield plain.translate(str.maketrans(",.", ".,"))
    yield plain.replace(",", "").replace(".", ",")


def _few(parts: list[str]) -> str:
    """Return the first of the parts, each short and made visible, and how many there are beside."""
    shown = [
        visible(part if len(part) <= MAX_CHARS else f"{part[: MAX_CHARS - 1]}…") for part in parts[:MAX_SHOWN]
    ]
    more = [f"{len(parts) - MAX_SHOWN} more"] if len(parts) > MAX_SHOWN else []
    return ", ".join([*shown, *more])
