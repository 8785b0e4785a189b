"""A pack that reads receipts over and over, for the benchmark of the sandbox: what reading costs inside and outside."""

import time

from freehold.packs.expense_audit.images import read_source
from freehold.packs.expense_audit.ocr import Ocr
from freehold.packs.expense_audit.read import read_receipt_file
from freehold.packs.expense_audit.samples import make_samples
from freehold.sdk import BlockingContext, Job, Pack, Plan

pack = Pack("reading", version="1.0")


@pack.step
def read(ctx: BlockingContext, rounds: int) -> list[dict[str, int]]:
    """Read the same four receipts ``rounds`` times, after one to warm up; return wall-clock and CPU of each round."""
    folder = ctx.workspace / "samples"
    folder.mkdir(exist_ok=True)
    make_samples(folder)
    paths = [path for path in sorted(folder.iterdir()) if path.suffix == ".jpg"][:4]
    ocr, taken = Ocr(), []
    read_receipt_file(read_source(paths[0]), ocr)
    for _ in range(rounds):
        begun, burnt = time.perf_counter_ns(), time.process_time_ns()
        for path in paths:
            read_receipt_file(read_source(path), ocr)
        wall, cpu = time.perf_counter_ns() - begun, time.process_time_ns() - burnt
        taken.append({"wall_us": wall // 1_000, "cpu_us": cpu // 1_000})
    return taken


@pack.planner
def plan(job: Job) -> Plan:
    """Nobody runs it as a job; the benchmark asks for its step."""
    made = Plan()
    made.add(read, params={"rounds": 1})
    return made
