"""A hostile pack in a real runner: what it sends ends its own channel at most; the other side stays up."""

import asyncio
import os
import resource
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from freehold.base import ProtocolError
from freehold.runtime.pool import RunnerPool
from freehold.testing import hostile
from freehold.testing.processes import alive, until
from freehold.wire import messages as m
from tests.runner.conftest import Peer, value

# Whether a step is the runner's own is for whoever numbered it: `freehold.runtime.session`.
NUMBERED = {"another's step", "another's result", "loaded again"}


@pytest_asyncio.fixture
async def foe(pool: RunnerPool, tmp_path: Path) -> Peer:
    made = Peer(await pool.take())
    loaded = await made.load(tmp_path, "freehold.testing.hostile:pack")
    assert loaded.error == ""
    return made


@pytest.mark.parametrize("what", [what for what in hostile.BREACHES if what not in NUMBERED])
async def test_a_breach_of_the_wire_closes_the_channel_and_reaches_nobody(
    foe: Peer, pool: RunnerPool, tmp_path: Path, what: str
) -> None:
    before = memory_kb()
    await foe.start(1, "breach", what=what)
    await foe.closed
    assert isinstance(foe.error, ProtocolError)
    assert [said for said in foe.said if not isinstance(said, m.Hello | m.Loaded)] == []
    assert (await pool.kill(foe.handle)).status in (0, -9)
    assert memory_kb() - before < 30_000
    other = Peer(await pool.take())
    assert (await other.load(tmp_path)).error == ""


@pytest.mark.parametrize("what", sorted(NUMBERED))
async def test_a_foreign_number_arrives_as_what_it_is_and_names_nothing(foe: Peer, what: str) -> None:
    known = len(foe.said)
    await foe.start(1, "breach", what=what)
    await until(lambda: len(foe.said) > known)
    said: Any = foe.said[-1]
    assert isinstance(said, m.Loaded) or said.step not in (0, 1)


async def test_a_result_given_three_times_is_three_messages_for_one_number(foe: Peer) -> None:
    await foe.start(1, "finish_twice", step=1)
    await until(lambda: len(foe.of(m.Finished)) == 3)
    assert {said.step for said in foe.of(m.Finished)} == {1}


@pytest.mark.parametrize(("kind", "count"), [("actions", 30_000), ("progress", 30_000), ("heavy", 60)])
async def test_a_flood_is_held_back_while_the_handler_says_so(foe: Peer, kind: str, count: int) -> None:
    before = memory_kb()
    held: list[m.Perform] = []

    def keep(asked: m.Perform) -> None:
        held.append(asked)
        if len(held) >= 256:
            foe.handle.pause()

    foe.answer = keep
    await foe.start(1, "flood", kind=kind, count=count)
    if kind == "actions":
        await until(lambda: len(held) >= 256)
        await asyncio.sleep(0)
        taken = len(held)
        assert taken < 256 + 2_000
        for asked in held:
            foe.handle.send(m.Answer(asked.seq, "done"))
        assert len(held) == taken
    else:
        assert value(await foe.ended(1)) == count
        assert memory_kb() - before < 400_000


async def test_what_a_runner_can_see_is_its_own(foe: Peer, tmp_path: Path) -> None:
    os.environ["FREEHOLD_TEST_SECRET"] = "canary"
    seen = value(await foe.run(1, "look"))
    assert seen["working_folder"] == str(tmp_path)
    assert "FREEHOLD_TEST_SECRET" not in seen["environment"]
    rooms = {name.split(".")[1] for name in seen["modules"]}
    assert rooms <= {"base", "wire", "sdk", "runner", "sandbox", "testing"}
    assert seen["kinds"] == []
    assert not seen["controlling_terminal"]
    files = [name for name in seen["descriptors"] if name.startswith("/")]
    assert set(files) <= {"/dev/null", f"/proc/{foe.handle.pid}/fd"}


@pytest.mark.parametrize("step", ["silence", "deaf"])
async def test_one_that_hears_nothing_is_killed(foe: Peer, pool: RunnerPool, step: str) -> None:
    await foe.start(1, step)
    foe.send(m.Cancel(1))
    assert (await pool.kill(foe.handle)).status in (0, -9)
    assert not alive(foe.handle.pid)


def memory_kb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
