"""The steps of an expense audit, each from data to data, in the order in which a run takes them."""

from __future__ import annotations

import functools
from pathlib import Path

from freehold.packs.expense_audit.images import SourceFile, read_source
from freehold.packs.expense_audit.ocr import Ocr
from freehold.packs.expense_audit.read import read_receipt_file
from freehold.packs.expense_audit.types import ReadResult

__all__ = ["read_receipt", "read_source_file", "warm"]


@functools.cache
def _ocr() -> Ocr:
    return Ocr(threads=1)


def warm() -> None:
    """Load the reading models now rather than at the first receipt; about half a second, 150 MB."""
    _ocr().warm()


def read_receipt(path: Path) -> ReadResult:
    """Read one receipt from a file; ReceiptError says in a sentence why one cannot be read."""
    return read_source_file(read_source(path))


def read_source_file(source: SourceFile) -> ReadResult:
    """Read one receipt from bytes already at hand."""
    return read_receipt_file(source, _ocr())
