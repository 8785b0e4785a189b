"""The verb that runs a recorded run again without doing anything: every action is answered from the journal."""

from typing import Any

import msgspec

from freehold.control.resolve import resolve
from freehold.control.server import Call, Handler
from freehold.control.verbs.desk import Desk, Named
from freehold.runtime.replay import Replay, summary


class ReplayVerbs:
    """The verb, over one desk."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def table(self) -> dict[str, Handler]:
        """Return the verb by name."""
        return {"runs.replay": self._replay}

    async def _replay(self, call: Call) -> dict[str, Any]:
        known = [document.id for document in self._desk.engine.documents()]
        run = resolve(call.read(Named).name, known, "run", "freehold runs")
        live = self._desk.engine.live(run)
        job = live.job if live is not None else self._desk.engine.job_of(run)
        try:
            found = await Replay(self._desk.house, run, job).compare()
        finally:
            if self._desk.engine.live(run) is None:
                self._desk.house.pin_room.close(run)
                self._desk.house.policies.pop(run, None)
        return {"id": run, "verdict": summary(found), "steps": [msgspec.to_builtins(one) for one in found]}
