"""A person with an estate, an agent that thinks, and the endpoint of a scripted model in a thread of the test."""

import shutil
from pathlib import Path

import pytest

from freehold.testing.models import ModelServer
from tests.cli.conftest import Person, person

__all__ = ["person"]

JOB = """\
---
owner: anna
agent: audrey
pack: assistant
budget:
  run: {{money: 1.00 EUR, tokens: 500000, cpu: 10 min, wall: 1 h, actions: 200}}
grades:
  send: {send}
may:
  - model.call: "*"
  - mail.send: "@example.com"
params:
  model: tiny
mail: {{host: 127.0.0.1, port: {port}, from: audrey@example.com}}
---
# Desk
## Goal
Help Anna with what she asks.
## Context
None.
## Source
None.
## Expectations
Short answers.
"""


class House:
    """An estate with the agent audrey, driven by commands."""

    def __init__(self, person: Person) -> None:
        self.person = person

    def employs(self, name: str = "desk", *, send: str = "ask", port: int = 2525) -> None:
        """Write the job file of an assistant and accept it."""
        (self.person.folder / "jobs" / f"{name}.md").write_text(JOB.format(send=send, port=port))
        digest = self.person.types("jobs", "check", name, "--json").value["digest"]
        self.person.does("jobs", "accept", name, "--digest", digest)

    def meets(self, server: ModelServer, *more: str) -> None:
        """Add the model that ``server`` serves."""
        self.person.does(
            "models", "add", "tiny", "--url", server.url, "--model", "tiny", "--zone", "device",
            "--price-in", "1", "--price-out", "2", *more,
        )  # fmt: skip


@pytest.fixture(scope="session")
def staffed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an estate with the agent audrey, at rest; for copying."""
    found = Person(tmp_path_factory.mktemp("staffed") / "estate")
    found.founds()
    found.does("agents", "add", "audrey", "--owner", "anna")
    found.does("settings", "set", "own_domains", '["example.com"]')
    found.does("down")
    return found.folder


@pytest.fixture
def house(person: Person, staffed: Path) -> House:
    """An estate with the agent audrey, a copy of that one."""
    shutil.copytree(staffed, person.folder)
    return House(person)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder."""
    return tmp_path
