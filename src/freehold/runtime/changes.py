"""What a run did to files: what its effects put into the outbox and into folders, and what its runners left.

For `runs diff` and `runs undo`. A file that effects put is known by the digests that its RESULTs recorded; one that
is not the same any more is somebody else's, and stays. What was sent is not a file and is not undone.
"""

import contextlib
import difflib
import os
from collections.abc import Iterator, Sequence
from typing import Final, Literal

import msgspec

from freehold.base import BadInput, FreeholdError, Refused, digest
from freehold.base.canonical import decode
from freehold.kernel import body as bodies
from freehold.kernel.change import Change, Note
from freehold.runtime.house import House
from freehold.runtime.outbox import Outbox
from freehold.runtime.packed import unpacked
from freehold.runtime.puts import PUTS_FILES, FilePut, read_puts
from freehold.runtime.replaced import now_inside, restore_inside
from freehold.runtime.tools.shell import folder_of
from freehold.runtime.workspace import files_inside, read_inside
from freehold.store.interface import EntryKind

MAX_TEXT: Final = 64 << 10
MAX_TEXTS: Final = 1 << 20
MAX_FILE: Final = 64 << 20

State = Literal["new", "changed", "removed", "changed since", "gone", "taken back"]
_OURS: Final = ("new", "changed", "removed")


class FileChange(msgspec.Struct, frozen=True):
    """One file. ``state`` is what the run made of it, or what became of that since.

    ``diff`` is unified, "" for what is no text. ``place`` is "outbox", "folder" (a source's; ``path`` is the whole
    path then) or "workspace".
    """

    place: Literal["outbox", "folder", "workspace"]
    path: str
    size: int
    digest: str
    state: State
    diff: str = ""


class Changes:
    """The changes to files of an estate's runs."""

    def __init__(self, house: House, outbox: Outbox) -> None:
        self._house = house
        self._outbox = outbox

    def of(self, run: str) -> list[FileChange]:
        """Return what a run did to files, the outbox and folders first, by path."""
        found = [*(self._shown(run, put) for put in self._put(run)), *self._left(run)]
        room, shown = MAX_TEXTS, []
        for change in found:
            room -= len(change.diff)
            shown.append(change if room >= 0 else msgspec.structs.replace(change, diff=""))
        return shown

    def undo(self, run: str, *, by: str) -> Change:
        """Return the change that says that what a run put is taken back; its value is for ``take_back``.

        ``take_back`` does it once the change is made; a crash in between is mended by undoing again.

        Raises Refused where one of the files is not the one that was put there, and then nothing is done.
        """
        standing = [(put, self._found(put)[0]) for put in self._put(run)]
        other = next((put for put, state in standing if state == "changed since"), None)
        if other is not None:
            raise Refused(
                f"{self._path(other)} {_where(other)} is not the file that the run put there any more.",
                remedy="Move it away, or put it back as it was; then undo again.",
                code="refused.changed",
            )
        puts = [put for put, state in standing if state in _OURS]
        if not puts:
            raise BadInput("The run has no file to take back.", remedy=f"Look: freehold runs diff {run[-8:]}")
        for put in puts:
            self._before(run, put)  # what cannot be put back any more is said before anything is done
        note = Note("run.undone", {"run": run, "by": by, "files": len(puts)}, run=run)
        drops = self._outbox.notes_of([self._path(put) for put in puts if not put.folder])
        return Change([note], [*drops], [], puts)

    def take_back(self, run: str, puts: Sequence[FilePut]) -> list[str]:
        """Put back what was there before, where the file is still what the run made; return the paths.

        Raises StoreFailed.
        """
        for put in puts:
            if put.folder:
                restore_inside(put.folder, put.file, put.digest, self._before(run, put))
            else:
                self._outbox.take_back({self._path(put): put.digest})
        return sorted(self._path(put) for put in puts)

    # ---- what effects put ----------------------------------------------------------------------------

    def _put(self, run: str) -> list[FilePut]:
        """Return what the run made of each file, all its effects on it taken together."""
        found: dict[tuple[str, str], FilePut] = {}
        for put in self._results(run):
            if not put.folder and self._outbox.inside(put.file) is None:
                continue
            key = (put.folder, put.file)
            earlier = found.get(key)
            if earlier is not None and put.folder and put.before == earlier.digest:
                put = msgspec.structs.replace(put, before=earlier.before, kept=earlier.kept)
            found[key] = put
        return [found[key] for key in sorted(found) if found[key].digest != found[key].before]

    def _results(self, run: str) -> Iterator[FilePut]:
        tools: dict[str, str] = {}
        for entry in self._house.rooms.store.entries_of_run(run):
            draft = entry.draft
            if draft.kind is EntryKind.INTENT:
                tools[draft.action] = str(bodies.decode(draft.body).get("tool", ""))
            elif draft.status == "done" and tools.get(draft.action) in PUTS_FILES:
                with contextlib.suppress(FreeholdError):  # forgotten with its subject
                    yield from read_puts(decode(self._house.records.value(entry.index).data))

    def _path(self, put: FilePut) -> str:
        return f"{put.folder}/{put.file}" if put.folder else self._outbox.inside(put.file) or put.file

    def _found(self, put: FilePut) -> tuple[State, bytes | None]:
        """Return what became of a file, and what it holds now; None where there is none."""
        path = self._path(put)
        try:
            data = now_inside(put.folder, put.file, MAX_FILE) if put.folder else self._outbox.read(path)
        except BadInput:  # a link, a folder, something far too large
            return "changed since", None
        return _state(put, data), data

    def _before(self, run: str, put: FilePut) -> bytes | None:
        """Return what was there before; None for nothing. Raises BadInput where it was not kept, Refused, NotFound."""
        if not put.before:
            return None
        data = self._house.tools.artifact(run, put.kept).data
        if digest(data) != put.before:
            raise BadInput(f"What {self._path(put)} was before was not kept.", remedy="Put it back by hand.")
        return data

    def _shown(self, run: str, put: FilePut) -> FileChange:
        state, data = self._found(put)
        path = self._path(put)
        place: Literal["outbox", "folder"] = "folder" if put.folder else "outbox"
        if state == "changed since" and data is not None:
            return FileChange(place, path, len(data), digest(data), state)
        diff = ""
        if state in _OURS:
            with contextlib.suppress(FreeholdError):  # what was there before was forgotten
                diff = _diff(path, self._before(run, put), data)
        return FileChange(place, path, put.size, put.digest, state, diff)

    # ---- what runners left ---------------------------------------------------------------------------

    def _left(self, run: str) -> Iterator[FileChange]:
        """Files in the folders of the run's runners, and in the one of its commands."""
        yield from self._left_by_commands(run)
        try:
            folder = os.open(self._house.workspace(run), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            return
        try:
            for path in files_inside(folder):
                with contextlib.suppress(BadInput):  # a link, or it changes just now
                    data = read_inside(folder, path, MAX_FILE)
                    yield FileChange(
                        "workspace", path, len(data), digest(data), "new", _diff(path, None, data)
                    )
        finally:
            os.close(folder)

    def _left_by_commands(self, run: str) -> Iterator[FileChange]:
        address = folder_of(self._house.rooms.store, run)
        files = {}
        if address:
            with contextlib.suppress(FreeholdError):  # forgotten with its subject
                files = unpacked(self._house.tools.artifact(run, address).data)
        for name in sorted(files):
            path, data = f"shell/{name}", files[name]
            yield FileChange("workspace", path, len(data), digest(data), "new", _diff(path, None, data))


def _state(put: FilePut, data: bytes | None) -> State:
    now = "" if data is None else digest(data)
    if now == put.digest:
        return "removed" if not now else "changed" if put.before else "new"
    if now == put.before:
        return "taken back" if now else "gone"
    return "changed since" if now else "gone"


def _where(put: FilePut) -> str:
    return "in its folder" if put.folder else "in the outbox"


def _diff(path: str, before: bytes | None, after: bytes | None) -> str:
    """Return a change as a unified diff; "" where it is no text or too long."""
    old, new = _lines(before), _lines(after)
    if old is None or new is None:
        return ""
    names = ("/dev/null" if before is None else path, "/dev/null" if after is None else path)
    return "\n".join(difflib.unified_diff(old, new, names[0], names[1], lineterm=""))


def _lines(data: bytes | None) -> list[str] | None:
    """Return a text's lines; none for a file that is not there, None for what is no text or too long."""
    if data is None:
        return []
    if len(data) > MAX_TEXT or b"\0" in data:
        return None
    try:
        return data.decode().splitlines()
    except UnicodeDecodeError:
        return None
