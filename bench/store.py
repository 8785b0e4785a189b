"""What the store costs: two commits a pair against the floor, alone and with many callers, on both engines.

The floor is two raw durable autocommit inserts of the same bytes on the same machine, in alternation with the
store's. Run it from the repository's root: ``python bench/store.py [--json FILE] [--postgres URL]``.
"""

import argparse
import asyncio
import hashlib
import json
import os
import secrets
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[1] / "src"), str(Path(__file__).parents[1])]

from freehold.base import SystemClock, action_id
from freehold.store import Batch, Cost, EntryDraft, EntryKind, Store, Tile, open_store

INTENT_BYTES, RESULT_BYTES = 560, 230
WARM_PAIRS = 1_500
RUN = secrets.token_hex(16)

Pair = tuple[EntryDraft, EntryDraft]


class NoTree:
    """The Merkle tree is measured elsewhere."""

    def tiles_for(self, first_index: int, leaves: Sequence[bytes]) -> Sequence[Tile]:
        return ()

    def advance(self, first_index: int, leaves: Sequence[bytes]) -> None:
        pass


def pairs(count: int, start: int) -> list[Pair]:
    """INTENT and RESULT of ``count`` actions of one run."""
    made = []
    for item in range(start, start + count):
        place: dict[str, Any] = {"run": RUN, "node": "bench", "item": item}
        place["action"] = action_id(RUN, "bench", item, 0)
        bodies = secrets.token_bytes(INTENT_BYTES), secrets.token_bytes(RESULT_BYTES)
        intent_leaf, result_leaf = (hashlib.sha256(b"\0" + body).digest() for body in bodies)
        held = Cost(money_micro=1_000, tokens=100, actions=1, cpu_us=5_000)
        began = EntryDraft(
            EntryKind.INTENT, bodies[0], intent_leaf, reserved=held, digest=intent_leaf, **place
        )
        ended = EntryDraft(
            EntryKind.RESULT,
            bodies[1],
            result_leaf,
            status="done",
            reserved=Cost() - held,
            spent=held,
            **place,
        )
        made.append((began, ended))
    return made


@contextmanager
def sqlite_floor(folder: Path, delay_s: float) -> Iterator[Callable[[bytes], None]]:
    """One durable row at a time, as bare as it gets."""
    connection = sqlite3.connect(folder / "floor.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE floor (idx INTEGER PRIMARY KEY, body BLOB)")

    def write(body: bytes) -> None:
        if delay_s:
            time.sleep(delay_s)
        connection.execute("INSERT INTO floor (body) VALUES (?)", (body,))

    yield write
    connection.close()


@contextmanager
def postgres_floor(url: str, delay_s: float) -> Iterator[Callable[[bytes], None]]:
    """The same on PostgreSQL, prepared."""
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS floor")
        connection.execute("CREATE TABLE floor (idx bigserial PRIMARY KEY, body bytea)")

        def write(body: bytes) -> None:
            if delay_s:
                time.sleep(delay_s)
            connection.execute("INSERT INTO floor (body) VALUES (%b)", (body,), prepare=True)

        yield write


async def alone(
    store: Store, floor: Callable[[bytes], None], work: list[Pair]
) -> tuple[list[float], list[float]]:
    """Milliseconds of each pair by the floor and by the store, in alternation."""
    floor_ms, store_ms = [], []
    for intent, result in work:
        started = time.perf_counter()
        floor(intent.body)
        floor(result.body)
        between = time.perf_counter()
        await store.commit(Batch([intent]))
        await store.commit(Batch([result]))
        floor_ms.append((between - started) * 1_000)
        store_ms.append((time.perf_counter() - between) * 1_000)
    return floor_ms, store_ms


async def together(store: Store, callers: int, work: list[Pair]) -> dict[str, float]:
    """Pairs per second, entries per commit and microseconds of CPU an entry with that many callers."""
    waiting = iter(work)
    commits = store.stats.commits

    async def call() -> None:
        for intent, result in waiting:
            await store.commit(Batch([intent]))
            await store.commit(Batch([result]))

    cpu, started = time.process_time(), time.perf_counter()
    await asyncio.gather(*(call() for _ in range(callers)))
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    return {
        f"store{callers}_per_s": len(work) / seconds,
        f"store{callers}_entries_per_commit": 2 * len(work) / (store.stats.commits - commits),
        f"store{callers}_cpu_us_per_entry": cpu / len(work) / 2 * 1e6,
    }


async def measure(
    name: str, address: str, floor: Callable[[bytes], None], count: int, delay_s: float, rounds: Sequence[int]
) -> dict[str, float]:
    """Everything about one engine; the keys begin with ``name``."""
    store = open_store(address, SystemClock(), NoTree(), commit_delay_s=delay_s)
    begun = store.size() + 1_000_000
    try:
        await alone(store, floor, pairs(min(WARM_PAIRS, count), begun))
        floor_ms, store_ms = await alone(store, floor, pairs(count, begun + 10_000_000))
        found = {
            "floor_p50_ms": statistics.median(floor_ms),
            "floor_p99_ms": statistics.quantiles(floor_ms, n=100)[98],
            "store_p50_ms": statistics.median(store_ms),
            "store_p99_ms": statistics.quantiles(store_ms, n=100)[98],
            "floor_per_s": len(floor_ms) / sum(floor_ms) * 1_000,
            "store_per_s": len(store_ms) / sum(store_ms) * 1_000,
        }
        for place, callers in enumerate(rounds, 2):
            found |= await together(
                store, callers, pairs(max(count, callers * 20) * 2, begun + place * 10_000_000)
            )
    finally:
        await store.close()
    return {f"{name}_{key}": value for key, value in found.items()}


def _print(figures: dict[str, float]) -> None:
    width = max(map(len, figures), default=0)
    for key, value in figures.items():
        print(f"{key:<{width}}  {value:>10,.3f}" if value < 100 else f"{key:<{width}}  {value:>10,.0f}")


@contextmanager
def _server(url: str | None) -> Iterator[str | None]:
    """A PostgreSQL: the one that is named, or a throw-away one where the machine has the program."""
    if url:
        yield url
        return
    import pytest

    from tests import postgres

    with ExitStack() as stack:
        try:
            folder = stack.enter_context(postgres.running())
        except pytest.skip.Exception as why:
            print(f"PostgreSQL: {why}")
            yield None
        else:
            yield postgres.url(folder, postgres.ROLE)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--postgres", metavar="URL", help="an empty database; default: a throw-away server")
    parser.add_argument("--pairs", type=int, default=2_000)
    parser.add_argument(
        "--folder", type=Path, help="where the SQLite files go; default: the temporary folder"
    )
    arguments = parser.parse_args()
    callers = (16, 64, 256)
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory(dir=arguments.folder) as made:
        folder = Path(made)
        with sqlite_floor(folder, 0.0) as floor:
            figures |= asyncio.run(measure("sqlite", made, floor, arguments.pairs, 0.0, callers))
        slow = folder / "slow"
        slow.mkdir()
        with sqlite_floor(slow, 0.005) as floor:
            figures |= asyncio.run(
                measure("slow", str(slow), floor, min(arguments.pairs, 200), 0.005, callers)
            )
    with _server(arguments.postgres) as url:
        if url is not None:
            with postgres_floor(url, 0.0) as floor:
                figures |= asyncio.run(measure("postgres", url, floor, arguments.pairs, 0.0, callers))
    _print(figures)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + os.linesep)


if __name__ == "__main__":
    main()
