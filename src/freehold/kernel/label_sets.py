"""Reads the members of the large sets that labels name by digest; the pen has them written.

A set is written once, in the commit of the first entry that names it; sources are opaque names, so nothing here
is personal.
"""

from collections.abc import Iterable
from typing import Final

from freehold.base import Corrupt
from freehold.base.canonical import decode
from freehold.kernel.documents import Documents
from freehold.kernel.labels import set_id

LABEL_SETS: Final = "labelset"
"""Documents: the members of a label's set of more than sixteen sources, by its digest."""


class LabelSets:
    """The sets of more than sixteen members; read from the store when they are first asked for."""

    def __init__(self, store: Documents) -> None:
        self._store = store
        self._known: dict[str, frozenset[str]] = {}

    def members(self, name: str) -> Iterable[str]:
        """Return the members of the set with that digest; raises Corrupt where it is missing or another."""
        known = self._known.get(name)
        if known is None:
            found = [d for d in self._store.documents(LABEL_SETS, prefix=name, limit=1) if d.key == name]
            known = frozenset(decode(found[0].body)) if found else frozenset()
            if set_id(known) != name:
                raise Corrupt("A stored set of labels is missing or changed.", remedy="Restore a backup.")
            self._known[name] = known
        return known
