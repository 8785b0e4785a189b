"""Which INTENTs are open: kept in memory by the one writer, rebuilt from a mark and the entries after it.

A table of open intents would cost two more writes for every action; a mark every few thousand entries costs
nothing that can be measured and keeps the start short. Only the store room calls it.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from freehold.base import Corrupt
from freehold.store.rows import ACTION, ATTEMPT, FORM, INDEX, INTENT, RESULT_FINAL

MARK_EVERY: Final = 4096
"""Entries between two marks; the start reads at most about twice as many index columns."""

_List = list[tuple[bytes, int, int]]


class OpenIntents:
    """The INTENT of every action whose newest attempt has no final RESULT."""

    def __init__(self) -> None:
        self._open: dict[bytes, tuple[int, int]] = {}

    def take(self, rows: Iterable[Sequence[Any]]) -> None:
        """Take committed entries in, in journal order: rows, or as much of them as a row up to its action."""
        held = self._open
        for row in rows:
            form = row[FORM]
            if form == INTENT:
                held[row[ACTION]] = (row[ATTEMPT], row[INDEX])
            elif form == RESULT_FINAL:
                found = held.get(row[ACTION])
                if found is not None and found[0] == row[ATTEMPT]:
                    del held[row[ACTION]]

    def indices(self) -> list[int]:
        """Return the journal indices of the open INTENTs, in order."""
        return sorted(index for _, index in self._open.values())

    def dump(self) -> bytes:
        """Return the state as it is stored in a mark."""
        return msgspec.msgpack.encode([(action, *place) for action, place in self._open.items()])

    def restore(self, mark: bytes | None, tail: Iterable[Sequence[Any]]) -> None:
        """Begin again from a mark and the entries after it, as for ``take``."""
        try:
            listed = msgspec.msgpack.decode(mark, type=_List) if mark is not None else []
        except msgspec.MsgspecError as error:
            raise Corrupt("The store's list of open intents cannot be read.") from error
        self._open = {action: (attempt, index) for action, attempt, index in listed}
        self.take(tail)
