"""What a call of a model costs: exactly, from the usage that its reply states; at most, before it is made.

Prices are whole millionths of the currency per million tokens, so no amount is ever a float. A sum is rounded up to the
next millionth once, at its end.
"""

from decimal import Decimal, InvalidOperation
from typing import Final

import msgspec

from freehold.base import BadInput
from freehold.gateway.asking import Asked
from freehold.gateway.models import Model
from freehold.store.interface import Cost

MILLION: Final = 1_000_000
_PER_MESSAGE: Final = 32
_FIXED: Final = 1_024


class Usage(msgspec.Struct, frozen=True):
    """What a reply says it took, in tokens. ``cached_tokens`` are those of the input that were kept from before."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0


def price(text: str) -> int:
    """Return a price per million tokens, as people write it (`0.15`), in millionths; raises BadInput."""
    try:
        amount = Decimal(text.strip())
        exact = amount * MILLION
        if not amount.is_finite() or amount < 0 or exact != exact.to_integral_value() or exact > 10**12:
            raise InvalidOperation
    except InvalidOperation:
        raise BadInput(
            f"{text[:40]!a} is not a price.",
            remedy="Write it per million tokens, with at most six decimals: 0.15",
        ) from None
    return int(exact)


def price_text(amount: int) -> str:
    """Return a price as people write it."""
    whole, rest = divmod(amount, MILLION)
    return f"{whole}.{rest:06d}".rstrip("0").rstrip(".") if rest else str(whole)


def cost_of(model: Model, usage: Usage) -> Cost:
    """Return what a call cost by the usage that its reply states; of the input what was cached has its own price."""
    kept = min(usage.cached_tokens, usage.input_tokens)
    price_kept = model.price_in if model.price_cached is None else model.price_cached
    sum_ = (usage.input_tokens - kept) * model.price_in + kept * price_kept
    sum_ += usage.output_tokens * model.price_out
    return Cost(-(-sum_ // MILLION), usage.input_tokens + usage.output_tokens, 1)


def most_of(model: Model, asked: Asked) -> Cost:
    """Return the most that a call can cost: no token is shorter than a byte; a template adds some to each message.

    Fewer would be an estimate: a byte alone is a token wherever the vocabulary falls back to bytes.
    """
    room = asked.bytes + _PER_MESSAGE * len(asked.messages) + _FIXED
    return cost_of(model, Usage(min(room, model.context), output_limit(model, asked)))


def output_limit(model: Model, asked: Asked) -> int:
    """Return how many tokens the answer may have."""
    return min(asked.max_tokens or model.max_output, model.max_output)
