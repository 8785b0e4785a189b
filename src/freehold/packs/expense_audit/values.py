"""The data that the steps of an expense audit hand to each other; all of it serialises with msgspec."""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = [
    "FIELD_NAMES",
    "CutOut",
    "Field",
    "FieldName",
    "PageSize",
    "ReadResult",
    "Reading",
    "ReceiptReading",
    "Region",
    "Repair",
]

FieldName = Literal["merchant", "date", "total", "currency", "tax"]
FIELD_NAMES: tuple[FieldName, ...] = ("merchant", "date", "total", "currency", "tax")
RepairKind = Literal["exif", "turn", "deskew", "contrast", "scale", "render"]
SourceKind = Literal["jpeg", "png", "pdf-text", "pdf-image"]


class Region(msgspec.Struct, frozen=True):
    """A box in pixels of the upright page picture (after `exif`, `turn`, `deskew`, `scale`); x1, y1 are
    exclusive.
    """

    page: int
    x0: int
    y0: int
    x1: int
    y1: int


class Repair(msgspec.Struct, frozen=True):
    """Something done to a page before it could be read; `detail` says it in words for the report."""

    page: int
    kind: RepairKind
    detail: str


class PageSize(msgspec.Struct, frozen=True):
    """Width and height in pixels of the upright page picture that regions refer to."""

    width: int
    height: int


class Reading(msgspec.Struct, frozen=True):
    """One reading of a field: the text as seen, the normalised value (or None), confidence 0..1, and by
    which eye.
    """

    text: str
    value: str | None
    confidence: float
    source: Literal["first", "second", "third"]


class Field(msgspec.Struct, frozen=True):
    """A field of a receipt.

    `value` is normalised: a date is ISO 8601, an amount is integer minor units as text, a currency is
    ISO 4217, a merchant is the name as printed. `stated` means that the value may be used without
    asking; otherwise `doubt` says why not, and `readings` holds what was seen.
    """

    name: FieldName
    value: str | None
    confidence: float
    stated: bool
    region: Region | None = None
    doubt: str = ""
    readings: tuple[Reading, ...] = ()


class ReceiptReading(msgspec.Struct, frozen=True):
    """What was read from one file. `digest` is the SHA-256 of its bytes, `look` a 64-bit picture hash,
    both in hex.
    """

    source: str
    digest: str
    look: str
    kind: SourceKind
    pages: tuple[PageSize, ...]
    merchant: Field
    date: Field
    total: Field
    currency: Field
    tax: Field
    repairs: tuple[Repair, ...] = ()
    text: tuple[str, ...] = ()

    def fields(self) -> tuple[Field, ...]:
        """The five fields in the order of FIELD_NAMES."""
        return (self.merchant, self.date, self.total, self.currency, self.tax)


class CutOut(msgspec.Struct, frozen=True):
    """A piece of a receipt as JPEG bytes: `name` is a field's name, or "page" for the whole first page,
    small.
    """

    name: str
    jpeg: bytes


class ReadResult(msgspec.Struct, frozen=True):
    """A reading and the pictures that prove it, kept apart because the pictures are large."""

    reading: ReceiptReading
    cut_outs: tuple[CutOut, ...]
