"""The steps of an expense audit, each from data to data, in the order in which a run takes them.

read_receipt, questions, settle, check, write_report: none of them sends, stores or asks anything by itself.
"""

from __future__ import annotations

import functools
from pathlib import Path

from freehold.packs.expense_audit.checks import Finding, check
from freehold.packs.expense_audit.errors import ReceiptError
from freehold.packs.expense_audit.images import SourceFile, read_source
from freehold.packs.expense_audit.ocr import Ocr
from freehold.packs.expense_audit.policy import Policy, parse_policy, sample_policy
from freehold.packs.expense_audit.read import read_receipt_file
from freehold.packs.expense_audit.report import Audit, Pictures, write_report
from freehold.packs.expense_audit.settle import Answer, Question, Receipt, Unreadable, questions, settle
from freehold.packs.expense_audit.values import ReadResult, ReceiptReading

__all__ = [
    "Answer",
    "Audit",
    "Finding",
    "Pictures",
    "Policy",
    "Question",
    "ReadResult",
    "Receipt",
    "ReceiptReading",
    "Unreadable",
    "check",
    "parse_policy",
    "questions",
    "read_receipt",
    "read_source_file",
    "sample_policy",
    "settle",
    "unreadable",
    "warm",
    "write_report",
]


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


def unreadable(name: str, error: ReceiptError) -> Unreadable:
    """What is kept of a file that could not be read, so that the rest can go on and the report names it."""
    return Unreadable(name, error.code, error.message, error.remedy)
