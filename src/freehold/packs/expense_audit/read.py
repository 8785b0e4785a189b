"""Reads one receipt from end to end: pages, text, five fields, a second look at each, cut-outs as
evidence.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, NamedTuple

from freehold.packs.expense_audit.errors import ReceiptError
from freehold.packs.expense_audit.fields import date_field, merchant_field, money_fields
from freehold.packs.expense_audit.images import Page, SourceFile, load_pages
from freehold.packs.expense_audit.layout import Piece, Row, make_rows, piece_of_pdf
from freehold.packs.expense_audit.repair import read_page
from freehold.packs.expense_audit.second import read_again
from freehold.packs.expense_audit.values import (
    CutOut,
    Field,
    PageSize,
    ReadResult,
    ReceiptReading,
    Region,
    Repair,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from freehold.packs.expense_audit.ocr import Ocr, Text

    Picture = NDArray[np.uint8]

__all__ = ["read_receipt_file"]

_CUT_WIDTH_PX = 560
_PAGE_HEIGHT_PX = 900
_MIN_PIECES = 3


class _Eye:
    """Second readings on demand, each piece once."""

    def __init__(self, ocr: Ocr, pictures: list[Picture]) -> None:
        self._ocr = ocr
        self._pictures = pictures
        self._seen: dict[tuple[Piece, bool], Text] = {}

    def __call__(self, piece: Piece, *, faint: bool = False) -> Text:
        key = (piece, faint)
        if key not in self._seen:
            self._seen[key] = read_again(self._ocr, self._pictures[piece.page], piece, faint=faint)
        return self._seen[key]


class _Read(NamedTuple):
    pictures: list[Picture]
    rows: list[Row]
    repairs: list[Repair]


def read_receipt_file(source: SourceFile, ocr: Ocr) -> ReadResult:
    """Read one file; ReceiptError where it cannot be opened or holds no text.

    The reading's regions refer to the upright pages; cut-outs are JPEG, one a field that was found and
    one "page".
    """
    kind, pages = load_pages(source)
    read = _read_pages(pages, ocr)
    if sum(len(row.pieces) for row in read.rows) < _MIN_PIECES:
        raise ReceiptError(
            "receipt.no-text",
            f"{source.name} shows no text that can be read.",
            "Scan the receipt again, in focus.",
        )
    eye = _Eye(ocr, read.pictures)
    merchant = merchant_field(read.rows, eye)
    total, currency, tax = money_fields(read.rows, eye)
    date = date_field(read.rows, eye, month_first=currency.value == "USD" and currency.stated)
    fields = (merchant, date, total, currency, tax)
    reading = ReceiptReading(
        source=source.name,
        digest=source.digest,
        look=_look(read.pictures[0]),
        kind=kind,
        pages=tuple(PageSize(picture.shape[1], picture.shape[0]) for picture in read.pictures),
        merchant=merchant,
        date=date,
        total=total,
        currency=currency,
        tax=tax,
        repairs=tuple(read.repairs),
        text=tuple(row.text for row in read.rows),
    )
    return ReadResult(reading, _cut_outs(read.pictures, fields))


def _read_pages(pages: tuple[Page, ...], ocr: Ocr) -> _Read:
    pictures: list[Picture] = []
    rows: list[Row] = []
    repairs: list[Repair] = []
    for number, page in enumerate(pages):
        repairs.extend(page.repairs)
        if page.texts:
            pictures.append(page.picture)
            rows.extend(make_rows([piece_of_pdf(text, number) for text in page.texts]))
            continue
        seen = read_page(ocr, page.picture, number)
        pictures.append(seen.picture)
        repairs.extend(seen.repairs)
        rows.extend(make_rows(seen.pieces))
    return _Read(pictures, rows, repairs)


def _look(picture: Picture) -> str:
    """A 64-bit difference hash: like pictures differ in few bits, whatever their size or compression."""
    import cv2
    import numpy as np

    small = cv2.resize(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), (9, 8), interpolation=cv2.INTER_AREA)
    bits = (small[:, 1:] > small[:, :-1]).flatten()
    return "".join(f"{byte:02x}" for byte in np.packbits(bits))


def _cut_outs(pictures: list[Picture], fields: tuple[Field, ...]) -> tuple[CutOut, ...]:
    cuts = [CutOut("page", _jpeg(pictures[0], _PAGE_HEIGHT_PX, 60))]
    for field in fields:
        if field.region is not None:
            cuts.append(CutOut(field.name, _cut(pictures[field.region.page], field.region)))
    return tuple(cuts)


def _cut(picture: Picture, region: Region) -> bytes:
    """The region with its surroundings, so that a person sees the words beside the number; the region is
    framed.
    """
    import cv2

    height, width = picture.shape[:2]
    tall = region.y1 - region.y0
    y0, y1 = max(0, region.y0 - int(1.2 * tall)), min(height, region.y1 + int(1.2 * tall))
    x0 = max(0, min(region.x0 - 2 * tall, region.x1 - 18 * tall))
    x1 = min(width, max(region.x1 + 2 * tall, x0 + 18 * tall))
    piece = picture[y0:y1, x0:x1].copy()
    corner, other = (region.x0 - x0 - 3, region.y0 - y0 - 2), (region.x1 - x0 + 3, region.y1 - y0 + 2)
    cv2.rectangle(piece, corner, other, (200, 30, 30), max(1, tall // 16))
    return _jpeg(piece, _CUT_WIDTH_PX, 80)


def _jpeg(picture: Picture, longest_px: int, quality: int) -> bytes:
    import cv2
    from PIL import Image

    high, wide = picture.shape[:2]
    factor = min(1.0, longest_px / max(high, wide))
    small = cv2.resize(picture, (max(1, round(wide * factor)), max(1, round(high * factor))))
    out = io.BytesIO()
    Image.fromarray(small).save(out, "JPEG", quality=quality, optimize=True)
    return out.getvalue()
