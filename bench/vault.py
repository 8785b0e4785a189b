"""What a secret costs: a brokered call beside the same call made direct, alone and 64 at once.

Direct is a plain `http.client` in a thread of the caller, which holds the secret itself: connect, send, read.
Brokered is the whole way: permit, vault, courier, the connection that the daemon opens, and the reply scrubbed. Both
speak to the same server, a process of its own, and each call opens its own connection. ``--json FILE`` writes the
figures.
"""

import argparse
import asyncio
import http.client
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from freehold.runtime.brokered import Brokered, Errand
from freehold.runtime.vault import Vault, VaultPlace
from freehold.wire.permits import Binding
from tests.vault.door import Door

SECRET = "a-secret-of-24-characters"
SERVER = """
import asyncio

BODY = b'{"id": "e1", "fine": true }'
HEAD = b"HTTP/1.1 200 OK\\r\\nContent-Type: application/json\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(BODY)

async def serve(reader, writer):
    try:
        await reader.readuntil(b"\\r\\n\\r\\n")
        writer.write(HEAD + BODY)
        await writer.drain()
    except (OSError, asyncio.IncompleteReadError):
        pass
    writer.close()

async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()

asyncio.run(main())
"""

Call = Callable[[], Awaitable[None]]


async def alone(call: Call, count: int) -> list[float]:
    """Return how long each of ``count`` calls took, one after another, in ms."""
    took = []
    for _ in range(count):
        begun = time.perf_counter()
        await call()
        took.append((time.perf_counter() - begun) * 1_000)
    return took


async def together(call: Call, count: int, at_once: int) -> list[float]:
    """Return how long calls took, ``at_once`` callers in a closed loop, in ms."""
    found = await asyncio.gather(*(alone(call, count // at_once) for _ in range(at_once)))
    return [one for each in found for one in each]


def at(times: list[float], share: float) -> float:
    """Return a quantile."""
    return sorted(times)[min(len(times) - 1, int(share * len(times)))]


async def measure(folder: Path, port: int, count: int) -> dict[str, float]:
    """Return the figures; direct and brokered take turns, so that both meet the same machine."""
    place = VaultPlace(folder / "vault", folder / "vault.pass", "bench", "freehold/bench")
    vault, door = Vault(place), Door(folder / "vault" / "door.sock")
    vault.judge = door.allow
    await vault.start()
    brokered = Brokered(vault)
    loop, pool = asyncio.get_running_loop(), ThreadPoolExecutor(64)
    try:
        await door.set("key", SECRET, "127.0.0.1")
        binding = Binding(
            "crm", "key", "http", "127.0.0.1", port, ("GET",), ("/*",), "header", ("audrey",),
            field="Authorization", prefix="Bearer ", private=True,
        )  # fmt: skip
        await vault.bind([binding])
        errand = Errand(binding, "audrey", "a1", "http.request", "GET", f"{binding.origin}/item")

        def plain() -> None:
            client = http.client.HTTPConnection("127.0.0.1", port)
            client.request(
                "GET", "/item", headers={"Authorization": f"Bearer {SECRET}", "Connection": "close"}
            )
            assert client.getresponse().read()
            client.close()

        async def by_hand() -> None:
            await loop.run_in_executor(pool, plain)

        async def by_broker() -> None:
            delivered = await brokered.deliver(errand)
            assert delivered.status == "done", delivered

        found: dict[str, list[float]] = {
            name: [] for name in ("direct", "brokered", "direct64", "brokered64")
        }
        for call in (by_hand, by_broker):
            await alone(call, 30)
            await together(call, 128, 64)
        for _ in range(5):
            found["direct"] += await alone(by_hand, count // 5)
            found["brokered"] += await alone(by_broker, count // 5)
            found["direct64"] += await together(by_hand, 4 * count // 5, 64)
            found["brokered64"] += await together(by_broker, 4 * count // 5, 64)
    finally:
        await brokered.stop()
        await vault.stop()
    return {
        f"{name}_{share}_ms": round(at(times, int(share[1:]) / 100), 3)
        for name, times in found.items()
        for share in ("p50", "p99")
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--count", type=int, default=1_000)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True) as server,
    ):
        assert server.stdout is not None
        port = int(server.stdout.readline())
        try:
            figures = asyncio.run(measure(Path(folder), port, options.count))
        finally:
            server.kill()
    print(f"{'':12}{'p50 ms':>10}{'p99 ms':>10}")
    for name in ("direct", "brokered", "direct64", "brokered64"):
        print(f"{name:12}{figures[f'{name}_p50_ms']:>10.3f}{figures[f'{name}_p99_ms']:>10.3f}")
    added, times = (
        figures["brokered_p50_ms"] - figures["direct_p50_ms"],
        figures["brokered64_p99_ms"] / figures["direct64_p99_ms"],
    )
    print(f"added alone {added:.3f} ms (goal 1.0); at 64 the p99 is {times:.2f} x the direct one's (goal 3)")
    if options.json is not None:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
