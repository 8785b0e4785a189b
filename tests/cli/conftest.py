"""An estate that is driven as a person drives it: by the commands, as processes of their own."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.cli import warm

PACK = '''\
"""Asks a person for a number and sends it to somebody by mail; for tests."""

from freehold.sdk import Context, Job, Pack, Plan

pack = Pack("errands", version="1")


@pack.step
async def errand(ctx: Context, to: str, ask: bool) -> str:
    number = "7"
    if ask:
        question = {"text": "What is the total?", "type": "text",
                    "readings": [{"source": "first", "value": "1", "confidence_permille": 400}]}
        picture = await ctx.put_artifact(b"a picture", "image/png", "cut.png")
        number = (await ctx.act("question.ask", question | {"evidence": [picture.id]})).value
    letter = {"to": [to], "subject": "Result", "text": f"The number is {number}."}
    await ctx.act("mail.send", letter)
    return str(number)


@pack.planner
def plan(job: Job) -> Plan:
    made = Plan()
    made.add(errand, tools=["mail.send", "question.ask", "artifact.put"],
             params={"to": job.settings["to"], "ask": job.settings.get("ask", False)})
    return made
'''

JOB = """\
---
owner: anna
agent: audrey
pack: errands
budget:
  run: {{money: 1.00 EUR, actions: 100, cpu: 5 min, wall: 1 h}}
grades:
  send: ask
may:
  - mail.send: finance@example.com
params:
  to: {to}
  ask: {ask}
---
# Errand
## Goal
Send a number.
## Context
None.
## Source
None.
## Expectations
It arrives once.
"""


class Said(NamedTuple):
    """What a command answered."""

    code: int
    out: str
    err: str

    @property
    def value(self) -> Any:
        """Its answer as JSON."""
        assert self.code == 0, self.err
        return json.loads(self.out)


class Person:
    """Types commands in one estate; nobody sits at the terminal. ``prefix`` runs them as somebody else.

    ``fresh`` starts a program for each; the tests of other folders take forks of one that has loaded them.
    """

    prefix: tuple[str, ...] = ()
    fresh = False

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {key: value for key, value in os.environ.items() if not key.startswith("FREEHOLD")}
        self.environment |= {"FREEHOLD_ESTATE": str(folder), "HOME": str(folder.parent)}

    def types(self, *words: str, cwd: Path | None = None) -> Said:
        """Run one command to its end."""
        folder = cwd or self.folder.parent
        if self.prefix or self.fresh:
            done = subprocess.run(
                [*self.prefix, sys.executable, "-m", "freehold.cli.main", *words],
                stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=50, env=self.environment, cwd=folder,
            )  # fmt: skip
            said = Said(done.returncode, done.stdout, done.stderr)
        else:
            said = Said(*warm.run(list(words), self.environment, folder, 50))
        assert "Traceback" not in said.err, said.err
        return said

    def does(self, *words: str) -> str:
        """Run a command that must succeed; returns what it printed."""
        said = self.types(*words)
        assert said.code == 0, said.err
        return said.out

    def founds(self) -> None:
        """Make the estate, with a human whose key asks for nothing."""
        self.does(
            "init", str(self.folder), "--human", "anna", "--email", "anna@example.com", "--presence", "none"
        )

    def furnishes(self, name: str, pack: str) -> None:
        """Give the estate the agent audrey, a pack that lies beside it, and a domain of its own."""
        folder = self.folder.parent / name
        folder.mkdir()
        (folder / f"{name}.py").write_text(pack)
        (folder / "pyproject.toml").write_text(f'[project]\nname = "{name}"\n')
        self.does("agents", "add", "audrey", "--owner", "anna")
        self.does("packs", "add", str(folder))
        self.does("settings", "set", "own_domains", '["example.com"]')

    def employs(self, job: str, *, to: str = "finance@example.com", ask: bool = False) -> None:
        """Write a job file and accept it."""
        (self.folder / "jobs" / f"{job}.md").write_text(JOB.format(to=to, ask=str(ask).lower()))
        digest = self.types("jobs", "check", job, "--json").value["digest"]
        self.does("jobs", "accept", job, "--digest", digest)

    def waits_for_card(self, run: str) -> dict[str, Any]:
        """Watch a run until it asks for a person; returns the card."""
        watching = subprocess.Popen(
            [sys.executable, "-m", "freehold.cli.main", "watch", run, "--json"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, env=self.environment,
        )  # fmt: skip
        assert watching.stdout is not None
        try:
            for line in watching.stdout:
                event = json.loads(line) if line.startswith("{") and line.rstrip().endswith("}") else {}
                assert event.get("event") != "ended", line
                if event.get("event") == "card" or event.get("cards"):
                    break
        finally:
            watching.kill()
            watching.wait()
            watching.stdout.close()
        cards = self.types("inbox", "--json").value["cards"]
        return dict(next(card for card in cards if card["run"].endswith(run)))


@pytest.fixture
def person(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Person]:
    """A person without an estate yet."""
    found = Person(tmp_path / "estate")
    found.fresh = request.path.parent == Path(__file__).parent
    yield found
    if (found.folder / "estate.toml").exists():
        found.types("down")


@pytest.fixture(scope="session")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an estate with an agent and the pack `errands`, at rest; for copying."""
    place = tmp_path_factory.mktemp("furnished")
    person = Person(place / "estate")
    person.founds()
    person.furnishes("errands", PACK)
    person.does("down")
    return person.folder


@pytest.fixture
def owner(person: Person, furnished: Path) -> Person:
    """A person with an estate, an agent and the pack `errands`."""
    shutil.copytree(furnished, person.folder)
    return person
