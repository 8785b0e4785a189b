"""The findings as a table for spreadsheets (RFC 4180), guarded against formula injection."""

from __future__ import annotations

import csv
import io

from freehold.packs.expense_audit.extract.amounts import format_minor
from freehold.packs.expense_audit.report.model import Audit

__all__ = ["guard", "to_csv"]

_COLUMNS = (
    "receipt",
    "severity",
    "rule",
    "finding",
    "other_receipts",
    "merchant",
    "date",
    "amount",
    "currency",
)
_STARTERS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def guard(text: str) -> str:
    """A text that no spreadsheet takes for a formula: such ones get a leading apostrophe (OWASP, CSV
    injection).
    """
    return (
        "'" + text
        if text.lstrip(" \u00a0\u200b\ufeff").startswith(_STARTERS) or text[:1] in _STARTERS
        else text
    )


def to_csv(audit: Audit) -> str:
    """One row a finding; amounts are plain decimals without a currency, which has its own column."""
    known = {receipt.source: receipt for receipt in audit.receipts}
    out = io.StringIO(newline="")
    writer = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow(_COLUMNS)
    for finding in audit.findings:
        receipt = known.get(finding.sources[0])
        amount = "" if finding.minor is None else format_minor(finding.minor, None)
        cells = (
            finding.sources[0],
            finding.severity,
            finding.cite,
            finding.message,
            "; ".join(finding.sources[1:]),
            (receipt.merchant if receipt else None) or "",
            (receipt.date if receipt else None) or "",
            amount,
            finding.currency or "",
        )
        writer.writerow([cell if cell is amount else guard(cell) for cell in cells])
    return out.getvalue()
