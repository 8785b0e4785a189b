"""How fast a command starts, how fast a runner is at hand, and what an idle daemon uses.

    python bench/start.py [--json FILE] [--rounds N] [--idle-minutes M]

Each round starts `python -c pass`, `freehold --help` and `freehold status` (against a running daemon) in turn,
as whole processes, so that what else the machine does falls on all three alike. Keys: `python_ms`, `help_ms`,
`status_ms` (medians), the same with `_min_ms`, `runner_ready_ms` (median over takes from a filled pool) and
`runner_ready_max_ms`; with `--idle-minutes` also `idle_rss_mb`, `idle_slope_kb_per_min`,
`idle_cpu_percent`, `idle_commits`.
"""

import argparse
import asyncio
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

FREEHOLD = [sys.executable, "-m", "freehold.cli.main"]
COMMANDS = {
    "python": [sys.executable, "-c", "pass"],
    "help": [*FREEHOLD, "--help"],
    "status": [*FREEHOLD, "status"],
}
TAKES = 30


def timed_ms(command: list[str], environment: dict[str, str]) -> float:
    """The wall-clock time of a whole process."""
    begun = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL, env=environment)
    return (time.perf_counter() - begun) * 1_000


def starts(rounds: int, environment: dict[str, str]) -> dict[str, Any]:
    """Start the three commands in turn."""
    taken: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for number in range(rounds + 2):
        for name, command in COMMANDS.items():
            took = timed_ms(command, environment)
            if number >= 2:  # the first two warm the disk's cache
                taken[name].append(took)
    medians = {f"{name}_ms": round(statistics.median(values), 2) for name, values in taken.items()}
    return medians | {f"{name}_min_ms": round(min(values), 2) for name, values in taken.items()}


async def runner_ready() -> dict[str, Any]:
    """Take runners from a filled pool, one after the other, letting it fill again in between."""
    from freehold.runtime.pool import RunnerPool

    pool = RunnerPool(spare=4)
    taken = []
    try:
        for _ in range(TAKES):
            await pool.fill()
            begun = time.perf_counter()
            handle = await pool.take()
            taken.append((time.perf_counter() - begun) * 1_000)
            await pool.kill(handle)
    finally:
        await pool.stop()
    return {
        "runner_ready_ms": round(statistics.median(taken), 3),
        "runner_ready_max_ms": round(max(taken), 3),
    }


def process_figures(pid: int) -> tuple[float, float, int]:
    """Resident MB, CPU seconds, and writes of a process and its children so far."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = sum(map(int, fields[11:15]))
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6, ticks / os.sysconf("SC_CLK_TCK"), _store_size(pid)


def _store_size(pid: int) -> int:
    text = Path(f"/proc/{pid}/io").read_text()
    return int(dict(line.split(": ") for line in text.splitlines())["write_bytes"])


def idle(minutes: float, environment: dict[str, str]) -> dict[str, Any]:
    """Let the daemon be, and look at it twice a minute; its runners unload in the first of them."""
    said = subprocess.run(
        [*FREEHOLD, "status", "--json"], check=True, capture_output=True, text=True, env=environment
    ).stdout
    before = json.loads(said)
    pid = int(before["pid"])
    time.sleep(min(70.0, minutes * 30))
    begun, (_, cpu_s, written) = time.monotonic(), process_figures(pid)
    points = []
    while time.monotonic() - begun < minutes * 60:
        time.sleep(min(30.0, minutes * 15))
        points.append(((time.monotonic() - begun) / 60, process_figures(pid)[0] * 1_000))
    span_s = time.monotonic() - begun
    rss_mb, cpu_end_s, written_end = process_figures(pid)
    slope = statistics.linear_regression([p[0] for p in points], [p[1] for p in points]).slope
    said = subprocess.run(
        [*FREEHOLD, "status", "--json"], check=True, capture_output=True, text=True, env=environment
    ).stdout
    return {
        "idle_minutes": round(span_s / 60, 2),
        "idle_rss_mb": round(rss_mb, 1),
        "idle_slope_kb_per_min": round(slope, 2),
        "idle_cpu_percent": round(100 * (cpu_end_s - cpu_s) / span_s, 3),
        "idle_commits": json.loads(said)["journal"] - before["journal"],
        "idle_written_bytes": written_end - written,
    }


def main() -> None:
    """Make a throw-away estate, measure, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--idle-minutes", type=float, default=0.0)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="freehold-start-"))
    environment = {**os.environ, "FREEHOLD_ESTATE": str(folder / "estate")}
    words = ["--human", "anna", "--email", "anna@example.com", "--presence", "none"]
    try:
        quiet: dict[str, Any] = {"check": True, "stdout": subprocess.DEVNULL, "env": environment}
        subprocess.run([*FREEHOLD, "init", str(folder / "estate"), *words], **quiet)
        subprocess.run([*FREEHOLD, "up"], **quiet)
        figures = starts(options.rounds, environment) | asyncio.run(runner_ready())
        if options.idle_minutes:
            figures |= idle(options.idle_minutes, environment)
        subprocess.run([*FREEHOLD, "down"], **quiet)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    figures["help_over_python_ms"] = round(figures["help_ms"] - figures["python_ms"], 2)
    figures["status_over_python_ms"] = round(figures["status_ms"] - figures["python_ms"], 2)
    for name, value in figures.items():
        print(f"{name:<24} {value:>10}")
    if options.json:
        options.json.write_text(json.dumps(figures) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
