"""A run whose job mounts a source, as root or an ordinary user: ``python -m tests.sandbox.mounting LEVEL USER``.

Prints as JSON what its steps said. It becomes the user of that number first (0 is nobody else).
"""

import asyncio
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import msgspec

from freehold.kernel.rights import right
from freehold.runtime.house import Pack
from freehold.runtime.job import Source
from freehold.sandbox import kernel as walls
from freehold.sandbox import parse_level
from freehold.sandbox.library import readable
from freehold.sandbox.users import become
from freehold.testing.estates import ThrowawayEstate, synthetic_job

ROOT = Path(__file__).parents[2]
PACKS = {"mounts": Pack("mounts", "tests.sandbox.mounts_pack:pack", (str(ROOT),))}


def furnish(folder: Path) -> Path:
    """Make a source with a link of its owner's to documents elsewhere, and a file that nobody named."""
    source, documents, victims = folder / "in", folder / "documents", folder / "victims"
    for place in (source, documents, victims):
        place.mkdir(mode=0o755)
    (source / "a.txt").write_text("a")
    (documents / "r.txt").write_text("r")
    (source / "receipts").symlink_to(documents)
    (victims / "file").write_text("A file outside.")
    (victims / "file").chmod(0o666)
    return source


async def steps(level: str, folder: Path) -> dict[str, Any]:
    source = furnish(folder)
    place = folder / "estate"
    place.mkdir(mode=0o700)
    estate = ThrowawayEstate(place, packs=PACKS, spare=0)
    estate.level = parse_level(level)
    await estate.open()
    said = {}
    try:
        for step in ("see", "change", "lead_out"):
            params = {"steps": [step], "folder": str(source), "outside": str(folder / "victims" / "file")}
            job = synthetic_job(params, name="job", may=(right("source.read", "in"),))
            job = msgspec.structs.replace(job, pack="mounts", sources={"in": Source(str(source))})
            await estate.employ(job)
            document = await estate.run(job, {"in": source})
            said[step] = estate.result(document) if document.state == "done" else estate.events[-1][1]
    finally:
        await estate.close()
    return said


def main() -> None:
    level, user = sys.argv[1], int(sys.argv[2])
    with tempfile.TemporaryDirectory(prefix="mount-", dir="/tmp", ignore_cleanup_errors=True) as name:
        os.chmod(name, 0o755)
        if user:
            os.chown(name, user, user)
            walls.open_up([*readable([str(ROOT)], []), name])
            become(user)
        os.umask(0o022)
        print(json.dumps(asyncio.run(steps(level, Path(name)))))


if __name__ == "__main__":
    main()
