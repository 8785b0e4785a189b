"""Estates for replays: each is new to what is replayed in it, and a copy of one that was made once and never used."""

import datetime as dt
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bench._governed import Governed, OwnerFile


class Houses:
    """Estates with the tools of one owner's file, in ``scratch``, a folder that is the caller's to remove."""

    def __init__(self, tools: OwnerFile, scratch: Path) -> None:
        self.tools = tools
        self._scratch = Path(tempfile.mkdtemp(dir=scratch))

    @asynccontextmanager
    async def fresh(self, day: dt.date | None) -> AsyncIterator[Governed]:
        """An open estate in which nothing has happened; ``day`` is the one that its owner speaks on."""
        unused = self._scratch / "unused"
        if not unused.exists():
            await (await Governed(unused, self.tools).open()).close()
        with tempfile.TemporaryDirectory(dir=self._scratch, ignore_cleanup_errors=True) as folder:
            place = shutil.copytree(unused, Path(folder) / "estate")
            house = await Governed(place, self.tools, today=day).open()
            try:
                yield house
            finally:
                await house.close()
