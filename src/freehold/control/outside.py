"""Programs from elsewhere, as the verbs and the daemon see them: who they are, and whether their way in is open.

Loads nothing of HTTP until there is an agent from elsewhere.
"""

import asyncio
import logging
from typing import Any, Final

from freehold.base import BadInput, FreeholdError, Unavailable
from freehold.control.verbs.desk import Desk
from freehold.kernel.change import Change
from freehold.runtime.external import Externals
from freehold.runtime.functions import read_terms
from freehold.runtime.job import Job, is_external
from freehold.runtime.vault import Vault

UNGOVERNED: Final = "what it does without asking here is ungoverned: Freehold cannot see it"
_log = logging.getLogger("freehold.control.outside")


class Outside:
    """The agents from elsewhere of one estate, and their way in. ``open`` it as soon as there is one."""

    def __init__(self, desk: Desk, vault: Vault) -> None:
        self.externals = Externals(desk.rooms, desk.estate.id)
        self.externals.load()
        self._desk = desk
        self._vault = vault
        self._serving: Any = None
        self._opening = asyncio.Lock()
        self.problem: FreeholdError | None = None
        """Why the way in is not open, where it should be."""

    async def issue(self, agent: str, days: int, *, by: str) -> Change:
        """Return the change that gives an agent a new token; value is an ``Issued``."""
        return await self.externals.issue(self._vault, agent, days, by=by)

    async def open(self) -> None:
        """Open the way in, where there is an agent from elsewhere and it is not open yet; states what prevents it."""
        async with self._opening:
            if self._serving is not None or not self.externals.active():
                return
            awake = self._vault.awake
            if awake is None:
                self.problem = Unavailable("The vault does not serve.", remedy="See why: freehold status")
                return
            from freehold.control.http.serve import Serving

            try:
                self._serving = await Serving.open(self._desk, self.externals, bytes.fromhex(awake.estate))
                self.problem = None
            except FreeholdError as error:
                self.problem = error
                _log.error("%s", error)

    async def close(self) -> None:
        """Close the way in."""
        if self._serving is not None:
            await self._serving.close()
            self._serving = None

    # ---- what people are told ----------------------------------------------------------------------------

    def view(self, agent: str) -> dict[str, Any] | None:
        """Return what is stated of an agent from elsewhere; None for one of our own."""
        found = self.externals.get(agent)
        if found is None:
            return None
        return {
            "url": self.externals.audience, "has_token": bool(found.token), "audience": found.audience,
            "expires_us": found.expires_us, "last_use_us": self.externals.last_use_us(agent),
            "ungoverned": UNGOVERNED,
        }  # fmt: skip

    def stated(self) -> dict[str, Any] | None:
        """Return how the way in stands; None while there is no agent from elsewhere."""
        active = self.externals.active()
        if not active:
            return None
        return {
            "agents": [found.agent for found in active], "open": self._serving is not None,
            "url": self.externals.audience, "problem": "" if self.problem is None else str(self.problem),
            "ungoverned": UNGOVERNED,
        }  # fmt: skip

    def problems(self, job: Job) -> list[str]:
        """Return what keeps the job of a program from elsewhere from counting."""
        if not is_external(job):
            return []
        found = []
        if self.externals.get(job.agent) is None:
            found.append(
                f"The agent {job.agent} is not one from elsewhere. Add one: "
                f"freehold agents add NAME --owner {job.owner} --external"
            )
        try:
            read_terms(job.params)
        except BadInput as error:
            found.append(str(error))
        return found
