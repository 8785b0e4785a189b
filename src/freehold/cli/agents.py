"""`freehold agents`: who acts, under whom, and with which rights."""

from typing import Annotated, Any

import typer

from freehold.cli import words
from freehold.cli.desk import Desk
from freehold.cli.signing import AsOption, sign
from freehold.cli.verbs import bare, noun, verb

app: typer.Typer = noun("Who acts. Every agent has a human owner, or does nothing.")

Name = Annotated[str, typer.Argument(help="The agent's short name.")]


@bare(app)
def list_agents(desk: Desk) -> None:
    """List the agents with their owners."""
    desk.show(
        desk.call("agents.list"),
        lambda agents: words.table(
            ("agent", "owner", "jobs", "status"),
            [(a["slug"], a["owner"], ", ".join(a["jobs"]), a["status"]) for a in agents],
            "No agents yet. Add one: freehold agents add NAME --owner HUMAN",
        ),
    )


@verb(app, "add")
def add(
    desk: Desk,
    name: Name,
    owner: Annotated[str, typer.Option(help="The human who answers for it.")],
    who: AsOption = None,
) -> None:
    """Add an agent under a human owner."""
    args = {"slug": name, "owner": owner}
    signed = sign(desk, who, "people.change", name, content={"verb": "agents.add", **args})
    desk.show(
        desk.call("agents.add", {**args, "signed": signed}),
        lambda a: f"Added agent {a['slug']}, owned by {a['owner']}.",
    )


@verb(app, "show")
def show(desk: Desk, name: Name) -> None:
    """Show an agent: its owner, what it may do in which job, and what it did."""
    desk.show(desk.call("agents.show", {"name": name}), _words)


def _words(agent: dict[str, Any]) -> str:
    return words.pairs(
        [
            ("agent", agent["slug"]),
            ("owner", agent["owner"]),
            ("status", agent["status"]),
            ("clearance", agent["clearance"]),
            (
                "may",
                "\n".join(f"{rule['right']}  ({rule['from']}, {rule['id']})" for rule in agent["rules"])
                or "nothing yet",
            ),
            ("frozen", agent.get("frozen")),
        ]
    )


@verb(app, "allow")
def allow(
    desk: Desk,
    name: Annotated[str, typer.Argument(help="An agent or a human.")],
    right: Annotated[str, typer.Argument(help="Such as 'mail.send: finance@example.com'.")],
    forbid: Annotated[
        bool, typer.Option("--forbid", help="Forbid it instead; a no outweighs every yes.")
    ] = False,
    who: AsOption = None,
) -> None:
    """Give a right beyond the job files; an agent never gets more than its owner has."""
    args = {"name": name, "right": right, "forbid": forbid}
    signed = sign(desk, who, "rules.change", name, content={"verb": "agents.allow", **args})
    word = "may not" if forbid else "may"
    desk.show(
        desk.call("agents.allow", {**args, "signed": signed}),
        lambda r: f"{name} {word}: {r['right']}  (rule {r['id']})",
    )


@verb(app, "revoke")
def revoke(
    desk: Desk,
    rule: Annotated[str, typer.Argument(help="The rule's id, as `agents show` lists it.")],
    who: AsOption = None,
) -> None:
    """Take a right back that `allow` gave; what stands in a job file is taken out there."""
    signed = sign(desk, who, "rules.change", rule, content={"verb": "agents.revoke", "name": rule})
    value = desk.call("agents.revoke", {"name": rule, "signed": signed})
    desk.show(value, lambda v: f"{v['holder']} no longer has: {v['right']}")


@verb(app, "retire")
def retire(desk: Desk, name: Name, who: AsOption = None) -> None:
    """Retire an agent: it does nothing from now on."""
    signed = sign(desk, who, "people.change", name, content={"verb": "agents.retire", "name": name})
    desk.show(
        desk.call("agents.retire", {"name": name, "signed": signed}), lambda _: f"Agent {name} is retired."
    )
