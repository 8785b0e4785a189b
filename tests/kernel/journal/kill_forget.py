"""Kills a process that forgets, at every durable step in turn, and checks what a new start makes of it.

Run by ``test_forget.py`` as a program of its own, because it forks. A durable step is a sync of a file or
folder, or a write to the store; the kill comes before it, so what was not synced yet may be missing.
"""

import asyncio
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from freehold.store.interface import Batch, Store
from tests.kernel.journal.house import fill, open_house

ANNA, BO = ("employee:anna",), ("employee:bo",)


class Counted:
    """Stands between ledger and store and counts what is written."""

    def __init__(self, store: Store, step: Callable[[], None]) -> None:
        self._store = store
        self._step = step

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def commit(self, batch: Batch) -> int:
        self._step()
        return await self._store.commit(batch)

    def drop_payloads(self, indices: Sequence[int]) -> None:
        self._step()
        self._store.drop_payloads(indices)


async def prepare(folder: Path) -> None:
    house = await open_house(folder)
    for first, subjects in enumerate((ANNA, BO, ANNA + BO)):
        await fill(house, 4, subjects, first=100 * first)
        house.artifacts.put(b"report " + subjects[0].encode(), house.keys.key(subjects))
    await house.close()


def forget_until(folder: Path, fatal: int) -> None:
    """Forget Anna and die before durable step number ``fatal``; exit with 0 when there are fewer."""
    left = [fatal]
    sync = os.fsync

    def step() -> None:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def counted_sync(handle: int) -> None:
        step()
        sync(handle)

    async def go() -> None:
        house = await open_house(folder, wrap=lambda store: Counted(store, step))
        setattr(os, "fsync", counted_sync)  # noqa: B010
        await house.forgetter.forget("employee:anna")

    asyncio.run(go())
    os._exit(0)


async def wrong_after(folder: Path) -> list[str]:
    """Start again: resume, forget once more, and say what is not as it should be."""
    wrong: list[str] = []
    house = await open_house(folder)
    await house.forgetter.resume()
    await house.forgetter.forget("employee:anna")
    for entry in house.store.entries(0, 12):
        readable = house.ledger.open_payload(entry) is not None
        if readable != (4 <= entry.index < 8):
            wrong.append(f"entry {entry.index} readable: {readable}")
        if (entry.draft.payload is not None) != readable:
            wrong.append(f"entry {entry.index} keeps its ciphertext: {not readable}")
    if len(list(house.artifacts.sets())) != 1:
        wrong.append("artifacts are left")
    if house.keys.names() != ["employee:bo"]:
        wrong.append("a key is left")
    kinds = [json.loads(entry.draft.body)["t"] for entry in house.store.entries(12, house.ledger.size)]
    if kinds != ["note:subject.forget", "note:subject.forgotten"]:
        wrong.append(f"journaled as {kinds}")
    await house.close()
    if any(b"anna" in path.read_bytes() for path in (folder / "keys" / "subjects").iterdir()):
        wrong.append("her name is left")
    return wrong


def main(base: Path) -> None:
    asyncio.run(prepare(base / "start"))
    killed, wrong = 0, dict[int, list[str]]()
    while True:
        folder = base / f"kill-{killed}"
        shutil.copytree(base / "start", folder)
        child = os.fork()
        if child == 0:
            try:
                forget_until(folder, killed + 1)
            finally:
                os._exit(3)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            break
        found = asyncio.run(wrong_after(folder))
        if found:
            wrong[killed] = found
        shutil.rmtree(folder)
        killed += 1
    if os.waitstatus_to_exitcode(status) != 0:
        wrong[killed] = [f"the child ended with {os.waitstatus_to_exitcode(status)}"]
    print(json.dumps({"killed": killed, "wrong": list(wrong.items())}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
