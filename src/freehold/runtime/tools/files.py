"""Files in the folders that a job names: listed, read and searched as they are now; changed where the job allows it.

A change says which contents it replaces, by their digest; those are kept as an artifact first, with a note of what is
about to happen, so that it is neither done twice after a crash nor beyond taking back.
"""

import asyncio
import contextlib
import dataclasses
import functools
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import msgspec

from freehold.base import BadInput, Json
from freehold.base.canonical import decode, encode
from freehold.kernel.change import Change
from freehold.kernel.grades import Category
from freehold.kernel.labels import Integrity, Label, Sink
from freehold.kernel.rooms import Rooms
from freehold.kernel.subjects import ESTATE
from freehold.kernel.tools import EffectKind, Face, Intent, Outcome, Role, Tool
from freehold.runtime import folders
from freehold.runtime.asker import Asker, Effect
from freehold.runtime.job import Job
from freehold.runtime.kits import Shelf
from freehold.runtime.pins import Pins, source_label
from freehold.runtime.puts import FilePut
from freehold.runtime.tools.args import ONE, number, read, schema, source_of, text
from freehold.runtime.workspace import files_inside, read_inside
from freehold.store.interface import Put

NOTED: Final = "file-change"
MAX_LISTED: Final = 500
MAX_SHOWN: Final = 64 << 10
MAX_SEARCHED: Final = 64 << 20
MAX_LINES: Final = 50
_LINE: Final = 300


class Where(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The arguments of ``files.list``."""

    source: str
    folder: str = ""


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The arguments of ``files.read``."""

    source: str
    path: str
    offset: int = 0


class Search(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The arguments of ``files.search``."""

    source: str
    text: str


class Write(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The arguments of ``files.write``; ``replaces`` is the digest of the file that is replaced, "" for a new one."""

    source: str
    path: str
    text: str
    replaces: str = ""


class Append(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The arguments of ``files.append``."""

    source: str
    path: str
    text: str


class Move(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The arguments of ``files.move``."""

    source: str
    path: str
    to: str


class Delete(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The arguments of ``files.delete``."""

    source: str
    path: str
    replaces: str


class Files:
    """The kit of files."""

    def __init__(self, rooms: Rooms, pins: Pins) -> None:
        self._rooms = rooms
        self._pins = pins

    def tools(self) -> list[Tool]:
        """Return the tools, with faces that trust no folder."""
        kind, faces = EffectKind, _faces()
        reads = [
            Tool(name, kind.READ, source_of, right="source.read", face=faces[name])
            for name in ("files.list", "files.read", "files.search")
        ]
        changes = [
            Tool(name, kind.IDEMPOTENT, source_of, category, sink=self._sink, control=_control(name),
                 right="source.change", face=faces[name])
            for name, category in _CHANGES
        ]  # fmt: skip
        return [*reads, *changes]

    def tool(self, name: str, job: Job, args: Mapping[str, Any]) -> Tool | None:
        """Return a tool whose face says how far the job trusts the folder that is asked for, or all of its folders."""
        tool = next(tool for tool in self.tools() if tool.name == name)
        asked = job.sources.get(str(args.get("source", "")))
        trust = (
            asked.trust if asked else max((s.trust for s in job.sources.values()), default=Integrity.STRANGER)
        )
        assert tool.face is not None
        written = {**tool.face.written_by, "": max(trust, Integrity.ESTATE) if tool.category else trust}
        return dataclasses.replace(tool, face=dataclasses.replace(tool.face, written_by=written))

    def effects(self, shelf: Shelf) -> dict[str, Effect]:
        """Return how the effects are made."""
        return {
            "files.list": self._list,
            "files.read": self._read,
            "files.search": self._search,
            "files.write": functools.partial(self._write, shelf),
            "files.append": functools.partial(self._append, shelf),
            "files.move": functools.partial(self._move, shelf),
            "files.delete": functools.partial(self._delete, shelf),
        }

    # ---- reading -------------------------------------------------------------------------------------------------

    async def _list(self, asker: Asker, intent: Intent) -> Outcome:
        asked = read(intent.args, Where)
        within = f"{folders.plain_path(asked.folder.rstrip('/'))}/" if asked.folder.strip("/") else ""
        with self._opened(asker, asked.source) as folder:
            found = await asyncio.to_thread(_visible, folder, within)
        shown: list[Json] = [
            {"path": path, "size": facts.st_size, "modified_s": int(facts.st_mtime)}
            for path, facts in found[:MAX_LISTED]
        ]
        value: Json = {"source": asked.source, "files": shown, "more": max(0, len(found) - MAX_LISTED)}
        return Outcome("done", encode(value), self._label(asker, asked.source, asker.job.subject), ONE)

    async def _read(self, asker: Asker, intent: Intent) -> Outcome:
        asked = read(intent.args, Part)
        folders.plain_path(asked.path)
        with self._opened(asker, asked.source) as folder:
            data = await asyncio.to_thread(read_inside, folder, asked.path, folders.MAX_FILE)
        whole = _decoded(data)
        if whole is None:
            raise BadInput(f"{asked.path!r} is not text in UTF-8.", remedy="Name a text file.")
        found = hashlib.sha256(data).hexdigest()
        shown = whole[max(0, asked.offset) :][:MAX_SHOWN]
        end = max(0, asked.offset) + len(shown)
        value: Json = {
            "source": asked.source, "path": asked.path, "size": len(data), "digest": found, "text": shown,
            "next_offset": end if end < len(whole) else None,
        }  # fmt: skip
        return Outcome("done", encode(value), self._label_of(asker, asked.source, found), ONE)

    async def _search(self, asker: Asker, intent: Intent) -> Outcome:
        asked = read(intent.args, Search)
        if not asked.text.strip():
            raise BadInput("It is not said what to look for.", remedy="Give `text`.")
        with self._opened(asker, asked.source) as folder:
            lines, digests, left = await asyncio.to_thread(_found, folder, asked.text.casefold())
        label = self._label(asker, asked.source, asker.job.subject)
        for one in digests:
            label = label.join(self._label_of(asker, asked.source, one))
        value: Json = {"source": asked.source, "lines": list(lines), "truncated": left}
        return Outcome("done", encode(value), label, ONE)

    # ---- changing ------------------------------------------------------------------------------------------------

    async def _write(self, shelf: Shelf, asker: Asker, intent: Intent) -> Outcome:
        asked = read(intent.args, Write)
        data = _encoded(asked.text)

        def steps(folder: int) -> list[FilePut]:
            _expect(folder, asked.path, asked.replaces)
            return [FilePut(_digest(data), asked.path, len(data), "", asked.replaces)]

        def do(folder: int, step: FilePut) -> None:
            folders.write_inside(folder, step.file, data, step.before)

        return await self._change(shelf, asker, intent, asked.source, steps, do)

    async def _append(self, shelf: Shelf, asker: Asker, intent: Intent) -> Outcome:
        asked = read(intent.args, Append)
        data = _encoded(asked.text)

        def whole(folder: int) -> bytes:
            joined = (folders.contents_inside(folder, asked.path) or b"") + data
            if len(joined) > folders.MAX_FILE:
                raise BadInput(
                    f"{asked.path!r} would have over {folders.MAX_FILE:,} bytes.", remedy="Write another."
                )
            return joined

        def steps(folder: int) -> list[FilePut]:
            joined = whole(folder)
            before = folders.digest_inside(folder, asked.path)
            return [FilePut(_digest(joined), asked.path, len(joined), "", before)]

        def do(folder: int, step: FilePut) -> None:
            joined = whole(folder)
            if _digest(joined) != step.digest:
                raise folders.changed(step.file)
            folders.write_inside(folder, step.file, joined, step.before)

        return await self._change(shelf, asker, intent, asked.source, steps, do)

    async def _move(self, shelf: Shelf, asker: Asker, intent: Intent) -> Outcome:
        asked = read(intent.args, Move)

        def steps(folder: int) -> list[FilePut]:
            found = folders.digest_inside(folder, asked.path)
            if not found:
                raise BadInput(f"There is no file {asked.path!r}.", remedy="List the source.")
            _expect(folder, asked.to, "")
            size = len(folders.contents_inside(folder, asked.path) or b"")
            return [FilePut("", asked.path, 0, "", found), FilePut(found, asked.to, size)]

        def do(folder: int, step: FilePut) -> None:
            if step.file == asked.path:
                folders.move_inside(folder, asked.path, asked.to, step.before)

        return await self._change(shelf, asker, intent, asked.source, steps, do)

    async def _delete(self, shelf: Shelf, asker: Asker, intent: Intent) -> Outcome:
        asked = read(intent.args, Delete)

        def steps(folder: int) -> list[FilePut]:
            if not asked.replaces:
                raise BadInput("It is not said which contents go.", remedy="Give the digest of files.read.")
            _expect(folder, asked.path, asked.replaces)
            return [FilePut("", asked.path, 0, "", asked.replaces)]

        def do(folder: int, step: FilePut) -> None:
            folders.remove_inside(folder, step.file, step.before)

        return await self._change(shelf, asker, intent, asked.source, steps, do)

    async def _change(
        self, shelf: Shelf, asker: Asker, intent: Intent, source: str,
        steps: Callable[[int], list[FilePut]], do: Callable[[int, FilePut], None],
    ) -> Outcome:  # fmt: skip
        """Note durably what is about to happen and keep what was there; then do what is not done yet."""
        if not (source in asker.job.sources and asker.job.sources[source].change):
            raise BadInput(
                f"The source {source[:80]!r} is read-only.",
                remedy="Give it `access: change` in the job file.",
            )
        place = f"{asker.run}/{intent.action}"
        with self._opened(asker, source) as folder:
            noted = self._rooms.store.document(NOTED, place)
            if noted is None:
                planned = await asyncio.to_thread(steps, folder)
                planned, kept = self._kept(shelf, asker, source, folder, planned)
                row = encode([msgspec.to_builtins(step) for step in planned])
                sealed = self._rooms.sealer.seal(row, tuple(asker.label.subjects) or (ESTATE,))
                await self._rooms.ledger.commit(Change([], [*kept, Put(NOTED, place, sealed, asker.run)]))
            else:
                row = self._rooms.sealer.open(noted.body)
                planned = [msgspec.convert(step, FilePut) for step in decode(row)]
            for step in planned:
                if await asyncio.to_thread(folders.digest_inside, folder, step.file) != step.digest:
                    await asyncio.to_thread(do, folder, step)
        first, *rest = (
            {**step.value(), "folder": str(self._pins.folder(asker.run, source))} for step in planned
        )
        value = {"source": source, **first, **({"also": list[Json](rest)} if rest else {})}
        return Outcome("done", encode(value), spent=ONE)

    def _kept(
        self, shelf: Shelf, asker: Asker, source: str, folder: int, planned: list[FilePut]
    ) -> tuple[list[FilePut], list[Put]]:
        """Keep what the steps replace as artifacts; return the steps with their ids, and the documents to commit."""
        steps, writes = [], []
        for step in planned:
            before = folders.contents_inside(folder, step.file) if step.before else None
            if before is not None:
                label = self._label_of(asker, source, step.before)
                value, write = shelf.keep(asker, label, before, "application/octet-stream", step.file)
                writes.append(write)
                step = msgspec.structs.replace(step, kept=str(value["id"]))
            steps.append(step)
        return steps, writes

    # ---- rest ----------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _opened(self, asker: Asker, source: str) -> Iterator[int]:
        place = self._pins.folder(asker.run, source)
        try:
            folder = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise BadInput(
                f"The folder of source {source!r} cannot be read: {error.strerror}.",
                remedy="Make it, or name another folder under `sources` in the job file.",
            ) from error
        try:
            yield folder
        finally:
            os.close(folder)

    def _label_of(self, asker: Asker, source: str, found: str) -> Label:
        return self._label(asker, source, asker.job.subject or f"file:{found}")

    def _label(self, asker: Asker, source: str, subject: str) -> Label:
        """Return the label of a file; raises Refused where its subject was forgotten."""
        self._rooms.keys.ensure((subject,) if subject else ())
        return asker.label.join(source_label(source, subject, asker.job.sources[source].trust))

    def _sink(self, args: Mapping[str, Json]) -> Sink:
        return self._rooms.settings.device_sink(f"source {args.get('source', '')}", consequential=True)


_CHANGES: Final = (
    ("files.write", Category.CHANGE_SOURCE),
    ("files.append", Category.CHANGE_SOURCE),
    ("files.move", Category.CHANGE_SOURCE),
    ("files.delete", Category.DELETE),
)


def _control(tool: str) -> Callable[[Mapping[str, Json]], tuple[tuple[str, str], ...]]:
    def places(args: Mapping[str, Json]) -> tuple[tuple[str, str], ...]:
        named = [(f"{tool}.{name}", str(args[name])) for name in ("path", "to") if name in args]
        return (("source.change", str(args.get("source", ""))), *named)

    return places


def _faces() -> dict[str, Face]:
    source = text("the name of one of the job's folders")
    path = text("the file, inside that folder, such as notes/today.md")
    contents = text("the text of the file")
    digest = text("the digest that files.read gave of the file as it is now")
    inner, content, estate = Role.INNER, Role.CONTENT, Integrity.ESTATE
    which = {"source": Role.ITEM, "folder": Role.ITEM, "path": Role.ITEM, "to": Role.ITEM}
    facts = {"digest": estate, "size": estate, "next_offset": estate}
    return {
        "files.list": Face(
            "List the files in a folder, with size and the time of the last change.",
            schema("source", source=source, folder=text("only what lies in this folder; leave it out for all")),
            which,
            written_by={"more": estate, "files.*.size": estate, "files.*.modified_s": estate}, words=("list", "show"),
        ),
        "files.read": Face(
            "Read a text file as it is now. A long file comes in parts: go on at next_offset.",
            schema("source path", source=source, path=path,
                   offset=number("the character to begin at; 0 at first", 0, 1 << 31)),
            {**which, "offset": inner}, facts, words=("read", "open", "look"),
        ),
        "files.search": Face(
            "Find the lines that hold a text, in all text files of a folder, without regard to case.",
            schema("source text", source=source, text=text("what to look for")),
            {**which, "text": inner}, {"truncated": estate, "lines.*.line": estate}, words=("search", "find", "look"),
        ),
        "files.write": Face(
            "Write a text file: a new one, or in place of one that was read; what was there is kept.",
            schema("source path text", source=source, path=path, text=contents,
                   replaces=text("for a file that is there: the digest that files.read gave; else leave it out")),
            {**which, "text": content, "replaces": inner},
            words=("write", "save", "note", "create", "update", "change"),
        ),
        "files.append": Face(
            "Add text at the end of a file; one that is not there is made.",
            schema("source path text", source=source, path=path, text=contents),
            {**which, "text": content}, words=("append", "add", "note", "log"),
        ),
        "files.move": Face(
            "Give a file another name or folder. Nothing is overwritten.",
            schema("source path to", source=source, path=path, to=text("its new path inside the same folder")),
            which, words=("move", "rename", "file"),
        ),
        "files.delete": Face(
            "Delete a file. It is kept and can be taken back.",
            schema("source path replaces", source=source, path=path, replaces=digest),
            {**which, "replaces": inner}, words=("delete", "remove"),
        ),
    }  # fmt: skip


def _visible(folder: int, within: str) -> list[tuple[str, os.stat_result]]:
    """Return the files below ``within`` whose path hides nothing, and what the system says of each."""
    found = []
    for path in files_inside(folder):
        if path.startswith(within) and not any(part.startswith(".") for part in path.split("/")):
            with contextlib.suppress(OSError):
                found.append((path, os.stat(path, dir_fd=folder, follow_symlinks=False)))
    return found


def _found(folder: int, wanted: str) -> tuple[list[dict[str, Json]], list[str], bool]:
    """Return the lines that hold ``wanted``, the digests of their files, and whether something was left out."""
    lines: list[dict[str, Json]] = []
    digests: list[str] = []
    room = MAX_SEARCHED
    for path, facts in _visible(folder, ""):
        room -= facts.st_size
        if room < 0 or len(lines) >= MAX_LINES:
            return lines[:MAX_LINES], digests, True
        with contextlib.suppress(BadInput):  # a link, or too large, or it changes just now
            data = read_inside(folder, path, folders.MAX_FILE)
            here: list[dict[str, Json]] = [
                {"path": path, "line": number_, "text": line[:_LINE]}
                for number_, line in enumerate((_decoded(data) or "").splitlines(), 1)
                if wanted in line.casefold()
            ]
            if here:
                lines += here
                digests.append(_digest(data))
    return lines[:MAX_LINES], digests, len(lines) > MAX_LINES


def _expect(folder: int, path: str, digest: str) -> None:
    found = folders.digest_inside(folder, folders.plain_path(path))
    if found and not digest:
        raise BadInput(
            f"There is a file {path!r} already.", remedy="Read it, and give its digest as `replaces`.",
            code="input.exists",
        )  # fmt: skip
    if found != digest:
        raise folders.changed(path)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _encoded(text_: str) -> bytes:
    data = text_.encode()
    if len(data) > folders.MAX_FILE:
        raise BadInput(
            f"The text has {len(data):,} bytes; {folders.MAX_FILE:,} is the most.", remedy="Write less."
        )
    return data


def _decoded(data: bytes) -> str | None:
    try:
        return None if b"\0" in data else data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
