"""The files of a run's sources, pinned when it begins: path, size and digest, each sealed for its subject.

A run reads what it pinned or nothing: a file that changed since is refused. Paths are personal (they name
people), so they lie sealed, and the journal knows a file by its place in the list alone.
"""

import asyncio
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from freehold.base import BadInput, NotFound, Refused
from freehold.base.canonical import decode, encode
from freehold.kernel.labels import Confidentiality, Integrity, Label, join_all
from freehold.kernel.rooms import Rooms
from freehold.runtime.job import Job
from freehold.runtime.workspace import files_inside, read_inside
from freehold.store.interface import Put

PINS: Final = "pin"
MAX_FILE_BYTES: Final = 64 << 20
_SLICE: Final = 128


@dataclass(frozen=True, slots=True)
class Pin:
    """One pinned file."""

    source: str
    path: str
    size: int
    digest: str
    label: Label

    def plain(self) -> dict[str, Any]:
        """Return what a pack sees of it."""
        return {"source": self.source, "path": self.path, "size": self.size, "digest": self.digest}


class Pins:
    """The pinned files of all runs; read from the store when they are asked for."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._folders: dict[tuple[str, str], Path] = {}
        self._found: dict[tuple[str, str], list[Pin]] = {}
        self._by_path: dict[tuple[str, str], dict[str, Pin]] = {}
        self._trust: dict[tuple[str, str], Integrity] = {}

    async def take(
        self, run: str, job: Job, folders: Mapping[str, Path], only: Mapping[str, list[str]]
    ) -> list[Put]:
        """Return the documents that pin every source of a job; ``only`` names the files of a file drop.

        Raises BadInput for a folder that cannot be read and for a file that changes while it is read.
        """
        writes: list[Put] = []
        for name in sorted(job.sources):
            folder = folders[name]
            pins = await asyncio.to_thread(_pinned, job, name, folder, only.get(name))
            self._make_keys(job, pins)
            for number, pin in enumerate(pins):
                if number % _SLICE == _SLICE - 1:
                    await asyncio.sleep(0)  # other runs go on meanwhile
                row = {"path": pin.path, "size": pin.size, "digest": pin.digest}
                sealed = self._rooms.sealer.seal(encode(row), tuple(pin.label.subjects))
                writes.append(Put(PINS, f"{run}/{name}/{number:06d}", sealed, run))
            self._found[run, name] = pins
            self._folders[run, name], self._trust[run, name] = folder, job.sources[name].trust
        return writes

    def open(self, run: str, job: Job, folders: Mapping[str, Path]) -> None:
        """Say where a run's sources lie; to be called when a run is taken up again."""
        for name, source in job.sources.items():
            self._folders[run, name], self._trust[run, name] = folders[name], source.trust

    def close(self, run: str) -> None:
        """Forget what is held in memory of a run that has ended."""
        for key in [key for key in self._folders if key[0] == run]:
            self._folders.pop(key, None)
            self._trust.pop(key, None)
            self._found.pop(key, None)
            self._by_path.pop(key, None)

    def folder(self, run: str, source: str) -> Path:
        """Return where a source of a run lies; raises NotFound for a source the job lacks."""
        found = self._folders.get((run, source))
        if found is None:
            raise NotFound(
                f"The job has no source {source[:80]!r}.", remedy="Name it under `sources` in the job file."
            )
        return found

    def all(self, run: str, source: str) -> list[Pin]:
        """Return the pinned files of a source, in their order; raises NotFound for a source the job lacks."""
        self.folder(run, source)
        found = self._found.get((run, source))
        if found is None:
            prefix = f"{run}/{source}/"
            documents = self._rooms.store.documents(PINS, prefix=prefix)
            found = self._found[run, source] = [
                self._read(source, document.body, self._trust[run, source]) for document in documents
            ]
        return found

    def label(self, run: str, source: str) -> Label:
        """Return the label of all that a run pinned of a source."""
        return join_all(
            [
                source_label(source, "", self._trust[run, source]),
                *(pin.label for pin in self.all(run, source)),
            ]
        )

    def find(self, run: str, source: str, path: str) -> Pin:
        """Return one pinned file by its path; raises NotFound."""
        found = self._by_path.get((run, source))
        if found is None:
            found = self._by_path[run, source] = {pin.path: pin for pin in self.all(run, source)}
        if path in found:
            return found[path]
        raise NotFound(
            f"The source {source!r} has no file {path[:200]!r} in this run.", remedy="List the source."
        )

    def read(self, run: str, source: str, path: str, max_bytes: int = MAX_FILE_BYTES) -> bytes:
        """Return a pinned file's contents; raises Refused when they are not those that were pinned."""
        pin = self.find(run, source, path)
        folder = _opened(source, self._folders[run, source])
        try:
            data = read_inside(folder, path, max_bytes)
        finally:
            os.close(folder)
        if hashlib.sha256(data).hexdigest() != pin.digest:
            raise Refused(
                f"The file {path!r} has changed since this run began.",
                remedy="Run the job again to read it as it is now.",
                code="refused.changed",
            )
        return data

    def _make_keys(self, job: Job, pins: list[Pin]) -> None:
        """Make the keys of those whom the files are about; raises Refused for one who was forgotten."""
        keys = self._rooms.keys
        try:
            keys.ensure({subject for pin in pins for subject in pin.label.subjects})
        except Refused as error:
            if job.subject:
                who, remedy = job.subject, f"Take `subject` out of jobs/{job.name}.md"
            else:
                pin = next(pin for pin in pins if keys.is_forgotten(f"file:{pin.digest}"))
                who = f"The file {pin.path!r} of source {pin.source!r}"
                remedy = "Remove it from the folder"
            anew = job.subject or f"file:{pin.digest}"
            raise Refused(
                f"{who} was forgotten and is not read again.",
                remedy=f"{remedy}, or let it be used anew: freehold subjects readmit {anew}",
                code=error.code,
            ) from error

    def _read(self, source: str, sealed: bytes, trust: Integrity) -> Pin:
        row = decode(self._rooms.sealer.open(sealed))
        names = [self._rooms.keys.name_of(member) for member in decode(sealed)["m"]]
        return Pin(source, row["path"], row["size"], row["digest"], source_label(source, names[0], trust))


def _pinned(job: Job, source: str, folder: Path, only: list[str] | None) -> list[Pin]:
    """Return the files of a folder as they are now, or those of ``only``; reads each of them, in a thread."""
    handle = _opened(source, folder)
    try:
        paths = only or [path for path in files_inside(handle) if not Path(path).name.startswith(".")]
        return [_pin(job, source, handle, path) for path in paths]
    finally:
        os.close(handle)


def _pin(job: Job, source: str, handle: int, path: str) -> Pin:
    data = read_inside(handle, path, MAX_FILE_BYTES)
    digest = hashlib.sha256(data).hexdigest()
    label = source_label(source, job.subject or f"file:{digest}", job.sources[source].trust)
    return Pin(source, path, len(data), digest, label)


def source_label(source: str, subject: str, trust: Integrity) -> Label:
    """Return the label of a source's file: as far to be trusted as the job says, and about its subject."""
    return Label(trust, Confidentiality.CONFIDENTIAL, (f"source:{source}",), (subject,) if subject else ())


def _opened(source: str, folder: Path) -> int:
    try:
        return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise BadInput(
            f"The folder of source {source!r} ({folder}) cannot be read: {error.strerror}.",
            remedy="Make it, or name another folder under `sources` in the job file.",
        ) from error
