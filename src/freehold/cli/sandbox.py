"""`freehold sandbox`: what this machine puts around runners, tried now; and a look from inside. Needs no estate."""

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from freehold.base.errors import BadInput
from freehold.cli import words
from freehold.cli.desk import Desk
from freehold.cli.verbs import bare, noun, verb
from freehold.sandbox import NOT_HELD, Level, Profile, enter_command, parse_level
from freehold.sandbox.probe import Reach, probe

app: typer.Typer = noun("What this machine puts around runners: the level, and a look from inside.")


@bare(app)
def show(desk: Desk) -> None:
    """Try the levels, and say which one this machine reaches and why not more."""
    desk.show(described(probe()), _words)


@verb(app, "run")
def run(
    desk: Desk,
    command: Annotated[list[str], typer.Argument(help="A program and its arguments, after `--`.")],
    level: Annotated[
        str, typer.Option(help="namespaces, landlock or none; else the one that is reached.")
    ] = "",
) -> None:
    """Run a program as a runner is run: with an empty workspace, no network, and nothing of this estate."""
    wanted = parse_level(level) if level else probe().level
    if wanted is Level.NONE and not level:
        raise BadInput(
            "This machine reaches no level, so nothing would be around the program.",
            remedy="See why: freehold sandbox; or run it so by name: --level none",
        )
    if shutil.which(command[0]) is None:
        raise BadInput(
            f"There is no program {command[0][:80]!r}.", remedy="Install it, or name its full path."
        )
    with tempfile.TemporaryDirectory(prefix="freehold-") as folder:
        rooms = Path(folder, "rooms")
        rooms.mkdir()
        rooms.chmod(0o711)
        profile = Profile(wanted, rooms=str(rooms) if wanted is not Level.NONE else "")
        raise typer.Exit(subprocess.run(enter_command(profile, command), check=False).returncode)


def described(reach: Reach) -> dict[str, Any]:
    """Return what a machine reaches, as an answer."""
    return {
        "level": reach.level.word,
        "meaning": reach.level.meaning,
        "missing": {level.word: why for level, why in reach.missing},
        "not_held": list(NOT_HELD) if reach.level is Level.LANDLOCK else [],
    }


def _words(value: dict[str, Any]) -> str:
    said = [("level", f"{value['level']}: {value['meaning']}")]
    said += [(f"not {level}", why) for level, why in value["missing"].items()]
    if value["not_held"]:
        said.append(("it lets", "\n".join(value["not_held"])))
    said.append(("look", "freehold sandbox run -- ls -la /"))
    return words.pairs(said)
