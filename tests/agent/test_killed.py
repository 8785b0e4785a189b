"""kill -9 in the middle of a loop: of the daemon, and of its runner. It goes on, says the same, pays no call twice.

The model's endpoint counts what it is asked and outlives all lives. The short form kills at the moments that matter
most, the long one at every durable boundary that the loop passes.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from freehold.testing.brains import Reply, Scripted
from freehold.testing.models import ModelServer
from tests.agent.conftest import papers, serve
from tests.agent.life import Order, Report
from tests.crash.harness import distinct

LIMIT_S = 150
LIST = ("source.list", {"source": "papers"})
READ = ("source.read", {"source": "papers", "path": "a.txt"})
SCRIPT = [
    Reply(calls=[LIST], tokens=(100, 10)),
    Reply(calls=[READ, ("ask_owner", {"question": "Which one?"})], tokens=(200, 20)),
    Reply("It says yes.", tokens=(300, 30)),
]
CALLS = len(SCRIPT)
STEPS = 2
MATTER = (
    "after commit intent work/0/2 #1",
    "handed over model.call #2",
    "delivered /v1/chat/completions #2",
    "after commit result work/0/4 done #1",
)


class Lives:
    """One estate over as many lives as it takes, and the endpoint beside it."""

    def __init__(self, folder: Path, server: ModelServer) -> None:
        self.server = server
        self._estate = folder / "estate"
        self._estate.mkdir()
        self._papers = papers(folder / "papers", a="yes")

    def live(self, kill: str = "", whom: str = "daemon", *, again: bool = False) -> Report | None:
        """Live once; None where it was killed. ``again`` goes on with the run of the life before."""
        order = Order(str(self._estate), str(self._papers), self.server.url, kill, whom, again)
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        command = [sys.executable, "-m", "tests.agent.life", msgspec.json.encode(order).decode()]
        ran = subprocess.run(command, env=environment, capture_output=True, timeout=LIMIT_S)
        if ran.returncode == -9:
            return None
        assert ran.returncode == 0, ran.stderr.decode()[-2_000:]
        return msgspec.json.decode(ran.stdout, type=Report)

    def killed(self, kill: str, whom: str, clean: Report) -> bool:
        """Kill at a boundary, see the run through, and check it against one that nothing happened to."""
        before = len(self.server.calls)
        report = self.live(kill, whom)
        died = report is None or whom == "runner"
        while report is None:
            report = self.live(again=True)
        assert report.state == "done", (kill, report.message)
        assert report.transcript == clean.transcript, kill
        assert len(self.server.calls) - before == CALLS, f"{kill}: a paid call was repeated"
        assert (report.tokens, report.money_micro) == (clean.tokens, clean.money_micro), kill
        assert report.wrong == [], kill
        assert (report.replayed, report.results) == ("same", STEPS), kill
        return died and kill in report.seen if whom == "runner" else died


@pytest.fixture
def lives(tmp_path: Path) -> Iterator[Lives]:
    """An estate, and an endpoint that honours idempotency keys."""
    with serve(Scripted(SCRIPT)) as server:
        yield Lives(tmp_path, server)


def clean_run(lives: Lives) -> Report:
    """Return what a run is like that nothing happens to."""
    report = lives.live()
    assert report is not None
    assert report.state == "done", report.message
    assert report.wrong == []
    assert (report.replayed, report.results) == ("same", STEPS)
    assert (report.tokens, report.money_micro) == (660, 600 + 2 * 60)
    return report


@pytest.mark.timeout(600)
def test_a_loop_whose_daemon_is_killed_goes_on_and_pays_no_call_twice(lives: Lives) -> None:
    clean = clean_run(lives)
    for kill in MATTER:
        assert kill in clean.seen, clean.seen
        assert lives.killed(kill, "daemon", clean), kill


@pytest.mark.timeout(600)
def test_a_loop_whose_runner_is_killed_goes_on_and_pays_no_call_twice(lives: Lives) -> None:
    clean = clean_run(lives)
    for kill in (*MATTER[1:3], "after commit note:card.asked #1"):
        assert lives.killed(kill, "runner", clean), kill


@pytest.mark.long
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("whom", ["daemon", "runner"])
def test_a_loop_survives_a_kill_at_every_boundary(lives: Lives, whom: str) -> None:
    clean = clean_run(lives)
    wanted = [
        kill for kill in distinct(clean.seen) if " keys" not in kill
    ]  # they are made in the first run alone
    died = [kill for kill in wanted if lives.killed(kill, whom, clean)]
    assert len(died) >= 0.9 * len(wanted), set(wanted) - set(died)
