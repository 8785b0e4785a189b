"""A card before a person: shown whole, a page at a time, and decided in place only once its end was on the screen."""

import os
import sys
import unicodedata
from typing import Any, Final

from freehold.base.errors import FreeholdError, Refused
from freehold.base.ids import short
from freehold.cli import words
from freehold.cli.desk import Desk
from freehold.cli.signing import open_once, sign, sign_with
from freehold.kernel.people import SigningKey, What

WHY: Final = "why you are asked"
"""The name of the lines that say why; the gate puts them first."""
_BAR: Final = "│ "


def card_words(card: dict[str, Any]) -> str:
    """Return the whole card: why it asks, every fact, file and text that would go out, and what it is bound to."""
    facts, question = card["facts"], card.get("question")
    who = f"{card['agent']} (owner {card['owner']}) in job {card['job']}, run {short(card['run'])}"
    head = [
        ("card", f"{short(card['id'])}, {card['kind']}, {card['state']}"),
        ("asks", who),
        ("what", "" if question else f"{facts['title']} ({card['tool']})"),
        ("again", card["because"]),
        ("answers" if question else "approves", f"{', '.join(card['approvers'])} ({' and '.join(card['needs'])})"),
        ("approved", ", ".join(f"{a['who']} ({a['role']})" for a in card["approvals"])),
        ("until", words.clock(card["expires_us"])),
        ("digest", card["digest"]),
    ]  # fmt: skip
    said = [*_why(facts["lines"]), words.pairs(head)]
    if question:
        return "\n\n".join([*said, *_question(question)])
    rows = [
        (f["name"], _with_origin(f["value"], f["provenance"])) for f in facts["lines"] if f["name"] != WHY
    ]
    rows += [
        ("file", f"{a['name']}, {a['size']:,} bytes\nSHA-256 {a['digest']}") for a in facts["attachments"]
    ]
    if rows:
        said.append(words.pairs(rows))
    for body in facts["bodies"]:
        origin = body.get("provenance", "")
        said.append(f"{_with_origin(body['name'], origin)}\n{framed(body['text'].rstrip())}")
    return "\n\n".join(said)


def _with_origin(text: str, origin: str) -> str:
    return text + (f"   [from {origin}]" if origin else "")


def _why(lines: list[dict[str, Any]]) -> list[str]:
    found = [line for line in lines if line["name"] == WHY]
    if not found:
        return []
    rows = [
        f"  - {line['value']}" + (f"  ({line['provenance']})" if line["provenance"] else "") for line in found
    ]
    return ["Why you are asked:\n" + "\n".join(rows)]


def framed(text: str) -> str:
    """Return a text with a bar before each line, so that nothing in it looks like a part of the card."""
    return "\n".join(_BAR + line for line in text.split("\n"))


def _question(question: dict[str, Any]) -> list[str]:
    rows: list[tuple[str, object]] = [("type", question["type"])]
    rows.append(("choices", ", ".join(question["choices"])))
    rows += [
        ("reading", f"{r['value']}  ({r['source']}, {r['confidence_permille'] / 10:g} %)")
        for r in question["readings"]
    ]
    rows.append(("evidence", words.plural(len(question["evidence"]), "file") if question["evidence"] else ""))
    return [
        words.pairs(rows),
        f"The agent says (its own words, which nobody checked):\n{framed(question['text'])}",
    ]


# ---- showing -----------------------------------------------------------------------------------------------------


def show_whole(desk: Desk, text: str) -> None:
    """Show a card to its end, a page at a time at a terminal; raises Refused when the person leaves before it."""
    if not (desk.interactive and sys.stdout.isatty()):
        print(text)
        return
    size = os.get_terminal_size(sys.stdout.fileno())
    room, used, lines = max((size.lines or 24) - 2, 8), 0, text.split("\n")
    for number, line in enumerate(lines):
        rows = 1 + max(_columns(line) - 1, 0) // max(size.columns or 80, 20)
        if used and used + rows > room:
            left = words.plural(len(lines) - number, "more line")
            if desk.ask_now(f"--- {left}: Enter shows them, q leaves ---").lower() == "q":
                raise Refused(
                    "The card was not shown to its end, so it cannot be decided.",
                    remedy="Look at all of it.",
                    code="refused.not-shown",
                )
            used = 0
        print(line)
        used += rows


def _columns(line: str) -> int:
    return sum(2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in line)


# ---- deciding ----------------------------------------------------------------------------------------------------


def decide(
    desk: Desk, who: str | SigningKey | None, what: What, card: dict[str, Any], content: dict[str, Any]
) -> dict[str, Any]:
    """Sign a decision over the very card that was shown, and hand it in. ``who`` may be one's key, open already."""
    if isinstance(who, SigningKey):
        signed = sign_with(desk, who, what, card["id"], content, digest=card["digest"])
    else:
        signed = sign(desk, who, what, card["id"], digest=card["digest"], content=content)
    args = {"card": card["id"], "signed": signed, "content": content}
    decided: dict[str, Any] = desk.call("cards.decide", args)
    return decided


def decide_each(
    desk: Desk, who: str | None, what: What, cards: list[tuple[dict[str, Any], dict[str, Any]]]
) -> tuple[list[dict[str, Any]], FreeholdError | None]:
    """Decide several cards that were shown, with what is said of each, in one presence; each by its own statement.

    Returns what was decided, and the first problem; one card that cannot be decided any more holds up no other.
    """
    key = open_once(desk, who) if len(cards) > 1 else who
    decided, problem = [], None
    for card, content in cards:
        try:
            decided.append(decide(desk, key, what, card, content))
        except FreeholdError as error:
            if len(cards) > 1:
                desk.say(f"{short(card['id'])}: {error.message}")
            problem = problem or error
    return decided, problem


def decide_in_place(desk: Desk, who: str | None, name: str) -> bool:
    """Show a card and let the person at the terminal decide it; False when they leave it for later."""
    card = desk.call("cards.show", {"name": name})
    show_whole(desk, f"\n{card_words(card)}")
    if card["kind"] == "question":
        value = desk.ask_now("\nYour answer (Enter: later):")
        if value:
            decide(desk, who, "card.answer", card, {"value": value})
        return bool(value)
    said = desk.ask_now("\nAllow this, once? [y/n, Enter: later]").lower()
    if said in ("y", "yes"):
        decide(desk, who, "card.approve", card, {})
        return True
    if said in ("n", "no"):
        reason = desk.ask("Why not?") or "No reason was given."
        decide(desk, who, "card.deny", card, {"reason": reason})
        return True
    return False
