"""Where values came from, and what was done, is known after a restart as it was before: in a plan, and in a loop."""

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from freehold.kernel.facts import Facts
from freehold.kernel.grades import Category, Grade
from freehold.kernel.rights import right
from freehold.runtime.job import Job
from freehold.testing.brains import Reply, Says, Seen
from freehold.testing.estates import OWNER, ThrowawayEstate
from freehold.testing.processes import until
from tests.agent.conftest import MAY, assistant, hire, papers, serve
from tests.runtime.conftest import ended

GOAL = "Mail the text of minutes.txt from the papers to books@example.com with the subject Minutes."
TEXT = "Ben will bring the brown folder on Tuesday morning."
READ = {"source": "papers", "path": "minutes.txt"}
LETTER = {"to": ["books@example.com"], "subject": "Minutes", "text": TEXT}
FROM_IT = {"$from": "minutes", "path": "text"}
PLAN = [
    {"id": "minutes", "does": {"do": "use", "tool": "source.read", "args": READ}},
    {"id": "day", "does": {
        "do": "read", "text": FROM_IT, "kind": "choice", "question": "Which day?", "choices": ["Monday", "Tuesday"],
    }},
    {"id": "sent", "does": {
        "do": "use", "tool": "mail.send", "args": LETTER | {"text": FROM_IT},
        "when": [{"node": "day", "test": "is", "to": "Tuesday"}],
    }},
]  # fmt: skip


class Held:
    """A model that says what ``answers`` says, and the ``number``th time only once it is let go."""

    def __init__(self, *answers: Reply, number: int) -> None:
        self.asked = threading.Event()
        self.go = threading.Event()
        self._answers = answers
        self._number = number

    def __call__(self, seen: Seen) -> Reply:
        if seen.number >= self._number:
            self.asked.set()
            assert self.go.wait(60)
        return self._answers[min(seen.number, len(self._answers) - 1)]


async def sender(estate: ThrowawayEstate, **params: Any) -> Job:
    """Return a job that mails by itself, within the house."""
    own = estate.rooms.settings.change({"own_domains": ["example.com"]}, by=OWNER)
    await estate.rooms.ledger.commit(own)
    grades = {Category.SEND: Grade.ACT, Category.PLAN: Grade.ACT}
    may = (*MAY, right("mail.send", "books@example.com"))
    return assistant(goal=GOAL, may=may, grades=grades, **params)


async def taken_up(estate: ThrowawayEstate, run: str) -> None:
    """Restart the estate; the run knows the same things again, in the same order, before it goes on."""
    before = _told(estate, run)
    assert before
    await estate.close()
    await estate.open()
    await until(lambda: _told(estate, run) == before, 30)


def _told(estate: ThrowawayEstate, run: str) -> list[Any]:
    live = estate.engine.live(run)
    return [] if live is None else list(live.scope.told.items())


def waiting(estate: ThrowawayEstate) -> list[Facts]:
    cards = estate.rooms.cards
    return [cards.show(card).facts for card in cards.waiting(estate.rooms.ledger.now_us())]


@pytest.mark.parametrize("restarts", [False, True])
async def test_a_plan_that_is_taken_up_again_knows_what_its_finished_steps_read(
    estate: ThrowawayEstate, tmp_path: Path, restarts: bool
) -> None:
    proposed = Reply(json.dumps({"nodes": PLAN, "result": "sent"}))
    held = Held(proposed, Reply('{"value": "Tuesday"}'), number=1)
    with serve(Says(held)) as server:
        job = await hire(estate, server, await sender(estate, way="plan"))
        run = await estate.engine.start(job, {"papers": papers(tmp_path / "papers", minutes=TEXT)})
        await until(held.asked.is_set, 60)
        if restarts:
            await taken_up(estate, run)
        held.go.set()
        await until(lambda: estate.engine.document(run).state in ("waiting", "done", "failed"), 60)
        assert waiting(estate) == []
        document = await estate.engine.wait(run)
    assert document.state == "done", ended(estate, run)


@pytest.mark.parametrize("restarts", [False, True])
async def test_what_a_loop_did_before_a_restart_is_not_done_a_second_time_unasked(
    estate: ThrowawayEstate, tmp_path: Path, restarts: bool
) -> None:
    sends = Reply(calls=[("mail__send", LETTER)])
    held = Held(Reply(calls=[("source__read", READ)]), sends, sends, number=2)
    with serve(Says(held)) as server:
        job = await hire(estate, server, await sender(estate))
        run = await estate.engine.start(job, {"papers": papers(tmp_path / "papers", minutes=TEXT)})
        await until(held.asked.is_set, 60)
        if restarts:
            await taken_up(estate, run)
        held.go.set()
        await until(lambda: estate.engine.document(run).state == "waiting", 60)
        (facts,) = waiting(estate)
        assert "It was done once already to the same." in facts.lines[0].value
        told = [action for action, _ in _told(estate, run)]
        assert len(told) == len(set(told))
        await estate.engine.cancel(run, OWNER)
    assert len(list((estate.place.folder / "outbox").rglob("*.eml"))) == 1
