"""A house with its rooms of authority, and a shelf that keeps documents as a store does. For these tests."""

from collections.abc import Iterable
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from freehold.base import BadInput, Refused
from freehold.kernel.change import Change
from freehold.kernel.delegations import Delegation
from freehold.kernel.epoch import Epoch
from freehold.kernel.freeze import Freezes
from freehold.kernel.labels import Confidentiality
from freehold.kernel.registry import Human, Registry
from freehold.kernel.rights import EVERYTHING, Right
from freehold.kernel.rules import HOUSE_RIGHTS, Rules
from freehold.kernel.settings import Settings
from freehold.store.interface import Document, Put

FAR = 10**15


class Shelf:
    """Documents with the store's rules about versions; a batch is taken whole or not at all."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], Document] = {}

    def documents(
        self, collection: str, *, state: str | None = None, prefix: str = "", limit: int = 1_000_000
    ) -> list[Document]:
        found = [d for (c, k), d in sorted(self.kept.items()) if c == collection and k.startswith(prefix)]
        return [d for d in found if state is None or d.state == state][:limit]

    def commit(self, change: Change) -> None:
        """Write the documents; raises the store's conflict without having written any."""
        kept = dict(self.kept)
        for write in change.writes:
            place = (write.collection, write.key)
            if not isinstance(write, Put):
                kept.pop(place, None)
                continue
            version = kept[place].version if place in kept else 0
            if write.expect is not None and write.expect != version:
                raise BadInput("Someone else changed it meanwhile.", code="conflict")
            kept[place] = Document(*place, write.body, write.state, version + 1)
        self.kept = kept


class Keys:
    """Subjects' keys in memory; a forgotten one is refused."""

    def __init__(self) -> None:
        self.forgotten: set[str] = set()

    def key(self, subjects: tuple[str, ...]) -> "_Key":
        if self.forgotten.intersection(subjects):
            raise Refused("That subject was forgotten.")
        return _Key(subjects)


class _Key:
    def __init__(self, subjects: tuple[str, ...]) -> None:
        self._cipher = AESSIV((repr(subjects).encode() * 64)[:64])

    def seal(self, plain: bytes, aad: bytes = b"") -> bytes:
        return self._cipher.encrypt(plain, [aad])

    def open(self, ciphertext: bytes, aad: bytes = b"") -> bytes:
        return self._cipher.decrypt(ciphertext, [aad])


class House:
    """All rooms of authority on one shelf, with a clock that a test sets."""

    def __init__(
        self, shelf: Shelf | None = None, keys: Keys | None = None, house: Iterable[Right] = HOUSE_RIGHTS
    ) -> None:
        self.now_us = 1_000
        self.shelf = shelf or Shelf()
        self.keys = keys or Keys()
        self.epoch = Epoch()
        self.registry = Registry(self.epoch, self.keys, lambda: self.now_us)
        self.rules = Rules(self.epoch, self.registry, house=house)
        self.freezes = Freezes(self.epoch)
        self.settings = Settings(self.epoch)
        for room in (self.registry, self.rules, self.freezes, self.settings):
            room.load(self.shelf)

    def reopened(self) -> "House":
        """Return the house as it is after a restart."""
        again = House(self.shelf, self.keys)
        again.now_us = self.now_us
        return again

    def make(self, change: Change) -> Any:
        """Commit a change as the ledger does and return its value."""
        self.shelf.commit(change)
        for move in change.after:
            move()
        return change.value

    def add_human(self, slug: str, **facts: Any) -> Human:
        number = len(self.registry.humans())
        human = Human(slug, slug.title(), f"{slug}@example.org", f"{number:064x}", **facts)
        added: Human = self.make(self.registry.add_human(human, by="init"))
        return added

    def add_agent(
        self, slug: str, owner: str, clearance: Confidentiality = Confidentiality.CONFIDENTIAL
    ) -> None:
        self.make(self.registry.add_agent(slug, owner, by=owner, clearance=clearance))

    def allow(self, holder: str, right: Right = EVERYTHING) -> str:
        rule: str = self.make(self.rules.allow(holder, right, by="init"))
        return rule

    def employ(self, job: str, agent: str, *rights: Right) -> None:
        self.make(self.rules.employ(job, agent, rights, by="init"))

    def delegate(
        self, name: str, giver: str, to: str, *rights: Right, until_us: int = FAR, **more: Any
    ) -> None:
        self.make(self.registry.delegate(Delegation(name, giver, to, rights, until_us, **more), by=giver))


def office() -> House:
    """Return a house with anna (owner, everything allowed), her manager berta, and agent bookkeeper."""
    house = House()
    house.add_human("berta")
    house.add_human("anna", manager="berta")
    house.allow("anna")
    house.add_agent("bookkeeper", "anna")
    return house
