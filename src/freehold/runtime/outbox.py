"""The outbox: files that effects put there for people to take, each with a note of whose data is in it.

A file's note names it by a keyed digest of its path, so that a copy of the database says nothing of names; with it
``forget`` finds the copies again that nobody took away. The toolbox writes, the sweeper removes.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from freehold.base import BadInput, digest
from freehold.base.canonical import decode, encode
from freehold.kernel import files
from freehold.kernel.labels import Label
from freehold.kernel.rooms import Rooms
from freehold.kernel.subjects import ESTATE
from freehold.store.interface import Drop, Put

OUTBOX: Final = "outbox"


class Outbox:
    """The outbox folder of one estate."""

    def __init__(self, rooms: Rooms, folder: Path) -> None:
        self._rooms = rooms
        self._folder = folder

    def place(self, within: Sequence[str], name: str, data: bytes, label: Label) -> tuple[Path, Put]:
        """Put a file durably into a subfolder; return its path and the document that the RESULT's commit writes.

        Raises BadInput for a name that is none, StoreFailed.
        """
        if not name or name.startswith(".") or "/" in name or "\0" in name:
            raise BadInput(
                f"{name!r} cannot be a file's name.", remedy="Use letters, digits, dots and hyphens."
            )
        folder = self._folder.joinpath(*within)
        with files.guarded("The outbox"):
            files.make_folder(folder)
            files.sweep_temporary(folder)
            files.replace(folder / name, data)
        key = self._rooms.pen.key(label)
        body = encode({"m": list(key.members), "s": key.set_id})
        return folder / name, Put(OUTBOX, self._mark("/".join((*within, name))), body)

    def remove(self, sets: frozenset[str]) -> tuple[list[str], list[Drop]]:
        """Remove the files of these subject sets; return their paths and the notes that are to be dropped."""
        doomed = set()
        for document in self._rooms.store.documents(OUTBOX):
            row = decode(document.body)
            if not sets.isdisjoint((*row["m"], row["s"])):
                doomed.add(document.key)
        removed = []
        with files.guarded("The outbox"):
            for folder, _, names in os.walk(self._folder) if doomed else ():
                for name in names:
                    path = Path(folder) / name
                    if self._mark(path.relative_to(self._folder).as_posix()) in doomed:
                        path.unlink(missing_ok=True)
                        files.sync_folder(path.parent)
                        removed.append(path.relative_to(self._folder).as_posix())
        return sorted(removed), [Drop(OUTBOX, key) for key in sorted(doomed)]

    def inside(self, path: str) -> str | None:
        """Return a file's path within the outbox; None for one that lies elsewhere."""
        try:
            return Path(path).relative_to(self._folder).as_posix()
        except ValueError:
            return None

    def read(self, path: str) -> bytes | None:
        """Return the contents of a file in the outbox; None where it is gone."""
        try:
            return (self._folder / path).read_bytes()
        except OSError:
            return None

    def notes_of(self, paths: Sequence[str]) -> list[Drop]:
        """Return what drops the notes of these files."""
        known = {document.key for document in self._rooms.store.documents(OUTBOX)}
        return [Drop(OUTBOX, mark) for path in paths if (mark := self._mark(path)) in known]

    def take_back(self, digests: Mapping[str, str]) -> None:
        """Remove files that still have the digests that are named; raises StoreFailed."""
        with files.guarded("The outbox"):
            for path, recorded in digests.items():
                data = self.read(path)
                if data is not None and digest(data) == recorded:
                    (self._folder / path).unlink(missing_ok=True)
                    files.sync_folder((self._folder / path).parent)

    def _mark(self, path: str) -> str:
        return self._rooms.keys.key((ESTATE,)).digest(encode(["outbox", path]))
