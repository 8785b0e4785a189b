"""Opens an estate, runs the small plan once, and ends; for ``test_trace.py``, which watches its system calls."""

import asyncio
import sys
from pathlib import Path

from freehold.testing.estates import ThrowawayEstate
from tests.crash.plans import Doors, small


async def main(folder: Path, doors: Doors) -> None:
    """Run it in ``folder``."""
    estate = ThrowawayEstate(folder, spare=0)
    await estate.open()
    change = estate.rooms.settings.change({"own_domains": ["example.org"]}, by="anna")
    await estate.rooms.ledger.commit(change)
    job = small(doors, "The report, traced.")
    await estate.employ(job)
    document = await estate.run(job)
    await estate.close()
    print(document.state)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Doors(int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))))
