"""The tool ``shell.run``: one command in a cell, in the run's folder for commands, without network or secret.

The folder is the run's own: each command begins with the files that the last recorded one left, as an artifact of the
run, and what it leaves counts from its RESULT on. So doing one again does no harm. Where a machine has no walls it is
refused, whatever the job allows.
"""

import asyncio
import weakref
from collections.abc import Mapping
from typing import Final

import msgspec

from freehold.base import BadInput, Json, Refused
from freehold.base.canonical import decode, encode
from freehold.kernel.grades import Category
from freehold.kernel.labels import Integrity, Label
from freehold.kernel.rights import Resource, named
from freehold.kernel.rooms import Rooms
from freehold.kernel.tools import EffectKind, Face, Intent, Outcome, Role, Tool
from freehold.runtime.asker import Asker, Effect
from freehold.runtime.cells import Cells
from freehold.runtime.kits import Shelf
from freehold.runtime.tools.args import ONE, number, read, schema, text
from freehold.sandbox import Level
from freehold.store.interface import Put, Store

FOLDERS: Final = "shell"
"""Documents: the artifact in which a run's folder for commands is packed, by the run."""
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
        self._turns: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()
        self._newest: dict[str, tuple[str, str]] = {}

    def tools(self) -> list[Tool]:
        """Return the tool."""
        return [
            Tool("shell.run", EffectKind.IDEMPOTENT, _resource, Category.RUN_CODE, right="tool.call",
                 sink=lambda args: self._rooms.settings.device_sink("a cell of its own", consequential=True),
                 control=lambda args: (("shell.run", str(args.get("command", ""))),), timeout_s=None, face=FACE)
        ]  # fmt: skip

    def effects(self, shelf: Shelf) -> dict[str, Effect]:
        """Return how its effect is made."""

        async def run(asker: Asker, intent: Intent) -> Outcome:
            async with self._turns.setdefault(asker.run, asyncio.Lock()):
                return await self._run(shelf, asker, intent)

        return {"shell.run": run}

    def _files(self, shelf: Shelf, run: str, action: str) -> tuple[bytes, Label]:
        """Return what the run's folder for commands holds, packed, and the label of that."""
        address = folder_of(self._rooms.store, run)
        by, newest = self._newest.get(run, (action, ""))
        if newest == address:
            self._newest.pop(run, None)
        elif by != action:  # its RESULT is on its way to the disk
            address = newest
        if not address:
            return b"", Label()
        view = shelf.artifact(run, address)
        return view.data, view.label

    def _keep(
        self, shelf: Shelf, asker: Asker, action: str, label: Label, files: tuple[bytes, bytes | None]
    ) -> tuple[Put, ...]:
        """Return the documents that keep what a command left, for the commit of its RESULT."""
        before, left = files
        if left is None or left == before:
            return ()
        kept, write = shelf.keep(asker, label, left, "application/x-tar", "shell.tar")
        address = str(kept["id"])
        self._newest[asker.run] = (action, address)
        return write, Put(FOLDERS, asker.run, encode({"artifact": address}))

    async def _run(self, shelf: Shelf, asker: Asker, intent: Intent) -> Outcome:
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
        files, whose = self._files(shelf, asker.run, intent.action)
        ended = await self._cells.shell(
            asker.job, asked.command, given, files, timeout_s=seconds, most=MAX_SHOWN
        )
        label = asker.label.join(whose)
        value: Json = {
            "exit": ended.status, "out": ended.out.decode("utf-8", "replace"),
            "errors": ended.errors.decode("utf-8", "replace"), "truncated": ended.truncated,
            "late": ended.status is None, "kept": ended.left is not None,
        }  # fmt: skip
        writes = self._keep(shelf, asker, intent.action, label, (files, ended.left))
        return Outcome("done", encode(value), label, ONE, writes=writes)


def folder_of(store: Store, run: str) -> str:
    """Return the artifact in which a run's folder for commands is packed; "" where no command left anything."""
    document = store.document(FOLDERS, run)
    return str(decode(document.body)["artifact"]) if document is not None else ""


def _resource(args: Mapping[str, Json]) -> tuple[Resource, ...]:
    return (named("tool", "shell.run"),)


FACE: Final = Face(
    "Run a command of the shell, without network. Its folder is this run's own: files stay from one command to the "
    "next (16 MiB at most), and nobody else sees them. For arithmetic, text and data that you give it.",
    schema("command", command=text("for /bin/sh; python3 may be there"), input=text("what it gets on standard input"),
           seconds=number("when it is stopped", 1, MAX_S)),
    {"input": Role.INNER, "seconds": Role.INNER},
    {"truncated": Integrity.ESTATE, "late": Integrity.ESTATE, "kept": Integrity.ESTATE},
    ("run", "compute", "calculate", "script", "command"),
)  # fmt: skip
