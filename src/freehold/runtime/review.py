"""What a person is shown of a tool server: what it offers, what differs from what was approved, what could mislead.

Every word of the server's is a stranger's: odd characters are spelled out, and each line of it stands behind a bar.
"""

import difflib
import json
from typing import Any

from freehold.kernel.facts import visible
from freehold.runtime.servers import UNCLASSIFIED, Known, lookalikes
from freehold.wire.tools import Offer, Offered, offer_digest

_BAR = "  │ "


def view(known: Known) -> dict[str, Any]:
    """Return a server as the verbs give it: how it is reached, its tools, and what stands against using each."""
    server, approved = known.server, known.approved
    names = sorted(
        {tool.name for offer in (known.seen, approved) if offer is not None for tool in offer.tools}
    )
    tools = []
    for name in names:
        said = known.classes.get(name, UNCLASSIFIED)
        tools.append({
            "tool": f"{server.name}.{visible(name)}", "kind": said.kind, "category": said.category,
            "classified": name in known.classes, "blocked": known.blocked(name), "contents": list(said.contents),
            "written_by": said.written_by,
        })  # fmt: skip
    return {
        "name": server.name, "command": list(server.command), "url": server.url, "reads": list(server.reads),
        "zone": server.zone, "data": server.data, "timeout_s": server.timeout_s,
        "says_it_is": visible(f"{known.seen.server} {known.seen.version}".strip()),
        "protocol": known.seen.protocol, "changed": known.changed, "approved_by": known.approved_by,
        "digest": offer_digest(known.seen), "tools": tools, "refused": list(known.seen.refused),
    }  # fmt: skip


def pages(known: Known) -> str:
    """Return all that a person has to see before approving: everything the first time, later what differs."""
    before, now = known.approved, known.seen
    lines = [f"The tool server {known.server.name} says it is {visible(now.server) or 'nothing'}."]
    lines.append("What stands behind a bar are its own words; nobody has checked them.")
    if before is None:
        lines += ["", *whole(now)]
    elif not known.changed:
        lines.append("It offers what was approved.")
    else:
        lines += ["", "What differs from what was approved (- before, + now):", *_difference(before, now)]
    lines += [f"Refused: {why}" for why in now.refused]
    lines += [f"Easy to mistake for one another: {a} and {b}." for a, b in lookalikes(now)]
    return "\n".join(lines)


def whole(offer: Offer) -> list[str]:
    """Return everything that an offer says, in lines."""
    lines = []
    if offer.instructions:
        lines += ["Instructions to whoever uses it:", *_barred(offer.instructions)]
    for tool in offer.tools:
        lines += _tool(tool)
    return lines or ["It offers no tool."]


def _tool(tool: Offered) -> list[str]:
    lines = [f"Tool {tool.name}" + (f" ({visible(tool.title)})" if tool.title else "")]
    lines += _barred(tool.description)
    lines += ["  takes:", *_barred(_pretty(tool.parameters))]
    if tool.results:
        lines += ["  returns:", *_barred(_pretty(tool.results))]
    if tool.annotations:
        lines += ["  claims (they count for nothing):", *_barred(_pretty(tool.annotations))]
    return lines


def _difference(before: Offer, now: Offer) -> list[str]:
    found = difflib.unified_diff(whole(before), whole(now), "approved", "now", lineterm="", n=2)
    return [f"  {line}" for line in list(found)[2:]]


def _pretty(text: str) -> str:
    return json.dumps(json.loads(text), indent=1, ensure_ascii=False)


def _barred(text: str) -> list[str]:
    return [_BAR + visible(line) for line in text.split("\n")] if text else []
