"""What has to be looked after while nobody asks: a store that failed, cards that expire, snapshots of the budget.

It sleeps until there is something to do and writes only then, so an idle daemon makes no commit.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from freehold.base import FreeholdError, StoreFailed
from freehold.kernel.card import Card
from freehold.kernel.kernel import Kernel
from freehold.runtime.engine import Engine

LOOK_EVERY_S: Final = 5.0
REOPEN_EVERY_S: Final = 2.0

_log = logging.getLogger("freehold.runtime.caretaker")


class Caretaker:
    """One estate's caretaker. ``policy_of`` gives the digest of a job's policy as it is now."""

    def __init__(self, kernel: Kernel, engine: Engine, policy_of: Callable[[str, str], str]) -> None:
        self._kernel = kernel
        self._engine = engine
        self._policy_of = policy_of
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, in the running loop."""
        self._task = asyncio.get_running_loop().create_task(self._look_after())

    async def stop(self) -> None:
        """Stop."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _look_after(self) -> None:
        while True:
            stopped = self._kernel.stopped
            await asyncio.sleep(REOPEN_EVERY_S if stopped else LOOK_EVERY_S)
            try:
                await self.look()
            except StoreFailed as error:
                _log.warning("the store cannot be used yet: %s", error)
            except FreeholdError as error:
                _log.error("%s: %s", error.code, error)

    async def look(self) -> None:
        """Do what is due: reopen a store that failed, freeze again what was lost, sweep cards, take a snapshot."""
        if self._kernel.stopped:
            await self._kernel.reopen()
            _log.info("the store can be used again")
            await self._freeze_again()
            self._engine.reopened()
            return
        await self._freeze_again()
        await self.sweep()
        rooms = self._kernel.rooms
        if rooms.budget.snapshot_due(rooms.store.size()):
            await rooms.ledger.commit(rooms.budget.snapshot())

    async def _freeze_again(self) -> None:
        """Make durable what was frozen while the store could not commit: until then it holds in memory alone."""
        rooms = self._kernel.rooms
        for lost in rooms.freezes.unsaved():
            await rooms.ledger.commit(
                rooms.freezes.freeze(lost.scope, lost.why, by=lost.by, at_us=lost.at_us)
            )

    async def sweep(self) -> list[Card]:
        """Write down which cards have expired or gone stale, tell their runs, and return them."""
        rooms = self._kernel.rooms
        change = rooms.cards.sweep(rooms.ledger.now_us(), self._versions)
        if not change.writes:
            return []
        gone: list[Card] = await rooms.ledger.commit(change)
        for card in gone:
            self._engine.decided(card.id)
        return gone

    def _versions(self, card: Card) -> tuple[str, str]:
        version = self._kernel.rooms.rules.version_for(card.agent, card.job, card.owner)
        return version, self._policy_of(card.run, card.policy)
