"""`freehold humans`: who answers for what, and whose key is whose."""

from typing import Annotated

import typer

from freehold.base.errors import BadInput
from freehold.cli import words
from freehold.cli.desk import Desk
from freehold.cli.signing import AsOption, new_passphrase, sign, signer, unlock
from freehold.cli.verbs import bare, noun, verb

app: typer.Typer = noun("Who answers for what agents do, and approves it.")

Name = Annotated[str, typer.Argument(help="The human's short name.")]


@bare(app)
def list_humans(desk: Desk) -> None:
    """List the humans of the estate."""
    desk.show(
        desk.call("humans.list"),
        lambda humans: words.table(
            ("human", "name", "mail", "manager", "presence", "status"),
            [
                (h["slug"], h["name"], h["email"], h["manager"] or "", h["presence"], h["status"])
                for h in humans
            ],
            "No humans yet.",
        ),
    )


@verb(app, "add")
def add(
    desk: Desk,
    name: Name,
    email: Annotated[str, typer.Option(help="Mail address.")],
    full_name: Annotated[str | None, typer.Option("--full-name", help="The name as people say it.")] = None,
    manager: Annotated[str | None, typer.Option(help="Who they report to.")] = None,
    presence: Annotated[str, typer.Option(help="`passphrase` or `none`.")] = "passphrase",
    public_key: Annotated[
        str | None, typer.Option(help="Their public key in hex, when they made the key elsewhere.")
    ] = None,
    who: AsOption = None,
) -> None:
    """Add a human. Their key and its passphrase are made here, unless you bring its public half."""
    from freehold.kernel import people

    if presence not in ("none", "passphrase"):
        raise BadInput(f"{presence!r} is not a kind of presence.", remedy="Use `passphrase` or `none`.")
    key = None
    if public_key is None:
        key = people.make_key(name, new_passphrase(desk, name) if presence == "passphrase" else None)
    args = {
        "slug": name,
        "name": full_name or name,
        "email": email,
        "manager": manager,
        "presence": presence,
        "public_key": public_key if key is None else key.public,
    }
    signed = sign(desk, who, "people.change", name, content={"verb": "humans.add", **args})
    if key is not None:
        people.write_key(desk.estate.key_of(name), key)
    try:
        added = desk.call("humans.add", {**args, "signed": signed})
    except BaseException:
        if key is not None:
            desk.estate.key_of(name).unlink(missing_ok=True)
        raise
    where = f" Their key: {desk.estate.key_of(name)}" if key is not None else ""
    desk.show(added, lambda human: f"Added {human['name']} as {human['slug']}.{where}")


@verb(app, "show")
def show(desk: Desk, name: Name) -> None:
    """Show a human: key, manager, agents, rights."""
    desk.show(
        desk.call("humans.show", {"name": name}),
        lambda human: words.pairs(
            [
                ("human", human["slug"]),
                ("name", human["name"]),
                ("mail", human["email"]),
                ("manager", human["manager"]),
                ("presence", human["presence"]),
                ("status", human["status"]),
                ("public key", human["public_key"]),
                ("agents", ", ".join(human["agents"])),
                ("may", "\n".join(rule["right"] for rule in human["rules"]) or "nothing"),
            ]
        ),
    )


@verb(app, "passphrase")
def passphrase(desk: Desk, who: AsOption = None) -> None:
    """Change the passphrase of your key; the key stays the same, and what was signed with it."""
    from freehold.kernel import people

    name = signer(desk, who)
    path = desk.estate.key_of(name)
    key = people.read_key(path)
    opened = unlock(desk, key)
    people.replace_key(path, people.seal_key(opened, new_passphrase(desk, name)))
    said = "" if key.presence == "passphrase" else " The estate is told by: freehold humans rekey"
    desk.show({"human": name}, lambda _: f"The key of {name} has another passphrase.{said}")


@verb(app, "lock")
def lock(desk: Desk, who: AsOption = None) -> None:
    """Ask for your passphrase again from now on, at every terminal."""
    from freehold.cli import presence

    name = signer(desk, who)
    count = presence.let_go(desk, name)
    desk.show(
        {"human": name, "closed": count}, lambda v: f"Closed at {words.plural(v['closed'], 'terminal')}."
    )


@verb(app, "rekey")
def rekey(
    desk: Desk,
    name: Name,
    presence: Annotated[str, typer.Option(help="`passphrase` or `none`.")] = "passphrase",
    public_key: Annotated[
        str | None, typer.Option(help="Its public half in hex, when they made the new key elsewhere.")
    ] = None,
    who: AsOption = None,
) -> None:
    """Replace a key that was lost, or that others may have seen. Another human signs, with --as."""
    from freehold.kernel import people

    if presence not in ("none", "passphrase"):
        raise BadInput(f"{presence!r} is not a kind of presence.", remedy="Use `passphrase` or `none`.")
    path, key = desk.estate.key_of(name), None
    if public_key is None:
        key = people.make_key(name, new_passphrase(desk, name) if presence == "passphrase" else None)
    args = {"name": name, "public_key": public_key if key is None else key.public, "presence": presence}
    signed = sign(desk, who, "people.change", name, content={"verb": "humans.rekey", **args})
    desk.call("humans.rekey", {**args, "signed": signed})
    if key is not None:
        people.replace_key(path, key)
    desk.show({"human": name}, lambda _: f"{name} has a new key; the old one decides nothing any more.")


@verb(app, "retire")
def retire(desk: Desk, name: Name, who: AsOption = None) -> None:
    """Retire a human: they approve nothing any more, and the agents they own do nothing."""
    signed = sign(desk, who, "people.change", name, content={"verb": "humans.retire", "name": name})
    desk.show(desk.call("humans.retire", {"name": name, "signed": signed}), lambda _: f"{name} is retired.")
