"""`freehold init`, `up` and `down`: an estate's first day, and the daemon's."""

import functools
from pathlib import Path
from typing import Annotated

import typer

from freehold.base.errors import BadInput, Unavailable
from freehold.cli.desk import Desk
from freehold.cli.verbs import noun, verb

app: typer.Typer = noun("The house itself")


@verb(app, "init")
def init(
    desk: Desk,
    folder: Annotated[Path | None, typer.Argument(help="Folder to make; by default ~/freehold.")] = None,
    human: Annotated[str | None, typer.Option(help="Your short name, such as `anna`.")] = None,
    full_name: Annotated[str | None, typer.Option("--full-name", help="Your name.")] = None,
    email: Annotated[str | None, typer.Option(help="Your mail address.")] = None,
    presence: Annotated[
        str, typer.Option(help="What approving takes: `passphrase`, or `none` (a program could do it).")
    ] = "passphrase",
    currency: Annotated[str, typer.Option(help="The currency that the estate counts in.")] = "EUR",
    store: Annotated[str, typer.Option(help="Address of the store; a folder in the estate by default.")] = "",
) -> None:
    """Make an estate: its folder, its key, its journal, and the first human, who owns it.

    At a terminal it asks for what is missing. A script gives --human, --email and --presence none.
    """
    from freehold.cli.signing import new_passphrase
    from freehold.control.estate import make_estate, remove_estate
    from freehold.daemon.found import Founder, found
    from freehold.kernel import people

    if presence not in ("none", "passphrase"):
        raise BadInput(f"{presence!r} is not a kind of presence.", remedy="Use `passphrase` or `none`.")
    place = folder.expanduser().absolute() if folder is not None else desk.folder
    slug = human or _asked(desk, "Your short name (such as anna):", "--human")
    email = email or _asked(desk, "Your mail address:", "--email")
    name = full_name or (desk.ask(f"Your name [{slug}]:") if desk.interactive else "") or slug
    domains = _own_domain(desk, email)
    passphrase = new_passphrase(desk, slug) if presence == "passphrase" else None
    key = people.make_key(slug, passphrase)
    estate = make_estate(place, name=place.name or "estate", store=store)
    try:
        found(estate, Founder(slug, name, email, key.public, key.presence, currency, domains))
        people.write_key(estate.key_of(slug), key)
    except BaseException:
        remove_estate(estate)
        raise
    value = {
        "estate": estate.name,
        "id": estate.id,
        "folder": str(place),
        "human": slug,
        "presence": presence,
    }
    desk.show(value, lambda _: _made(place, slug, presence))
    if not desk.json:
        _offer_models(desk, place, slug)


def _asked(desk: Desk, question: str, option: str) -> str:
    answer = desk.ask(question) if desk.interactive else ""
    if not answer:
        raise BadInput(f"{option} is missing.", remedy=f"Add {option}, or run this at a terminal.")
    return answer


def _own_domain(desk: Desk, email: str) -> tuple[str, ...]:
    domain = email.rpartition("@")[2]
    own = desk.interactive and desk.ask_yes(f"Is {domain} the mail domain of your own people alone?")
    return (domain,) if own else ()


def _made(place: Path, slug: str, presence: str) -> str:
    asked = (
        "asks for your passphrase"
        if presence == "passphrase"
        else "asks for NOTHING: any program of yours could do it"
    )
    here = f"  export FREEHOLD_ESTATE={place}\n" if place != Path.home() / "freehold" else ""
    return (
        f"Made an estate in {place}.\n"
        f"  Its first human is {slug}; approving {asked}.\n"
        f"  Keys lie in {place / 'keys'}: back them up, apart from the store.\n"
        f"Next:\n{here}"
        f"  freehold agents add audrey --owner {slug}\n"
        f"An audit of receipts, without a model:\n"
        f"  freehold jobs new receipts --agent audrey\n"
        f"An assistant, which thinks with a model of yours:\n"
        f"  freehold models add --found\n"
        f"  freehold jobs new desk --agent audrey --pack assistant"
    )


def _offer_models(desk: Desk, place: Path, slug: str) -> None:
    """Offer the models that run on this machine already: each at a terminal, else say how to take one in."""
    from freehold.cli.found_models import look
    from freehold.cli.models import offer

    found = look()
    if found:
        offer(Desk(place, no_start=desk.no_start), slug, found, "")


@verb(app, "up")
def up(
    desk: Desk,
    foreground: Annotated[bool, typer.Option("--foreground", help="Stay here, log to the terminal.")] = False,
) -> None:
    """Start the daemon; nothing happens when it runs already."""
    estate = desk.estate
    if foreground:
        from freehold.daemon.compose import compose
        from freehold.daemon.serve import log_to_stderr, run
        from freehold.daemon.start import typed_passphrase

        log_to_stderr()
        opens = functools.partial(compose, passphrase=typed_passphrase(desk.vault_passphrase()))
        run(estate, opens, lambda: desk.say(f"Serving {estate.folder}; stop with Ctrl-C."))
        return
    from freehold.daemon.start import start_daemon

    try:
        value = {
            "running": True,
            "started": True,
            "pid": start_daemon(estate, passphrase=desk.vault_passphrase()),
        }
    except Unavailable as error:
        if error.code != "unavailable.running":
            raise
        value = {"running": True, "started": False, "pid": desk.call("estate.status")["pid"]}
    desk.show(
        value, lambda v: f"The daemon {'started' if v['started'] else 'runs already'} (process {v['pid']})."
    )


@verb(app, "down")
def down(desk: Desk) -> None:
    """Stop the daemon. Runs stand still and go on where they were when it is up again."""
    from freehold.daemon.start import wait_until_stopped

    client = desk.running()
    if client is not None:
        client.call("estate.stop")
        client.close()
    wait_until_stopped(desk.estate)
    value = {"running": False, "stopped": client is not None}
    desk.show(value, lambda v: "The daemon is stopped." if v["stopped"] else "The daemon did not run.")
