"""What a report tells, computed once for all its forms."""

from __future__ import annotations

import msgspec

from freehold.packs.expense_audit.checks import Finding, category_of
from freehold.packs.expense_audit.extract.amounts import format_minor
from freehold.packs.expense_audit.policy import Policy
from freehold.packs.expense_audit.settle import Receipt, Unreadable

__all__ = ["WORDS", "Audit", "Line", "Pictures", "Summary", "summarise"]

Pictures = dict[str, dict[str, bytes]]
"""Cut-outs as JPEG: file name of the receipt, then name of the cut-out."""

WORDS = {"refuse": "Refused", "ask": "To be decided", "note": "Noted", "ok": "In order"}


class Audit(msgspec.Struct, frozen=True):
    """Everything a report is made of.

    `facts` are lines for the head, such as who asked for the audit and which run made it.
    """

    policy: Policy
    receipts: tuple[Receipt, ...]
    unreadable: tuple[Unreadable, ...]
    findings: tuple[Finding, ...]
    facts: tuple[tuple[str, str], ...] = ()


class Line(msgspec.Struct, frozen=True):
    """One receipt in the list of all: texts ready to show, and the gravest finding on it."""

    source: str
    merchant: str
    date: str
    total: str
    category: str
    status: str
    repairs: tuple[str, ...]


class Summary(msgspec.Struct, frozen=True):
    """Counts, and sums per currency as texts: claimed, of which refused, of which still to be decided."""

    files: int
    in_order: int
    refused: int
    to_decide: int
    claimed: tuple[str, ...]
    held_back: tuple[str, ...]
    lines: tuple[Line, ...]
    title: str


def summarise(audit: Audit) -> Summary:
    """Count and add up; a receipt's status is that of its gravest finding."""
    status = {receipt.source: "ok" for receipt in audit.receipts}
    for finding in audit.findings:
        source = finding.sources[0]
        if source in status and finding.severity != "note":
            status[source] = "refuse" if "refuse" in (status[source], finding.severity) else "ask"
    lines = []
    claimed: dict[str, int] = {}
    held: dict[str, int] = {}
    for receipt in audit.receipts:
        limit = category_of(receipt, audit.policy)
        state = status[receipt.source]
        if receipt.total is not None:
            code = receipt.currency or ""
            claimed[code] = claimed.get(code, 0) + receipt.total
            if state != "ok":
                held[code] = held.get(code, 0) + receipt.total
        lines.append(
            Line(
                receipt.source,
                receipt.merchant or "unknown",
                receipt.date or "unknown",
                "unknown" if receipt.total is None else format_minor(receipt.total, receipt.currency),
                limit.category if limit else "none",
                state,
                receipt.repairs,
            )
        )
    states = list(status.values())
    return Summary(
        files=len(audit.receipts) + len(audit.unreadable),
        in_order=states.count("ok"),
        refused=states.count("refuse") + len(audit.unreadable),
        to_decide=states.count("ask"),
        claimed=_sums(claimed),
        held_back=_sums(held),
        lines=tuple(lines),
        title="Expense audit",
    )


def _sums(amounts: dict[str, int]) -> tuple[str, ...]:
    return tuple(format_minor(minor, code or None) for code, minor in sorted(amounts.items()))
