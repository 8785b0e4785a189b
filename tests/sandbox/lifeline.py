"""``python -m tests.sandbox.lifeline LEVEL FOLDER``: a daemon whose runner leaves a child behind.

Prints the fork server's process and the file into which the child writes for as long as it lives.
"""

import asyncio
import sys
from pathlib import Path

from freehold.runtime.pool import RunnerPool
from freehold.sandbox import Profile, parse_level
from tests.sandbox.siege import ROOT, Guest


async def main() -> None:
    level, folder = parse_level(sys.argv[1]), Path(sys.argv[2])
    pool = RunnerPool(Profile(level, (str(ROOT),), str(folder / "rooms")), spare=0, log=folder / "log")
    guest = Guest(pool)
    await guest.open(folder)
    await guest.run("outlive")
    print(pool.server_pid, guest.room / "beats", flush=True)
    await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    asyncio.run(main())
