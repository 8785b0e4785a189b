"""The pool: warm runners, an account of each that ended, and nothing left when the daemon is gone."""

import asyncio
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from freehold.runtime.pool import RunnerPool
from freehold.runtime.pools import spare_runners
from freehold.testing.http import HttpServer
from freehold.testing.processes import alive, children, until
from freehold.wire import child
from freehold.wire import messages as m
from tests.runner.conftest import PACKS, Peer, value


def test_a_daemon_keeps_a_warm_runner_for_every_two_cores_and_four_at_most() -> None:
    assert [spare_runners(cores) for cores in (1, 2, 3, 4, 8, 64)] == [1, 1, 1, 2, 4, 4]


async def test_a_warm_runner_is_handed_out_without_a_wait_and_replaced(pool: RunnerPool) -> None:
    await pool.fill(3)
    assert pool.warm == 3
    take = pool.take()
    with pytest.raises(StopIteration):  # it never had to wait
        take.send(None)
    assert pool.in_use == 1
    assert pool.warm == 2


async def test_the_pool_is_filled_up_again_in_the_background(pool: RunnerPool) -> None:
    await pool.take()
    await until(lambda: pool.warm == 1)


async def test_a_warm_runner_has_loaded_its_pack_and_works_in_the_folder_of_the_run_that_takes_it(
    tmp_path: Path,
) -> None:
    pool = RunnerPool(spare=1, loads=m.Load("a pack", "sample_pack:pack", [str(PACKS)], "", {}))
    await pool.fill()
    handle = await pool.take()
    assert handle.has_loaded
    peer = Peer(handle)
    peer.send(m.Enter(str(tmp_path)))
    assert value(await peer.run(1, "where")) == [str(tmp_path), str(tmp_path)]
    assert [type(said) for said in peer.said[:2]] == [m.Hello, m.Loaded]
    await pool.stop()


async def test_a_killed_runner_is_reported_with_its_cpu(pool: RunnerPool, tmp_path: Path) -> None:
    peer = Peer(await pool.take())
    await peer.load(tmp_path)
    value(await peer.run(1, "burns", ms=80))
    exit_ = await pool.kill(peer.handle)
    assert exit_.cpu_us is not None
    assert exit_.cpu_us >= 80_000
    assert exit_.max_rss_kb > 1_000
    assert not alive(peer.handle.pid)
    assert pool.in_use == 0


@pytest.mark.parametrize(("how", "status"), [("kill", -signal.SIGKILL), ("crash", -signal.SIGSEGV)])
async def test_a_runner_that_dies_by_itself_is_reported(
    pool: RunnerPool, tmp_path: Path, how: str, status: int
) -> None:
    peer = Peer(await pool.take())
    await peer.load(tmp_path, "freehold.testing.hostile:pack")
    await peer.start(1, "die", how=how)
    exit_ = await peer.handle.exited
    assert exit_.status == status
    await peer.closed
    assert peer.error is None


async def test_a_spare_that_dies_is_never_handed_out(pool: RunnerPool) -> None:
    await pool.fill(2)
    assert pool.server_pid is not None
    first = min(children(pool.server_pid))
    os.kill(first, signal.SIGKILL)
    await until(lambda: pool.warm == 1)
    assert (await pool.take()).pid != first


async def test_what_a_runner_left_behind_dies_with_it(pool: RunnerPool, tmp_path: Path) -> None:
    peer = Peer(await pool.take())
    await peer.load(tmp_path, "freehold.testing.hostile:pack")
    orphans = value(await peer.run(1, "orphan", count=3))
    assert all(alive(pid) for pid in orphans)
    await pool.kill(peer.handle)
    await until(lambda: not any(alive(pid) for pid in orphans))


async def test_a_lost_fork_server_is_replaced_and_its_runners_are_unmeasured(
    pool: RunnerPool, tmp_path: Path
) -> None:
    peer = Peer(await pool.take())
    await peer.load(tmp_path)
    server = pool.server_pid
    assert server is not None
    os.kill(server, signal.SIGKILL)
    assert (await peer.handle.exited).cpu_us is None
    await until(lambda: not alive(peer.handle.pid))
    again = Peer(await pool.take())
    assert (await again.load(tmp_path)).error == ""
    assert pool.server_pid != server


async def test_an_unloaded_pool_has_no_process_and_fills_again(pool: RunnerPool, tmp_path: Path) -> None:
    await pool.fill(3)
    server = pool.server_pid
    assert server is not None
    pool.unload()
    await until(lambda: not alive(server))
    assert (pool.warm, pool.in_use, pool.server_pid) == (0, 0, None)
    peer = Peer(await pool.take())
    assert (await peer.load(tmp_path)).error == ""


async def test_an_idle_pool_unloads_itself_but_not_under_a_run(tmp_path: Path) -> None:
    pool = RunnerPool(spare=2, idle_s=0.1)
    peer = Peer(await pool.take())
    await peer.load(tmp_path)
    value(await peer.run(1, "burns", ms=200))
    assert pool.server_pid is not None
    peer.send(m.Bye())
    await peer.handle.exited
    await until(lambda: pool.server_pid is None)
    await pool.stop()


async def test_unloading_spares_leaves_a_run_alone(pool: RunnerPool, tmp_path: Path) -> None:
    peer = Peer(await pool.take())
    await peer.load(tmp_path)
    await pool.fill(2)
    pool.unload()
    assert pool.warm == 0
    assert value(await peer.run(1, "echo", "still here")) == "still here"


async def test_two_hundred_runners_at_once(tmp_path: Path) -> None:
    pool = RunnerPool(spare=0)
    peers = [Peer(handle) for handle in await asyncio.gather(*(pool.take() for _ in range(200)))]
    await asyncio.gather(*(peer.load(tmp_path) for peer in peers))
    ended = await asyncio.gather(*(peer.run(1, "ask", count=10) for peer in peers))
    assert all(value(one) == list(range(1, 11)) for one in ended)
    pids = {peer.handle.pid for peer in peers}
    assert len(pids) == 200
    await pool.stop()
    assert not any(alive(pid) for pid in pids)


@pytest.mark.parametrize("step", ["silence", "deaf"])
def test_when_the_daemon_is_killed_everything_that_it_started_ends(tmp_path: Path, step: str) -> None:
    with HttpServer(tmp_path / "http") as server:
        daemon = subprocess.Popen(
            child.command("freehold.testing.stand_in", str(tmp_path), "3", step, str(server.port)),
            env=child.clean_environment(dict(os.environ)),
            stdout=subprocess.PIPE,
        )
        assert daemon.stdout is not None
        with daemon.stdout:
            pids = [int(pid) for pid in daemon.stdout.readline().split()]
        assert len(pids) >= 5  # behind walls a courier is held by a process or two
        assert all(alive(pid) for pid in pids)
        daemon.kill()
        daemon.wait()
        killed = time.monotonic()
        asyncio.run(until(lambda: not any(alive(pid) for pid in pids)))
        assert time.monotonic() - killed < 5
