"""What this machine puts around processes, found out once for the daemon: for its runners and for its couriers.

A courier holds one secret and reads what strangers send, so it stands behind the best walls that are reached, and
where there are none it is not started unless the estate's owner said so by name.
"""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from freehold.sandbox import Level, Limits, Profile
from freehold.sandbox.probe import Reach, probe

_CERTIFICATES: Final = (
    "/etc/ssl/certs", "/etc/ssl/cert.pem", "/etc/ssl/openssl.cnf", "/etc/pki/tls", "/etc/pki/ca-trust",
    "/etc/ca-certificates", "/etc/crypto-policies",
)  # fmt: skip
"""Where distributions keep the authorities that this machine trusts; no private key is among it."""
_COURIER: Final = Limits(memory_bytes=4 << 30, processes=1_024, open_files=1_024)
"""A courier carries 64 requests at once, a thread and up to four open files each."""


class Walls:
    """``hidden`` are folders that no process behind walls may see; ``none_allowed`` says whether it may have none.

    ``tries`` finds out what this machine reaches; it is called once, in a thread.
    """

    def __init__(
        self,
        *,
        hidden: tuple[Path, ...] = (),
        none_allowed: Callable[[], bool] = lambda: False,
        tries: Callable[[], Reach] = probe,
    ) -> None:
        self._hidden = tuple(map(str, hidden))
        self._none_allowed = none_allowed
        self._tries = tries
        self._trying: asyncio.Task[Reach] | None = None

    async def reach(self) -> Reach:
        """Return what this machine reaches; it is tried the first time and known after that."""
        if self._trying is None:
            self._trying = asyncio.ensure_future(asyncio.to_thread(self._tries))
        return await asyncio.shield(self._trying)

    @property
    def known(self) -> Reach | None:
        """What this machine reaches, None while it was not tried."""
        return self._trying.result() if self._trying is not None and self._trying.done() else None

    async def require(self, needed: Level) -> Level:
        """Return the level to run at; raises Refused where ``needed`` is not reached, or none is and may not be."""
        return (await self.reach()).require(needed, none_allowed=self._none_allowed())

    async def for_courier(self) -> Profile:
        """Return the walls of a courier; raises Refused where there are none and the estate does not allow that."""
        level = await self.require(Level.NONE)
        authorities = tuple(path for path in _CERTIFICATES if os.path.exists(path))
        return Profile(level, authorities, "", self._hidden, _COURIER)

    def words(self) -> str:
        """Return which level is reached and why not more, in words; it is not tried for this."""
        reach = self.known
        if reach is None:
            return "not tried yet; the first run tries it (now: freehold sandbox)"
        missing = "".join(f"; not {level.word}: {why}" for level, why in reach.missing)
        return f"{reach.level.word}: {reach.level.meaning}{missing}"

    def courier_words(self) -> str:
        """Return what is around couriers, in words."""
        reach = self.known
        if reach is None:
            return "at the sandbox's level, not tried yet"
        if reach.level is not Level.NONE:
            return f"{reach.level.word}, each with one secret at most, no file and no socket of its own"
        if self._none_allowed():
            return "NONE but another process: nothing holds a courier that a reply takes over"
        return "none, and without walls they are not started"

    async def close(self) -> None:
        """Wait until nothing is being tried any more."""
        if self._trying is not None:
            await asyncio.wait([self._trying])
