"""Reads results back out of the journal, with their labels; the runtime's only way to a value that was recorded."""

from typing import Final

import msgspec

from freehold.base import Corrupt, Refused
from freehold.kernel.labels import Label
from freehold.kernel.pen import Value
from freehold.kernel.rooms import Rooms

__all__ = ["Records", "Value", "as_array"]

MAX_KEPT: Final = 256
MAX_KEPT_BYTES: Final = 4_096
"""How many of the newest small results stay in memory: what was just recorded is what the next step takes in."""


class Records:
    """The values of one estate's journal."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._kept: dict[int, Value] = {}

    def value(self, index: int) -> Value:
        """Return the value of the RESULT at ``index``; raises Refused when its subject was forgotten."""
        kept = self._kept.get(index)
        if kept is not None:
            self.check(kept.label)
            return kept
        entry = self._rooms.store.entry(index)
        if entry is None:
            raise Corrupt(f"The journal has no entry {index}, which a run's record names.")
        value = self._rooms.pen.value(entry)
        if value is None:
            raise _forgotten()
        return value

    def keep(self, index: int, data: bytes, label: Label) -> None:
        """Keep a result that was just recorded, for the step that takes it in next."""
        if len(data) > MAX_KEPT_BYTES:
            return
        if len(self._kept) >= MAX_KEPT:
            del self._kept[next(iter(self._kept))]
        self._kept[index] = Value(data, label)

    def check(self, label: Label) -> None:
        """Raise Refused when a subject of data that is still in memory was forgotten meanwhile."""
        try:
            self._rooms.pen.key(label)
        except Refused as error:
            raise _forgotten() from error


def _forgotten() -> Refused:
    return Refused(
        "This result was sealed for a subject that was forgotten.",
        remedy="Run the job again without it.",
        code="refused.forgotten",
    )


def as_array(values: list[bytes | None]) -> msgspec.Raw:
    """Return recorded values as one JSON array; a missing one is null."""
    return msgspec.Raw(b"[" + b",".join([value if value is not None else b"null" for value in values]) + b"]")
