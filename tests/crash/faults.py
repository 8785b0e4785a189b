"""Names every durable boundary that a process passes, and kills it with SIGKILL at the one that is wanted.

Used by ``child.py``, inside the process that is to die. It wraps what the product calls (the store's commit, the
operating system's sync and rename, the couriers), so the product itself knows nothing of it.
"""

import asyncio
import functools
import os
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from freehold.runtime.courier import CourierProcess
from freehold.store.interface import Batch, EntryDraft, EntryKind, Store
from freehold.wire import messages as m
from freehold.wire.channel import Channel


class Faults:
    """Counts boundaries from ``arm`` on; ``kill`` names the one at which the process ends, if any."""

    def __init__(self, folder: Path, kill: str) -> None:
        self.seen: list[str] = []
        self._folder = folder
        self._kill = kill
        self._armed = False
        self._counts: Counter[str] = Counter()

    def arm(self) -> None:
        """From now on boundaries count."""
        self._armed = True

    def point(self, name: str) -> None:
        """Pass a boundary, or end at it."""
        if not self._armed:
            return
        self._counts[name] += 1
        label = f"{name} #{self._counts[name]}"
        self.seen.append(label)
        if label == self._kill:
            os.kill(os.getpid(), signal.SIGKILL)

    # ---- where boundaries are ------------------------------------------------------------------------

    def wrap(self, store: Store) -> None:
        """Put a boundary before and after everything that makes something durable or sends something."""
        self._wrap_commit(store)
        for name in ("fsync", "replace"):
            setattr(os, name, self._both_sides(name, getattr(os, name)))
        self._wrap_couriers()

    def _both_sides(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(real)
        def call(*args: Any) -> Any:
            place = self._place(args[-1])
            self.point(f"before {name} {place}")
            result = real(*args)
            self.point(f"after {name} {place}")
            return result

        return call

    def _place(self, what: Any) -> str:
        """Return which part of the estate a descriptor or path belongs to."""
        path = Path(os.readlink(f"/proc/self/fd/{what}") if isinstance(what, int) else what)
        if not path.is_relative_to(self._folder):
            return "elsewhere"
        part = next(iter(path.relative_to(self._folder).parts), "estate")
        return f"{part}{'/' if path.is_dir() else ''}"

    def _wrap_commit(self, store: Store) -> None:
        real = store.commit

        async def commit(batch: Batch) -> int:
            what = " + ".join(_said(draft) for draft in batch.entries) or ", ".join(
                sorted({change.collection for change in batch.changes})
            )
            self.point(f"before commit {what}")
            index = await real(batch)
            self.point(f"after commit {what}")
            return index

        setattr(store, "commit", commit)  # noqa: B010 a method is replaced, on this one object

    def _wrap_couriers(self) -> None:
        real_carry, real_send = CourierProcess.carry, Channel.send

        async def carry(
            courier: CourierProcess, tool: str, request: dict[str, Any], *rest: Any, **more: Any
        ) -> m.Delivered:
            what = request.get("path", tool)
            what = "/effects/" if what.startswith("/effects/") else what
            self.point(f"connected {what}")
            delivered = await real_carry(courier, tool, request, *rest, **more)
            self.point(f"delivered {what}")
            return delivered

        def send(channel: Channel, message: m.Message, *rest: Any) -> None:
            real_send(channel, message, *rest)
            if isinstance(message, m.Deliver):  # what was sent leaves within this turn of the loop
                asyncio.get_running_loop().call_soon(self.point, f"handed over {message.tool}")

        setattr(CourierProcess, "carry", carry)  # noqa: B010
        setattr(Channel, "send", send)  # noqa: B010


def _said(draft: EntryDraft) -> str:
    if draft.kind is EntryKind.NOTE:
        return str(msgspec.json.decode(draft.body)["t"])
    place = f"{draft.node}/{draft.item}/{draft.ordinal}"
    return f"{draft.kind.name.lower()} {place} {draft.status}".rstrip()
