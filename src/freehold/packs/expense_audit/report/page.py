"""The report as one page of HTML: self-contained, without scripts, fit for print; every text is escaped."""

from __future__ import annotations

import base64
from html import escape
from importlib import resources

from freehold.packs.expense_audit.checks import Finding
from freehold.packs.expense_audit.report.model import WORDS, Audit, Pictures, Summary

__all__ = ["to_page"]

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def to_page(audit: Audit, summary: Summary, pictures: Pictures) -> str:
    """A whole HTML document with its style and its pictures inside."""
    style = resources.files(__package__).joinpath("page.css").read_text(encoding="utf-8")
    body = [
        f"<h1>{escape(summary.title)}</h1>",
        _facts(audit),
        _tiles(summary),
        "<h2>Findings</h2>",
        *(_finding(finding, pictures) for finding in audit.findings),
    ]
    if not audit.findings:
        body.append('<p class="all-well">None: every receipt is in order.</p>')
    body += ["<h2>Receipts</h2>", _receipts(audit, summary), "<h2>Rules checked</h2>", _rules(audit)]
    body.append(
        "<footer>Values were read from the pictures by OCR; no language model took part. Doubtful values "
        "were asked about, not guessed. A red frame marks what was read.</footer>"
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>{escape(summary.title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(body)
        + "\n</main>\n</body>\n</html>\n"
    )


def _facts(audit: Audit) -> str:
    facts = [*audit.facts, ("Policy", audit.policy.title)]
    items = "".join(f"<li>{escape(name)}: <b>{escape(value)}</b></li>" for name, value in facts)
    return f'<ul class="facts">{items}</ul>'


def _tiles(summary: Summary) -> str:
    tiles = (
        ("", summary.files, "files" if summary.files != 1 else "file"),
        ("ok", summary.in_order, "in order"),
        ("refuse", summary.refused, "refused"),
        ("ask", summary.to_decide, "to be decided"),
    )
    cells = "".join(
        f'<div class="tile {kind}"><strong>{count}</strong><span>{word}</span></div>'
        for kind, count, word in tiles
    )
    claimed = escape(" + ".join(summary.claimed) or "nothing")
    held = escape(" + ".join(summary.held_back) or "nothing")
    return (
        f'<div class="tiles">{cells}</div>'
        f'<p class="sums">Claimed <b>{claimed}</b>, of this held back until decided or corrected '
        f"<b>{held}</b>.</p>"
    )


def _finding(finding: Finding, pictures: Pictures) -> str:
    shots = "".join(_shot(source, finding.field, pictures) for source in finding.sources[:3])
    others = finding.sources[1:]
    beside = f" beside {', '.join(escape(source) for source in others)}" if others else ""
    return (
        f'<article class="finding {finding.severity}"><div>'
        f'<p><span class="badge {finding.severity}">{WORDS[finding.severity]}</span>'
        f'<span class="rule">{escape(finding.cite)}</span></p>'
        f"<h3>{escape(finding.message)}</h3>"
        f'<p class="who">{escape(finding.sources[0])}{beside}</p></div>'
        f'<div class="shots">{shots}</div></article>'
    )


def _shot(source: str, field: str, pictures: Pictures) -> str:
    cuts = pictures.get(source, {})
    jpeg = cuts.get(field) or cuts.get("page")
    caption = f"<figcaption>{escape(source)}</figcaption>"
    if jpeg is None:
        return f'<figure><div class="nothing">no picture could be made of this file</div>{caption}</figure>'
    data = base64.b64encode(jpeg).decode("ascii")
    what = "the receipt" if field == "page" else f"the {field} on the receipt"
    alt = escape(f"{what} {source}", quote=True)
    return f'<figure><img alt="{alt}" src="data:image/jpeg;base64,{data}">{caption}</figure>'


def _receipts(audit: Audit, summary: Summary) -> str:
    rows = []
    for line in summary.lines:
        repairs = f"<small>{escape('; '.join(line.repairs))}</small>" if line.repairs else ""
        rows.append(
            f'<tr><td class="file">{escape(line.source)}{repairs}</td><td>{escape(line.merchant)}</td>'
            f'<td class="day">{escape(line.date)}</td><td class="day">{escape(line.category)}</td>'
            f'<td class="sum">{escape(line.total)}</td>'
            f'<td><span class="badge {line.status}">{WORDS[line.status]}</span></td></tr>'
        )
    for failed in audit.unreadable:
        rows.append(
            f'<tr><td class="file">{escape(failed.source)}</td><td colspan="4">{escape(failed.message)}</td>'
            f'<td><span class="badge refuse">{WORDS["refuse"]}</span></td></tr>'
        )
    head = (
        "<tr><th>File</th><th>Merchant</th><th>Date</th><th>Category</th>"
        '<th class="sum">Total</th><th>Result</th></tr>'
    )
    return f"<table><thead>{head}</thead><tbody>{''.join(rows)}</tbody></table>"


def _rules(audit: Audit) -> str:
    counts = dict.fromkeys(audit.policy.rules, 0)
    for finding in audit.findings:
        counts[finding.rule] = counts.get(finding.rule, 0) + 1
    rows = "".join(
        f"<tr><td>{escape(rule.cite)}<small>line {rule.line} of the policy</small></td>"
        f'<td class="sum">{counts[rule_id] or "none"}</td></tr>'
        for rule_id, rule in audit.policy.rules.items()
    )
    head = '<tr><th>Rule</th><th class="sum">Findings</th></tr>'
    return f"<table><thead>{head}</thead><tbody>{rows}</tbody></table>"
