"""Keeps the members of the large sets that labels name by digest. The gate's writer asks it before a commit.

A set is written once, in the commit of the first entry that names it; ids are opaque, so nothing here is
personal.
"""

from collections.abc import Iterable

from freehold.base import Corrupt
from freehold.base.canonical import decode, encode
from freehold.kernel.change import Change
from freehold.kernel.documents import Documents
from freehold.kernel.labels import MAX_INLINE, Label, set_id
from freehold.store.interface import Put


class LabelSets:
    """The sets of more than sixteen members; read from the store when they are first asked for."""

    def __init__(self, store: Documents) -> None:
        self._store = store
        self._written: dict[str, frozenset[str]] = {}

    def change_for(self, label: Label) -> Change | None:
        """Return what the commit that names ``label`` must also write; None, nearly always, for nothing."""
        if len(label.sources) <= MAX_INLINE and len(label.subjects) <= MAX_INLINE:
            return None
        large = {set_id(s): s for s in (label.sources, label.subjects) if len(s) > MAX_INLINE}
        new = {name: names for name, names in large.items() if name not in self._written}
        if not new:
            return None
        writes = [Put("labelset", name, encode(sorted(names))) for name, names in new.items()]
        return Change([], [*writes], [lambda: self._written.update(new)])

    def members(self, name: str) -> Iterable[str]:
        """Return the members of the set with that digest; raises Corrupt where it is missing or another."""
        known = self._written.get(name)
        if known is None:
            found = [d for d in self._store.documents("labelset", prefix=name, limit=1) if d.key == name]
            known = frozenset(decode(found[0].body)) if found else frozenset()
            if set_id(known) != name:
                raise Corrupt("A stored set of labels is missing or changed.", remedy="Restore a backup.")
            self._written[name] = known
        return known

    def decode(self, form: object) -> Label:
        """Return the label that ``Label.encode`` wrote; raises BadInput or Corrupt."""
        return Label.decode(form, self.members)
