"""Looks at other processes from outside, for tests: what lives, what it holds, whose child it is (Linux)."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

GUARD_S: Final = 60.0
_LOOK_EVERY_S: Final = 0.005
_OPEN: Final = ("01", "08")
"""Established, and closed by the other side alone (the kernel's tcp_states.h)."""


async def until(holds: Callable[[], bool], limit_s: float = GUARD_S) -> None:
    """Wait until something that another process does has come about; raises TimeoutError.

    The limit only keeps a mistake from waiting for ever: a process that starts on a busy machine takes its time.
    """
    loop = asyncio.get_running_loop()
    seen = loop.create_future()

    def look() -> None:
        if seen.done():
            return
        if holds():
            seen.set_result(None)
        else:
            loop.call_later(_LOOK_EVERY_S, look)

    look()
    async with asyncio.timeout(limit_s):
        await seen


def alive(pid: int) -> bool:
    """Whether process ``pid`` runs; one that waits to be reaped does not."""
    fields = _stat(pid)
    return fields is not None and fields[1] != "Z"


def children(parent: int) -> dict[int, str]:
    """Return the processes whose parent is ``parent``, with their names."""
    found = {}
    for folder in Path("/proc").iterdir():
        fields = _stat(int(folder.name)) if folder.name.isdigit() else None
        if fields is not None and fields[2] == str(parent):
            found[int(folder.name)] = fields[0]
    return found


def below(parent: int) -> dict[int, str]:
    """Return the children of ``parent``, theirs, and so on, with their names."""
    found = children(parent)
    for child in list(found):
        found |= below(child)
    return found


def descriptors(pid: int) -> dict[int, str]:
    """Return what process ``pid`` holds open."""
    folder = Path(f"/proc/{pid}/fd")
    return {int(name): os.readlink(folder / name) for name in os.listdir(folder)}


def connections(port: int) -> int:
    """Return how many connections the server on ``port`` of the loopback (IPv4) has not closed yet."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(int(row[1].rpartition(":")[2], 16) == port and row[3] in _OPEN for row in rows)


def _stat(pid: int) -> list[str] | None:
    """Return name, state and parent of a process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    head, _, tail = text.rpartition(")")
    return [head.partition("(")[2], *tail.split()[:2]]
