"""The tool ``sql.query``: one SELECT over an SQLite file in a source, read behind walls from a copy of its bytes."""

import asyncio
import dataclasses
import hashlib
import os
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from freehold.base import BadInput, Json
from freehold.base.canonical import encode
from freehold.kernel.labels import Integrity
from freehold.kernel.rooms import Rooms
from freehold.kernel.tools import EffectKind, Face, Intent, Outcome, Role, Tool
from freehold.runtime.asker import Asker, Effect
from freehold.runtime.cells import Cells
from freehold.runtime.folders import plain_path
from freehold.runtime.job import Job
from freehold.runtime.kits import Shelf
from freehold.runtime.pins import Pins, source_label
from freehold.runtime.tools.args import ONE, number, read, schema, source_of, text, texts
from freehold.runtime.workspace import read_inside

MAX_DATABASE: Final = 48 << 20
MAX_QUERY: Final = 20_000
DEFAULT_ROWS: Final = 100


class Query(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The arguments of ``sql.query``; ``values`` stand for the question marks of the query."""

    source: str
    path: str
    query: str
    values: list[str | int | None] = []
    limit: int = DEFAULT_ROWS


class Databases:
    """The kit of databases."""

    def __init__(self, rooms: Rooms, pins: Pins, cells: Cells) -> None:
        self._rooms = rooms
        self._pins = pins
        self._cells = cells

    def tools(self) -> list[Tool]:
        """Return the tool."""
        return [Tool("sql.query", EffectKind.READ, source_of, right="source.read", timeout_s=None, face=FACE)]

    def tool(self, name: str, job: Job, args: Mapping[str, Any]) -> Tool | None:
        """Return the tool with a face that says how far the job trusts its source."""
        asked = job.sources.get(str(args.get("source", "")))
        trust = (
            asked.trust if asked else max((s.trust for s in job.sources.values()), default=Integrity.STRANGER)
        )
        (tool,) = self.tools()
        return dataclasses.replace(
            tool, face=dataclasses.replace(FACE, written_by={**FACE.written_by, "": trust})
        )

    def effects(self, shelf: Shelf) -> dict[str, Effect]:
        """Return how its effect is made."""
        return {"sql.query": self._query}

    async def _query(self, asker: Asker, intent: Intent) -> Outcome:
        asked = read(intent.args, Query)
        if len(asked.query) > MAX_QUERY:
            raise BadInput(f"The query is over {MAX_QUERY:,} characters.", remedy="Ask in parts.")
        folder = os.open(
            self._pins.folder(asker.run, asked.source), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
        )
        try:
            data = await asyncio.to_thread(read_inside, folder, plain_path(asked.path), MAX_DATABASE)
        finally:
            os.close(folder)
        subject = asker.job.subject or f"file:{hashlib.sha256(data).hexdigest()}"
        self._rooms.keys.ensure((subject,))
        label = asker.label.join(source_label(asked.source, subject, asker.job.sources[asked.source].trust))
        options = {"query": asked.query, "values": asked.values, "limit": asked.limit}
        found: dict[str, Json] = await self._cells.read(asker.job, "sql", data, options)
        return Outcome("done", encode(found), label, ONE)


FACE: Final = Face(
    "Ask an SQLite database one SELECT; nothing can be changed. The tables are in sqlite_master. Numbers with a "
    "fraction come as text.",
    schema("source path query", source=text("the name of one of the job's folders"),
           path=text("the database file inside that folder"),
           query=text("one SELECT, with ? for each value"), values=texts("the values for the question marks"),
           limit=number("how many rows at most", 1, 500)),
    {"source": Role.ITEM, "path": Role.ITEM, "query": Role.INNER, "values": Role.INNER, "limit": Role.INNER},
    {"truncated": Integrity.ESTATE},
    ("query", "look", "count", "sum", "database"),
)  # fmt: skip
