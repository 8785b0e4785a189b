"""What a runner's walls cost: to start, cold and from the pool, in a steady stream, and for the work inside.

    python bench/sandbox.py [--json FILE] [--rounds N] [--spare N] [--rate R] [--seconds S] [--no-reading]

A start is measured from asking the pool to the runner's first word. `spawn_*` is a plain process (`true`),
`bwrap_*` the same through bubblewrap with our walls, `interpreter_*` a runner's interpreter without any. `cold_*`
is a runner where none waits, `pool_*` one that waits, both behind namespaces; with `_landlock` and `_none` behind
those. `sustained_*` takes `rate` a second for `seconds` from a pool of `spare` that refills itself, each held for
50 ms; so far more than wait at once. `ocr_*` reads the demo's receipts in turn inside and outside, best of rounds.
"""

import argparse
import asyncio
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from freehold.runtime.pool import RunnerHandle, RunnerPool
from freehold.sandbox import Level, Limits, Profile, bubblewrap, environment_inside, seccomp
from freehold.sandbox.library import readable
from freehold.sandbox.probe import probe
from freehold.wire import messages as m

HELD_S: Final = 0.05
HERE: Final = str(Path(__file__).resolve().parent)


class Guest:
    """A runner that was taken, and what it says."""

    def __init__(self, handle: RunnerHandle) -> None:
        self.handle = handle
        self._said: asyncio.Queue[Any] = asyncio.Queue()
        handle.attach(lambda batch, size: self._take(batch), lambda error: self._said.put_nowait(error))

    def _take(self, batch: list[Any]) -> None:
        for message in batch:
            self._said.put_nowait(message)

    async def next(self, kind: Any) -> Any:
        while True:
            said = await asyncio.wait_for(self._said.get(), 120)
            if isinstance(said, kind):
                return said
            if said is None or isinstance(said, BaseException | m.Failed):
                raise RuntimeError(f"the runner did not do it: {said}")


def profile(level: Level, folder: Path) -> Profile:
    rooms = "" if level is Level.NONE else str(folder / f"rooms-{level.word}-{time.monotonic_ns()}")
    return Profile(level, (HERE,), rooms)


def timed_ms(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return (time.perf_counter() - begun) * 1_000


def programs(rounds: int) -> dict[str, float]:
    """Start `true` as it is and behind our walls, and a runner's interpreter without any."""
    plain, walled, bare = [], [], []
    inside = Path(__file__).resolve().parents[1] / "src" / "freehold" / "runner" / "inside.py"
    mounts = readable([HERE], [])
    for _ in range(rounds):
        plain.append(timed_ms(lambda: subprocess.run(["true"], check=True)))
        walled.append(timed_ms(lambda: _walled(mounts)))
        bare.append(timed_ms(lambda: _first_word(inside)))
    return {
        "spawn_p50_ms": statistics.median(plain), "bwrap_p50_ms": statistics.median(walled),
        "interpreter_p50_ms": statistics.median(bare),
    }  # fmt: skip


def _walled(mounts: list[str]) -> None:
    """`true` behind bubblewrap, as the current user: what the walls alone cost."""
    (told, tells), (filter_, writes) = os.pipe(), os.pipe()
    os.write(writes, seccomp.program(landlock=False))
    os.close(writes)
    words = bubblewrap.command(
        bubblewrap.find() or "bwrap", mounts, "", Limits(), {}, (tells, filter_), ["/usr/bin/true"]
    )
    try:
        subprocess.run(words, check=True, pass_fds=(tells, filter_))
    finally:
        for descriptor in (told, tells, filter_):
            os.close(descriptor)


def _first_word(inside: Path) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        process = subprocess.Popen(
            [sys.executable, "-S", "-s", "-P", str(inside), str(theirs.fileno())],
            pass_fds=[theirs.fileno()], env=environment_inside(os.environ),
        )  # fmt: skip
        ours.recv(1)
        process.kill()
        process.wait()


async def starts(level: Level, folder: Path, rounds: int) -> dict[str, float]:
    """Take runners where none waits, then from a filled pool, one after the other."""
    end = "" if level is Level.NAMESPACES else f"_{level.word}"
    found = {}
    for name, spare in (("cold", 0), ("pool", 4)):
        pool = RunnerPool(profile(level, folder), spare=spare, log=folder / "log")
        taken = []
        try:
            await pool.kill(await pool.take())  # the fork server is there from now on
            for _ in range(rounds):
                if spare:
                    await pool.fill()
                begun = time.perf_counter()
                guest = Guest(await pool.take())
                await guest.next(m.Hello)
                taken.append((time.perf_counter() - begun) * 1_000)
                await pool.kill(guest.handle)
        finally:
            await pool.stop()
        found[f"{name}{end}_p50_ms"] = statistics.median(taken)
    return found


async def sustained(folder: Path, spare: int, rate: float, seconds: float) -> dict[str, float]:
    """Take runners at a steady rate, more than wait, from a pool that refills itself meanwhile."""
    pool = RunnerPool(profile(Level.NAMESPACES, folder), spare=spare, log=folder / "log")
    taken: list[float] = []

    async def one() -> None:
        begun = time.perf_counter()
        guest = Guest(await pool.take())
        await guest.next(m.Hello)
        taken.append((time.perf_counter() - begun) * 1_000)
        await asyncio.sleep(HELD_S)
        await pool.kill(guest.handle)

    try:
        await pool.fill()
        tasks, begun = [], time.perf_counter()
        for number in range(round(rate * seconds)):
            await asyncio.sleep(max(0.0, begun + number / rate - time.perf_counter()))
            tasks.append(asyncio.create_task(one()))
        await asyncio.gather(*tasks)
    finally:
        await pool.stop()
    ranks = statistics.quantiles(taken, n=100, method="inclusive")
    return {
        "sustained_spare": spare, "sustained_rate_per_s": rate, "sustained_takes": len(taken),
        "sustained_p50_ms": ranks[49], "sustained_p99_ms": ranks[98], "sustained_max_ms": max(taken),
    }  # fmt: skip


async def reading(folder: Path, rounds: int) -> dict[str, float]:
    """Read receipts in runners without walls and behind namespaces, in turn, each round in processes of its own.

    The best round of each counts: where a process's memory lies, and who else computes, is worth more than the walls.
    """
    taken: dict[Level, list[dict[str, int]]] = {Level.NONE: [], Level.NAMESPACES: []}
    for number in range(rounds):
        for level, rows in taken.items():
            pool = RunnerPool(profile(level, folder), spare=0, log=folder / "log")
            try:
                rows += await _read(await pool.take(), folder / f"work-{number}")
            finally:
                await pool.stop()
    best = {
        (level, what): min(row[f"{what}_us"] for row in rows) / 1e6
        for level, rows in taken.items()
        for what in ("wall", "cpu")
    }
    return {
        "ocr_outside_s": best[Level.NONE, "wall"], "ocr_inside_s": best[Level.NAMESPACES, "wall"],
        "ocr_outside_cpu_s": best[Level.NONE, "cpu"], "ocr_inside_cpu_s": best[Level.NAMESPACES, "cpu"],
        "ocr_cost_percent": 100 * (best[Level.NAMESPACES, "cpu"] / best[Level.NONE, "cpu"] - 1),
    }  # fmt: skip


async def _read(handle: RunnerHandle, place: Path) -> list[dict[str, int]]:
    place.mkdir(exist_ok=True)
    guest = Guest(handle)
    guest.handle.send(m.Load("reading", "_reading:pack", [HERE], str(place) if handle.sees_room else "", {}))
    loaded = await guest.next(m.Loaded)
    if loaded.error:
        raise RuntimeError(loaded.error)
    guest.handle.send(m.Start(1, "read", msgspec.Raw(b"null"), {}, 1, {"rounds": 2}))
    finished = await guest.next(m.Finished)
    rows: list[dict[str, int]] = msgspec.json.decode(finished.value)
    return rows


def main() -> None:
    """Measure what was asked for, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--spare", type=int, default=8)
    parser.add_argument("--rate", type=float, default=4.0)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--no-reading", action="store_true")
    options = parser.parse_args()
    reach = probe()
    if reach.level is not Level.NAMESPACES:
        sys.exit(f"This machine does not reach namespaces: {dict(reach.missing)[Level.NAMESPACES]}.")
    folder = Path(tempfile.mkdtemp(prefix="freehold-sandbox-"))
    try:
        figures = programs(options.rounds)
        for level in (Level.NAMESPACES, Level.LANDLOCK, Level.NONE):
            figures |= asyncio.run(starts(level, folder, options.rounds))
        figures |= asyncio.run(sustained(folder, options.spare, options.rate, options.seconds))
        if not options.no_reading:
            figures |= asyncio.run(reading(folder, 4))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    figures = {name: round(value, 3) for name, value in figures.items()}
    for name, value in figures.items():
        print(f"{name:<26} {value:>10}")
    if options.json:
        options.json.write_text(json.dumps(figures) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
