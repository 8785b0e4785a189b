"""The test's side of the crash harness: servers that count, the process that forks lives, and what must hold."""

import asyncio
import contextlib
import os
import select
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from freehold.base import action_id
from freehold.testing.http import HttpServer
from freehold.testing.processes import connections, until
from freehold.testing.server import Behaviour
from freehold.testing.smtp import SmtpServer
from tests.crash.child import Ended, Order, Report
from tests.crash.plans import MAIL_NODES, Doors

LIMIT_S = 120.0
KILLED = 9


class Harness:
    """One estate, over as many lives as it takes."""

    def __init__(self, folder: Path, store: str) -> None:
        self.reports: list[Report] = []
        self._folder = folder
        self._store = store
        self._keyed = HttpServer(folder / "keyed", behaviour=Behaviour(keyed=True))
        self._asked = HttpServer(folder / "asked")
        self._mail = SmtpServer(folder / "mail")
        self._process: subprocess.Popen[bytes] | None = None
        self.receipts = folder / "receipts"
        (folder / "estate").mkdir()

    @contextlib.contextmanager
    def running(self) -> Iterator["Harness"]:
        """Start the servers and the process that forks lives."""
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        command = [sys.executable, "-m", "tests.crash.child", str(os.getpid())]
        with (
            self._keyed,
            self._asked,
            self._mail,
            subprocess.Popen(
                command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
            ) as self._process,
        ):
            try:
                yield self
            finally:
                self._process.kill()

    def life(self, job: str = "", *, kill: str = "", kill_ms: int = 0) -> tuple[Ended, list[Report]]:
        """Have one process live and die; returns how it ended and the runs that it saw to their end."""
        process = self._process
        assert process is not None
        assert process.stdin is not None
        doors = Doors(self._keyed.port, self._asked.port, self._mail.port, str(self.receipts))
        order = Order(
            str(self._folder / "estate"),
            self._store,
            doors,
            str(self._mail.folder),
            job,
            kill,
            kill_ms,
            [report.run for report in self.reports],
        )
        process.stdin.write(msgspec.json.encode(order) + b"\n")
        reports = []
        while "orphans" not in (row := self._line()):
            reports.append(msgspec.convert(row, Report))
        self.reports += reports
        self._until_quiet()
        return msgspec.convert(row, Ended), reports

    def _line(self) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], LIMIT_S)
        line = self._process.stdout.readline() if ready else b""
        assert line.endswith(b"\n"), "the child said nothing any more"
        row: dict[str, Any] = msgspec.json.decode(line)
        return row

    def _until_quiet(self) -> None:
        """Wait until every server is through with what it was sent, so that its count is the truth."""
        for server in (self._keyed, self._asked, self._mail):
            asyncio.run(until(lambda: connections(server.port) == 0))  # noqa: B023

    # ---- what must hold ------------------------------------------------------------------------------

    def counted(self, report: Report) -> dict[str, int]:
        """Return how often each effect of a run was taken where it arrived."""
        node, ordinal = MAIL_NODES[report.job]
        mail = action_id(report.run, node, 0, ordinal)
        counts = {"mail": self._mail.count(f"<{mail}@freehold.invalid>")}
        if report.job == "expense":
            return counts
        return counts | {
            "keyed": self._keyed.count(action_id(report.run, "keyed", 0, 1)),
            "asked": self._asked.count(action_id(report.run, "asked", 0, 1)),
        }

    def outbox(self, job: str, run: str) -> list[str]:
        """Return the names of the files in a run's outbox."""
        return sorted(os.listdir(self._folder / "estate" / "outbox" / job / run))

    def check(self, report: Report) -> None:
        """Nothing lost, nothing doubled, no wrong bill."""
        assert report.state == "done", report
        assert report.wrong == [], report
        assert set(self.counted(report).values()) == {1}, (report, self.counted(report))
        filed = ["findings.csv", "report.html", "report.md"] if report.job == "expense" else ["report.txt"]
        assert self.outbox(report.job, report.run) == filed


def walk(harness: Harness, job: str, kills: Sequence[str]) -> dict[str, Report]:
    """Run a job once for each boundary and kill it there; the next process ends it before it runs its own.

    Returns, for each boundary, what became of the run that was killed at it. One that did not come (another
    order of things that happen at the same time) is left out.
    """
    found: dict[str, Report] = {}
    died = ""
    for kill in [*kills, ""]:
        ended, reports = harness.life(job if kill else "", kill=kill)
        assert ended.orphans == 0, f"{kill}: processes were left behind"
        assert ended.status == (KILLED if kill and not _own(reports) else ended.status & KILLED), kill
        for report in reports:
            harness.check(report)
            if died and not report.seen:
                found[died] = report
        died = kill if ended.status == KILLED else ""
    return found


def _own(reports: Sequence[Report]) -> bool:
    """Whether a life saw the run to its end that it had started itself: what was to kill it did not come."""
    return any(report.seen for report in reports)


def boundaries(harness: Harness, job: str) -> list[str]:
    """Return every boundary that a run of a job passes when nothing happens to it (not an estate's first run)."""
    harness.life(job, kill="nowhere")  # another report than the next run's, whose artifact is new then
    ended, (report,) = harness.life(job)
    assert ended == Ended(0, 0)
    harness.check(report)
    return report.seen


def distinct(seen: Sequence[str]) -> list[str]:
    """Leave out what is the same moment twice: before something durable is after the thing before it.

    Of the checkpoints, which come when their time has come, the first stands for all.
    """
    return [name for name in seen if not name.startswith("before") and _certain(name)]


def _certain(name: str) -> bool:
    return "checkpoints" not in name or name.endswith("#1")
