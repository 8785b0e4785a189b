"""Verbs on what runs did to files: show it, and take it back."""

from typing import Any

import msgspec

from freehold.control.resolve import resolve
from freehold.control.server import Call, Handler
from freehold.control.verbs.desk import Desk, Named
from freehold.runtime.changes import Changes


class ChangeVerbs:
    """The verbs, over one desk."""

    def __init__(self, desk: Desk, changes: Changes) -> None:
        self._desk = desk
        self._changes = changes

    def table(self) -> dict[str, Handler]:
        """Return the verbs by name."""
        return {"runs.diff": self._diff, "runs.undo": self._undo}

    async def _diff(self, call: Call) -> list[dict[str, Any]]:
        run = self._run(call)
        return [msgspec.to_builtins(change) for change in self._changes.of(run)]

    async def _undo(self, call: Call) -> dict[str, Any]:
        run = self._run(call)
        by = f"user {call.peer.uid} at the local socket"
        puts = await self._desk.commit(self._changes.undo(run, by=by))
        return {"id": run, "files": self._changes.take_back(run, puts)}

    def _run(self, call: Call) -> str:
        known = [document.id for document in self._desk.engine.documents()]
        return resolve(call.read(Named).name, known, "run", "freehold runs")
