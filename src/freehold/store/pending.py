"""Which INTENTs are open: kept in memory by the one writer, rebuilt from a mark and the entries after it.

A table of open intents would cost two more writes for every action; a mark every few thousand entries costs
nothing that can be measured and keeps the start short. Only the store room calls it.
"""

from collections.abc import Iterable
from typing import Final

import msgspec

from freehold.base import Corrupt
from freehold.store.rows import INTENT, RESULT_FINAL

MARK_EVERY: Final = 4096
"""Entries between two marks; the start reads at most about twice as many index columns."""

_List = list[tuple[bytes, int, int]]


class OpenIntents:
    """The INTENT of every action whose newest attempt has no final RESULT."""

    def __init__(self) -> None:
        self._open: dict[bytes, tuple[int, int]] = {}

    def take(self, places: Iterable[tuple[int, int, bytes, int]]) -> None:
        """Take (index, form, action, attempt) of committed entries in, in journal order."""
        held = self._open
        for index, form, action, attempt in places:
            if form == INTENT:
                held[action] = (attempt, index)
            elif form == RESULT_FINAL:
                found = held.get(action)
                if found is not None and found[0] == attempt:
                    del held[action]

    def indices(self) -> list[int]:
        """Return the journal indices of the open INTENTs, in order."""
        return sorted(index for _, index in self._open.values())

    def dump(self) -> bytes:
        """Return the state as it is stored in a mark."""
        return msgspec.msgpack.encode([(action, *place) for action, place in self._open.items()])

    def restore(self, mark: bytes | None, tail: Iterable[tuple[int, int, bytes, int]]) -> None:
        """Begin again from a mark and (index, form, action, attempt) of the entries after it."""
        try:
            listed = msgspec.msgpack.decode(mark, type=_List) if mark is not None else []
        except msgspec.MsgspecError as error:
            raise Corrupt("The store's list of open intents cannot be read.") from error
        self._open = {action: (attempt, index) for action, attempt, index in listed}
        self.take(tail)
