"""Canary secrets, planted as a person plants them and used in real calls, are searched for everywhere.

They may be in the memory of the vault and of the couriers that use them, and at the servers that they were sent to.
"""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from freehold.testing.processes import below
from freehold.testing.search import Search, forms_of
from tests.cli.conftest import Person
from tests.needs import leave_out
from tests.vault.servers import certificate, dovecot, running
from tests.vault.test_servers import git

CANARIES = {kind: f"canary-{kind}-/9hT4kP+0qXz" for kind in ("http", "smtp", "imap", "git")}

PACK = '''\
"""Uses every tool that takes a secret, and asks for the secret in the end; for tests."""

from typing import Any

from freehold.sdk import Context, Job, Pack, Plan

pack = Pack("errands", version="1")


@pack.step
async def act(ctx: Context, tool: str, args: dict[str, Any]) -> Any:
    return (await ctx.act(tool, args)).value


@pack.planner
def plan(job: Job) -> Plan:
    made = Plan()
    for number, (tool, args) in enumerate(job.settings["acts"]):
        made.add(act, id=f"act-{number}", tools=[tool], params={"tool": tool, "args": args})
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
  send: act
  change_source: act
mail: {{host: 127.0.0.1, port: {smtp}, from: audrey@example.com}}
may:
  - http.request: GET http://127.0.0.1:{http}/
  - mail.send: finance@example.com
  - mailbox.fetch: 127.0.0.1/INBOX
  - mailbox.draft: 127.0.0.1/INBOX
  - git.fetch: 127.0.0.1:{git}/acme/*
params:
  acts: {acts}
---
# Errand
## Goal
Use every secret.
## Context
None.
## Source
None.
## Expectations
None of them is seen.
"""


class Keeper(Person):
    """A person who plants secrets by a pipe, as a script does."""

    fresh = True

    def sets(self, name: str, value: str) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "freehold.cli.main", "secrets", "set", name, "--host", "127.0.0.1", "--stdin"],
            input=value, capture_output=True, text=True, timeout=50, env=self.environment,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr


@pytest.fixture
def keeper(tmp_path: Path) -> Iterator[Keeper]:
    found = Keeper(tmp_path / "estate")
    yield found
    if (found.folder / "estate.toml").exists():
        found.types("down")


def employ(keeper: Keeper, ports: dict[str, int]) -> None:
    letter = {"to": ["finance@example.com"], "subject": "Result", "text": "Hello."}
    acts: list[Any] = [
        ["http.request", {"method": "GET", "url": f"http://127.0.0.1:{ports['http']}/{way}/{form}",
                          "headers": {"Authorization": "Bearer of-my-own-key", "Accept": "*/*"}}]
        for way, form in (("body", "raw"), ("gzip", "base64-1"), ("header", "raw"), ("chunks", "percent"))
    ]  # fmt: skip
    acts += [
        ["mail.send", letter], ["mailbox.draft", {"server": "127.0.0.1", "folder": "INBOX", **letter}],
        ["mailbox.fetch", {"server": "127.0.0.1", "folder": "INBOX"}],
        ["git.fetch", {"url": f"https://127.0.0.1:{ports['git']}/acme/site.git", "ref": "refs/heads/main"}],
    ]  # fmt: skip
    keeper.furnishes("errands", PACK)
    (keeper.folder / "jobs" / "all.md").write_text(JOB.format(acts=json.dumps(acts), **ports))
    digest = keeper.types("jobs", "check", "all", "--json").value["digest"]
    keeper.does("jobs", "accept", "all", "--digest", digest)


def bind(keeper: Keeper, ports: dict[str, int], ca: Path) -> None:
    common = ["agent=audrey", "private=yes", f"ca={ca}"]
    place = {kind: f"127.0.0.1:{port}" for kind, port in ports.items()}
    for kind, scheme, more in (
        ("http", "http", ["path=/*"]),
        ("smtp", "smtps", ["account=audrey"]),
        ("imap", "imaps", ["account=audrey"]),
        ("git", "git+https", ["account=audrey", "path=/acme/*"]),
    ):
        keeper.sets(f"{kind}-key", CANARIES[kind])
        keeper.does(
            "secrets", "bind", kind, f"secret={kind}-key", f"to={scheme}://{place[kind]}", *more, *common
        )


def test_no_secret_is_found_anywhere_but_where_it_must_be(keeper: Keeper, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        leave_out("reading the memory of every process takes root (run as root)")
    shown = certificate(tmp_path / "tls")
    with ExitStack() as stack:
        web = stack.enter_context(running("web_server.py", tmp_path / "web"))
        mail = stack.enter_context(
            running("smtp_server.py", tmp_path / "smtp", str(shown.file), str(shown.key))
        )
        box = stack.enter_context(dovecot(tmp_path / "dovecot", shown, CANARIES["imap"]))
        repository = stack.enter_context(
            running("git_server.py", tmp_path / "git", str(shown.file), str(shown.key))
        )
        (mail.folder / "password").write_text(CANARIES["smtp"])
        (repository.folder / "password").write_text(CANARIES["git"])
        make_repository(repository.folder / "repositories" / "acme" / "site.git")
        ports = {"http": web.port, "smtp": mail.port, "imap": box.port, "git": repository.port}
        keeper.founds()
        employ(keeper, ports)
        bind(keeper, ports, shown.file)
        run = keeper.types("run", "all", "--wait", "--json")
        shown_run = keeper.does("runs", "show", run.value["id"], "--json")
        assert run.value["state"] == "done", shown_run

        assert {dict(seen["headers"])["Authorization"] for seen in web.seen()} == {
            f"Bearer {CANARIES['http']}"
        }
        assert mail.seen()[0]["login"] == ["audrey", CANARIES["smtp"]]
        assert repository.seen()[0]["login"] == f"audrey:{CANARIES['git']}"
        assert "of-my-own-key" not in (web.folder / "seen").read_text()

        status = keeper.types("status", "--json").value
        assert status["couriers"].partition(",")[0] == status["sandbox"].partition(":")[0]
        assert status["vault"]["walls"]
        named = below(status["pid"]) | {status["pid"]: "freehold"}
        lived = named.keys()
        holders = {pid for pid, name in named.items() if name in ("freehold-vault", "freehold-broker")}
        assert sorted(named[pid] for pid in holders) == ["freehold-broker"] * 4 + ["freehold-vault"]
        search = Search(*CANARIES.values())
        assert sum(search.process(pid) for pid in lived - holders) > 10 << 20
        for pid in holders:
            search.data(f"environment of {pid}", Path(f"/proc/{pid}/environ").read_bytes())
            search.data(f"arguments of {pid}", Path(f"/proc/{pid}/cmdline").read_bytes())
        search.data("replies", shown_run.encode())
        keeper.does("journal", "export", str(tmp_path / "exported"))
        search.data("journal", (tmp_path / "exported").read_bytes())
        search.folder(keeper.folder)
        assert search.hits == []
        assert [path for path in keeper.folder.rglob("core*") if path.is_file()] == []
        check_that_it_bites(holders, keeper.folder)


def check_that_it_bites(holders: set[int], folder: Path) -> None:
    """The same search finds the secret where it must be, and each form of it where it was planted."""
    found = Search(*CANARIES.values())
    for pid in holders:
        found.process(pid)
    assert found.hits
    for name, form in forms_of(CANARIES["http"].encode()):
        planted = folder / "outbox" / "planted"
        planted.write_bytes(b"x" * 10 + form + b"y")
        again = Search(CANARIES["http"])
        again.folder(folder)
        planted.unlink()
        assert again.hits, name
    keeps = "import sys; kept = sys.stdin.buffer.readline(); print(1, flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", keeps], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as planted_in:
        assert planted_in.stdin is not None
        assert planted_in.stdout is not None
        planted_in.stdin.write(base64.b64encode(CANARIES["git"].encode()) + b"\n")
        planted_in.stdin.flush()
        planted_in.stdout.readline()
        again = Search(CANARIES["git"])
        again.process(planted_in.pid)
        planted_in.kill()
    assert [hit for hit in again.hits if hit.startswith("memory of")]


def make_repository(bare: Path) -> None:
    bare.mkdir(parents=True)
    git(bare, "init", "--bare", "-q", "-b", "main")
    work = bare.parent / "work"
    work.mkdir()
    git(work, "init", "-q", "-b", "main")
    git(work, "commit", "-q", "--allow-empty", "-m", "one")
    git(work, "push", "-q", str(bare), "main")
