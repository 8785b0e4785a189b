"""PostgreSQL's binary form of arrays, written directly: the driver's own takes a call for every element.

Source: src/backend/utils/adt/arrayfuncs.c, array_recv. Only ``postgres.py`` calls it.
"""

import struct
from collections.abc import Sequence
from itertools import repeat
from typing import Final

_INT8: Final = 20
_BYTEA: Final = 17
_TEXT: Final = 25
_NULL: Final = b"\xff\xff\xff\xff"
_EMPTY: Final = b"\0\0\0\0"


def int8_array(values: Sequence[int]) -> bytes:
    """Return ``bigint[]`` of 64-bit numbers."""
    elements = b"".join(map(struct.Struct("!iq").pack, repeat(8), values))
    return _head(_INT8, len(values)) + elements


def bytea_array(values: Sequence[bytes | None]) -> bytes:
    """Return ``bytea[]``; None is null."""
    return _head(_BYTEA, len(values)) + _elements(values)


def text_array(values: Sequence[str | None]) -> bytes:
    """Return ``text[]``; None is null."""
    return _head(_TEXT, len(values)) + _elements(
        [None if value is None else value.encode() for value in values]
    )


def _head(oid: int, count: int) -> bytes:
    """Return dimensions, whether there may be nulls, the element's type; then length and lower bound."""
    if not count:
        return struct.pack("!iiI", 0, 0, oid)
    return struct.pack("!iiIii", 1, 1, oid, count, 1)


def _elements(values: Sequence[bytes | None]) -> bytes:
    parts: list[bytes] = []
    length = struct.Struct("!i").pack
    for value in values:
        if value is None:
            parts.append(_NULL)
        elif value:
            parts += (length(len(value)), value)
        else:
            parts.append(_EMPTY)
    return b"".join(parts)
