"""The audit as a pack: planned and run by the harness, and once over a whole estate with real runners and a real
mail server, with a restart in the middle.
"""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from freehold.base import BadInput
from freehold.kernel.grades import Category, Grade
from freehold.kernel.questions import read_question
from freehold.kernel.rights import right
from freehold.packs.expense_audit import pipeline
from freehold.packs.expense_audit.handover import pack_reading, unpack_reading
from freehold.packs.expense_audit.pack import pack
from freehold.packs.expense_audit.policy import sample_policy
from freehold.runtime.house import Pack as Installed
from freehold.runtime.job import Budgets, Job, Limits, Mail, Source
from freehold.runtime.packs import Shelf
from freehold.sdk.testing import Harness
from freehold.testing.estates import AGENT, OWNER, ThrowawayEstate
from freehold.testing.processes import until
from freehold.testing.smtp import SmtpServer
from tests.packs.expense_audit.conftest import Shelf as Samples

FINANCE = "finance@example.org"
JOB = {
    "title": "Travel expenses", "owner": "anna", "agent": "audrey", "policy": sample_policy(),
    "settings": {"send_to": FINANCE},
}  # fmt: skip


def files(shelf: Samples, *names: str) -> dict[str, bytes]:
    return {name: (shelf.folder / name).read_bytes() for name in names}


def test_it_reads_asks_reports_files_and_sends(shelf: Samples) -> None:
    given = files(shelf, "03-dinner.jpg", "05-rail.pdf", "08-bistro.jpg", "12-torn.jpg")
    sent: list[dict[str, Any]] = []
    asked: list[dict[str, Any]] = []

    def ask(args: dict[str, Any], blob: bytes | None) -> Any:
        asked.append(args)
        return {"micro": 48_600_000, "currency": "EUR"}

    harness = Harness(
        pack,
        sources={"receipts": given},
        tools={
            "question.ask": ask,
            "outbox.write": lambda args, blob: {"file": args["name"]},
            "mail.send": lambda args, blob: sent.append(args),
        },
    )
    harness.run(JOB)
    (question,) = asked
    assert read_question(question).type == "amount"
    assert "08-bistro.jpg" in question["text"]
    assert harness.artifacts[question["evidence"][0]].startswith(b"\xff\xd8")
    assert {reading["value"] for reading in question["readings"]} == {"43.60 EUR", "48.60 EUR"}
    (letter,) = sent
    assert letter["to"] == [FINANCE]
    assert letter["text"].startswith("4 files: ")
    attached = {name for name, kept in harness.names.items() if kept in letter["attachments"]}
    assert attached == {"report.md", "report.html", "findings.csv"}
    page = harness.artifacts[harness.names["report.md"]].decode()
    assert "12\\-torn.jpg" in page or "12-torn.jpg" in page
    assert "given as 48.60 by anna" in page


def test_nothing_is_asked_for_that_nobody_read(shelf: Samples) -> None:
    harness = Harness(pack, sources={"receipts": files(shelf, "12-torn.jpg")})
    assert harness.run({**JOB, "settings": {"outbox": ""}})["refused"] == 1
    assert "question.ask" not in {asked.tool for asked in harness.asked}


def test_a_job_without_a_policy_or_a_source_is_refused_before_anything_is_read() -> None:
    with pytest.raises(BadInput, match="no policy"):
        pack.plan({**JOB, "sources": ["receipts"], "policy": ""})
    with pytest.raises(BadInput, match="which source"):
        pack.plan({**JOB, "sources": ["a", "b"]})
    with pytest.raises(BadInput, match="line 2"):
        pack.plan({**JOB, "sources": ["receipts"], "policy": "# P\n## Colours\n"})


def test_the_recipient_is_fixed_in_the_plan_and_reads_share_two_processes() -> None:
    plan = pack.plan({**JOB, "sources": ["receipts"]}).data()
    by_id = {node["id"]: node for node in plan["nodes"]}
    assert by_id["send"]["params"]["to"] == [FINANCE]
    assert by_id["read"]["each"] == "source:receipts"
    assert (plan["runners"], by_id["read"]["concurrency"]) == (2, 2)
    assert by_id["read"]["tools"] == ["source.read", "artifact.put"]


def test_a_reading_survives_the_way_through_a_record(shelf: Samples) -> None:
    reading = shelf.read("08-bistro.jpg").reading
    packed = pack_reading(reading)
    assert unpack_reading(packed).total.value == reading.total.value
    assert pack_reading(unpack_reading(packed)) == packed


def audit_job(port: int) -> Job:
    return Job(
        name="receipts", digest="0" * 64, title="Travel expenses", owner=OWNER, agent=AGENT, pack="expense-audit",
        budget=Budgets(run=Limits(money_micro=0, tokens=0, actions=1000, cpu_us=600_000_000)),
        sources={"receipts": Source("receipts")}, policy="policy.md", params={"send_to": FINANCE},
        may=(right("source.read", "receipts"), right("outbox.write", "reports"), right("mail.send", FINANCE)),
        grades={Category.SEND: Grade.ASK, Category.CHANGE_SOURCE: Grade.ACT},
        mail=Mail("127.0.0.1", port, "freehold@example.org"),
    )  # fmt: skip


async def estate_in(folder: Path, *, first: bool = False) -> ThrowawayEstate:
    folder.mkdir(exist_ok=True)
    installed = Installed("expense-audit", "freehold.packs.expense_audit.pack:pack")
    made = ThrowawayEstate(folder, packs={"expense-audit": installed}, policy=lambda job: sample_policy())
    await made.open()
    if first:
        change = made.rooms.settings.change({"own_domains": ["example.org"]}, by=OWNER)
        await made.rooms.ledger.commit(change)
    return made


def waiting(estate: ThrowawayEstate) -> list[Any]:
    return estate.rooms.cards.waiting(estate.rooms.ledger.now_us())


@pytest.mark.timeout(180)
async def test_a_whole_audit_goes_over_an_estate_and_a_restart_and_sends_one_mail(
    tmp_path: Path, shelf: Samples
) -> None:
    receipts = tmp_path / "receipts"
    receipts.mkdir()
    for name, data in files(shelf, *(set(shelf.expected) - {"01-hotel.jpg", "02-coffee.jpg"})).items():
        (receipts / name).write_bytes(data)
    with SmtpServer(tmp_path / "smtp") as server:
        job = audit_job(server.port)
        estate = await estate_in(tmp_path / "estate", first=True)
        await estate.employ(job)
        run = await estate.engine.start(job, {"receipts": receipts})
        await until(
            lambda: sum(e.get("done", 0) for _, e in estate.events if e.get("node") == "read") > 3, 60
        )
        await estate.close()

        estate = await estate_in(tmp_path / "estate")
        await until(lambda: bool(waiting(estate)), 90)
        (question,) = waiting(estate)
        asked = estate.rooms.cards.show(question).question
        assert asked is not None
        assert asked.type == "amount"
        await estate.decide(question, "card.answer", {"value": "48.60"})
        await until(lambda: any(card.kind == "approval" for card in waiting(estate)), 30)
        (approval,) = waiting(estate)
        shown = estate.rooms.cards.show(approval)
        assert FINANCE in shown.facts.title
        assert {one.name for one in shown.facts.attachments} == {"report.md", "report.html", "findings.csv"}
        assert {line.name: line.provenance for line in shown.facts.lines} == {
            "From": "the job file", "To": "the job file", "Subject": "the plan",
        }  # fmt: skip
        assert server.taken() == []
        await estate.decide(approval, "card.approve")
        document = await asyncio.wait_for(estate.engine.wait(run), 30)
        assert (document.state, document.failed) == ("done", 0)
        assert [taken["recipients"] for taken in server.taken()] == [[FINANCE]]
        written = {path.name for path in (tmp_path / "estate" / "outbox").rglob("*") if path.is_file()}
        assert written == {"report.md", "report.html", "findings.csv"}
        assert estate.rooms.budget.bill(run, estate.rooms.ledger.now_us()).spent.cpu_us > 0
        await estate.close()


async def test_the_shelf_has_the_pack_under_its_name_in_either_spelling(tmp_path: Path) -> None:
    estate = await estate_in(tmp_path / "estate")
    shelf = Shelf(estate.rooms.store)
    assert shelf.find("expense-audit") is shelf.find("expense_audit")
    with pytest.raises(BadInput, match="ships with"):
        shelf.remove("expense_audit", by=OWNER)
    await estate.close()


def test_the_pipeline_s_questions_name_their_field(shelf: Samples) -> None:
    (question,) = pipeline.questions(shelf.read("08-bistro.jpg").reading)
    assert question.field == "total"
