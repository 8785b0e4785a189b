"""A daemon's stand-in as a process: starts runners and a courier like the daemon, and waits to be killed.

Prints one line of pids once all of them serve: the fork server's, then the runners', then the courier's and those of
what holds its walls.
"""

import asyncio
import os
import sys
from pathlib import Path

import msgspec

from freehold.runtime.couriers import Couriers, Errand
from freehold.runtime.pool import RunnerPool
from freehold.testing.processes import below
from freehold.wire import messages as m


async def stand_in(workspace: Path, count: int, step: str, port: int) -> None:
    """Start ``count`` runners, have each begin ``step`` of the hostile pack, and one courier; then wait."""
    pool, couriers = RunnerPool(spare=0), Couriers()
    pids = []
    for _ in range(count):
        handle = await pool.take()
        loaded = asyncio.get_running_loop().create_future()

        def take(batch: list[object], size: int, loaded: "asyncio.Future[None]" = loaded) -> None:
            if any(isinstance(message, m.Loaded) for message in batch) and not loaded.done():
                loaded.set_result(None)

        handle.attach(take, lambda error: None)
        handle.send(m.Load("hostile", "freehold.testing.hostile:pack", [], str(workspace), {}))
        await loaded
        handle.send(m.Start(1, step, msgspec.Raw(b"null"), {}, 1))
        pids.append(handle.pid)
    request = {"method": "GET", "host": f"127.0.0.1:{port}", "path": "/"}
    await couriers.deliver(Errand("http", "127.0.0.1", port, "http.request", request))
    runners = below(pool.server_pid or 0).keys() | {pool.server_pid}
    others = [pid for pid in below(os.getpid()) if pid not in runners]
    print(pool.server_pid, *pids, *others, flush=True)
    await asyncio.get_running_loop().create_future()


def main() -> None:
    """The arguments: a workspace, how many runners, the step that each begins, an HTTP server's port."""
    asyncio.run(stand_in(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4])))


if __name__ == "__main__":
    main()
