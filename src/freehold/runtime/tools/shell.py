"""The tool ``shell.run``: one command in a cell of its own, with an empty folder, without network, secret or estate.

Nothing of it is left when it has ended but what it printed, so doing it again does no harm. Where a machine has no
walls it is refused, whatever the job allows.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from freehold.base import BadInput, Json, Refused
from freehold.base.canonical import encode
from freehold.kernel.grades import Category
from freehold.kernel.labels import Integrity
from freehold.kernel.rights import Resource, named
from freehold.kernel.rooms import Rooms
from freehold.kernel.tools import EffectKind, Face, Intent, Outcome, Role, Tool
from freehold.runtime.asker import Asker, Effect
from freehold.runtime.cells import Cells
from freehold.runtime.kits import Shelf
from freehold.runtime.tools.args import ONE, number, read, schema, text
from freehold.sandbox import Level

MAX_COMMAND: Final = 20_000
MAX_GIVEN: Final = 1 << 20
MAX_SHOWN: Final = 32 << 10
MAX_S: Final = 60


class Command(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The arguments of ``shell.run``."""

    command: str
    input: str = ""
    seconds: int = 10


class Shell:
    """The kit of commands."""

    def __init__(self, rooms: Rooms, cells: Cells) -> None:
        self._rooms = rooms
        self._cells = cells

    def tools(self) -> list[Tool]:
        """Return the tool."""
        return [
            Tool("shell.run", EffectKind.IDEMPOTENT, _resource, Category.RUN_CODE, right="tool.call",
                 sink=lambda args: self._rooms.settings.device_sink("a cell of its own", consequential=True),
                 control=lambda args: (("shell.run", str(args.get("command", ""))),), timeout_s=None, face=FACE)
        ]  # fmt: skip

    def effects(self, shelf: Shelf) -> dict[str, Effect]:
        """Return how its effect is made."""
        return {"shell.run": self._run}

    async def _run(self, asker: Asker, intent: Intent) -> Outcome:
        asked = read(intent.args, Command)
        given = asked.input.encode()
        if not asked.command.strip() or len(asked.command) > MAX_COMMAND or "\0" in asked.command:
            raise BadInput(
                "The command cannot be run.", remedy=f"Give one of up to {MAX_COMMAND:,} characters."
            )
        if len(given) > MAX_GIVEN:
            raise BadInput(
                f"The input has {len(given):,} bytes; {MAX_GIVEN:,} is the most.", remedy="Give less."
            )
        if await self._cells.level(asker.job) is Level.NONE:
            raise Refused(
                "No command is run without walls around it.",
                remedy="See what this machine lacks: freehold sandbox",
            )
        seconds = max(1, min(asked.seconds, MAX_S))
        ended = await self._cells.run(
            asker.job,
            ["/bin/sh", "-c", asked.command],
            given,
            timeout_s=seconds,
            most=MAX_SHOWN,
            own_folder=True,
        )
        value: Json = {
            "exit": ended.status, "out": ended.out.decode("utf-8", "replace"),
            "errors": ended.errors.decode("utf-8", "replace"), "truncated": ended.truncated,
            "late": ended.status is None,
        }  # fmt: skip
        return Outcome("done", encode(value), asker.label, ONE)


def _resource(args: Mapping[str, Json]) -> tuple[Resource, ...]:
    return (named("tool", "shell.run"),)


FACE: Final = Face(
    "Run a command of the shell in an empty folder, without network; nothing is left but what it prints. For "
    "arithmetic, text and data that you give it.",
    schema("command", command=text("for /bin/sh; python3 may be there"), input=text("what it gets on standard input"),
           seconds=number("when it is stopped", 1, MAX_S)),
    {"input": Role.INNER, "seconds": Role.INNER},
    {"truncated": Integrity.ESTATE, "late": Integrity.ESTATE},
    ("run", "compute", "calculate", "script", "command"),
)  # fmt: skip
