"""An estate with a job that reads people's files, leaves traces of them everywhere, and asks before it sends."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from freehold.testing.smtp import SmtpServer
from tests.cli.conftest import Person

PACK = '''\
"""Copies what it reads to wherever a pack can put it; for tests."""

from freehold.sdk import Context, Job, Pack, Plan

pack = Pack("copies", version="1")


@pack.step
async def copy(ctx: Context, item: dict[str, object], ask: bool) -> str:
    path = str(item["path"])
    if ask:
        await ctx.ask("Go on?")
    data = await ctx.read_source("in", path)
    kept = await ctx.put_artifact(data, "text/plain", path)
    (ctx.workspace / path).write_bytes(data)
    print("read", data)
    await ctx.act("outbox.write", {"folder": "copies", "artifact": kept.id, "name": path})
    return data.decode()


@pack.step
async def send(ctx: Context, copy: list[str], to: str) -> int:
    kept = await ctx.put_artifact(" ".join(copy), "text/plain", "all.txt")
    await ctx.act("outbox.write", {"folder": "copies", "artifact": kept.id, "name": "all.txt"})
    await ctx.act("mail.send", {"to": [to], "subject": "Copies", "text": " ".join(copy)})
    return len(copy)


@pack.planner
def plan(job: Job) -> Plan:
    made = Plan()
    read = made.add(copy, each="source:in", tools=["source.read", "outbox.write", "question.ask"],
                    params={"ask": job.settings["ask"]})
    made.add(send, needs=[read], tools=["mail.send", "outbox.write"], params={"to": "finance@example.com"})
    return made
'''

JOB = """\
---
owner: anna
agent: audrey
pack: copies
{subject}
{mail}
budget:
  run: {{money: 1.00 EUR, actions: 100, cpu: 5 min, wall: 1 h}}
grades:
  send: {send}
  change_source: act-and-report
may:
  - source.read: in
  - outbox.write: copies
  - mail.send: finance@example.com
sources:
  in: {folder}
params: {{ask: {ask}}}
---
# Copies
## Goal
Copy.
## Context
None.
## Source
The folder.
## Expectations
Copies.
"""


class Owner(Person):
    """Gives the agent work about people."""

    def employs_for(
        self,
        job: str,
        files: dict[str, str],
        *,
        subject: str = "",
        send: str = "ask",
        port: int = 0,
        ask: bool = False,
    ) -> None:
        """Write a job over a folder with these files and accept it."""
        self.writes(job, files, subject=subject, send=send, port=port, ask=ask)
        self.accepts(job)

    def writes(
        self,
        job: str,
        files: dict[str, str],
        *,
        subject: str = "",
        send: str = "ask",
        port: int = 0,
        ask: bool = False,
    ) -> None:
        """Write a job over a folder with these files."""
        folder = self.folder.parent / f"in-{job}"
        folder.mkdir()
        for name, text in files.items():
            (folder / name).write_text(text)
        mail = f"mail: {{host: 127.0.0.1, port: {port}, from: audrey@example.com}}" if port else ""
        about = f"subject: {subject}" if subject else ""
        text = JOB.format(subject=about, send=send, folder=folder, mail=mail, ask=str(ask).lower())
        (self.folder / "jobs" / f"{job}.md").write_text(text.replace("\n\n", "\n"))

    def accepts(self, job: str) -> None:
        """Look at a job file and sign it."""
        checked = self.types("jobs", "check", job, "--json")
        self.does("jobs", "accept", job, "--digest", checked.value["digest"])

    def starts(self, job: str) -> str:
        """Start a run."""
        return str(self.types("run", job, "--json").value["id"])

    def finds(self, text: str) -> list[str]:
        """Return the files of the estate in which ``text`` can be read."""
        return [
            path.relative_to(self.folder).as_posix()
            for path in sorted(self.folder.rglob("*"))
            if path.is_file() and text.encode() in path.read_bytes()
        ]


@pytest.fixture(scope="session")
def copying(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an estate with an agent and the pack `copies`, at rest; for copying."""
    place = tmp_path_factory.mktemp("copying")
    person = Owner(place / "estate")
    person.founds()
    person.furnishes("copies", PACK)
    person.does("down")
    return person.folder


@pytest.fixture
def owner(tmp_path: Path, copying: Path) -> Iterator[Owner]:
    """A person with that estate."""
    found = Owner(tmp_path / "estate")
    shutil.copytree(copying, found.folder)
    yield found
    found.types("down")


@pytest.fixture
def mail(tmp_path: Path) -> Iterator[SmtpServer]:
    """A mail server that counts."""
    (tmp_path / "mail").mkdir()
    with SmtpServer(tmp_path / "mail") as server:
        yield server
