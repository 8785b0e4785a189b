"""What the gate adds to an action: against two raw durable commits of the same bytes, in one run, in turns.

Every stage is on: a runner asks over its socketpair, at least 50 rules, a chain of two delegation links, labels,
budget, sealed payloads. The floor and the gate take turns; the log is warmed before anything is measured.

    python bench/gate.py [--json FILE] [--rounds N]
"""

import argparse
import asyncio
import json
import sqlite3
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from freehold.kernel.delegations import Delegation
from freehold.kernel.labels import Confidentiality
from freehold.kernel.rights import right
from freehold.kernel.rules import MAX_MEMO
from freehold.testing.estates import AGENT, OWNER, ThrowawayEstate, synthetic_job

INTENT_BYTES, RESULT_BYTES = 560, 230
WARM = 2_000


class Floor:
    """Two durable one-row commits a pair, on a connection of its own with the store's settings."""

    def __init__(self, folder: Path, delay_s: float) -> None:
        self._db = sqlite3.connect(folder / "floor.db", isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.execute("CREATE TABLE entry (id INTEGER PRIMARY KEY, body BLOB)")
        self._delay_s = delay_s
        self._intent, self._result = b"i" * INTENT_BYTES, b"r" * RESULT_BYTES

    def pair(self) -> None:
        """Commit what one action commits."""
        for body in (self._intent, self._result):
            if self._delay_s:
                time.sleep(self._delay_s)
            self._db.execute("INSERT INTO entry (body) VALUES (?)", (body,))


async def furnish(estate: ThrowawayEstate, params: dict[str, Any]) -> Any:
    """Give the estate 50 rules and the job's agent a chain of two links; return the job."""
    rooms = estate.rooms
    commit = rooms.ledger.commit
    for number in range(50):
        await commit(rooms.rules.allow(OWNER, right("mail.send", f"person{number}@example.org"), by=OWNER))
    job = synthetic_job(params, may=(right("noop", "noop"),))
    await estate.employ(job)
    return job


async def measure(folder: Path, delay_s: float, rounds: int, at_once: int, fresh: bool) -> dict[str, float]:
    """Return p50 of floor and gate alone (ms) and pairs a second of the floor and of ``at_once`` callers."""
    estate = ThrowawayEstate(folder, commit_delay_s=delay_s, memo_size=0 if fresh else MAX_MEMO)
    await estate.open()
    floor = Floor(folder, delay_s)
    found: dict[str, float] = {}
    for _ in range(WARM if not delay_s else 20):
        floor.pair()
    block = 50 if not delay_s else 10
    floors: list[float] = []
    gates: list[float] = []
    params = {
        "plan": [{"step": "act_often", "tools": ["noop"], "params": {"tool": "noop", "times": block, "at_once": 1}}]
    }
    job = await furnish(estate, params)
    for turn in range(rounds):
        started = time.perf_counter()
        for _ in range(block):
            floor.pair()
        floors.append((time.perf_counter() - started) / block)
        times = await alone(estate, job)
        if turn:
            gates.extend(times)
    found["floor_p50_ms"] = statistics.median(floors) * 1e3
    found["floor_per_s"] = 1 / statistics.median(floors)
    found["gate_p50_ms"] = statistics.median(gates) * 1e3
    many = {**params["plan"][0], "params": {"tool": "noop", "times": 4_000 if not delay_s else 2_000, "at_once": at_once}}
    rates = []
    for _ in range(3):
        rates.append(await together(estate, synthetic_job({"plan": [many]}, may=job.may)))
    found["gate_many_per_s"] = statistics.median(rates)
    stats = estate.rooms.rules.stats
    found["memo_hits"] = stats.hits / max(1, stats.hits + stats.misses)
    await estate.close()
    return found


async def alone(estate: ThrowawayEstate, job: Any) -> list[float]:
    """Run a step that asks for one action after another; return the seconds between answers."""
    run = await estate.engine.start(job, {})
    document = await estate.engine.wait(run)
    times = [body["at"] for body in intents(estate, document.id)]
    return [(after - before) / 1e6 for before, after in zip(times, times[1:], strict=False)]


def intents(estate: ThrowawayEstate, run: str) -> list[dict[str, Any]]:
    """Return the bodies of the INTENTs of a run's inner actions."""
    found = []
    for entry in estate.rooms.store.entries_of_run(run):
        body = json.loads(entry.draft.body)
        if body["t"] == "intent" and body["ord"]:
            found.append(body)
    return found


async def together(estate: ThrowawayEstate, job: Any) -> float:
    """Run a step that keeps many actions under way; return actions a second."""
    run = await estate.engine.start(job, {})
    document = await estate.engine.wait(run)
    times = [body["at"] for body in intents(estate, document.id)]
    return len(times) / ((times[-1] - times[0]) / 1e6)


async def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    report: dict[str, float] = {}
    for name, delay_s, fresh in (("sqlite", 0.0, False), ("fresh", 0.0, True), ("slow", 0.005, False)):
        with tempfile.TemporaryDirectory() as folder:
            found = await measure(Path(folder), delay_s, options.rounds if not delay_s else 3, 64, fresh)
        report |= {f"{name}_{key}": round(value, 3) for key, value in found.items()}
        print(name, {key: round(value, 3) for key, value in found.items()})
    report["sqlite_gate64_per_s"] = report["sqlite_gate_many_per_s"]
    report["slow_gate64_per_s"] = report["slow_gate_many_per_s"]
    if options.json:
        options.json.write_text(json.dumps(report))


if __name__ == "__main__":
    asyncio.run(main())
