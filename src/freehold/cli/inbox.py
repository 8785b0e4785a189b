"""`freehold inbox`, `approve`, `deny`, `answer`: what waits for a person, shown whole before."""

import base64
import copy
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from freehold.base.errors import BadInput, Refused
from freehold.base.ids import short
from freehold.cli import words
from freehold.cli.cards import card_words, decide, decide_each, show_whole
from freehold.cli.desk import Desk
from freehold.cli.signing import AsOption
from freehold.cli.verbs import noun, verb

app: typer.Typer = noun("What waits for you")

CardName = Annotated[str, typer.Argument(help="The card's id, or the beginning or end of it.")]
Evidence = Annotated[
    Path | None, typer.Option(help="Save the question's evidence into this folder.", metavar="DIR")
]


@verb(app, "inbox")
def inbox(
    desk: Desk,
    read: Annotated[bool, typer.Option("--read", help="Mark what was reported as read.")] = False,
    every: Annotated[bool, typer.Option("--all", help="A line for each card, also for equal ones.")] = False,
) -> None:
    """List what waits for you: approvals, questions, and what was done and reported."""
    value = desk.call("inbox.list")
    desk.show(value, lambda v: _inbox_words(v, every))
    if read and value["reports"]:
        desk.call("inbox.read", {"actions": [report["action"] for report in value["reports"]]})


def _inbox_words(value: dict[str, Any], every: bool) -> str:
    alike: dict[str, list[dict[str, Any]]] = {}
    for card in value["cards"]:
        alike.setdefault(card["id"] if every else card["about"], []).append(card)
    cards = words.table(
        ("card", "kind", "job", "what", "waits for", "until"),
        [
            (
                short(c["id"]),
                c["kind"],
                c["job"],
                _cut(c["title"]) + (f" ({len(same)} alike: --all)" if len(same) > 1 else ""),
                ", ".join(c["approvers"]),
                words.clock(c["expires_us"]),
            )
            for c, same in ((found[0], found) for found in alike.values())
        ],
        "Nothing waits for you.",
    )
    reports = [
        (words.clock(r["at"]), r["job"], r["tool"], r["status"], _cut(r["title"])) for r in value["reports"]
    ]
    if not reports:
        return cards
    return f"{cards}\n\nReported\n" + words.table(("at", "job", "tool", "outcome", "what"), reports, "")


def _cut(text: str, most: int = 50) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


@verb(app, "approve")
def approve(
    desk: Desk,
    names: Annotated[
        list[str], typer.Argument(metavar="CARD...", help="The card's id, or the beginning or end of it.")
    ],
    alike: Annotated[
        bool, typer.Option("--alike", help="With it, each that `freehold inbox` counts as alike.")
    ] = False,
    digest: Annotated[
        list[str] | None,
        typer.Option(help="For scripts: the digest of each card that you mean. Needs presence `none`."),
    ] = None,
    edit: Annotated[
        list[str] | None,
        typer.Option(help="Change a field before it is sent: FIELD=VALUE.", metavar="FIELD=VALUE"),
    ] = None,
    who: AsOption = None,
) -> None:
    """Look at what would be done, to the last byte, and allow it once; several are looked at one after another.

    Each is its own decision over its own digest. Your key is opened once, when the last was shown.
    """
    cards = _cards(desk, names, alike)
    if edit and len(cards) > 1:
        raise BadInput("Several cards are not changed at once.", remedy="Approve the one to change alone.")
    allowed = []
    for number, card in enumerate(cards, 1):
        content: dict[str, Any] = {"args": edited(card["args"], edit)} if edit else {}
        text = card_words(card)
        if content:
            text += f"\n\nAs you changed it:\n{words.pairs(_flat(content['args']))}"
        if len(cards) > 1:
            text = f"\nCard {number} of {len(cards)}\n{text}"
        if not desk.json:
            show_whole(desk, text)
        _check_shown(desk, card, digest)
        if digest or desk.ask_now("\nAllow this, once? [y/N]").lower() in ("y", "yes"):
            allowed.append((card, content))
    if not allowed:
        still = "the card still waits" if len(cards) == 1 else "the cards still wait"
        raise Refused(f"Not approved; {still}.", code="refused.by-person")
    decided, problem = decide_each(desk, who, "card.approve", allowed)
    desk.show(
        decided[0] if len(cards) == 1 and decided else decided,
        lambda _: "\n".join(_approved_words(card, len(cards)) for card in decided),
    )
    if problem is not None:
        raise problem


def _cards(desk: Desk, names: list[str], alike: bool) -> list[dict[str, Any]]:
    """Return the cards that are meant, each once, with those that ask the same where ``alike``."""
    found = {card["id"]: card for card in (desk.call("cards.show", {"name": name}) for name in names)}
    if alike:
        about = {card["about"] for card in found.values()}
        more = [card["id"] for card in desk.call("cards.list") if card["about"] in about]
        found |= {one: desk.call("cards.show", {"name": one}) for one in more if one not in found}
    return list(found.values())


def _check_shown(desk: Desk, card: dict[str, Any], digests: list[str] | None) -> None:
    if not digests and not (desk.interactive and sys.stdout.isatty()):
        raise Refused(
            "Nobody was asked: there is no terminal that it could be shown at.",
            remedy=f"Approve at a terminal, or say which card you mean: --digest {card['digest']}",
            code="refused.not-shown",
        )
    if digests and card["digest"] not in digests:
        raise Refused(
            f"The card has the digest {card['digest']}, not the one given: it is not what you looked at.",
            remedy="Look at it again: freehold inbox",
            code="refused.digest",
        )


def _approved_words(card: dict[str, Any], of: int) -> str:
    name = "" if of == 1 else f"{short(card['id'])}: "
    if card["state"] == "open":
        return f"{name}Noted. It still needs another human: " + ", ".join(card["approvers"])
    return f"{name}Approved. It will be done once."


@verb(app, "deny")
def deny(
    desk: Desk,
    name: CardName,
    why: Annotated[str | None, typer.Option(help="The reason; the agent's owner reads it.")] = None,
    who: AsOption = None,
) -> None:
    """Say no, with a reason; the step ends as refused."""
    card = desk.call("cards.show", {"name": name})
    reason = why or (desk.ask("Why not?") if desk.interactive else "")
    if not reason.strip():
        raise BadInput("A denial says why.", remedy="Add --why 'REASON'.")
    desk.show(decide(desk, who, "card.deny", card, {"reason": reason}), lambda c: f"Denied ({c['state']}).")


@verb(app, "answer")
def answer(
    desk: Desk,
    name: CardName,
    value: Annotated[str | None, typer.Argument(help="The answer; asked for at a terminal.")] = None,
    evidence: Evidence = None,
    who: AsOption = None,
) -> None:
    """Answer a question that a run asks; only what depends on it is done again."""
    card = desk.call("cards.show", {"name": name})
    if card["kind"] != "question":
        raise BadInput("This card is an approval, not a question.", remedy=f"freehold approve {name}")
    if evidence is not None:
        for path in _save_evidence(desk, card["id"], evidence):
            desk.say(f"Evidence: {path}")
    if value is None:
        if not desk.interactive:
            raise BadInput("No answer was given.", remedy=f"Add it: freehold answer {name} VALUE")
        show_whole(desk, card_words(card))
        value = desk.ask("\nYour answer:")
    decided = decide(desk, who, "card.answer", card, {"value": value})
    desk.show(decided, lambda _: "Answered; the run goes on.")


def _save_evidence(desk: Desk, card: str, folder: Path) -> list[Path]:
    """Write a question's evidence into ``folder``, named by us and not by the pack; returns the files."""
    kinds = {"image/png": ".png", "image/jpeg": ".jpg", "application/pdf": ".pdf", "text/plain": ".txt"}
    files: dict[str, Path] = {}

    def take(piece: dict[str, Any]) -> None:
        number = len(files) + (piece["id"] not in files)
        path = files.setdefault(
            piece["id"], folder / f"evidence-{short(card)}-{number}{kinds.get(piece['media_type'], '.bin')}"
        )
        with path.open("ab") as file:
            file.write(base64.b64decode(piece["data"]))

    try:
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob(f"evidence-{short(card)}-*"):
            old.unlink()
        desk.call("cards.evidence", {"name": card}, on_event=take)
    except OSError as error:
        raise BadInput(
            f"The evidence cannot be saved in {folder}: {error.strerror}.", remedy="Name another."
        ) from error
    return list(files.values())


def edited(args: dict[str, Any], edits: list[str]) -> dict[str, Any]:
    """Return a copy of ``args`` with fields changed, each given as FIELD=VALUE; a field keeps its type."""
    changed = copy.deepcopy(args)
    for text in edits:
        field, equals, value = text.partition("=")
        place: Any = changed
        *path, last = field.split(".")
        try:
            for part in path:
                place = place[int(part)] if isinstance(place, list) else place[part]
            key: Any = int(last) if isinstance(place, list) else last
            old = place[key]
            place[key] = int(value) if isinstance(old, int) and not isinstance(old, bool) else value
        except (KeyError, IndexError, ValueError, TypeError) as error:
            known = ", ".join(name for name, _ in _flat(args))
            raise BadInput(
                f"{text!r} changes no field of this action.", remedy=f"Fields: {known}."
            ) from error
        if not equals or isinstance(old, dict | list):
            raise BadInput(
                f"{text!r} is not FIELD=VALUE.", remedy="Such as --edit subject='Expenses of March'."
            )
    return changed


def _flat(value: Any, path: str = "") -> list[tuple[str, object]]:
    members = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    )
    if members is None:
        return [(path, value)]
    return [row for name, inner in members for row in _flat(inner, f"{path}.{name}" if path else str(name))]
