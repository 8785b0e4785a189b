"""`freehold packs`: job families, those that ship with Freehold and your own."""

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from freehold.base.errors import BadInput
from freehold.cli import words
from freehold.cli.desk import Desk
from freehold.cli.signing import AsOption, sign
from freehold.cli.verbs import bare, noun, verb

app: typer.Typer = noun("Job families. A pack's code runs in a runner, never in the daemon.")


@bare(app)
def list_packs(desk: Desk) -> None:
    """List the packs of the estate."""
    desk.show(
        desk.call("packs.list"),
        lambda packs: words.table(
            ("pack", "entry", "folder"), [(p["name"], p["entry"], p["folder"]) for p in packs], "No packs."
        ),
    )


@verb(app, "new")
def new(
    desk: Desk,
    name: Annotated[str, typer.Argument(help="Small letters, digits, hyphens.")],
    folder: Annotated[Path, typer.Option(help="Where to make it.")] = Path("."),
) -> None:
    """Write the beginning of a pack, with a test that passes."""
    program = (
        "import sys, pathlib\n"
        "from freehold.base import FreeholdError\n"
        "from freehold.sdk.scaffold import write_pack\n"
        "try:\n"
        "    print(*write_pack(pathlib.Path(sys.argv[1]), sys.argv[2]), sep='\\n')\n"
        "except FreeholdError as error:\n"
        "    sys.exit(f'{error.message}\\n{error.remedy}')\n"
    )
    command = [sys.executable, "-c", program, str(folder.absolute()), name]
    made = subprocess.run(command, capture_output=True, text=True)
    if made.returncode:
        message, _, remedy = made.stderr.strip().rpartition("\n")
        raise BadInput(message or made.stderr.strip(), remedy=remedy)
    files = made.stdout.split("\n")[:-1]
    place = folder / name
    desk.show(
        {"name": name, "files": files},
        lambda v: (
            "\n".join(f"Wrote {file}" for file in v["files"])
            + f"\nTry it: cd {place} && python -m pytest\nAdd it: freehold packs add {place}"
        ),
    )


@verb(app, "add")
def add(
    desk: Desk, folder: Annotated[Path, typer.Argument(help="The pack's folder.")], who: AsOption = None
) -> None:
    """Let jobs use a pack; signed by you. Its code stays where it is."""
    args = {"folder": str(folder.expanduser().resolve())}
    signed = sign(desk, who, "rules.change", "packs", content={"verb": "packs.add", **args})
    value = desk.call("packs.add", {**args, "signed": signed})
    desk.show(value, lambda pack: f"Added {pack['name']} ({pack['entry']}).")


@verb(app, "remove")
def remove(desk: Desk, name: Annotated[str, typer.Argument(help="The pack.")], who: AsOption = None) -> None:
    """Take a pack out of the estate; signed by you. Its files stay."""
    signed = sign(desk, who, "rules.change", "packs", content={"verb": "packs.remove", "name": name})
    desk.show(desk.call("packs.remove", {"name": name, "signed": signed}), lambda _: f"Removed {name}.")
