"""A pack of attempts to get out: each does one thing that no runner may, and returns True where it got through.

``facts`` names what the siege set up outside: files anybody may write, listeners, a victim process, a terminal.
An attempt runs in a process that the step forks for it; one that raises, hangs or is killed has gained nothing.
"""

import json
import os
import select
import signal
import subprocess
import time
from typing import Final

from freehold.sdk import BlockingContext, Job, Pack, Plan
from tests.sandbox.escapes.base import Attempts, Facts
from tests.sandbox.escapes.files import FILES
from tests.sandbox.escapes.limits import LIMITS
from tests.sandbox.escapes.processes import PROCESSES
from tests.sandbox.escapes.rights import RIGHTS
from tests.sandbox.escapes.sockets import SOCKETS
from tests.sandbox.escapes.system import SYSTEM
from tests.sandbox.escapes.work import WORK

__all__ = ["ATTEMPTS", "WORK", "pack"]

pack: Final = Pack("escapes", version="1.0")
ATTEMPTS: Final[Attempts] = {**WORK, **FILES, **PROCESSES, **SOCKETS, **SYSTEM, **RIGHTS, **LIMITS}
LIMIT_S: Final = 10


def run_one(name: str, facts: Facts, folder: str) -> str:
    """Return "" where the attempt gained nothing, "through" where it did; run in a process of its own."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        said = b"-"
        try:
            os.close(reader)
            os.mkdir(folder)
            os.chdir(folder)
            if ATTEMPTS[name](facts):
                said = b"!"
        except (OSError, MemoryError, ValueError, StopIteration, subprocess.SubprocessError):
            said = b"-"
        finally:
            os.write(writer, said)
            os._exit(0)
    os.close(writer)
    ended = bool(select.select([reader], [], [], LIMIT_S)[0])
    if not ended:
        os.kill(pid, signal.SIGKILL)
    said = os.read(reader, 1) if ended else b""
    os.close(reader)
    os.waitpid(pid, 0)
    return "through" if said == b"!" else ""


@pack.step
def besiege(ctx: BlockingContext, facts: str) -> list[str]:
    """Try everything; return what got through."""
    known = json.loads(facts)
    place = str(ctx.workspace)
    names = known.get("names") or list(ATTEMPTS)
    return [name for number, name in enumerate(names) if run_one(name, known, f"{place}/{number}")]


@pack.step
def outlive(ctx: BlockingContext) -> str:
    """Leave a process behind that left the group and writes into the workspace for as long as it lives."""
    path = os.path.join(str(ctx.workspace), "beats")
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
                signal.signal(number, signal.SIG_IGN)
            while True:
                with open(path, "a") as file:
                    file.write(f"{os.getpid()}\n")
                time.sleep(0.02)
        os._exit(0)
    while not os.path.exists(path):
        time.sleep(0.005)
    return path


@pack.planner
def plan(job: Job) -> Plan:
    """Run the siege."""
    made = Plan()
    made.add("besiege", params={"facts": job.settings["facts"]})
    return made
