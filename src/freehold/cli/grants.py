"""`freehold grants`: approvals given beforehand, so that forty equal cards become one."""

from typing import Annotated, Any

import typer

from freehold.base.errors import BadInput
from freehold.base.ids import short
from freehold.cli import words
from freehold.cli.desk import Desk
from freehold.cli.signing import AsOption, sign
from freehold.cli.verbs import bare, noun, verb
from freehold.control.resolve import resolve

app: typer.Typer = noun("Approvals given beforehand: scoped by fields, counted, and with an end.")


@bare(app)
def list_grants(desk: Desk) -> None:
    """List the grants that hold."""
    desk.show(
        desk.call("grants.list"),
        lambda grants: words.table(
            ("grant", "by", "agent", "tool", "where", "left", "until"),
            [
                (short(g["id"]), g["by"], g["scope"]["agent"], g["scope"]["tool"], _where(g["scope"]),
                 f"{g['left']} of {g['scope']['count']}", words.clock(g["scope"]["expires_us"]))
                for g in grants
            ],
            "No grants. Every effect of grade `ask` gets its own card.",
        ),
    )  # fmt: skip


def _where(scope: dict[str, Any]) -> str:
    parts = [f"{c['field']} {c['demand']} {c['value']}" for c in scope["constraints"]]
    return ", ".join(([f"job {scope['job']}"] if scope["job"] else []) + parts)


@verb(app, "add")
def add(
    desk: Desk,
    agent: Annotated[str, typer.Argument(help="Whom it is for.")],
    tool: Annotated[str, typer.Argument(help="Such as mail.send.")],
    where: Annotated[
        list[str],
        typer.Option(
            help="A field and what it must be: to=finance@example.com, amount<=100, url^=https://x/",
            metavar="RULE",
        ),
    ],
    count: Annotated[int, typer.Option(help="How many actions.")] = 1,
    days: Annotated[int, typer.Option(help="For how many days.")] = 7,
    job: Annotated[str, typer.Option(help="Only in this job.")] = "",
    who: AsOption = None,
) -> None:
    """Allow some actions beforehand; signed by you. It never lifts a refusal of rules, flow or budget."""
    scope = {
        "tool": tool,
        "agent": agent,
        "count": count,
        "expires_us": desk.call("estate.hello")["now_us"] + days * 86_400_000_000,
        "constraints": [constraint(text) for text in where],
        "job": job,
    }
    signed = sign(desk, who, "grant.add", agent, content=scope)
    value = desk.call("grants.add", {"scope": scope, "signed": signed})
    desk.show(
        value, lambda g: f"Granted {short(g['id'])}: {count} x {tool} by {agent}, where {_where(g['scope'])}."
    )


def constraint(text: str) -> dict[str, Any]:
    """Return the constraint that RULE says; raises BadInput."""
    for sign_, demand in (("<=", "at_most"), ("^=", "prefix"), ("@=", "domain"), ("=", "equals")):
        field, found, value = text.partition(sign_)
        if found and field.strip():
            said: Any = value.strip()
            if demand == "at_most":
                if not said.isdigit():
                    raise BadInput(
                        f"{text!r}: {said!r} is not a whole number.", remedy="Such as amount<=100."
                    )
                said = int(said)
            elif demand == "equals" and "|" in said:
                demand, said = "one_of", [part.strip() for part in said.split("|")]
            return {"field": field.strip(), "demand": demand, "value": said}
    raise BadInput(
        f"{text!r} says nothing of a field.",
        remedy="Write to=a@example.com, to=a@x.com|b@x.com, to@=example.com, amount<=100, or url^=https://x/.",
    )


@verb(app, "revoke")
def revoke(
    desk: Desk,
    name: Annotated[str, typer.Argument(help="The grant's id, or the beginning or end of it.")],
    who: AsOption = None,
) -> None:
    """End a grant; signed by you."""
    found = resolve(name, [g["id"] for g in desk.call("grants.list")], "grant", "freehold grants")
    signed = sign(desk, who, "grant.revoke", found)
    value = desk.call("grants.revoke", {"name": found, "signed": signed})
    desk.show(value, lambda g: f"Revoked {short(g['id'])}.")
