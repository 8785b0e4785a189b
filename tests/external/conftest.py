"""An estate with an agent from elsewhere, its job, and its token; its daemon runs for all tests of a file."""

import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from freehold.base import Unavailable
from freehold.control.address import SOCKET_NAME
from freehold.control.client import Client
from tests.cli.conftest import Person, Said

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
JOB = """\
---
owner: anna
agent: outsider
pack: external
budget:
  run: {money: 1.00 EUR, actions: 1000, cpu: 5 min, wall: 1 h}
grades:
  send: ask
  spend: act
sources:
  papers: {folder: ../sources/papers}
may:
  - source.read: papers
  - mail.send: finance@example.com
  - tool.call: own.look_up
  - tool.call: own.post
  - tool.call: own.pay
params:
  functions:
    look_up: {kind: read, written_by: estate, zone: device}
    pay: {kind: once, category: spend, zone: premises}
---
# Errands
## Goal
Do errands.
## Context
None.
## Source
None.
## Expectations
Each once.
"""


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class Owner(Person):
    """The owner of an agent from elsewhere; ``environment_of_program`` is what its program is started with."""

    port: int
    token: str

    def settles_in(self) -> None:
        """Make the estate, the agent and its job."""
        self.founds()
        self.port = free_port()
        self.does("settings", "set", "agents_port", str(self.port))
        self.does("settings", "set", "own_domains", '["example.com"]')
        added = self.types("agents", "add", "outsider", "--owner", "anna", "--external", "--json").value
        self.token = str(added["token"])
        (self.folder / "sources" / "papers").mkdir()
        (self.folder / "sources" / "papers" / "note.txt").write_text("It is 7.")
        self.writes_job("errands", JOB)

    def writes_job(self, name: str, text: str) -> None:
        """Write a job file and accept it."""
        (self.folder / "jobs" / f"{name}.md").write_text(text)
        digest = self.types("jobs", "check", name, "--json").value["digest"]
        self.does("jobs", "accept", name, "--digest", digest)

    @property
    def url(self) -> str:
        """Where programs come in."""
        return f"http://127.0.0.1:{self.port}"

    def runs_program(self, path: Path, *words: str, home: Path | None = None) -> Said:
        """Run a program of the agent's to its end."""
        done = subprocess.run(
            [sys.executable, str(path), *words],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=90, env=self.environment_of_program(),
            cwd=home or self.folder.parent,
        )  # fmt: skip
        return Said(done.returncode, done.stdout, done.stderr)

    def starts_program(self, path: Path, *words: str) -> "subprocess.Popen[str]":
        """Start a program of the agent's."""
        return subprocess.Popen(
            [sys.executable, str(path), *words],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=self.environment_of_program(), cwd=self.folder.parent,
        )  # fmt: skip

    def environment_of_program(self) -> dict[str, str]:
        """Return what its program is started with."""
        known = {key: value for key, value in os.environ.items() if not key.startswith("FREEHOLD")}
        return known | {"FREEHOLD_URL": self.url, "FREEHOLD_TOKEN": self.token}

    def cards(self) -> list[dict[str, Any]]:
        """Return what waits in the inbox, as the daemon says it; where none runs a command starts it."""
        try:
            with Client(self.folder / SOCKET_NAME) as client:
                return list(client.call("inbox.list")["cards"])
        except Unavailable:
            return list(self.types("inbox", "--json").value["cards"])

    def waits_for(self, tool: str) -> dict[str, Any]:
        """Return the card that asks for a tool, once it is there."""
        end = time.monotonic() + 60
        while time.monotonic() < end:
            found = [card for card in self.cards() if card["tool"] == tool]
            if found:
                return found[0]
            select.select([], [], [], 0.02)
        raise AssertionError(f"no card for {tool}")

    def approves(self, card: dict[str, Any]) -> None:
        """Approve a card as it is shown."""
        shown = self.types("approve", card["id"]).out
        digest = next(line.split()[1] for line in shown.splitlines() if line.startswith("digest"))
        self.does("approve", card["id"], "--digest", digest)

    def run_of(self, session: str) -> dict[str, Any]:
        """Return everything that people may see of a session's run."""
        return dict(self.types("runs", "show", session, "--json").value)


@pytest.fixture(scope="module")
def owner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Owner]:
    """An owner with a running estate, shared by the tests of a file."""
    found = Owner(tmp_path_factory.mktemp("house") / "estate")
    found.settles_in()
    yield found
    found.types("down")
