"""What an agent wrote into its owner's folders about somebody is named when they are forgotten, and its digests go."""

import json
import sqlite3
from typing import Any

import pytest

from freehold.testing.brains import Reply, Scripted
from freehold.testing.models import ModelServer
from tests.cli.conftest import Person, person

__all__ = ["person"]
pytestmark = pytest.mark.timeout(240)

JOB = """\
---
owner: anna
agent: audrey
pack: assistant
subject: ben
sources:
  papers: {folder: ./papers, access: change}
budget:
  run: {money: 1.00 EUR, tokens: 500000, cpu: 10 min, wall: 1 h, actions: 200}
grades:
  change source: act
may:
  - model.call: "*"
  - read: papers
  - change: papers
params:
  model: tiny
---
# Desk
## Goal
Write into note.txt what a.txt says.
## Context
None.
## Source
None.
## Expectations
A note.
"""
WORDS = "ben was in paris on the third"


def remembered(person: Person) -> int:
    """Return how many values the estate remembers as written under strangers; its daemon is down."""
    (file,) = (path for path in (person.folder / "store").rglob("*") if path.suffix in (".db", ".sqlite"))
    with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as store:
        (count,) = store.execute("SELECT count(*) FROM document WHERE collection = 'hearsay'").fetchone()
    return int(count)


def calls(tool: str, **args: Any) -> Reply:
    return Reply(calls=[(tool, args)])


def test_what_was_written_into_a_folder_is_named_and_its_digests_go(person: Person) -> None:
    person.founds()
    person.does("agents", "add", "audrey", "--owner", "anna")
    papers = person.folder / "jobs" / "papers"
    papers.mkdir(parents=True)
    (papers / "a.txt").write_text(WORDS)
    script = [
        calls("files__read", source="papers", path="a.txt"),
        calls("files__write", source="papers", path="note.txt", text=WORDS),
        Reply("It is written."),
    ]
    with ModelServer(Scripted(script)) as server:
        person.does("models", "add", "tiny", "--url", server.url, "--model", "tiny", "--zone", "device")
        (person.folder / "jobs" / "desk.md").write_text(JOB)
        digest = person.types("jobs", "check", "desk", "--json").value["digest"]
        person.does("jobs", "accept", "desk", "--digest", digest)
        person.does("run", "desk", "--wait")
    assert (papers / "note.txt").read_text() == WORDS
    person.does("down")
    assert remembered(person) > 1

    said = person.types("subjects", "forget", "employee:ben", "--yes", "--json").value
    beyond = json.dumps(said["unreachable"])
    assert f"The file {papers / 'note.txt'}, which a run wrote on " in beyond
    assert "What the model tiny was shown, 3 times." in beyond
    assert "is not remembered as that any more" in beyond
    person.does("down")
    assert remembered(person) == 1  # the key of the digests
