"""One self-contained page about a run: plan, effects, cards, cost, proof; no script, nothing loaded.

`freehold runs show --html` writes it. What came out of a run is escaped.
"""

import json
from collections.abc import Sequence
from html import escape
from typing import Any, Final

from freehold.base.ids import short
from freehold.cli import words

_STYLE: Final = """
:root { --ink:#1b1f24; --soft:#5b6570; --line:#dfe3e8; --paper:#ffffff; --ground:#f5f6f8;
        --good:#1a7f4b; --bad:#b3261e; --wait:#946200; --mark:#2456a6; }
@media (prefers-color-scheme: dark) { :root { --ink:#e8eaed; --soft:#9aa4af; --line:#30363d; --paper:#161a1f;
        --ground:#0d1014; --good:#4cc38a; --bad:#ff8a80; --wait:#e3b341; --mark:#79a8f0; } }
* { box-sizing: border-box; }
body { margin:0; background:var(--ground); color:var(--ink); font:15px/1.5 system-ui, sans-serif; }
main { max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
header { display:flex; flex-wrap:wrap; gap:.5rem 1rem; align-items:baseline; }
h1 { font-size:1.5rem; margin:0; } h2 { font-size:1.05rem; margin:0 0 .75rem; }
.state { padding:.1rem .6rem; border-radius:1rem; border:1px solid currentColor; font-weight:600; }
.done { color:var(--good); } .failed, .refused, .not_done, .cancelled { color:var(--bad); }
.waiting, .unknown, .paused, .frozen, .running, .open, .queued { color:var(--wait); }
section { background:var(--paper); border:1px solid var(--line); border-radius:.6rem; padding:1rem 1.2rem;
          margin:1rem 0; overflow-x:auto; }
.figures { display:grid; grid-template-columns:repeat(auto-fit,minmax(7.5rem,1fr)); gap:1rem; }
.figures b { display:block; font-size:1.25rem; font-variant-numeric:tabular-nums; }
.soft, .figures span { color:var(--soft); }
table { border-collapse:collapse; width:100%; font-size:.92rem; }
th { text-align:left; color:var(--soft); font-weight:500; }
th, td { padding:.35rem .6rem .35rem 0; vertical-align:top;
     border-bottom:1px solid var(--line); } td.n { text-align:right; font-variant-numeric:tabular-nums; }
code, pre { font:12.5px/1.5 ui-monospace, monospace; overflow-wrap:anywhere; white-space:pre-wrap; }
svg { max-width:100%; height:auto; } svg text { fill:var(--ink); font:13px system-ui, sans-serif; }
svg rect { fill:var(--ground); stroke:var(--line); } svg path { stroke:var(--soft); fill:none; }
summary { cursor:pointer; color:var(--mark); }
"""


def page(run: dict[str, Any], proof: dict[str, Any] | None) -> str:
    """Return the page; ``run`` is what `runs.show` answers, ``proof`` what `journal.proof` does."""
    parts = [
        _header(run),
        _figures(run),
        _section("Plan", _plan(run)),
        _section("Effects", _effects(run)),
        _section("Refused by the gate", _refusals(run)),
        _section("Decided by people", _decisions(run)),
        _section("Result", _json(run.get("result"))),
        _section("Proof", _proof(run, proof)),
    ]
    title = escape(f"Run {short(run['id'])} of {run['job']}")
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head>'
        f"<body><main>{''.join(parts)}</main></body></html>\n"
    )


def _state(state: object) -> str:
    text = escape(str(state))
    return f'<span class="state {text}">{text.replace("_", " ")}</span>'


def _header(run: dict[str, Any]) -> str:
    message = f'<p class="soft">{escape(run["message"])}</p>' if run["message"] else ""
    return (
        f"<header><h1>{escape(run['job'])}</h1>{_state(run['state'])}"
        f'<span class="soft">run <code>{escape(run["id"])}</code></span></header>'
        f'<p class="soft">{escape(run["agent"])} for {escape(run["owner"])}, pack {escape(run["pack"])}, '
        f"started {words.clock(run['started_us'])} by {escape(run['trigger'])}</p>{message}"
    )


def _figures(run: dict[str, Any]) -> str:
    bill = run["bill"]
    spent = bill["spent"]
    shown = (
        (words.amount(spent["money_micro"], bill["currency"]), "money"),
        (words.cpu(spent["cpu_us"]), "CPU"),
        (f"{spent['tokens']:,}", "tokens"),
        (f"{spent['actions']:,}", "actions"),
        (words.ago(bill["elapsed_us"]), "on the clock"),
        (f"{run['entries']:,}", "journal entries"),
    )
    cells = "".join(f"<div><b>{escape(value)}</b><span>{escape(name)}</span></div>" for value, name in shown)
    return f'<section><div class="figures">{cells}</div></section>'


def _section(title: str, inner: str) -> str:
    return f"<section><h2>{title}</h2>{inner}</section>" if inner else ""


def _plan(run: dict[str, Any]) -> str:
    """Draw the dependency tree as boxes in columns, each column what waits for the one before it."""
    nodes = {str(node["node"]): [str(name) for name in node.get("needs", ())] for node in run["plan"]}
    counts = {step["node"]: step for step in run["steps"]}
    if not nodes:
        return _steps(run)
    depth = {}
    for name in nodes:
        depth[name] = _depth(name, nodes, ())
    columns: dict[int, list[str]] = {}
    for name, level in depth.items():
        columns.setdefault(level, []).append(name)
    place = {
        name: (20 + level * 230, 20 + row * 92)
        for level, names in columns.items()
        for row, name in enumerate(names)
    }
    width = 20 + len(columns) * 230
    height = 20 + max(len(names) for names in columns.values()) * 92
    drawn = [
        f'<path d="M{place[up][0] + 190} {place[up][1] + 36} C{place[up][0] + 212} {place[up][1] + 36} '
        f'{place[name][0] - 22} {place[name][1] + 36} {place[name][0]} {place[name][1] + 36}"/>'
        for name, needs in nodes.items()
        for up in needs
        if up in place
    ]
    for name, (x, y) in place.items():
        step = counts.get(name, {})
        said = f"{step.get('done', 0)} done, {words.cpu(step.get('cpu_us', 0))}"
        more = step.get("started", 0) > step.get("done", 0)
        drawn.append(
            f'<rect x="{x}" y="{y}" width="190" height="72" rx="8"/>'
            f'<text x="{x + 12}" y="{y + 22}">{escape(name[:24])}</text>'
            f'<text x="{x + 12}" y="{y + 42}" style="fill:var(--soft)">{escape(said)}</text>'
            + (
                f'<text x="{x + 12}" y="{y + 60}" style="fill:var(--soft)">begun {step["started"]} times</text>'
                if more
                else ""
            )
        )
    return f'<svg viewBox="0 0 {width} {height}" width="{width}" role="img">{"".join(drawn)}</svg>'


def _depth(name: str, nodes: dict[str, list[str]], above: tuple[str, ...]) -> int:
    known = [up for up in nodes.get(name, ()) if up in nodes and up not in above]
    return 1 + max((_depth(up, nodes, (*above, name)) for up in known), default=-1)


def _steps(run: dict[str, Any]) -> str:
    rows = [(s["node"], s["started"], s.get("done", 0), words.cpu(s["cpu_us"])) for s in run["steps"]]
    return _table(("step", "begun", "done", "CPU"), rows)


def _table(head: tuple[str, ...], rows: Sequence[tuple[object, ...]]) -> str:
    if not rows:
        return ""
    top = "".join(f"<th>{escape(text)}</th>" for text in head)
    lines = "".join(f"<tr>{''.join(_cell(value) for value in row)}</tr>" for row in rows)
    return f"<table><tr>{top}</tr>{lines}</table>"


def _cell(value: object) -> str:
    if isinstance(value, int):
        return f'<td class="n">{value:,}</td>'
    return f"<td>{escape(str(value))}</td>"


def _effects(run: dict[str, Any]) -> str:
    shown = [a for a in run["actions"] if a.get("category") or a["status"] != "done"][:200]
    rows: list[tuple[object, ...]] = [
        (
            a["tool"],
            a["node"],
            str(a["status"]).replace("_", " "),
            _names(a.get("approver")) or "no card was needed",
            ", ".join(a.get("rules", [])),
            f"{a.get('intent_index', '')} / {a.get('result_index', '')}",
        )
        for a in shown
    ]
    table = _table(("effect", "step", "outcome", "approved by", "allowed by", "journal"), rows)
    quiet = len(run["actions"]) - len(shown) + run["more_actions"]
    return table + (
        f'<p class="soft">{quiet:,} more actions only read, or stayed inside the run.</p>' if quiet else ""
    )


def _names(who: object) -> str:
    return ", ".join(map(str, who)) if isinstance(who, list) else str(who or "")


def _refusals(run: dict[str, Any]) -> str:
    rows: list[tuple[object, ...]] = [
        (r["tool"], r["node"], f"{r['message']} {r['remedy']}".strip(), r["code"])
        for r in run["refusals"][:200]
    ]
    return _table(("asked", "step", "why not", "code"), rows)


def _decisions(run: dict[str, Any]) -> str:
    rows: list[tuple[object, ...]] = [
        (words.clock(d["at_us"]), d["what"].removeprefix("card."), d["by"], short(str(d["card"])))
        for d in run["decisions"]
    ]
    return _table(("at", "what", "by", "card"), rows)


def _json(value: object) -> str:
    if value is None:
        return ""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return f"<pre>{escape(text[:20_000])}</pre>"


def _proof(run: dict[str, Any], proof: dict[str, Any] | None) -> str:
    job, policy = escape(run["job_digest"]), escape(run["policy_digest"])
    facts = f"<p>Job file <code>{job}</code><br>policy <code>{policy}</code></p>"
    if proof is None:
        return facts
    text = str(proof["proof"])
    return (
        f"{facts}<p>Journal entry {proof['index']} is proven by the text below. Save it as "
        f"<code>proof.json</code>; then <code>freehold journal verify proof.json --key KEY</code></p>"
        f"<details><summary>The proof</summary><pre>{escape(text)}</pre></details>"
    )
