"""Group commit: many callers share commits, a lone one waits for nobody, a failure reaches all it must."""

import asyncio
import threading
from collections.abc import Sequence

import pytest

from freehold.base import BadInput, StoreFailed
from freehold.store import Batch, Put, Store, Tile
from tests.store.helpers import MemoryTree, commit_all, intent, note, opened, result, sql

TERMINATE = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'freehold %'"


async def call(store: Store, caller: int, times: int) -> None:
    for number in range(times):
        await store.commit(Batch([intent(number, node=f"caller{caller}")]))
        await store.commit(Batch([result(number, node=f"caller{caller}")]))


async def test_sixteen_callers_share_commits_though_they_never_yield_otherwise(address: str) -> None:
    async with opened(address) as store:
        await asyncio.gather(*(call(store, caller, 10) for caller in range(16)))
        stats = store.stats
        assert (stats.batches, stats.entries, store.size()) == (320, 320, 320)
        assert stats.entries / stats.commits > 8


async def test_a_lone_caller_is_served_without_a_turn_of_the_loop(address: str) -> None:
    async with opened(address) as store:
        with pytest.raises(StopIteration) as returned:
            store.commit(Batch([note("alone")])).send(None)
        assert returned.value.value == 0
        await call(store, 0, 20)
        assert store.stats.commits == 41


async def test_a_slow_commit_is_made_in_a_thread_and_gathers_all_who_wait(address: str) -> None:
    async with opened(address, commit_delay_s=0.005) as store:
        await call(store, 99, 4)
        await asyncio.gather(*(call(store, caller, 5) for caller in range(32)))
        assert any(thread.name.startswith("freehold-writer") for thread in threading.enumerate())
        assert (store.stats.entries - 8) / (store.stats.commits - 8) > 8
        assert store.size() == 8 + 320


async def test_a_bad_batch_fails_alone_in_the_writer_thread_too(address: str) -> None:
    async with opened(address, commit_delay_s=0.005) as store:
        await call(store, 0, 4)
        drafts = [intent(number) for number in range(20)] + [intent(3)]
        outcomes = await asyncio.gather(
            *(store.commit(Batch([entry])) for entry in drafts), return_exceptions=True
        )
        assert [type(outcome) for outcome in outcomes] == [int] * 20 + [BadInput]
        assert store.size() == 8 + 20


async def test_closing_finishes_what_waits(address: str) -> None:
    async with opened(address, commit_delay_s=0.005) as store:
        await call(store, 0, 4)
        waiting = [asyncio.ensure_future(store.commit(Batch([note(str(number))]))) for number in range(10)]
        await asyncio.sleep(0)
        await store.close()
        assert sorted(await asyncio.gather(*waiting)) == list(range(8, 18))
    async with opened(address) as store:
        assert store.size() == 18


async def test_a_cancelled_caller_does_not_take_its_batch_back(address: str) -> None:
    tree = MemoryTree()
    async with opened(address, tree, commit_delay_s=0.005) as store:
        await call(store, 0, 4)
        first, second = (asyncio.ensure_future(store.commit(Batch([note(text)]))) for text in "ab")
        await asyncio.sleep(0)
        first.cancel()
        assert await second == 9
        assert first.cancelled()
        assert [entry.draft.body for entry in store.entries(8, 10)] == [note("a").body, note("b").body]
        assert len(tree.leaves) == 10


class BrittleTree(MemoryTree):
    """A tree that fails when told to."""

    fail_tiles = fail_advance = False

    def tiles_for(self, first_index: int, leaves: Sequence[bytes]) -> Sequence[Tile]:
        if self.fail_tiles:
            raise RuntimeError("no tiles today")
        return super().tiles_for(first_index, leaves)

    def advance(self, first_index: int, leaves: Sequence[bytes]) -> None:
        if self.fail_advance:
            raise RuntimeError("no leaves today")
        super().advance(first_index, leaves)


async def test_when_the_tree_cannot_make_tiles_nothing_moves(address: str) -> None:
    tree = BrittleTree()
    async with opened(address, tree) as store:
        await store.commit(Batch([note("before")]))
        tree.fail_tiles = True
        for entries in ([note("lost")], [intent(1), note("lost")]):
            with pytest.raises(StoreFailed, match="no tiles today"):
                await store.commit(Batch(entries, [Put("card", "a", b"")]))
        tree.fail_tiles = False
        with pytest.raises(StoreFailed):
            await store.commit(Batch([note("still stopped")]))
        await store.reopen()
        assert (store.size(), len(tree.leaves), store.open_intents()) == (1, 1, [])
        assert store.document("card", "a") is None
        assert await store.commit(Batch([note("after")])) == 1


async def test_what_became_durable_in_a_failed_commit_is_taken_in_on_reopening(address: str) -> None:
    tree = BrittleTree()
    async with opened(address, tree) as store:
        tree.fail_advance = True
        with pytest.raises(StoreFailed, match="no leaves today"):
            await store.commit(Batch([intent(1)]))
        assert (store.size(), tree.leaves) == (0, [])
        tree.fail_advance = False
        await store.reopen()
        assert (store.size(), tree.leaves) == (1, [intent(1).leaf])
        assert [entry.index for entry in store.open_intents()] == [0]


async def test_a_failed_commit_fails_all_of_its_group_and_everything_after_it(address: str) -> None:
    tree = MemoryTree()
    async with opened(address, tree) as store:
        await commit_all(store, [note("a"), note("b")])
        sql(address, "UPDATE house SET epoch = epoch + 1")
        outcomes = await asyncio.gather(
            *(store.commit(Batch([note(str(number))])) for number in range(20)), return_exceptions=True
        )
        assert {type(outcome) for outcome in outcomes} == {StoreFailed}
        assert len(set(map(id, outcomes))) == 20
        with pytest.raises(StoreFailed):
            await store.commit(Batch([note("later")]))
        with pytest.raises(StoreFailed):
            store.drop_payloads([0])
        assert (store.size(), len(tree.leaves)) == (2, 2)
        assert len(list(store.entries(0, 9))) == 2


@pytest.mark.parametrize(
    "batch", [Batch([note("x")]), Batch([note("x"), note("y")]), Batch([], [Put("a", "b", b"")])]
)
async def test_a_stale_epoch_may_not_write(address: str, batch: Batch) -> None:
    async with opened(address) as store:
        await store.commit(Batch([note("mine")]))
        sql(address, "UPDATE house SET epoch = epoch + 1")
        with pytest.raises(StoreFailed, match="taken the store over"):
            await store.commit(batch)
        with pytest.raises(StoreFailed, match="taken the store over"):
            await store.reopen()
        with pytest.raises(StoreFailed):
            await store.commit(batch)


async def test_a_lost_connection_stops_the_store_until_it_is_reopened(postgres_schema_url: str) -> None:
    tree = MemoryTree()
    async with opened(postgres_schema_url, tree) as store:
        await store.commit(Batch([intent(1)]))
        epoch = store.epoch
        sql(postgres_schema_url, TERMINATE)
        with pytest.raises(StoreFailed):
            await store.commit(Batch([note("lost")]))
        with pytest.raises(StoreFailed):
            await store.commit(Batch([note("lost")]))
        await store.reopen()
        assert (store.epoch, store.size()) == (epoch, 1)
        assert await store.commit(Batch([result(1)])) == 1
        assert store.open_intents() == []


async def test_a_store_that_another_opened_meanwhile_stays_lost(postgres_schema_url: str) -> None:
    async with opened(postgres_schema_url) as store:
        sql(postgres_schema_url, TERMINATE)
        async with opened(postgres_schema_url) as newer:
            await newer.commit(Batch([note("newer")]))
            with pytest.raises(StoreFailed):
                await store.commit(Batch([note("older")]))
            with pytest.raises(StoreFailed, match="in use by process"):
                await store.reopen()
        said = "in use by"
        for _ in range(500):  # the server takes a moment to notice that the newer one has gone
            if "in use by" in said:
                with pytest.raises(StoreFailed) as caught:
                    await store.reopen()
                said = caught.value.message
        assert "taken the store over" in said
