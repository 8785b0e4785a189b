"""The hostile pack through the real engine: rights, other runs' data, labels, files; it gains nothing."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from freehold.kernel.rights import right
from freehold.runtime.job import Limits, Mail
from freehold.store.interface import EntryKind
from freehold.testing.estates import synthetic_job
from freehold.testing.processes import until
from freehold.testing.server import Behaviour
from freehold.testing.smtp import SmtpServer
from tests.hostile.siege import Siege

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECRET = "the neighbour's salary"
TOOLS = ["noop", "mail.send", "outbox.write", "source.read", "source.list", "http.request", "question.ask"]


def call(tool: str, **args: Any) -> dict[str, Any]:
    return {"tool": tool, "args": args}


def mail(to: str, *attachments: str) -> dict[str, Any]:
    return call("mail.send", to=[to], subject="x", text="x", attachments=list(attachments))


async def attempts(siege: Siege, *calls: dict[str, Any], **more: Any) -> list[str]:
    """Return what became of each call, asked one after the other in one step."""
    document = await siege.attack(
        {"step": "attempt", "tools": TOOLS, "params": {"calls": list(calls)}}, **more
    )
    assert document.state == "done", document
    said: list[str] = siege.result(document)
    return said


async def neighbour(siege: Siege) -> tuple[str, str]:
    """Have an honest run keep a secret artifact; returns the run and the artifact's id."""
    calls = [{"put": SECRET, "name": "salary.txt"}]
    plan: list[Any] = [{"step": "several", "params": {"calls": calls}}]
    document = await siege.estate.run(synthetic_job({"plan": plan}, name="honest"))
    return document.id, siege.estate.result(document)[0]


async def test_tools_that_no_rule_or_no_plan_allows_are_refused_and_nothing_is_done(siege: Siege) -> None:
    said = await attempts(
        siege,
        mail("finance@example.org"),
        call("outbox.write", folder="x", artifact="0" * 64, name="x"),
        call("http.request", method="POST", url="http://127.0.0.1:9/"),
        call("http.request", method="GET", url="file:///etc/passwd"),
        call("http.request", method="GET", url="http://[/"),
        call("http.request", method={"a": 1}, url=["http://x"]),
        call("outbox.write", folder="*", artifact="0" * 64, name="x"),
        call("source.read", source="papers", path="x"),
        call("shell.run", command="id"),
        call("step.run", step="look"),
        call("model.call", prompt="x"),
    )
    assert all(code.startswith(("refused", "input")) for code in said), said


async def test_another_runs_artifact_is_nobodys(siege: Siege) -> None:
    _, secret = await neighbour(siege)
    folder = siege.folder / "outbox"
    said = await attempts(
        siege,
        call("artifact.get", id=secret),
        call("artifact.get", id=secret.upper()),
        call("artifact.get", id=f"../artifacts/{secret}"),
        call("outbox.write", folder="reports", artifact=secret, name="x"),
        mail("finance@example.org", secret),
        may=(right("outbox.write", "reports"), right("mail.send", "finance@example.org")),
    )
    assert "done" not in said, said
    found = [path.read_bytes() for path in folder.rglob("*") if path.is_file()] if folder.exists() else []
    assert all(SECRET.encode() not in data for data in found)


async def test_the_same_contents_in_two_runs_do_not_open_one_to_the_other(siege: Siege) -> None:
    """An artifact is addressed by its contents: keeping the same again must take nothing from its first run."""
    run, secret = await neighbour(siege)
    put = {"tool": "artifact.put", "args": {"name": "mine", "media_type": "text/plain"}, "blob": SECRET}
    said = await attempts(siege, put, call("artifact.get", id=secret))
    assert said == ["done", "done"]
    assert siege.estate.engine._house.tools.artifact(run, secret).data == SECRET.encode()
    assert siege.estate.engine._house.tools.artifact(run, secret).name == "salary.txt"


async def test_links_pipes_and_paths_out_of_the_workspace_are_not_followed(
    siege: Siege, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text(SECRET)
    document = await siege.step("traps", outside=str(secret))
    assert document.state == "done", document
    said = siege.result(document)
    assert set(said) <= {"not_done", "input.path", "input"}, said
    assert siege.tools(document).count("artifact.put") <= len(said)


async def test_pipes_where_the_daemon_writes_do_not_stop_it(siege: Siege, tmp_path: Path) -> None:
    """A pipe that nobody reads holds up whoever opens it for writing, for ever."""
    secret = tmp_path / "secret"
    secret.write_text(SECRET)
    nodes: list[Any] = [
        {"step": "traps", "params": {"outside": str(secret)}},
        {"step": "large", "params": {"size": 900_000}},
        {"step": "swallow", "needs": ["large", "traps"]},
    ]
    document = await siege.attack({"nodes": nodes})
    assert siege.result(document) == 900_000
    assert secret.read_text() == SECRET


async def test_what_a_runner_says_of_labels_and_owners_changes_neither(siege: Siege, tmp_path: Path) -> None:
    source = tmp_path / "papers"
    source.mkdir()
    (source / "letter.txt").write_text("thief@example.org")
    lies = {"label": {"i": "owner", "c": "public"}, "owner": "bob", "agent": "root", "may": ["*"], "who": {}}
    rights = (right("noop", "*"), right("source.read", "papers"), right("mail.send", "@example.org"))
    document = await siege.attack(
        {
            "step": "obey",
            "tools": TOOLS,
            "params": {"source": "papers", "path": "letter.txt", "lies": lies},
        },
        may=rights,
        source=source,
    )
    assert siege.result(document) == ["done", "done", "done", "refused.flow.steered", "input"]
    labels = [
        msgspec.json.decode(entry.draft.body)["label"]["i"]
        for entry in siege.entries(document, EntryKind.INTENT)
        if entry.draft.ordinal
    ]
    assert labels == ["owner", "owner", "stranger", "stranger"]
    for entry in siege.entries(document, EntryKind.INTENT):
        assert msgspec.json.decode(entry.draft.body)["who"] == {"agent": "worker", "owner": "anna"}


async def test_the_result_of_a_step_carries_all_that_its_process_was_shown(
    siege: Siege, tmp_path: Path
) -> None:
    source = tmp_path / "papers"
    source.mkdir()
    (source / "letter.txt").write_text("hello")
    nodes = [
        {
            "step": "attempt",
            "id": "reads",
            "tools": TOOLS,
            "params": {"calls": [call("source.read", source="papers", path="letter.txt")]},
        },
        {"step": "wide", "params": {"count": 3}},
    ]
    document = await siege.attack({"nodes": nodes}, may=(right("source.read", "papers"),), source=source)
    results = {
        entry.draft.node: msgspec.json.decode(entry.draft.body)["label"]
        for entry in siege.entries(document, EntryKind.RESULT)
        if not entry.draft.ordinal
    }
    assert results["reads"]["i"] == "stranger"
    assert results["$plan"]["i"] == "owner"


async def test_a_budget_is_met_whatever_the_runner_claims_to_have_used(siege: Siege) -> None:
    calls = [call("noop", n=number) for number in range(30)]
    limits = Limits(actions=12, cpu_us=10**12)
    document = await siege.attack(
        {"step": "attempt", "params": {"calls": calls}}, may=(right("noop", "*"),), limits=limits
    )
    said = siege.result(document)
    assert set(said) == {"done", "refused.budget"}
    bill = siege.estate.rooms.budget.bill(document.id, siege.estate.rooms.ledger.now_us())
    assert bill.spent.actions <= 12


async def test_an_effect_that_its_step_did_not_wait_for_is_settled_all_the_same(
    siege: Siege, tmp_path: Path
) -> None:
    with SmtpServer(tmp_path / "smtp", behaviour=Behaviour(delay_ms=300)) as server:
        params = {
            "step": "fire_and_finish",
            "tools": TOOLS,
            "params": {"calls": [mail("finance@example.org")]},
        }
        document = await siege.attack(
            params,
            may=(right("mail.send", "finance@example.org"),),
            mail=Mail("127.0.0.1", server.port, "freehold@example.org"),
        )
        await until(lambda: siege.estate.rooms.store.open_intents() == [])
        intents = siege.tools(document).count("mail.send")
        assert len(server.taken()) == intents
        results = [e for e in siege.entries(document, EntryKind.RESULT) if e.draft.ordinal]
        assert len(results) == intents
        ended = [e.index for e in siege.entries(document, EntryKind.NOTE) if b"run.ended" in e.draft.body]
        assert all(entry.index < ended[0] for entry in results)


async def test_an_artifact_that_is_kept_twice_keeps_the_higher_label(siege: Siege, tmp_path: Path) -> None:
    source = tmp_path / "papers"
    source.mkdir()
    (source / "letter.txt").write_text("hello")
    put = {"tool": "artifact.put", "args": {"name": "a", "media_type": "text/plain"}, "blob": "hello"}
    read = call("source.read", source="papers", path="letter.txt")
    nodes: list[Any] = [
        {"step": "attempt", "id": "tainted", "tools": TOOLS, "params": {"calls": [read, put]}},
        {"step": "attempt", "id": "clean", "tools": TOOLS, "params": {"calls": [put]}},
    ]
    rights = (right("source.read", "papers"),)
    document = await siege.attack({"nodes": nodes, "runners": 2}, may=rights, source=source)
    kept = siege.estate.rooms.store.documents("artifact", state=document.id)
    for row in kept:
        view = siege.estate.engine._house.tools.artifact(document.id, row.key.rpartition("/")[2])
        assert view.data == b"hello"
    assert "stranger" in {msgspec.json.decode(row.body)["label"]["i"] for row in kept}


async def test_every_intent_of_all_these_attacks_has_its_result(siege: Siege) -> None:
    assert siege.estate.rooms.store.open_intents() == []
