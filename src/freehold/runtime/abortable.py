"""Effects on the world outside that are under way, and how they are broken off: then nobody knows of them."""

import asyncio

from freehold.kernel.tools import Effector, Intent, Outcome


class Abortable:
    """The effects of one run that can be broken off alone."""

    def __init__(self) -> None:
        self._effects: set[asyncio.Future[Outcome]] = set()

    @property
    def under_way(self) -> bool:
        """Whether an effect on the world outside has begun and not ended."""
        return bool(self._effects)

    def break_off(self) -> None:
        """The grace is over: what is still under way outside is broken off, and unknown."""
        for task in list(self._effects):
            task.cancel()

    def wrap(self, effect: Effector) -> Effector:
        """Return the effect as one that can be broken off."""

        async def run(intent: Intent) -> Outcome:
            task = asyncio.ensure_future(effect(intent))
            self._effects.add(task)
            try:
                await asyncio.wait([task])
            finally:
                self._effects.discard(task)
            if task.cancelled():
                return Outcome("unknown", message="It was broken off after the effect had begun.")
            return task.result()

        return run
