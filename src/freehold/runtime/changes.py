"""What a run did to files: what its effects put into the outbox, and what its runners left in their workspace.

For `runs diff` and `runs undo`. A file that effects put is known by the digest that its RESULT recorded; one that
is not the same any more is somebody else's, and stays. What was sent is not a file and is not undone.
"""

import contextlib
import difflib
import os
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal

import msgspec

from freehold.base import BadInput, FreeholdError, Refused, digest
from freehold.base.canonical import decode
from freehold.kernel import body as bodies
from freehold.kernel.change import Change, Note
from freehold.runtime.house import House
from freehold.runtime.outbox import Outbox
from freehold.runtime.workspace import files_inside, read_inside
from freehold.store.interface import EntryKind

MAX_TEXT: Final = 64 << 10
MAX_TEXTS: Final = 1 << 20
MAX_FILE: Final = 64 << 20
_PUTS_FILES: Final = ("outbox.write", "mail.send")


class FileChange(msgspec.Struct, frozen=True):
    """One file. ``state`` is "new", "changed since" or "gone"; ``diff`` is unified, "" for what is no text."""

    place: Literal["outbox", "workspace"]
    path: str
    size: int
    digest: str
    state: Literal["new", "changed since", "gone"]
    diff: str = ""


class Changes:
    """The changes to files of an estate's runs."""

    def __init__(self, house: House, outbox: Outbox) -> None:
        self._house = house
        self._outbox = outbox

    def of(self, run: str) -> list[FileChange]:
        """Return what a run did to files, the outbox first, by path."""
        found = [*self._put(run), *self._left(run)]
        room, shown = MAX_TEXTS, []
        for change in found:
            room -= len(change.diff)
            shown.append(change if room >= 0 else msgspec.structs.replace(change, diff=""))
        return shown

    def undo(self, run: str, *, by: str) -> Change:
        """Return the change that says that what a run put into the outbox is taken back; value: digests by path.

        ``take_back`` does it once the change is made; a crash in between is mended by undoing again.

        Raises Refused where one of the files is not the one that was put there, and then nothing is done.
        """
        put = [change for change in self._put(run) if change.state != "gone"]
        other = next((change for change in put if change.state == "changed since"), None)
        if other is not None:
            raise Refused(
                f"{other.path} in the outbox is not the file that the run put there any more.",
                remedy="Take it out of the outbox, or put it back as it was; then undo again.",
                code="refused.changed",
            )
        if not put:
            raise BadInput(
                "The run has no file in the outbox.", remedy=f"Look: freehold runs diff {run[-8:]}"
            )
        paths = [change.path for change in put]
        note = Note("run.undone", {"run": run, "by": by, "files": len(paths)}, run=run)
        digests = {change.path: change.digest for change in put}
        return Change([note], [*self._outbox.notes_of(paths)], [], digests)

    def take_back(self, digests: Mapping[str, str]) -> None:
        """Remove files that still have the digests that are named; raises StoreFailed."""
        self._outbox.take_back(digests)

    def _put(self, run: str) -> list[FileChange]:
        """Files that effects put into the outbox; the last word about each path holds."""
        found: dict[str, FileChange] = {}
        for value in self._results(run):
            path = self._outbox.inside(str(value.get("file", "")))
            recorded = value.get("digest")
            if path is None or not isinstance(recorded, str):
                continue
            found[path] = self._compared(path, recorded, int(value.get("size", 0)))
        return [found[path] for path in sorted(found)]

    def _compared(self, path: str, recorded: str, size: int) -> FileChange:
        data = self._outbox.read(path)
        if data is None:
            return FileChange("outbox", path, size, recorded, "gone")
        if digest(data) != recorded:
            return FileChange("outbox", path, len(data), digest(data), "changed since")
        return FileChange("outbox", path, size, recorded, "new", _diff(path, data))

    def _results(self, run: str) -> Iterator[dict[str, Any]]:
        tools: dict[str, str] = {}
        for entry in self._house.rooms.store.entries_of_run(run):
            draft = entry.draft
            if draft.kind is EntryKind.INTENT:
                tools[draft.action] = str(bodies.decode(draft.body).get("tool", ""))
            elif draft.status == "done" and tools.get(draft.action) in _PUTS_FILES:
                with contextlib.suppress(FreeholdError):  # forgotten with its subject
                    value = decode(self._house.records.value(entry.index).data)
                    if isinstance(value, dict):
                        yield value

    def _left(self, run: str) -> Iterator[FileChange]:
        """Files in the folders of the run's runners."""
        try:
            folder = os.open(self._house.workspace(run), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            return
        try:
            for path in files_inside(folder):
                with contextlib.suppress(BadInput):  # a link, or it changes just now
                    data = read_inside(folder, path, MAX_FILE)
                    yield FileChange("workspace", path, len(data), digest(data), "new", _diff(path, data))
        finally:
            os.close(folder)


def _diff(path: str, data: bytes) -> str:
    """Return a new file's contents as a unified diff; "" where it is no text or too long."""
    if len(data) > MAX_TEXT or b"\0" in data:
        return ""
    try:
        lines = data.decode().splitlines()
    except UnicodeDecodeError:
        return ""
    return "\n".join(difflib.unified_diff([], lines, "/dev/null", path, lineterm=""))
