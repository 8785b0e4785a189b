"""Identifiers: UUIDv7 (RFC 9562) for things that happen, derived ids for actions.

All ids are 32 lower-case hexadecimal digits. People see the last eight: in a UUIDv7 those are random, so
they tell two runs of the same minute apart, where the first eight would not.
"""

import hashlib
import secrets
from collections.abc import Callable
from typing import Final

from freehold.base.clock import Clock

SHORT_LENGTH: Final = 8


class IdSource:
    """Makes UUIDv7 ids from an injected clock and source of random bytes."""

    def __init__(self, clock: Clock, random_bytes: Callable[[int], bytes] = secrets.token_bytes) -> None:
        self._clock = clock
        self._random_bytes = random_bytes

    def new(self) -> str:
        """Return a new UUIDv7 as 32 hexadecimal digits (RFC 9562, section 5.7)."""
        milliseconds = self._clock.now_us() // 1_000
        tail = int.from_bytes(self._random_bytes(10), "big")
        random_a, random_b = tail >> 64 & 0xFFF, tail & (1 << 62) - 1
        value = (milliseconds & (1 << 48) - 1) << 80 | 0x7 << 76 | random_a << 64 | 0b10 << 62 | random_b
        return f"{value:032x}"


def action_id(run: str, node: str, item: int, ordinal: int) -> str:
    """Return the id of an action: the same for every attempt at the same place of the same run.

    ``node`` is the plan's node, ``item`` the index in its fan-out (0 for none), ``ordinal`` 0 for the step
    itself and 1, 2, … for what the step asks for, in order.
    """
    text = f"freehold/action/v1\0{run}\0{node}\0{item}\0{ordinal}"
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def short(identifier: str) -> str:
    """Return the form of an id that people see and type."""
    return identifier[-SHORT_LENGTH:]
