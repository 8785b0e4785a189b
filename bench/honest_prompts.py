"""A hundred prompts of our own over AgentDojo's four environments, and what a good assistant does: with how many cards?

They were written by one who saw the environments and the tools, and neither the rules of the gate nor AgentDojo's own
tasks. The rules were adjusted on them: this is a set to develop on, and its figure promises nothing. What is refused is
left out, and the task counts as asked.

    python bench/honest_prompts.py [--tasks FILE] [--json FILE] [--why]
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).resolve().parent
if sys.path and sys.path[0] == str(HERE):  # else bench/agentdojo.py is what "import agentdojo" finds
    sys.path[:1] = [str(HERE.parent / "src"), str(HERE.parent)]

import msgspec

from bench._dojo import SUITES, Call, Ledger, World, today
from bench._governed import owner_file
from bench._houses import Houses
from bench._kinds import kind, part
from freehold.wire.child import settle_memory


class Step(msgspec.Struct, frozen=True):
    """One call of a good assistant."""

    function: str
    args: dict[str, Any]


class Task(msgspec.Struct, frozen=True):
    """What the owner says, and the calls that follow from it in one session."""

    id: str
    suite: str
    prompt: str
    sessions: list[list[Step]]


async def refused(task: Task, world: World, houses: Houses) -> list[tuple[str, str]]:
    """Do a task; return tool and kind of reason of each call that was refused."""
    environment = world.environment({})
    found = []
    async with houses.fresh(today(environment)) as house:
        book = Ledger(world, await house.session(task.prompt), environment)
        for step in (step for session in task.sessions for step in session):
            reasons = await book.make(Call(step.function, step.args))
            if reasons is not None:
                found.append((step.function, kind(reasons)))
    return found


async def every(tasks: list[Task]) -> dict[str, list[list[tuple[str, str]]]]:
    """Do every task, each in an estate of its own; return what was refused, by suite."""
    found: dict[str, list[list[tuple[str, str]]]] = {}
    with tempfile.TemporaryDirectory(prefix="freehold-prompts-") as scratch:
        for suite in SUITES:
            world = World.named(suite)
            houses = Houses(owner_file(HERE / "owners" / f"{suite}.yaml"), Path(scratch))
            mine = [task for task in tasks if task.suite == suite]
            found[suite] = [await refused(task, world, houses) for task in mine]
    return found


def main() -> None:
    """Do the tasks and print."""
    started = time.perf_counter()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tasks", type=Path, default=HERE / "honest" / "prompts.json")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--why", action="store_true", help="count by tool and reason what was refused")
    options = parser.parse_args()
    try:
        tasks = msgspec.json.decode(options.tasks.read_bytes(), type=list[Task])
    except (OSError, msgspec.DecodeError) as error:
        parser.error(f"{options.tasks} is no list of tasks: {error}")
    settle_memory()
    found = asyncio.run(every(tasks))
    report = {f"{suite}_no_card": part(not why for why in done) for suite, done in found.items()}
    report["prompts"] = sum(map(len, found.values()))
    report["prompts_no_card"] = part(not why for done in found.values() for why in done)
    report["seconds"] = time.perf_counter() - started
    for suite, done in found.items():
        print(f"{suite:12}{sum(not why for why in done):4} of {len(done)} with no card")
    if options.why:
        reasons = Counter(why for done in found.values() for task in done for why in task)
        for (tool, reason), count in reasons.most_common():
            print(f"{count:4}  {tool}: {reason}")
    print(f"no card {report['prompts_no_card']:.1%} of {report['prompts']}, {report['seconds']:.0f} s")
    if options.json:
        options.json.write_text(json.dumps({key: round(value, 4) for key, value in report.items()}))


if __name__ == "__main__":
    main()
