"""The rooms on a real store, with real keys: what was committed is there again, what conflicts is not."""

from pathlib import Path

import pytest

from freehold.base import BadInput
from freehold.kernel.change import Change
from freehold.kernel.delegations import Delegation
from freehold.kernel.epoch import Epoch
from freehold.kernel.freeze import Freezes
from freehold.kernel.labels import Confidentiality
from freehold.kernel.registry import Human, Registry
from freehold.kernel.rights import EVERYTHING, mail_address, right
from freehold.kernel.rules import Rules
from freehold.kernel.settings import Settings
from freehold.kernel.subjects import SubjectKeys
from freehold.store import Batch, Store
from tests.kernel.authority.house import FAR
from tests.store.helpers import opened


class Rooms:
    """The rooms of authority over one store."""

    def __init__(self, store: Store, keys: SubjectKeys) -> None:
        epoch = Epoch()
        self.store = store
        self.registry = Registry(epoch, keys, lambda: 1_000)
        self.rules = Rules(epoch, self.registry)
        self.freezes = Freezes(epoch)
        self.settings = Settings(epoch)
        for room in (self.registry, self.rules, self.freezes, self.settings):
            room.load(store)

    async def make(self, change: Change) -> None:
        await self.store.commit(Batch(changes=change.writes))
        for move in change.after:
            move()


async def fill(rooms: Rooms) -> None:
    registry, rules = rooms.registry, rooms.rules
    for slug in ("anna", "berta"):
        human = Human(slug, slug.title(), f"{slug}@example.org", slug.encode().hex().ljust(64, "0"))
        await rooms.make(registry.add_human(human, by="init"))
    await rooms.make(registry.set_manager("anna", "berta", by="anna"))
    await rooms.make(registry.add_agent("bookkeeper", "anna", by="anna"))
    await rooms.make(rules.allow("anna", EVERYTHING, by="init"))
    await rooms.make(rules.allow("berta", EVERYTHING, by="init"))
    mail = right("mail.send", "@example.org")
    for _ in range(2):
        await rooms.make(rules.employ("expenses", "bookkeeper", [mail], by="anna"))
        await rooms.make(rules.dismiss("expenses", by="anna"))
    await rooms.make(rules.employ("expenses", "bookkeeper", [mail], by="anna"))
    await rooms.make(registry.delegate(Delegation("d1", "berta", "bookkeeper", (mail,), FAR), by="berta"))
    await rooms.make(rooms.settings.change({"own_domains": "example.org"}, by="anna"))
    await rooms.make(rooms.freezes.freeze("tool:noop", "test", by="anna", at_us=5))
    await rooms.make(rooms.freezes.freeze("job:travel", "test", by="anna", at_us=5))
    await rooms.make(rooms.freezes.thaw("job:travel", by="anna"))


async def test_authority_is_the_same_after_a_restart(tmp_path: Path) -> None:
    async with opened(str(tmp_path / "store")) as store:
        before = Rooms(store, SubjectKeys(tmp_path / "keys"))
        await fill(before)
    async with opened(str(tmp_path / "store")) as store:
        after = Rooms(store, SubjectKeys(tmp_path / "keys"))
        assert after.registry.humans() == before.registry.humans()
        assert after.registry.agents() == before.registry.agents()
        assert after.registry.delegations.all() == before.registry.delegations.all()
        assert after.rules.all() == before.rules.all()
        assert after.rules.version == before.rules.version
        assert after.freezes.all() == before.freezes.all()
        assert after.settings.now == before.settings.now
        chain = after.registry.chain_of("bookkeeper", "expenses", ["d1"])
        assert chain.clearance is Confidentiality.CONFIDENTIAL
        assert after.rules.decide(chain, "mail.send", mail_address("x@example.org")).allowed
        assert not after.rules.decide(chain, "mail.send", mail_address("x@evil.net")).allowed


async def test_of_two_changes_made_at_once_the_store_takes_one(tmp_path: Path) -> None:
    async with opened(str(tmp_path / "store")) as store:
        rooms = Rooms(store, SubjectKeys(tmp_path / "keys"))
        await fill(rooms)
        pairs = [
            (rooms.rules.allow("bookkeeper", right("noop", "*"), by="a") for _ in range(2)),
            (rooms.registry.add_agent("clerk", "anna", by="a") for _ in range(2)),
            (rooms.registry.change_agent("bookkeeper", owner=owner, by="a") for owner in ("anna", "berta")),
            (rooms.freezes.thaw("tool:noop", by="a") for _ in range(2)),
        ]
        for first, second in pairs:
            await rooms.make(first)
            with pytest.raises(BadInput):
                await rooms.make(second)


async def test_a_forgotten_human_still_answers_for_their_agents(tmp_path: Path) -> None:
    keys = SubjectKeys(tmp_path / "keys")
    async with opened(str(tmp_path / "store")) as store:
        await fill(Rooms(store, keys))
        keys.destroy("human:anna")
        rooms = Rooms(store, keys)
        assert rooms.registry.human("anna").name == "(forgotten)"
        assert rooms.registry.owner_of("bookkeeper") == "anna"
