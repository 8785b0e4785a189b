"""What a governed model-and-tool turn costs, beside Pydantic AI bare and LangGraph's agent with its SQLite saver.

One scripted endpoint on loopback serves all three, in a process of its own; each turn is one call of the model and one
of a tool that lists a folder. Freehold's turn crosses a process border twice, is judged, journaled (four commits) and
paid, and its model is reached by a courier; LangGraph writes a checkpoint after each step; Pydantic AI keeps nothing.
The time is that of whole runs of ``TURNS`` turns, from a runner that was warm, divided by the turns; medians over
rounds, the three in turns within each. LangGraph comes from ``requirements/bench.lock``.

    python bench/agent.py [--json FILE] [--rounds N] [--peers PYTHON]
"""

import argparse
import asyncio
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[1] / "src"), str(Path(__file__).parents[1])]

import msgspec

from freehold.gateway import read_model
from freehold.kernel.rights import right
from freehold.runtime.house import Pack
from freehold.runtime.job import Job, Limits, Source
from freehold.testing.estates import OWNER, ThrowawayEstate, synthetic_job
from freehold.testing.processes import until
from freehold.wire.child import settle_memory

TURNS = 30
ASSISTANT = Pack("assistant", "freehold.packs.assistant.pack:pack", thinks=True)
Report = dict[str, Any]


class Process:
    """A program beside this one that answers a line for a line."""

    def __init__(self, python: str, script: str, *arguments: str) -> None:
        command = [python, str(Path(__file__).with_name(script)), *arguments]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.said: dict[str, Any] = json.loads(self.line())

    def ask(self, order: str) -> float:
        """Give it an order and return the seconds that it took."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{order}\n")
        self._process.stdin.flush()
        return float(self.line())

    def line(self) -> str:
        """Return the next line that it says."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("A peer did not run; install requirements/bench.lock for its interpreter.")
        return line

    def close(self) -> None:
        """End it."""
        self._process.communicate()


def job_of(turns: int) -> Job:
    """Return the assistant's job; caps and budget leave room for all turns."""
    caps = {
        "model_calls": turns + 2,
        "tool_calls": turns + 2,
        "repeats": turns,
        "idle_turns": turns,
        "depth": 0,
    }
    wide = Limits(money_micro=10**12, tokens=10**9, actions=10**6, cpu_us=10**12)
    params = {"model": "tiny", "caps": caps, "context_tokens": 200_000, "max_tokens": 1_000}
    may = (right("model.call", "*"), right("source.read", "papers"))
    job = synthetic_job(params, may=may, limits=wide, name="assistant")
    return msgspec.structs.replace(
        job, pack="assistant", goal="List the papers again and again.", sources={"papers": Source("papers")}
    )


async def freehold(estate: ThrowawayEstate, job: Job, papers: Path) -> float:
    """Return the seconds of one run."""
    await estate.pool.fill(1)
    started = time.perf_counter()
    document = await estate.run(job, {"papers": papers})
    taken = time.perf_counter() - started
    assert document.state == "done", document
    assert estate.result(document)["tool_calls"] == TURNS
    await until(lambda: estate.pool.in_use == 0)
    return taken


async def measure(folder: Path, python: str, rounds: int) -> Report:
    """Measure all three in turns."""
    papers = folder / "papers"
    papers.mkdir()
    (papers / "a.txt").write_text("yes")
    server = Process(sys.executable, "_agent_model.py", str(TURNS))
    url = str(server.said["url"])
    peers = Process(python, "_agent_peers.py", str(folder), url, str(papers))
    estate = ThrowawayEstate(folder / "estate", spare=0, packs={"assistant": ASSISTANT})
    estate.loads = "assistant"
    estate.place.folder.mkdir()
    await estate.open()
    settle_memory()
    model = read_model({
        "name": "tiny", "url": url, "id": "tiny", "zone": "device", "context": 200_000, "max_output": 4_096,
        "key_header": "Idempotency-Key",
    })  # fmt: skip
    await estate.rooms.ledger.commit(estate.models.add(model, by=OWNER))
    job = job_of(TURNS)
    await estate.employ(job)
    found: dict[str, list[float]] = {"freehold": [], "pydantic_ai": [], "langgraph": []}
    for number in range(rounds + 1):  # the first warms all of them
        taken = {
            "freehold": await freehold(estate, job, papers),
            "pydantic_ai": peers.ask(f"pydantic_ai {TURNS}"),
            "langgraph": peers.ask(f"langgraph {TURNS}"),
        }
        for name, seconds in taken.items() if number else ():
            found[name].append(seconds / TURNS * 1_000)
    await estate.close()
    report: Report = {f"{name}_turn_ms": round(statistics.median(times), 2) for name, times in found.items()}
    report["ratio_to_langgraph"] = round(
        statistics.median(
            ours / theirs for ours, theirs in zip(found["freehold"], found["langgraph"], strict=True)
        ),
        2,
    )
    report["overhead_ms"] = round(report["freehold_turn_ms"] - report["pydantic_ai_turn_ms"], 2)
    report |= {"turns": TURNS, "rounds": rounds}
    report |= {name.replace("-", "_"): version for name, version in peers.said.items()}
    peers.close()
    server.close()
    return report


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peers", default=sys.executable, help="the interpreter that has the peers")
    options = parser.parse_args()
    report: Report = {"python": platform.python_version(), "cores": os.cpu_count()}
    with tempfile.TemporaryDirectory() as name:
        report |= asyncio.run(measure(Path(name), options.peers, options.rounds))
    for key, value in report.items():
        print(f"{key:24} {value}")
    if options.json:
        options.json.write_text(json.dumps(report))


if __name__ == "__main__":
    main()
