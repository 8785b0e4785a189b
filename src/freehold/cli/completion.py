"""`freehold completion`: what makes a shell complete commands, options and names."""

import os
from typing import Annotated

import typer

from freehold.base.errors import BadInput
from freehold.cli.desk import Desk
from freehold.cli.verbs import noun, verb

app: typer.Typer = noun("Completion")


@verb(app, "completion")
def completion(
    desk: Desk,
    shell: Annotated[str | None, typer.Argument(help="bash, zsh or fish; yours by default.")] = None,
) -> None:
    """Print the script that makes your shell complete `freehold`.

    For bash: freehold completion bash >> ~/.bashrc
    """
    from typer._completion_shared import get_completion_script

    name = shell or os.path.basename(os.environ.get("SHELL", "bash"))
    if name not in ("bash", "zsh", "fish"):
        raise BadInput(f"There is no completion for {name!r}.", remedy="Name bash, zsh or fish.")
    script = get_completion_script(prog_name="freehold", complete_var="_FREEHOLD_COMPLETE", shell=name)
    desk.show({"shell": name, "script": script}, lambda value: str(value["script"]))
