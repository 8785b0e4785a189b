"""`freehold standing`: what you want to hold in every run of your agents, such as "always in euros"."""

from typing import Annotated, Any

import typer

from freehold.base.ids import short
from freehold.cli import words
from freehold.cli.desk import Desk
from freehold.cli.signing import AsOption, sign
from freehold.cli.verbs import bare, noun, verb

app: typer.Typer = noun(
    "Your standing rules: what always holds for your agents. Only your own word makes one."
)


@bare(app)
def list_standing(desk: Desk) -> None:
    """List the standing rules: what, for whom, who said it, when."""
    desk.show(desk.call("standing.list"), listed)


def listed(rules: list[dict[str, Any]]) -> str:
    """Return standing rules as a table."""
    return words.table(
        ("id", "rule", "for", "said by", "at"),
        [(short(r["id"]), r["text"], _whose(r), r["by"], words.clock(r["at_us"])) for r in rules],
        'No standing rules. Make one: freehold standing add "always in euros"',
    )


def _whose(rule: dict[str, Any]) -> str:
    if rule["job"]:
        return f"job {rule['job']}"
    return f"agent {rule['agent']}" if rule["agent"] else f"every agent of {rule['by']}"


@verb(app, "add")
def add(
    desk: Desk,
    text: Annotated[str, typer.Argument(help="The rule, in a line: always in euros")],
    agent: Annotated[str, typer.Option(help="Only for this agent.")] = "",
    job: Annotated[str, typer.Option(help="Only for this job.")] = "",
    who: AsOption = None,
) -> None:
    """Make a standing rule; signed by you. Runs that begin from now on are told it."""
    desk.show(
        make(desk, text, who, agent=agent, job=job), lambda r: f"From now on, for {_whose(r)}: {r['text']}"
    )


def make(desk: Desk, text: str, who: str | None, *, agent: str = "", job: str = "") -> dict[str, Any]:
    """Sign a standing rule as one's own word; returns it."""
    args = {"text": text, "agent": agent, "job": job}
    signed = sign(desk, who, "word.say", "standing", content={"verb": "standing.add", **args})
    rule: dict[str, Any] = desk.call("standing.add", {**args, "signed": signed})
    return rule


@verb(app, "remove")
def remove(
    desk: Desk, name: Annotated[str, typer.Argument(metavar="ID", help="Its id.")], who: AsOption = None
) -> None:
    """Take a standing rule back; signed by you. What runs already keeps it."""
    args = {"id": name}
    signed = sign(desk, who, "word.say", "standing", content={"verb": "standing.remove", **args})
    desk.show(desk.call("standing.remove", {**args, "signed": signed}), lambda r: f"Taken back: {r['text']}")
