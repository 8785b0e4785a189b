"""One byte form for one value: RFC 8785 (JSON Canonicalization Scheme) on the subset where it is simple.

The subset: ``None``, ``bool``, ``int`` with ``|n| < 2**53``, ``str`` without lone surrogates, lists, and
objects whose keys are ASCII strings. On it, sorted UTF-8 JSON without spaces is exactly RFC 8785; floats
are refused because their canonical form is where implementations differ. Any layer may call it.
"""

import hashlib
from typing import Any, Final, TypeAlias

import msgspec

from freehold.base.errors import BadInput

Json: TypeAlias = "None | bool | int | str | list[Json] | dict[str, Json]"

MAX_INT: Final = 2**53 - 1
MAX_DEPTH: Final = 32


def check(value: object, depth: int = 0) -> None:
    """Raise BadInput unless ``value`` lies in the subset that has one byte form."""
    kind = type(value)
    if kind is str or value is None or kind is bool:
        return
    if kind is int:
        if not -MAX_INT <= value <= MAX_INT:  # type: ignore[operator]
            raise BadInput(f"The number {value} is too large to be exact in JSON.", remedy="Send it as text.")
        return
    if depth >= MAX_DEPTH:
        raise BadInput(f"The value is nested deeper than {MAX_DEPTH} levels.", remedy="Flatten it.")
    if kind is dict:
        for key, item in value.items():  # type: ignore[attr-defined]
            if type(key) is not str or not key.isascii():
                raise BadInput(f"The field name {key!r} is not plain ASCII text.", remedy="Rename the field.")
            check(item, depth + 1)
    elif kind is list or kind is tuple:
        for item in value:  # type: ignore[attr-defined]
            check(item, depth + 1)
    else:
        raise BadInput(
            f"A value of type {kind.__name__} has no single form in JSON.",
            remedy="Use text, whole numbers, true, false, null, lists and objects; write amounts in minor units.",
        )


def encode(value: object) -> bytes:
    """Return the one byte form of ``value``; raises BadInput outside the subset."""
    check(value)
    return encode_trusted(value)


def encode_trusted(value: object) -> bytes:
    """Return the byte form of a value that our own code built inside the subset; skips the check."""
    try:
        return msgspec.json.encode(value, order="sorted")
    except UnicodeEncodeError as error:
        raise BadInput("The text holds half of a character pair.", remedy="Send valid Unicode.") from error


def decode(data: bytes) -> Any:
    """Return the value that ``data`` holds; raises BadInput when it is not JSON."""
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadInput("The bytes are not valid JSON.", remedy="Send the value as JSON in UTF-8.") from error


def digest(data: bytes) -> str:
    """Return the SHA-256 of ``data`` as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()
