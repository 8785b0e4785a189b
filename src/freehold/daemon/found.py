"""Founding an estate: the journal's key, the first settings, the first human; the journal's first entries.

`freehold init` calls it once, with no daemon running.
"""

import asyncio
from dataclasses import dataclass

from freehold.base import Clock, SystemClock
from freehold.control.estate import Estate
from freehold.daemon.lock import DaemonLock
from freehold.daemon.vault import open_with_vault, vault_place
from freehold.kernel.principals import Human
from freehold.kernel.rights import EVERYTHING
from freehold.runtime.vault import Vault


@dataclass(frozen=True, slots=True)
class Founder:
    """The first human of an estate; ``presence`` becomes the estate's too."""

    slug: str
    name: str
    email: str
    public_key: str
    presence: str
    currency: str
    own_domains: tuple[str, ...] = ()


def found(estate: Estate, founder: Founder, clock: Clock | None = None) -> None:
    """Found ``estate``; raises BadInput for what cannot be, and then nothing of it may stay."""
    asyncio.run(_found(estate, founder, clock or SystemClock()))


async def _found(estate: Estate, founder: Founder, clock: Clock) -> None:
    lock = DaemonLock(estate.lock)
    lock.take()
    try:
        vault = Vault(vault_place(estate))
        kernel = await open_with_vault(estate, vault, clock)
        try:
            rooms, by = kernel.rooms, founder.slug
            human = Human(
                founder.slug, founder.name, founder.email, founder.public_key,
                presence="none" if founder.presence == "none" else "passphrase",
            )  # fmt: skip
            settings = {
                "presence": founder.presence, "currency": founder.currency,
                "own_domains": list(founder.own_domains),
            }  # fmt: skip
            await rooms.ledger.commit(rooms.settings.change(settings, by=by))
            await rooms.ledger.commit(rooms.registry.add_human(human, by=by))
            await rooms.ledger.commit(rooms.rules.allow(by, EVERYTHING, by=by))
        finally:
            await kernel.close()
            await vault.stop()
    finally:
        lock.release()
