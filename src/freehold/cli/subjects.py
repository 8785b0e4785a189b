"""`freehold subjects`: the people whose data is kept, and how it is forgotten."""

from typing import Annotated, Any

import typer

from freehold.base.errors import Refused
from freehold.cli import words
from freehold.cli.desk import Desk
from freehold.cli.signing import AsOption, sign
from freehold.cli.verbs import bare, noun, verb

app: typer.Typer = noun("Whose data is kept. Each has a key; without it nothing of theirs can be read.")


@bare(app)
def list_subjects(desk: Desk) -> None:
    """List the subjects that have a key."""
    desk.show(desk.call("subjects.list"), lambda names: "\n".join(names) or "No subjects yet.")


@verb(app, "forget")
def forget(
    desk: Desk,
    name: Annotated[str, typer.Argument(help="The subject, as `freehold subjects` lists it.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    who: AsOption = None,
) -> None:
    """Destroy a subject's key: what was sealed under it is gone for good, and every proof still verifies."""
    if not yes:
        if not desk.interactive:
            raise Refused("Nobody was asked.", remedy="Add --yes.", code="refused.not-shown")
        if not desk.ask_yes(f"Make everything about {name} unreadable, for good?"):
            raise Refused("Nothing was forgotten.", code="refused.by-person")
    signed = sign(desk, who, "people.change", name, content={"verb": "subjects.forget", "name": name})
    desk.show(desk.call("subjects.forget", {"name": name, "signed": signed}), _words)


@verb(app, "readmit")
def readmit(
    desk: Desk,
    name: Annotated[str, typer.Argument(help="The subject that was forgotten.")],
    who: AsOption = None,
) -> None:
    """Let a forgotten name be used again, with a new key; what was forgotten stays so."""
    signed = sign(desk, who, "people.change", name, content={"verb": "subjects.readmit", "name": name})
    value = desk.call("subjects.readmit", {"name": name, "signed": signed})
    desk.show(value, lambda found: f"{found['name']} may be used again; nothing of before comes back.")


def _words(value: dict[str, Any]) -> str:
    entries = words.plural(value["payloads"], "sealed entry", "sealed entries")
    gone = ", ".join([entries, words.plural(value["artifacts"], "artifact"), *value["removed"]])
    beyond = "\n".join(f"  - {text}" for text in value["unreachable"])
    return f"Forgot {value['name']}: {gone}. The journal's proofs still hold.\nBeyond reach:\n{beyond}"
