"""What every verb stands on: the open kernel, the engine, the estate's folder, and how a signature is judged.

The composition root makes one and hands it to each group of verbs.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from freehold.base import Clock, Refused
from freehold.control.estate import Estate
from freehold.control.verbs.joblist import JobList
from freehold.kernel.card import Card
from freehold.kernel.cards import Versions
from freehold.kernel.change import Change
from freehold.kernel.kernel import Kernel
from freehold.kernel.people import Signed, What
from freehold.kernel.rooms import Rooms
from freehold.runtime.engine import Engine
from freehold.runtime.house import House
from freehold.runtime.packs import Shelf


class Broadcast:
    """Hands every event of every run to whoever watches; one who reads too slowly loses the oldest."""

    def __init__(self, most: int = 10_000) -> None:
        self._most = most
        self._watchers: set[asyncio.Queue[dict[str, Any]]] = set()

    def publish(self, run: str, event: dict[str, Any]) -> None:
        """Tell everybody; never fails and never waits."""
        for queue in self._watchers:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait({"run": run, **event})

    async def events(self) -> AsyncGenerator[dict[str, Any], None]:
        """Yield what happens from now on, until the caller stops reading."""
        queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue(self._most)
        self._watchers.add(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            self._watchers.discard(queue)


@dataclass(slots=True)
class Desk:
    """The daemon as the verbs see it."""

    estate: Estate
    kernel: Kernel
    engine: Engine
    house: House
    shelf: Shelf
    jobs: JobList
    clock: Clock
    started_us: int
    stop: Callable[[str], None]
    policy_now: Callable[[str, str], str]
    sandbox: Callable[[], str]
    couriers: Callable[[], str]
    broadcast: Broadcast = field(default_factory=Broadcast)
    models: Callable[[], int] = lambda: 0

    @property
    def rooms(self) -> Rooms:
        """The rooms of the kernel."""
        return self.kernel.rooms

    def now_us(self) -> int:
        """The house's time."""
        return self.rooms.ledger.now_us()

    async def commit(self, change: Change) -> Any:
        """Make a change, durably; returns its value."""
        return await self.rooms.ledger.commit(change)

    def judge(
        self, signed: Signed, what: What, about: str, content: dict[str, Any], digest: str = ""
    ) -> Change:
        """Return the change that uses the statement up, value: who signed; raises Refused."""
        return self.rooms.witness.check(
            signed, what=(what,), about=about, digest=digest, content=content, now_us=self.now_us()
        )

    def versions_of(self, card: Card) -> Versions:
        """The rules' version of now and the digest that a card's policy has now."""
        version = self.rooms.rules.version_for(card.agent, card.job, card.owner)
        return version, self.policy_now(card.run, card.policy)

    def is_steward(self, human: str) -> bool:
        """Whether a human may change everything: who has the right to everything, as the first one does."""
        return any(r.holder == f"human {human}" and r.right.action == "*" and r.right.effect == "permit"
                   for r in self.rooms.rules.all())  # fmt: skip

    def check_steward(self, human: str, what: str, *, owner: str | None = None) -> None:
        """Raise Refused unless ``human`` is ``owner`` or may change everything."""
        if human == owner or self.is_steward(human):
            return
        who = f"{owner} or someone" if owner else "Someone"
        raise Refused(
            f"{human} may not {what}.",
            remedy=f"{who} with the right `*: *` can, or gives it: freehold agents allow {human} '*: *'",
            code="refused.authority",
        )


class Signable(msgspec.Struct, forbid_unknown_fields=True):
    """Arguments that come with a signed statement."""

    signed: Signed

    def content(self, verb: str) -> dict[str, Any]:
        """Return what the statement covers: the verb and every argument but the statement."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        del plain["signed"]
        return {"verb": verb, **plain}


class Named(msgspec.Struct, forbid_unknown_fields=True):
    """Arguments that are one name or short id."""

    name: str


class Nothing(msgspec.Struct, forbid_unknown_fields=True):
    """No arguments."""
