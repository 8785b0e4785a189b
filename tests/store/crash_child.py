"""Commits from many callers and says of each entry that it is durable, until it is killed.

Run by ``test_crash.py``: ``python crash_child.py ADDRESS``. One line for each acknowledged entry: index,
caller, number; the line is written with one system call, so what was said is said.
"""

import asyncio
import os
import sys

from freehold.store import Batch, Put, Store
from tests.store.helpers import intent, opened

CALLERS = 24


async def call(store: Store, caller: int) -> None:
    """Commit one entry after another, each with the document that counts them."""
    for number in range(1_000_000):
        batch = Batch(
            [intent(number, node=f"caller{caller}")], [Put("count", f"caller{caller}", b"%d" % number)]
        )
        index = await store.commit(batch if number % 2 else Batch(batch.entries))
        os.write(1, f"{index} {caller} {number}\n".encode())


async def main() -> None:
    """Open, say so, commit until the end."""
    async with opened(sys.argv[1]) as store:
        os.write(1, b"open\n")
        await asyncio.gather(*(call(store, caller) for caller in range(CALLERS)))


if __name__ == "__main__":
    asyncio.run(main())
