"""What a grant demands of a field of the arguments. For `grants`; pure.

A field that is missing never fits, and a list fits only when each of its elements does. Prefixes and domains
are compared with the traps in mind: a host that only begins like the right one, a path that climbs back out.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, Literal
from urllib.parse import urlsplit

import msgspec

from freehold.base import BadInput, Json

Demand = Literal["equals", "one_of", "at_most", "prefix", "domain"]
_ADDRESS: Final = re.compile(r"[A-Za-z0-9._%+\-]+@([A-Za-z0-9](?:[A-Za-z0-9.\-]*[A-Za-z0-9])?)")
_DOMAIN: Final = re.compile(r"[a-z0-9](?:[a-z0-9\-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9\-]*[a-z0-9])?)*")


class Constraint(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``field`` (``to``, ``body.amount``) must satisfy ``demand`` with ``value``.

    ``equals`` any value; ``one_of`` a list of values; ``at_most`` a whole number that is not negative;
    ``prefix`` text; ``domain`` the whole domain of a mail address, or the host of an https address.
    """

    field: str
    demand: Demand
    value: Any

    def check(self) -> None:
        """Raise BadInput when the constraint could not mean what its author thinks."""
        value = self.value
        if self.demand == "one_of":
            sane = isinstance(value, list) and bool(value)
        elif self.demand == "at_most":
            sane = type(value) is int and value >= 0
        elif self.demand == "domain":
            sane = isinstance(value, str) and _DOMAIN.fullmatch(value) is not None
        elif self.demand == "prefix":
            sane = isinstance(value, str) and bool(value)
            if sane and "://" in value and "/" not in value.partition("://")[2]:
                raise BadInput(
                    f"The prefix {value} also fits hosts that only begin like this one.",
                    remedy=f"Write {value}/ with the slash.",
                )
        else:
            sane = True
        if not sane or not self.field:
            raise BadInput(
                f"“{self.field} {self.demand} {value}” is not a constraint.",
                remedy="Use: equals VALUE, one_of [VALUES], at_most NUMBER, prefix TEXT, domain NAME.",
            )

    def fits(self, args: Mapping[str, Json]) -> bool:
        """Whether the arguments satisfy it."""
        found = _value_at(args, self.field)
        if self.demand == "equals" and _same(found, self.value):
            return True
        if isinstance(found, list):
            return bool(found) and all(self._fits_one(item) for item in found)
        return self._fits_one(found)

    def _fits_one(self, found: Any) -> bool:
        value = self.value
        if self.demand == "equals":
            return _same(found, value)
        if self.demand == "one_of":
            return any(_same(found, item) for item in value)
        if self.demand == "at_most":
            return type(found) is int and 0 <= found <= value
        if not isinstance(found, str):
            return False
        if self.demand == "prefix":
            climbs = "\\" in found or any(part in (".", "..") for part in re.split(r"[/?#]", found))
            return found.startswith(str(value)) and not climbs and "%2e" not in found.casefold()
        return _domain_of(found) == str(value)


class _Missing:
    pass


_MISSING: Final = _Missing()


def _value_at(args: Mapping[str, Json], path: str) -> Any:
    found: Any = args
    for name in path.split("."):
        if not isinstance(found, dict) or name not in found:
            return _MISSING
        found = found[name]
    return found


def _same(one: Any, other: Any) -> bool:
    """Equality of JSON values: true is not 1."""
    return type(one) is type(other) and bool(one == other)


def _domain_of(text: str) -> str:
    address = _ADDRESS.fullmatch(text)
    if address:
        return address[1].casefold()
    try:
        parts = urlsplit(text)
        plain = parts.scheme == "https" and "@" not in parts.netloc and "\\" not in text and text.isascii()
        return (parts.hostname or "").casefold() if plain and text.isprintable() and " " not in text else ""
    except ValueError:
        return ""
