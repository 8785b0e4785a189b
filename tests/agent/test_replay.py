"""A recorded run is run again with every action answered from the journal; one that is not the same is found."""

import json
from pathlib import Path

import pytest

from freehold.base import NotFound
from freehold.kernel.scope import Record
from freehold.runtime.replay import Replay, summary
from freehold.store.interface import EntryKind
from freehold.testing.brains import Reply, Scripted
from freehold.testing.estates import ThrowawayEstate
from freehold.testing.processes import until
from tests.agent.conftest import assistant, hire, papers, serve
from tests.runtime.conftest import bodies, ended

LIST = ("source.list", {"source": "papers"})
READ = ("source.read", {"source": "papers", "path": "a.txt"})


async def recorded(estate: ThrowawayEstate, tmp_path: Path) -> str:
    """Run a loop with a refusal and a question in it, and return the run."""
    script = Scripted([
        Reply(calls=[LIST, ("source.read", {"source": "none", "path": "x"})]),
        Reply(calls=[READ, ("ask_owner", {"question": "Which?"})]), "It says yes.",
    ])  # fmt: skip
    with serve(script) as server:
        job = await hire(estate, server, assistant())
        run = await estate.engine.start(job, {"papers": papers(tmp_path / "papers", a="yes")})
        await until(lambda: estate.engine.document(run).state == "waiting", 60)
        (card,) = estate.rooms.cards.waiting(estate.rooms.ledger.now_us())
        await estate.decide(card, "card.answer", {"value": "a"})
        document = await estate.engine.wait(run)
    assert document.state == "done", ended(estate, run)
    return run


async def test_a_recorded_loop_gives_the_same_bytes_and_does_nothing(
    estate: ThrowawayEstate, tmp_path: Path
) -> None:
    run = await recorded(estate, tmp_path)
    entries = estate.rooms.store.size()
    found = await Replay(estate.house, run, estate.engine.job_of(run)).compare()
    assert [(one.node, one.outcome) for one in found] == [("$plan", "same"), ("work", "same")], found
    assert found[1].recorded == found[1].now
    asked = {
        body["ord"]
        for body in bodies(estate, run, EntryKind.INTENT)
        if body["node"] == "work" and body["ord"]
    }
    assert found[1].actions == len(asked)
    assert summary(found) == "same"
    assert estate.rooms.store.size() == entries


@pytest.mark.parametrize("what", ["a result", "an argument", "an action"])
async def test_a_record_that_was_tampered_with_is_found_where_it_is(
    estate: ThrowawayEstate, tmp_path: Path, what: str
) -> None:
    run = await recorded(estate, tmp_path)
    replay = Replay(estate.house, run, estate.engine.job_of(run))
    if what == "a result":  # the second answer of the model is another
        place = next(at for at, one in replay._actions.items() if one.tool == "model.call" and at[2] > 2)
        known = replay._actions[place]
        assert known.record is not None
        value = json.loads(known.record.value) | {"text": "", "tool_calls": [
            {"id": "x", "name": "source.list", "arguments": json.dumps({"source": "papers"})}]}  # fmt: skip
        known.record = Record("x", "done", value=json.dumps(value).encode())
    elif what == "an argument":
        place = ("work", 0, 3)
        replay._actions[place].args = {"source": "letters"}
    else:
        place = ("work", 0, 4)
        del replay._actions[place]
    found = await replay.compare()
    assert summary(found) == "differs"
    (wrong,) = [one for one in found if one.outcome != "same"]
    assert wrong.node == "work"
    assert wrong.ordinal >= place[2]
    assert wrong.why


async def test_a_run_without_a_plan_cannot_be_replayed(estate: ThrowawayEstate, tmp_path: Path) -> None:
    job = assistant(way="plan")  # its planner asks a model, and there is none
    await estate.employ(job)
    run = await estate.engine.start(job, {"papers": papers(tmp_path / "papers", a="x")})
    assert (await estate.engine.wait(run)).state == "failed"
    with pytest.raises(NotFound, match="no recorded plan"):
        await Replay(estate.house, run, estate.engine.job_of(run)).compare()
