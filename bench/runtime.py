"""Steps a second of whole runs, beside LangGraph with its fastest SQLite saver, in the same run and in turns.

One run of 100 steps in sequence, and 200 runs of 10 steps at 32 at once; every step returns a small JSON
value. A step of Freehold crosses a process border twice, is judged, and is journaled twice; the time is that of
whole runs: start, plan, steps, end. Runners of a filled pool have loaded the pack while they waited, as those of a
pack that ships with Freehold do; ``cold`` has fork server, runners and pack inside of the time. Then: what it takes
to take up a run of 10,000 finished steps, and the memory of a wide fan-out. LangGraph comes from
``requirements/bench.lock``.

    python bench/runtime.py [--json FILE] [--rounds N] [--langgraph PYTHON]
"""

import argparse
import asyncio
import json
import os
import platform
import re
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[1] / "src"), str(Path(__file__).parents[1])]

from freehold.runtime.job import Job
from freehold.runtime.run import LiveRun
from freehold.store.interface import EntryKind
from freehold.testing.estates import ThrowawayEstate, synthetic_job
from freehold.testing.processes import until
from freehold.wire.child import settle_memory

RUNS, STEPS, AT_ONCE, LONG = 200, 10, 32, 100
POOL = 200
FINISHED = 10_000
WIDE, BOUND = 20_000, 8

Report = dict[str, Any]


class Peer:
    """LangGraph in a process of its own, so that neither slows the other's memory or locks."""

    def __init__(self, python: str, folder: Path) -> None:
        script = Path(__file__).with_name("_langgraph.py")
        self._process = subprocess.Popen(
            [python, str(script), str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.versions: dict[str, str] = json.loads(self._line())

    def seconds(self, runs: int, steps: int, at_once: int) -> float:
        """Let it run and return how long it took."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"chain {runs} {steps} {at_once}\n")
        self._process.stdin.flush()
        return float(self._line())

    def close(self) -> None:
        """End it."""
        self._process.communicate()

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("LangGraph did not run; install requirements/bench.lock for its interpreter.")
        return line


async def freehold(estate: ThrowawayEstate, job: Job, runs: int, pool: int) -> float:
    """Return the seconds of ``runs`` whole runs; ``pool`` runners are warm, 0: not even the fork server."""
    if pool:
        await estate.pool.fill(pool)
    else:
        estate.pool.unload()
    entries = estate.rooms.store.size()
    started = time.perf_counter()
    names = await asyncio.gather(*(estate.engine.start(job, {}) for _ in range(runs)))
    ended = await asyncio.gather(*(estate.engine.wait(name) for name in names))
    taken = time.perf_counter() - started
    assert all(document.state == "done" for document in ended), ended[0]
    kinds = [e.draft.kind for e in estate.rooms.store.entries(entries, estate.rooms.store.size())]
    steps = runs * (int(job.params["steps"]) + 1)
    assert kinds.count(EntryKind.INTENT) == kinds.count(EntryKind.RESULT) == steps
    await until(lambda: estate.pool.in_use == 0)
    return taken


async def steps_per_s(folder: Path, python: str, rounds: int) -> Report:
    """Measure both in turns and return medians, with the median of the rounds' ratios."""
    peer = Peer(python, folder)
    estate = ThrowawayEstate(folder / "estate", spare=0)
    estate.loads = "synthetic"
    estate.place.folder.mkdir()
    await estate.open()
    settle_memory()  # as the daemon does
    long = synthetic_job({"shape": "chain", "steps": LONG})
    short = synthetic_job({"shape": "chain", "steps": STEPS}, name="short")
    for job in (long, short):
        await estate.employ(job)
    await warm(estate, peer)
    rates: dict[str, list[float]] = {}
    for _ in range(rounds):
        for kind, job, runs, at_once in (("seq", long, 1, 1), ("par", short, RUNS, AT_ONCE)):
            steps = runs * int(job.params["steps"])
            pool = 1 if runs == 1 else POOL
            found = {
                f"sqlite_freehold_{kind}": await freehold(estate, job, runs, pool),
                f"sqlite_langgraph_{kind}": peer.seconds(runs, steps // runs, at_once),
                f"sqlite_freehold_{kind}_cold": await freehold(estate, job, runs, 0),
            }
            for name, seconds in found.items():
                rates.setdefault(name, []).append(steps / seconds)
    report: Report = {name: round(statistics.median(found), 1) for name, found in rates.items()}
    for kind in ("seq", "par"):
        pairs = zip(rates[f"sqlite_freehold_{kind}"], rates[f"sqlite_langgraph_{kind}"], strict=True)
        report[f"sqlite_ratio_{kind}"] = round(statistics.median(ours / theirs for ours, theirs in pairs), 2)
    report |= {"pool_seq": 1, "pool_par": POOL, "rounds": rounds}
    report |= {name.replace("-", "_"): number for name, number in peer.versions.items()}
    peer.close()
    await estate.close()
    return report


async def warm(estate: ThrowawayEstate, peer: Peer) -> None:
    """Let both write until their logs have their size and everything was run once."""
    await estate.run(synthetic_job({"shape": "fan", "items": 1_000}))
    await estate.run(synthetic_job({"shape": "chain", "steps": LONG}))
    peer.seconds(1, LONG, 1)
    peer.seconds(AT_ONCE, STEPS, AT_ONCE)


# ---- resuming, and memory: each in a process of its own --------------------------------------------------


def resume_plan() -> Job:
    """Return a job with 10,000 small steps and one after them that does not end."""
    plan: list[Any] = [
        {"step": "numbers", "params": {"count": FINISHED}},
        {"step": "square", "each": "numbers", "concurrency": 64},
        {"step": "add_up", "id": "sum", "needs": ["square"]},
        {"step": "stall", "needs": ["sum"]},
    ]
    return synthetic_job({"plan": plan})


async def before(folder: Path) -> Report:
    """Run until all but the last step are finished, then stop."""
    estate = ThrowawayEstate(folder)
    await estate.open()
    job = resume_plan()
    await estate.employ(job)
    run = await estate.engine.start(job, {})
    await until(lambda: _stalls(estate, run), 600)
    await estate.close()
    return {}


async def after(folder: Path) -> Report:
    """Take the run up again and return what it took until its next step was under way."""
    estate = ThrowawayEstate(folder)
    opening = time.perf_counter()
    await estate.open(load=False)
    await estate.pool.fill()
    opened = time.perf_counter() - opening
    at_rest = memory_mb("VmRSS")
    started = time.perf_counter()
    estate.engine.load()
    (run,) = (document.id for document in estate.engine.documents())
    await until(lambda: estate.engine.live(run) is not None and _graph_done(estate, run))
    known = time.perf_counter() - started
    await until(lambda: _stalls(estate, run), 60)
    going = time.perf_counter() - started
    report = {
        "resume_10000_s": round(going, 3),
        "resume_10000_known_s": round(known, 3),
        "resume_10000_open_s": round(opened, 3),
        "resume_10000_mb": round(memory_mb("VmHWM") - at_rest, 1),
    }
    await estate.engine.cancel(run, "anna")
    await estate.close()
    return report


def _graph_done(estate: ThrowawayEstate, run: str) -> bool:
    live = estate.engine.live(run)
    return live is not None and live.graph is not None and live.graph.nodes["sum"].settled


def _stalls(estate: ThrowawayEstate, run: str) -> bool:
    live = estate.engine.live(run)
    return isinstance(live, LiveRun) and any(
        c.node == "stall" for s in live.runners.sessions for c in s.calls.values()
    )


async def wide(folder: Path) -> Report:
    """Run a fan-out that is much wider than its bound and return what memory it took in the daemon."""
    estate = ThrowawayEstate(folder)
    await estate.open()
    job = synthetic_job({"plan": _wide_plan(200)})
    await estate.employ(job)
    await estate.run(job)
    at_rest = memory_mb("VmRSS")
    estate.events.clear()
    taken = time.perf_counter()
    await estate.run(synthetic_job({"plan": _wide_plan(WIDE)}))
    report = {
        "fan_out_items": WIDE,
        "fan_out_bound": BOUND,
        "fan_out_per_s": round(WIDE / (time.perf_counter() - taken), 1),
        "fan_out_mb": round(memory_mb("VmHWM") - at_rest, 1),
    }
    await estate.close()
    return report


def _wide_plan(count: int) -> list[Any]:
    return [
        {"step": "numbers", "params": {"count": count}},
        {"step": "square", "each": "numbers", "concurrency": BOUND},
    ]


def memory_mb(what: str) -> float:
    """Return a figure of this process's memory, such as VmRSS or VmHWM (its peak)."""
    found = re.search(rf"^{what}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) / 1024


PARTS: dict[str, Callable[[Path], Any]] = {"before": before, "after": after, "wide": wide}


def part(name: str, folder: Path) -> Report:
    """Run one part in a fresh process and return its figures."""
    command = [sys.executable, __file__, "--part", name, "--folder", str(folder)]
    found: Report = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--langgraph", default=sys.executable, help="the interpreter that has LangGraph")
    parser.add_argument("--only", choices=("steps", "resume", "wide"))
    parser.add_argument("--part", choices=sorted(PARTS), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        print(json.dumps(asyncio.run(PARTS[options.part](options.folder))))
        return
    report: Report = {
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "cores": os.cpu_count(),
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.only in (None, "steps"):
            report |= asyncio.run(steps_per_s(folder, options.langgraph, options.rounds))
        if options.only in (None, "resume"):
            (folder / "resume").mkdir()
            part("before", folder / "resume")
            report |= part("after", folder / "resume")
        if options.only in (None, "wide"):
            (folder / "wide").mkdir()
            report |= part("wide", folder / "wide")
    for key, value in report.items():
        print(f"{key:28} {value}")
    if options.json:
        options.json.write_text(json.dumps(report))


if __name__ == "__main__":
    main()
