"""`freehold agents`: who acts, under whom, and with which rights."""

from typing import Annotated, Any, Final

import typer

from freehold.cli import words
from freehold.cli.desk import Desk
from freehold.cli.signing import AsOption, sign
from freehold.cli.verbs import bare, noun, verb

app: typer.Typer = noun("Who acts. Every agent has a human owner, or does nothing.")

DAYS: Final = 90

Name = Annotated[str, typer.Argument(help="The agent's short name.")]


@bare(app)
def list_agents(desk: Desk) -> None:
    """List the agents with their owners."""
    desk.show(desk.call("agents.list"), _listed)


def _listed(agents: list[dict[str, Any]]) -> str:
    rows = [[a["slug"], a["owner"], ", ".join(a["jobs"]), a["status"], _token_words(a)] for a in agents]
    head = ["agent", "owner", "jobs", "status", "from elsewhere"]
    external = [agent for agent in agents if agent.get("external")]
    if not external:
        head, rows = head[:4], [row[:4] for row in rows]
    listed = words.table(head, rows, "No agents yet. Add one: freehold agents add NAME --owner HUMAN")
    return listed + (
        f"\nOf a program from elsewhere, {external[0]['external']['ungoverned']}." if external else ""
    )


@verb(app, "add")
def add(
    desk: Desk,
    name: Name,
    owner: Annotated[str, typer.Option(help="The human who answers for it.")],
    external: Annotated[
        bool, typer.Option("--external", help="It is a program from elsewhere, which asks with a token.")
    ] = False,
    days: Annotated[int, typer.Option(help="How long the token of such a program lasts.")] = DAYS,
    who: AsOption = None,
) -> None:
    """Add an agent under a human owner."""
    args = {"slug": name, "owner": owner, "external": external}
    signed = sign(desk, who, "people.change", name, content={"verb": "agents.add", **args})
    added = desk.call("agents.add", {**args, "signed": signed})
    if external:
        added |= _issue(desk, who, name, days)
    desk.show(
        added,
        lambda a: f"Added agent {a['slug']}, owned by {a['owner']}." + (_issued(a) if external else ""),
    )


@verb(app, "token")
def token(
    desk: Desk,
    name: Name,
    days: Annotated[int, typer.Option(help="How long it lasts.")] = DAYS,
    revoke: Annotated[
        bool, typer.Option("--revoke", help="Issue none: only revoke the present one.")
    ] = False,
    who: AsOption = None,
) -> None:
    """Issue a new token for a program from elsewhere, shown once; the one before counts no more."""
    if not revoke:
        desk.show(_issue(desk, who, name, days), lambda a: _issued(a).lstrip())
        return
    signed = sign(desk, who, "people.change", name, content={"verb": "agents.untoken", "name": name})
    value = desk.call("agents.untoken", {"name": name, "signed": signed})
    desk.show(value, lambda v: f"The token of {v['slug']} counts no more.")


def _issue(desk: Desk, who: str | None, name: str, days: int) -> dict[str, Any]:
    args = {"name": name, "days": days}
    signed = sign(desk, who, "people.change", name, content={"verb": "agents.token", **args})
    return dict(desk.call("agents.token", {**args, "signed": signed}))


def _issued(agent: dict[str, Any]) -> str:
    return (
        f"\nIts token, shown this once and good until {words.clock(agent['expires_us'])[:10]}:\n"
        f"  export FREEHOLD_URL={agent['url']}\n  export FREEHOLD_TOKEN={agent['token']}\n"
        f"Note that {agent['ungoverned']}."
    )


def _token_words(agent: dict[str, Any]) -> str:
    external = agent.get("external")
    if not external:
        return ""
    if not external["has_token"]:
        return "no token"
    used = external["last_use_us"]
    return f"token until {words.clock(external['expires_us'])[:10]}, " + (
        f"last used {words.clock(used)}" if used else "never used"
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
            ("from elsewhere", _elsewhere(agent)),
        ]
    )


def _elsewhere(agent: dict[str, Any]) -> str:
    external = agent.get("external")
    return f"{external['url']}; {_token_words(agent)};\n{external['ungoverned']}" if external else ""


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
