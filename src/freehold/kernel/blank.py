"""A body with blanks: the canonical form of an entry, written once by the encoder, to be filled in many times.

The pen and the ledger use it. Filling in gives the very bytes that the encoder gives, several times faster.
"""

from typing import Any, Final

import msgspec

from freehold.base import Internal
from freehold.base.canonical import encode_trusted

_MARK: Final = "\0"  # JSON writes a zero character in text as an escape, so it stands nowhere by itself


def number() -> msgspec.Raw:
    """Return what stands for a whole number."""
    return msgspec.Raw(b"\0d")


def word() -> msgspec.Raw:
    """Return what stands for text of digits and plain letters, which need no escape."""
    return msgspec.Raw(b'"\0s"')


def text() -> msgspec.Raw:
    """Return what stands for any text, to be filled in as the encoder writes it, quotes and escapes included."""
    return msgspec.Raw(b"\0s")


class Blank:
    """The canonical form of ``fields``, in which ``number()``, ``word()`` and ``text()`` are left open."""

    __slots__ = ("_text",)

    def __init__(self, fields: dict[str, Any]) -> None:
        text = encode_trusted(fields).decode()
        if text.count(_MARK) != len(list(_blanks(fields))):
            raise Internal("A zero character stands in an entry by itself.")
        self._text = text.replace("%", "%%").replace(_MARK, "%")

    def filled(self, *values: int | str) -> bytes:
        """Return the form with the blanks filled in, in the order of the fields' names."""
        return (self._text % values).encode()


def _blanks(value: Any) -> Any:
    if isinstance(value, dict):
        for member in value.values():
            yield from _blanks(member)
    elif isinstance(value, msgspec.Raw) and _MARK.encode() in bytes(value):
        yield value
