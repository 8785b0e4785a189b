"""Whole runs through the engine, the gate and real runner processes."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from freehold.kernel.grades import Category, Grade
from freehold.kernel.rights import right
from freehold.runtime.job import Mail
from freehold.store.interface import EntryKind
from freehold.testing.estates import ThrowawayEstate, synthetic_job
from freehold.testing.processes import until
from freehold.testing.smtp import SmtpServer

TO = "finance@example.org"


def sends(to: str = TO) -> dict[str, Any]:
    """Return params for one step that sends one mail."""
    args = {"to": [to], "subject": "Hello", "text": "The report."}
    return {"plan": [{"step": "act", "tools": ["mail.send"], "params": {"tool": "mail.send", "args": args}}]}


async def test_a_chain_of_steps_runs_in_order_and_is_journaled_twice_a_step(estate: ThrowawayEstate) -> None:
    job = synthetic_job({"shape": "chain", "steps": 3})
    await estate.employ(job)
    document = await estate.run(job)
    assert document.state == "done"
    assert estate.result(document)["n"] == 2
    entries = list(estate.rooms.store.entries_of_run(document.id))
    kinds = [entry.draft.kind for entry in entries]
    assert kinds.count(EntryKind.INTENT) == kinds.count(EntryKind.RESULT) == 4


async def test_a_fan_out_gives_its_results_in_order(estate: ThrowawayEstate) -> None:
    job = synthetic_job({"shape": "fan", "items": 50})
    await estate.employ(job)
    document = await estate.run(job)
    assert estate.result(document) == sum(number * number for number in range(50))


async def test_a_failed_item_is_set_aside_and_the_rest_goes_on(estate: ThrowawayEstate) -> None:
    plan = [
        {"step": "numbers", "params": {"count": 10}},
        {"step": "brittle", "id": "square", "each": "numbers", "params": {"bad": [3, 4]}},
        {"step": "add_up", "needs": ["square"]},
    ]
    job = synthetic_job({"plan": plan})
    await estate.employ(job)
    document = await estate.run(job)
    assert (document.state, document.failed) == ("done", 2)
    assert estate.result(document) == sum(range(10)) - 7


async def test_a_mail_waits_for_its_approval_and_is_sent_once(
    estate: ThrowawayEstate, tmp_path: Path
) -> None:
    with SmtpServer(tmp_path / "smtp") as server:
        job = synthetic_job(
            sends(),
            may=(right("mail.send", TO),),
            grades={Category.SEND: Grade.ASK},
            mail=Mail("127.0.0.1", server.port, "freehold@example.org"),
        )
        await estate.rooms.ledger.commit(
            estate.rooms.settings.change({"own_domains": ["example.org"]}, by="anna")
        )
        await estate.employ(job)
        run = await estate.engine.start(job, {})
        await until(lambda: bool(estate.rooms.cards.waiting(estate.rooms.ledger.now_us())))
        assert server.taken() == []
        (card,) = estate.rooms.cards.waiting(estate.rooms.ledger.now_us())
        shown = estate.rooms.cards.show(card)
        assert TO in shown.facts.title
        await estate.decide(card, "card.approve")
        document = await asyncio.wait_for(estate.engine.wait(run), 20)
        assert document.state == "done", estate.events
        assert len(server.taken()) == 1


async def test_what_was_done_before_a_card_is_told_before_it(
    estate: ThrowawayEstate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("freehold.runtime.run.TELL_EVERY_S", 60.0)  # only the card can bring it in time
    (send,) = sends()["plan"]
    job = synthetic_job(
        {"plan": [{"step": "echo"}, send | {"needs": ["echo"]}]},
        may=(right("mail.send", TO),),
        grades={Category.SEND: Grade.ASK},
        mail=Mail("127.0.0.1", 1, "freehold@example.org"),
    )
    await estate.rooms.ledger.commit(
        estate.rooms.settings.change({"own_domains": ["example.org"]}, by="anna")
    )
    await estate.employ(job)
    run = await estate.engine.start(job, {})
    await until(lambda: any(event["event"] == "card" for _, event in estate.events))
    told = [event["event"] for _, event in estate.events if event.get("node", "echo") == "echo"]
    done = [event for _, event in estate.events if event.get("node") == "echo" and event["done"] == 1]
    assert done, estate.events
    assert told.index("node") < told.index("card")
    await estate.engine.cancel(run, by="anna")


async def test_a_mail_to_a_stranger_is_refused_with_what_would_have_allowed_it(
    estate: ThrowawayEstate,
) -> None:
    job = synthetic_job(
        sends("stranger@elsewhere.example"),
        may=(right("mail.send", TO),),
        grades={Category.SEND: Grade.ACT},
    )
    await estate.employ(job)
    document = await estate.run(job)
    assert document.state == "failed"
    refusals = [
        e for e in estate.rooms.store.entries_of_run(document.id) if e.draft.kind is EntryKind.REFUSAL
    ]
    (entry,) = refusals
    private = estate.rooms.ledger.open_payload(entry)
    assert private is not None
    assert b"stranger@elsewhere.example" in private
    assert b"may" in private


async def test_a_question_is_answered_and_its_step_goes_on(estate: ThrowawayEstate) -> None:
    question = {"text": "How much is it?", "type": "number"}
    job = synthetic_job(
        {"plan": [{"step": "ask", "tools": ["question.ask"], "params": {"question": question}}]}
    )
    await estate.employ(job)
    run = await estate.engine.start(job, {})
    await until(lambda: bool(estate.rooms.cards.waiting(estate.rooms.ledger.now_us())))
    (card,) = estate.rooms.cards.waiting(estate.rooms.ledger.now_us())
    await estate.decide(card, "card.answer", {"value": "12.50"})
    document = await asyncio.wait_for(estate.engine.wait(run), 20)
    assert estate.result(document) == {"micro": 12_500_000}


async def test_a_question_survives_a_restart_and_its_step_is_put_away_meanwhile(tmp_path: Path) -> None:
    question = {"text": "Which?", "type": "choice", "choices": ["a", "b"]}
    job = synthetic_job(
        {"plan": [{"step": "ask", "tools": ["question.ask"], "params": {"question": question}}]}
    )
    folder = tmp_path / "estate"
    folder.mkdir()
    first = ThrowawayEstate(folder)
    await first.open()
    await first.employ(job)
    run = await first.engine.start(job, {})
    await until(lambda: any(event.get("event") == "waiting" for _, event in first.events))
    await until(lambda: first.pool.in_use == 0)
    await first.close()

    second = ThrowawayEstate(folder)
    await second.open()
    (card,) = second.rooms.cards.waiting(second.rooms.ledger.now_us())
    await second.decide(card, "card.answer", {"value": "b"})
    document = await asyncio.wait_for(second.engine.wait(run), 20)
    assert second.result(document) == "b"
    await second.close()


async def test_a_freeze_stops_a_fan_out_and_a_thaw_lets_it_go_on(estate: ThrowawayEstate) -> None:
    job = synthetic_job({"shape": "fan", "items": 1_000})
    await estate.employ(job)
    run = await estate.engine.start(job, {})
    await until(lambda: estate.rooms.store.size() > 200)
    rooms = estate.rooms
    await rooms.ledger.commit(
        rooms.freezes.freeze("job:synthetic", "stop", by="anna", at_us=rooms.ledger.now_us())
    )
    await until(lambda: estate.pool.in_use == 0)
    live = estate.engine.live(run)
    assert live is not None
    await until(lambda: live.graph is None or live.graph.active == 0)
    size = rooms.store.size()
    await asyncio.sleep(0.3)
    intents = [e for e in rooms.store.entries(size, rooms.store.size()) if e.draft.kind is EntryKind.INTENT]
    assert intents == []
    await rooms.ledger.commit(rooms.freezes.thaw("job:synthetic", by="anna"))
    estate.engine.thawed()
    document = await asyncio.wait_for(estate.engine.wait(run), 30)
    assert estate.result(document) == sum(number * number for number in range(1_000))
