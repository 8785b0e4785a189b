"""`freehold freeze` and `freehold thaw`: the brake. Anyone may pull it, a signature lets it go."""

from typing import Annotated

import typer

from freehold.cli.desk import Desk
from freehold.cli.signing import AsOption, sign
from freehold.cli.verbs import noun, verb

app: typer.Typer = noun("Freeze and thaw")


@verb(app, "freeze")
def freeze(
    desk: Desk,
    scope: Annotated[
        str, typer.Argument(help="`estate` (everything), or `agent:NAME`, `job:NAME`, `tool:NAME`.")
    ] = "estate",
    why: Annotated[str, typer.Option(help="Why; everybody who is refused reads it.")] = "frozen by hand",
) -> None:
    """Stop effects at once, and keep them stopped over restarts, until you thaw. Needs no signature."""
    desk.show(
        desk.call("freezes.add", {"scope": scope, "why": why}),
        lambda value: (
            f"Frozen: {value['scope']} ({value['why']}). "
            + f"Let it go on with: freehold thaw {value['scope']}"
            + ("\nNo tool has this name now; it stops one that comes." if value["unknown"] else "")
        ),
    )


@verb(app, "thaw")
def thaw(
    desk: Desk,
    scope: Annotated[str, typer.Argument(help="What was frozen.")] = "estate",
    who: AsOption = None,
) -> None:
    """Let frozen work go on; signed by you."""
    signed = sign(desk, who, "thaw", scope)
    desk.show(desk.call("freezes.remove", {"scope": scope, "signed": signed}), lambda _: f"Thawed: {scope}.")
