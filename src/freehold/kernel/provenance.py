"""Where a value came from: equality of the parsed value with one in a trusted record, and nothing softer.

The gate asks before a consequential action that text of strangers could have steered. A match endorses the
value, not the choice of it: where a record offers several, the trusted plan must have said that one may be
chosen.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from freehold.kernel.rights import Right, values_named


class Offer(msgspec.Struct, frozen=True):
    """The values that trusted records name for one field; ``choice`` when data may choose among them."""

    values: frozenset[str]
    choice: bool = False


class Trusted:
    """The values that one run's trusted records name, by field (``recipient``, ``host``, ``path``, ``tool``).

    Built from the job file, the plan, settings and humans' answers before the action; values are compared in
    the parsed form that ``freehold.kernel.rights`` gives them.
    """

    def __init__(self, offers: Mapping[str, Offer]) -> None:
        self._offers = dict(offers)

    @staticmethod
    def from_rights(rights: Iterable[Right], *, choice: bool = False) -> "Trusted":
        """Return what the exact rights of a job file name; patterns name nothing."""
        values: dict[str, set[str]] = {}
        for right in rights:
            value = values_named(right)
            if value is not None and right.effect == "permit":
                values.setdefault(right.action, set()).add(value)
        return Trusted({field: Offer(frozenset(named), choice) for field, named in values.items()})

    def with_offer(self, field: str, values: Iterable[str], *, choice: bool = False) -> "Trusted":
        """Return the same with another record's values for one field, in place of what was there."""
        return Trusted({**self._offers, field: Offer(frozenset(values), choice)})

    def covers(self, control: Iterable[tuple[str, str]]) -> bool:
        """Say whether every (field, value) is named: all of a field's values, or a stated choice of them.

        Two recipients that the record names together are not a choice when both are used; one of the two is.
        """
        used: dict[str, set[str]] = {}
        for field, value in control:
            used.setdefault(field, set()).add(value)
        for field, values in used.items():
            offer = self._offers.get(field)
            if offer is None or not values <= offer.values or not (offer.choice or values == offer.values):
                return False
        return True

    def names(self, value: str) -> bool:
        """Say whether any trusted record names exactly this value; for cards that show where a value came from."""
        return any(value in offer.values for offer in self._offers.values())

    def to_json(self) -> dict[str, Any]:
        """Return what is offered, for a card that shows where a value came from."""
        return {f: {"choice": o.choice, "values": sorted(o.values)} for f, o in sorted(self._offers.items())}
