"""Limits, calendar windows and the words for amounts. Used by the budget, the job file's reader and the bill.

Windows are by the UTC calendar of the house's time, for every estate alike: a day has 24 hours, and two nodes
in two time zones agree on it. A charge belongs to the window in which it was reserved, not settled.
"""

import datetime
from typing import Any, Final, Literal

import msgspec

from freehold.base import BadInput
from freehold.store.interface import Cost

Window = Literal["run", "day", "month", "total"]
Dimension = Literal["money_micro", "tokens", "actions", "cpu_us"]
DIMENSIONS: Final[tuple[Dimension, ...]] = ("money_micro", "tokens", "actions", "cpu_us")
DAY_US: Final = 86_400_000_000
NEVER_US: Final = 2**62
NOTHING: Final = Cost()

_PERIOD: Final = {"run": "in this run", "day": "a day", "month": "a month", "total": "in all"}


class Limit(msgspec.Struct, frozen=True):
    """At most ``amount`` of ``dimension`` a ``window``; ``where`` says which line of which file set it."""

    window: Window
    dimension: Dimension
    amount: int
    where: str = ""


def check_limits(limits: tuple[Limit, ...], windows: tuple[Window, ...]) -> None:
    """Raise BadInput unless every limit is a sane amount in one of ``windows`` and none is set twice."""
    seen = set()
    for limit in limits:
        if limit.window not in windows:
            raise BadInput(
                f"A limit per {limit.window} is not possible here.", remedy=f"Use {', '.join(windows)}."
            )
        if not 0 <= limit.amount < 2**53:
            raise BadInput(f"The limit {limit.amount} is out of range.", remedy=_change(limit))
        if (limit.window, limit.dimension) in seen:
            raise BadInput(
                f"The limit of {limit.dimension} per {limit.window} is set twice.", remedy=_change(limit)
            )
        seen.add((limit.window, limit.dimension))


def _change(limit: Limit) -> str:
    return f"Change {limit.where}." if limit.where else "Change the limit."


def day_start(at_us: int) -> int:
    """Return the start of the UTC day."""
    return at_us - at_us % DAY_US


def month_start(at_us: int) -> int:
    """Return the start of the UTC month."""
    moment = datetime.datetime.fromtimestamp(at_us // 1_000_000, datetime.UTC)
    return day_start(at_us) - (moment.day - 1) * DAY_US


def next_month(at_us: int) -> int:
    """Return the start of the next UTC month."""
    return month_start(month_start(at_us) + 32 * DAY_US)


def utc(at_us: int) -> str:
    """Return the moment as people read it."""
    return datetime.datetime.fromtimestamp(at_us // 1_000_000, datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")


def amount_text(dimension: Dimension, amount: int, currency: str) -> str:
    """Return an amount in words: money with at least two decimals, CPU in seconds, the rest counted."""
    if dimension == "money_micro":
        return f"{_decimal(amount, 2)} {currency}"
    if dimension == "cpu_us":
        return f"{_decimal(amount, 1)} CPU seconds"
    return f"{amount:,} {dimension if amount != 1 else dimension[:-1]}"


def span_text(span_us: int) -> str:
    """Return a span of time in words."""
    span_us = max(0, span_us)
    seconds = span_us // 1_000_000
    if seconds < 120:
        return f"{span_us / 1_000_000:.3g} seconds" if seconds < 10 else f"{seconds} seconds"
    return f"{seconds // 60} minutes" if seconds < 7_200 else f"{seconds / 3_600:.1f} hours"


def _decimal(micro: int, places: int) -> str:
    sign, (whole, rest) = "-" if micro < 0 else "", divmod(abs(micro), 1_000_000)
    digits = f"{rest:06d}".rstrip("0").ljust(places, "0")
    return f"{sign}{whole:,}.{digits}"


def period_text(window: Window) -> str:
    """Return how often the limit counts, in words."""
    return _PERIOD[window]


def amounts(cost: Cost) -> dict[Dimension, int]:
    """Return the four amounts by name."""
    return {
        "money_micro": cost.money_micro,
        "tokens": cost.tokens,
        "actions": cost.actions,
        "cpu_us": cost.cpu_us,
    }


def cost_row(cost: Cost) -> list[int]:
    """Return the four amounts as a row for a document."""
    return [cost.money_micro, cost.tokens, cost.actions, cost.cpu_us]


def limits_row(limits: tuple[Limit, ...]) -> list[dict[str, Any]]:
    """Return limits as they stand in a document."""
    return [dict(msgspec.to_builtins(limit)) for limit in limits]
