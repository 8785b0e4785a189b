"""What the gate adds to an action, against two raw durable commits of the same bytes, in turns in one run.

Every stage is on: a runner asks over its socketpair; 50 rules, a chain of two delegation links, labels, budget,
sealed payloads, cards. ``cached`` takes decisions from the memo and says how often, ``fresh`` evaluates each
one; ``slow`` has 5 ms put into every commit, of floor and gate alike. The write-ahead log is warmed first.

    python bench/gate.py [--json FILE] [--rounds N]
"""

import argparse
import asyncio
import itertools
import json
import sqlite3
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from freehold.base import Json
from freehold.kernel.delegations import Delegation
from freehold.kernel.rights import right
from freehold.kernel.rules import MAX_MEMO
from freehold.runtime.job import Job
from freehold.store.interface import EntryKind
from freehold.testing.estates import AGENT, OWNER, ThrowawayEstate, synthetic_job
from freehold.wire.child import settle_memory

AT_ONCE = 64
RULES = 50
FAR_US = 2**52


@dataclass(frozen=True)
class Setting:
    """One row of the table."""

    name: str
    delay_s: float = 0.0
    fresh: bool = False
    alone: int = 50
    together: int = 6_000
    rounds: int = 20


class Floor:
    """Two durable one-row commits a pair, on a connection with the store's settings, of the gate's own bytes."""

    def __init__(self, folder: Path, delay_s: float, sizes: tuple[int, int]) -> None:
        self._db = sqlite3.connect(folder / "floor.db", isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.execute("CREATE TABLE entry (id INTEGER PRIMARY KEY, body BLOB)")
        self._bodies = [bytes(size) for size in sizes]
        self._delay_s = delay_s

    def pairs(self, count: int) -> list[float]:
        """Commit what ``count`` actions commit; return the seconds of each."""
        times = []
        for _ in range(count):
            started = time.perf_counter()
            for body in self._bodies:
                if self._delay_s:
                    time.sleep(self._delay_s)
                self._db.execute("INSERT INTO entry (body) VALUES (?)", (body,))
            times.append(time.perf_counter() - started)
        return times


async def furnish(estate: ThrowawayEstate, times: int, at_once: int) -> Job:
    """Give the estate its rules and the agent a chain of two links; return a job that asks so often."""
    rooms = estate.rooms
    commit = rooms.ledger.commit
    node: Json = {
        "step": "act_often",
        "tools": ["noop"],
        "params": {"tool": "noop", "times": times, "at_once": at_once},
    }
    job = synthetic_job({"plan": [node]}, may=(right("noop", "noop"),))
    if not rooms.registry.delegations.all():
        for number in range(RULES):
            await commit(
                rooms.rules.allow(OWNER, right("mail.send", f"person{number}@example.org"), by=OWNER)
            )
        for giver in ("chief", "lead"):
            await commit(rooms.registry.add_agent(giver, OWNER, by=OWNER))
            for allowed in ("noop", "step.run"):
                await commit(rooms.rules.allow(giver, right(allowed, "*"), by=OWNER))
        for link, giver, to in (("l1", "lead", AGENT), ("l2", "chief", "lead")):
            rights = (right("noop", "*"), right("step.run", "*"))
            await commit(rooms.registry.delegate(Delegation(link, giver, to, rights, FAR_US), by=OWNER))
        await estate.employ(job)
    return msgspec.structs.replace(job, links=("l1", "l2"))


async def intents(estate: ThrowawayEstate, job: Job) -> list[int]:
    """Run the job; return when each INTENT of its inner actions was written, in microseconds."""
    document = await estate.run(job)
    if document.state != "done":
        raise SystemExit(f"the run of the benchmark ended {document.state}: {estate.events[-1]}")
    entries = estate.rooms.store.entries_of_run(document.id)
    bodies = [
        json.loads(e.draft.body) for e in entries if e.draft.kind is EntryKind.INTENT and e.draft.ordinal
    ]
    return [int(body["at"]) for body in bodies]


async def sizes(estate: ThrowawayEstate, job: Job) -> tuple[int, int]:
    """Return the bytes that one action writes: its INTENT's and its RESULT's."""
    document = await estate.run(job)
    found = {}
    for entry in estate.rooms.store.entries_of_run(document.id):
        if entry.draft.ordinal:
            found[entry.draft.kind] = len(entry.draft.body) + len(entry.draft.payload or b"")
    return found[EntryKind.INTENT], found[EntryKind.RESULT]


async def measure(folder: Path, setting: Setting) -> dict[str, float]:
    """Return the figures of one row."""
    estate = ThrowawayEstate(
        folder, commit_delay_s=setting.delay_s, memo_size=0 if setting.fresh else MAX_MEMO
    )
    await estate.open()
    settle_memory()  # as the daemon does
    job = await furnish(estate, setting.alone, 1)
    floor = Floor(folder, setting.delay_s, await sizes(estate, job))
    floor.pairs(20 if setting.delay_s else 3_000)
    floors: list[float] = []
    gates: list[float] = []
    for turn in range(setting.rounds):
        taken, at = floor.pairs(setting.alone), await intents(estate, job)
        if turn:
            floors += taken
            gates += [(after - before) / 1e6 for before, after in itertools.pairwise(at)]
    many = await furnish(estate, setting.together, AT_ONCE)
    rates = []
    for _ in range(3):
        floors += floor.pairs(setting.alone)
        at = await intents(estate, many)
        rates.append(len(at) / ((at[-1] - at[0]) / 1e6))
    stats = estate.rooms.rules.stats
    await estate.close()
    return {
        "floor_p50_ms": statistics.median(floors) * 1e3,
        "gate_p50_ms": statistics.median(gates) * 1e3,
        "gate_p99_ms": statistics.quantiles(gates, n=100)[98] * 1e3,
        "floor_per_s": 1 / statistics.median(floors),
        "gate64_per_s": statistics.median(rates),
        "memo_hits": stats.hits / max(1, stats.hits + stats.misses),
    }


SETTINGS = (
    Setting("sqlite"),
    Setting("fresh", fresh=True),
    Setting("slow", delay_s=0.005, alone=10, together=3_000, rounds=4),
)


async def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path)
    parser.add_argument("--rounds", type=int)
    options = parser.parse_args()
    report: dict[str, Any] = {}
    print(
        f"{'':8}{'floor p50':>11}{'gate p50':>11}{'gate p99':>11}{'floor/s':>10}{'gate64/s':>10}{'memo hits':>11}"
    )
    for setting in SETTINGS:
        with tempfile.TemporaryDirectory() as folder:
            row = await measure(Path(folder), setting)
        print(
            f"{setting.name:8}{row['floor_p50_ms']:8.3f} ms{row['gate_p50_ms']:8.3f} ms{row['gate_p99_ms']:8.3f} ms"
            f"{row['floor_per_s']:10,.0f}{row['gate64_per_s']:10,.0f}{row['memo_hits']:11.0%}"
        )
        report |= {f"{setting.name}_{key}": round(value, 4) for key, value in row.items()}
    alone = report["sqlite_gate_p50_ms"] - report["sqlite_floor_p50_ms"]
    print(
        f"alone: floor + {alone:.3f} ms (goal 0.45); 64 at once: {_times(report, 'sqlite'):.1f}x the floor (goal 2.5)"
    )
    print(
        f"5 ms a commit: {_times(report, 'slow'):.1f}x the floor (goal 20); "
        f"every decision fresh: {_times(report, 'fresh'):.1f}x"
    )
    if options.json:
        options.json.write_text(json.dumps(report))


def _times(report: dict[str, Any], name: str) -> float:
    return float(report[f"{name}_gate64_per_s"] / report[f"{name}_floor_per_s"])


if __name__ == "__main__":
    asyncio.run(main())
