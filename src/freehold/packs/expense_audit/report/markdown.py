"""The report as Markdown; texts from receipts are strangers' words and cannot become markup."""

from __future__ import annotations

import re

from freehold.packs.expense_audit.report.model import WORDS, Audit, Summary

__all__ = ["plain", "to_markdown"]


def plain(text: str) -> str:
    """A stranger's text on one line, with every character that Markdown or HTML could act on escaped."""
    line = " ".join(text.split())
    return re.sub(r"([\\`*_{}\[\]<>()#+!|~&:@])", r"\\\1", line)


def to_markdown(audit: Audit, summary: Summary) -> str:
    """Head, findings by gravity, list of all receipts, rules checked."""
    lines = [f"# {summary.title}", ""]
    lines += [f"- {plain(name)}: {plain(value)}" for name, value in audit.facts]
    lines += [
        f"- Policy: {plain(audit.policy.title)}",
        f"- Files: {summary.files}; in order {summary.in_order}, refused {summary.refused}, "
        f"to be decided {summary.to_decide}",
        f"- Claimed: {', '.join(summary.claimed) or 'nothing'}; of this held back: "
        f"{', '.join(summary.held_back) or 'nothing'}",
        "",
        "## Findings",
        "",
    ]
    if not audit.findings:
        lines += ["None: every receipt is in order.", ""]
    for severity in ("refuse", "ask", "note"):
        chosen = [finding for finding in audit.findings if finding.severity == severity]
        if not chosen:
            continue
        lines += [f"### {WORDS[severity]}", ""]
        lines += ["| Receipt | Rule | Finding |", "|---|---|---|"]
        for finding in chosen:
            sources = ", ".join(plain(source) for source in finding.sources)
            lines.append(f"| {sources} | {plain(finding.cite)} | {plain(finding.message)} |")
        lines.append("")
    lines += [
        "## Receipts",
        "",
        "| File | Merchant | Date | Total | Category | Result |",
        "|---|---|---|--:|---|---|",
    ]
    for line in summary.lines:
        cells = (line.source, line.merchant, line.date, line.total, line.category, WORDS[line.status])
        lines.append(f"| {' | '.join(plain(cell) for cell in cells)} |")
    for failed in audit.unreadable:
        lines.append(f"| {plain(failed.source)} | not readable |  |  |  | {WORDS['refuse']} |")
    repaired = [line for line in summary.lines if line.repairs]
    if repaired:
        lines += ["", "## Repairs", ""]
        lines += [f"- {plain(line.source)}: {plain('; '.join(line.repairs))}" for line in repaired]
    lines += ["", "## Rules checked", ""]
    lines += [
        f"- {plain(rule.cite)} (line {rule.line} of the policy)" for rule in audit.policy.rules.values()
    ]
    return "\n".join(lines) + "\n"
