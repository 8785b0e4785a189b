"""The job files of an estate and which of them count: those whose owner accepted the very text that lies there.

For the verbs on jobs and for the file drop. A file that was changed stands still until it is accepted anew.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal

from freehold.base import BadInput, FreeholdError
from freehold.base.canonical import decode
from freehold.control.estate import Estate
from freehold.runtime.drops import Watched
from freehold.runtime.job import Job
from freehold.runtime.jobfile import parse_job, read_text
from freehold.store.interface import Store

JOBS: Final = "job"

Standing = Literal["ready", "not accepted yet", "changed since accepted"]


class JobList:
    """The jobs of one estate."""

    def __init__(self, estate: Estate, store: Store) -> None:
        self._estate = estate
        self._store = store
        self._known: dict[str, tuple[tuple[int, int], Job | None]] = {}

    def names(self) -> list[str]:
        """Return the names of all job files."""
        return sorted(path.stem for path in self._estate.jobs.glob("*.md"))

    def read(self, name: str) -> Job:
        """Return the job in a file as it is now; raises BadInput when there is none or it has mistakes."""
        path = self._estate.job_file(name)
        if "/" in name or not path.is_file():
            raise BadInput(
                f"There is no job {name!r}.", remedy="List them: freehold jobs", code="input.not-found"
            )
        return parse_job(read_text(path), name)

    def accepted(self, name: str) -> Mapping[str, Any] | None:
        """Return what was noted when the job was accepted last: who, when, which digest."""
        document = self._store.document(JOBS, name)
        return None if document is None else decode(document.body)

    def standing(self, job: Job) -> Standing:
        """Return whether the job counts as it stands."""
        accepted = self.accepted(job.name)
        if accepted is None:
            return "not accepted yet"
        return "ready" if accepted["digest"] == job.digest else "changed since accepted"

    def folders(self, job: Job) -> dict[str, Path]:
        """Return where a job's sources lie, from its file's place."""
        return {
            name: (self._estate.jobs / Path(source.folder).expanduser()).resolve()
            for name, source in job.sources.items()
        }

    def changed(self) -> None:
        """Look at every file again: a job was accepted."""
        self._known.clear()

    def watched(self) -> Iterator[Watched]:
        """Yield every drop of every job that counts; reads a file only where it has changed."""
        for document in self._store.documents(JOBS, state="accepted"):
            job = self._current(document.key)
            if job is not None:
                for drop in job.drops:
                    yield Watched(job, drop, self.folders(job))

    def _current(self, name: str) -> Job | None:
        try:
            state = self._estate.job_file(name).stat()
        except OSError:
            return None
        facts = (state.st_mtime_ns, state.st_size)
        known = self._known.get(name)
        if known is None or known[0] != facts:
            try:
                job: Job | None = self.read(name)
            except FreeholdError:
                job = None
            if job is not None and self.standing(job) != "ready":
                job = None
            known = self._known[name] = (facts, job)
        return known[1]
