"""Signing as a person: finds whose key it is, asks for its passphrase at the terminal, and forgets it again.

The key is opened in this process; only the signed statement goes to the daemon.
"""

import getpass
import os
from typing import Annotated, Any, Final

import msgspec
import typer

from freehold.base import BadInput, Refused
from freehold.cli.desk import Desk
from freehold.kernel import people

ATTEMPTS: Final = 3

AsOption = Annotated[
    str | None,
    typer.Option("--as", metavar="HUMAN", help="Who you are, where several keys lie here (or FREEHOLD_AS)."),
]


def signer(desk: Desk, given: str | None) -> str:
    """Return the human who acts: the one named, or the only one whose key lies in this estate."""
    named = given or os.environ.get("FREEHOLD_AS")
    if named:
        return named
    folder = desk.estate.keys / "people"
    found = sorted(path.stem for path in folder.glob("*.key")) if folder.is_dir() else []
    if len(found) == 1:
        return found[0]
    if not found:
        raise BadInput(
            f"No human's key lies in {folder}.", remedy="Put your key file there, or run this where it lies."
        )
    raise BadInput("Several people's keys lie here.", remedy=f"Say who you are: --as {' | '.join(found)}")


def sign(
    desk: Desk,
    given: str | None,
    what: people.What,
    about: str,
    *,
    digest: str = "",
    content: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the signed statement that a verb needs, as JSON. ``digest`` fixes the thing as it was shown."""
    who = signer(desk, given)
    key = people.read_key(desk.estate.key_of(who))
    hello = desk.call("estate.hello")

    def statement() -> people.Statement:
        at = hello["now_us"]
        return people.make_statement(
            what, estate=hello["estate"], by=who, about=about, digest=digest, at=at, content=content
        )

    minutes = int(hello["presence_minutes"]) if key.presence == "passphrase" and desk.interactive else 0
    if minutes:
        from freehold.cli import presence

        held = presence.ask_held(desk, who, statement())
        if held is not None:
            return held
    unlocked = unlock(desk, key)
    hello = desk.call("estate.hello")
    signed: dict[str, Any] = msgspec.to_builtins(unlocked.sign(statement()))
    if minutes:
        presence.hold(desk, unlocked, minutes)
    return signed


def sign_with(
    desk: Desk,
    key: people.SigningKey,
    what: people.What,
    about: str,
    content: dict[str, Any],
    digest: str = "",
) -> dict[str, Any]:
    """Return a statement signed with a key that is open already, as JSON."""
    hello = desk.call("estate.hello")
    said = people.make_statement(
        what,
        estate=hello["estate"],
        by=key.human,
        about=about,
        digest=digest,
        at=hello["now_us"],
        content=content,
    )
    signed: dict[str, Any] = msgspec.to_builtins(key.sign(said))
    return signed


def open_once(desk: Desk, given: str | None) -> people.SigningKey | str | None:
    """Return what signs several statements of one command with the presence of one: the opened key.

    Where a passphrase counts for some minutes anyway, the terminal's own holder signs, and ``given`` comes back.
    """
    key = people.read_key(desk.estate.key_of(signer(desk, given)))
    if key.presence == "none" or desk.call("estate.hello")["presence_minutes"]:
        return given
    return unlock(desk, key)


def unlock(desk: Desk, key: people.KeyFile) -> people.SigningKey:
    """Return the opened key; asks for the passphrase at the terminal where it has one."""
    if key.presence == "none" or not desk.interactive:
        return key.unlock()  # a key with a passphrase says that a terminal is needed
    for attempt in range(ATTEMPTS):
        typed = ask_secret(f"Passphrase of {key.human}: ")
        try:
            return key.unlock(typed)
        except Refused as error:
            if error.code != "refused.passphrase" or attempt == ATTEMPTS - 1:
                raise
            desk.say("That passphrase does not open the key.")
    raise Refused("The key was not opened.", code="refused.passphrase")


def ask_secret(prompt: str) -> str:
    """Ask for a secret at the terminal, without showing it."""
    try:
        return getpass.getpass(prompt)
    except EOFError as error:
        raise Refused("No passphrase was typed.", code="refused.passphrase") from error


def new_passphrase(desk: Desk, human: str) -> str:
    """Ask twice for a new passphrase; raises Refused without a terminal."""
    if not desk.interactive:
        raise Refused(
            "A passphrase is asked for at a terminal, and there is none.",
            remedy="For scripts say it in so many words: --presence none",
            code="refused.presence",
        )
    while True:
        first = ask_secret(f"New passphrase for the key of {human}: ")
        if len(first) < 8:
            desk.say("At least eight characters, please.")
        elif first == ask_secret("Once more: "):
            return first
        else:
            desk.say("They differ.")
