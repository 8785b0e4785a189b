"""Reads results back out of the journal, with their labels; the runtime's only way to a value that was recorded."""

from typing import Final

import msgspec

from freehold.base import Corrupt, Refused
from freehold.kernel.labels import BOTTOM, Label
from freehold.kernel.pen import Value
from freehold.kernel.rooms import Rooms

__all__ = ["Records", "Value", "as_array"]


class _Labelled(msgspec.Struct):
    label: msgspec.Raw = msgspec.Raw(b"")


_decode_labelled: Final = msgspec.json.Decoder(_Labelled).decode


class Records:
    """The values of one estate's journal."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    def value(self, index: int) -> Value:
        """Return the value of the RESULT at ``index``; raises Refused when its subject was forgotten."""
        entry = self._rooms.store.entry(index)
        if entry is None:
            raise Corrupt(f"The journal has no entry {index}, which a run's record names.")
        value = self._rooms.pen.value(entry)
        if value is None:
            raise _forgotten()
        return value

    def shown(self, run: str) -> Label:
        """Return what a run's processes were shown so far: the join of the labels of all that it recorded.

        What goes in is in the INTENT of a step or in the RESULT of what it asked for, before it goes in.
        """
        found, forms = BOTTOM, set[bytes]()
        for entry in self._rooms.store.entries_of_run(run):
            form = bytes(_decode_labelled(entry.draft.body).label)
            if form and form not in forms:
                forms.add(form)
                found = found.join(self._rooms.pen.public_label(msgspec.json.decode(form)))
        return found

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
