"""Writes what an audit found: a page for people, the same as Markdown, and a table for spreadsheets."""

from freehold.packs.expense_audit.report.model import Audit, Pictures
from freehold.packs.expense_audit.report.write import write_report

__all__ = ["Audit", "Pictures", "write_report"]
