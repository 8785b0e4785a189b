"""What fork servers load before they fork, and fork servers that are forks themselves, as many tests use them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from freehold.base import Unavailable
from freehold.runtime.pool import RunnerPool
from freehold.testing import nursery
from freehold.testing.processes import alive, until
from freehold.wire import messages as m
from tests.runner.conftest import PACKS, Peer, value


@pytest_asyncio.fixture
async def forked() -> AsyncIterator[RunnerPool]:
    """A pool whose fork server is a fork."""
    made = RunnerPool(spare=1, starts=nursery.start)
    yield made
    await made.stop()


@pytest.mark.parametrize("thinking", [True, False])
async def test_runners_of_packs_that_think_are_forked_with_what_they_think_with(thinking: bool) -> None:
    pool = RunnerPool(spare=0, thinking=thinking)
    handle = await pool.take()
    mapped = Path(f"/proc/{handle.pid}/maps").read_text()
    await pool.stop()
    assert ("pydantic_core" in mapped) is thinking


async def test_a_fork_servers_runner_works_whoever_made_the_server(
    forked: RunnerPool, tmp_path: Path
) -> None:
    peer = Peer(await forked.take())
    assert (await peer.load(tmp_path)).error == ""
    assert value(await peer.run(1, "where")) == [str(tmp_path), str(tmp_path)]
    exit_ = await forked.kill(peer.handle)
    assert exit_.cpu_us is not None


async def test_a_forked_fork_server_ends_with_its_pool_and_takes_its_runners_along(
    forked: RunnerPool,
) -> None:
    await forked.fill(2)
    handle = await forked.take()
    server, runner = forked.server_pid, handle.pid
    assert server is not None
    assert alive(server)
    await forked.stop()
    await until(lambda: not alive(server) and not alive(runner))
    with pytest.raises(Unavailable):
        await forked.take()


async def test_a_forked_fork_server_says_nothing_of_this_process_to_a_runner(
    forked: RunnerPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FREEHOLD_SECRET_OF_A_TEST", "x")
    peer = Peer(await forked.take())
    peer.send(m.Load("a pack", "sample_pack:pack", [str(PACKS)], str(tmp_path), {}))
    await peer.wait_for(m.Loaded)
    for pid in (forked.server_pid, peer.handle.pid):
        assert b"FREEHOLD" not in Path(f"/proc/{pid}/environ").read_bytes()
