"""Puts the files of a report together."""

from __future__ import annotations

from freehold.packs.expense_audit.report.markdown import to_markdown
from freehold.packs.expense_audit.report.model import Audit, Pictures, summarise
from freehold.packs.expense_audit.report.page import to_page
from freehold.packs.expense_audit.report.table import to_csv

__all__ = ["write_report"]


def write_report(audit: Audit, pictures: Pictures) -> dict[str, bytes]:
    """The files of a report by name: report.md, report.html (self-contained) and findings.csv, all UTF-8.

    The same audit gives the same bytes; nothing is dated but by the facts that it carries.
    """
    summary = summarise(audit)
    return {
        "report.md": to_markdown(audit, summary).encode("utf-8"),
        "report.html": to_page(audit, summary, pictures).encode("utf-8"),
        "findings.csv": to_csv(audit).encode("utf-8"),
    }
