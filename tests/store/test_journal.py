"""The journal on both engines: order, contents, what is open, what a run did."""

import asyncio
import hashlib
import itertools

import pytest

from freehold.base import BadInput, FreeholdError
from freehold.store import CONFLICT, Batch, Cost, EntryKind, Put
from tests.store.helpers import OTHER_RUN, RUN, MemoryTree, commit_all, draft, intent, note, opened, result


async def test_an_entry_comes_back_as_it_was_committed(address: str) -> None:
    full = intent(
        7,
        attempt=3,
        payload=b"\0cipher\xff",
        reserved=Cost(money_micro=5, tokens=-2, actions=1, cpu_us=2**40),
        spent=Cost(),
    )
    async with opened(address) as store:
        assert store.size() == 0
        assert store.entry(0) is None
        assert await store.commit(Batch([full, note("plain")])) == 0
        assert await store.commit(Batch([])) == 2
        assert store.size() == 2
        first, second = store.entries(0, 10)
        assert (first.index, first.draft) == (0, full)
        assert (second.index, second.draft) == (1, note("plain"))
        assert store.entry(1) == second
        assert list(store.leaves(0, 2)) == [full.leaf, note("plain").leaf]


async def test_the_journal_is_dense_and_in_order_whatever_order_callers_come_in(address: str) -> None:
    tree = MemoryTree()
    async with opened(address, tree) as store:
        places = await commit_all(store, [note(str(number)) for number in range(700)])
        assert sorted(places) == list(range(700))
        entries = list(store.entries(0, 700))
        assert [entry.index for entry in entries] == list(range(700))
        assert {entries[place].draft.body for place in places} == {note(str(n)).body for n in range(700)}
        assert tree.leaves == [entry.draft.leaf for entry in entries]


async def test_a_batch_keeps_its_entries_together(address: str) -> None:
    async with opened(address) as store:
        batches = [Batch([note(f"{number}.{part}") for part in range(3)]) for number in range(20)]
        firsts = await asyncio.gather(*(store.commit(batch) for batch in batches))
        for first, batch in zip(firsts, batches, strict=True):
            found = [entry.draft for entry in store.entries(first, first + 3)]
            assert found == list(batch.entries)


async def test_tiles_are_written_with_the_entries_that_fill_them(address: str) -> None:
    tree = MemoryTree()
    async with opened(address, tree) as store:
        await commit_all(store, [note(str(number)) for number in range(600)])
        tiles = store.tiles(0, 0, 10)
    assert [tile.number for tile in tiles] == [0, 1]
    assert tiles[1].hashes == b"".join(tree.leaves[256:512])
    assert tiles[1].root == hashlib.sha256(tiles[1].hashes).digest()


async def test_a_reopened_store_goes_on_where_it_was(address: str) -> None:
    async with opened(address) as store:
        await commit_all(store, [intent(number) for number in range(5)])
        before = store.epoch
    async with opened(address) as store:
        assert store.epoch == before + 1
        assert store.size() == 5
        assert await store.commit(Batch([result(2)])) == 5
        assert [entry.draft.item for entry in store.open_intents()] == [0, 1, 3, 4]


@pytest.mark.parametrize("between", [0, 1])
async def test_an_attempt_has_one_intent_and_one_final_result(address: str, between: int) -> None:
    async with opened(address) as store:
        await store.commit(Batch([intent(1), *[note("x")] * between, result(1)]))
        for again in (intent(1), result(1, "not_done")):
            with pytest.raises(BadInput, match="already holds") as caught:
                await store.commit(Batch([again]))
            assert caught.value.code == CONFLICT
        assert store.size() == 2 + between
        await store.commit(Batch([intent(1, attempt=2)]))
        await store.commit(Batch([draft(EntryKind.REFUSAL, action=intent(1).action), intent(1, attempt=3)]))
        await store.commit(Batch([draft(EntryKind.REFUSAL, action=intent(1).action)]))


async def test_an_unknown_result_leaves_its_intent_open_until_a_final_one(address: str) -> None:
    async with opened(address) as store:
        await store.commit(Batch([intent(1)]))
        await store.commit(Batch([result(1, "unknown")]))
        with pytest.raises(BadInput, match="already holds"):
            await store.commit(Batch([result(1, "unknown")]))
        assert [entry.index for entry in store.open_intents()] == [0]
        (action,) = store.actions_of_run(RUN)
        assert (action.status, action.result_index) == ("unknown", 1)
        await store.commit(Batch([result(1, "done")]))
        assert store.open_intents() == []
        (action,) = store.actions_of_run(RUN)
        assert (action.status, action.result_index) == ("done", 2)


async def test_only_the_newest_attempt_of_an_action_counts_as_open(address: str) -> None:
    async with opened(address) as store:
        await store.commit(Batch([intent(1)]))
        await store.commit(Batch([result(1, "unknown")]))
        await store.commit(Batch([intent(1, attempt=2)]))
        assert [entry.draft.attempt for entry in store.open_intents()] == [2]
        await store.commit(Batch([result(1, "done", attempt=2)]))
        assert store.open_intents() == []


async def test_what_is_open_is_known_after_a_start_beyond_a_mark(address: str) -> None:
    async with opened(address) as store:
        await store.commit(Batch([intent(number) for number in range(3000)]))
        await store.commit(Batch([result(number) for number in range(3000) if number not in (5, 17)]))
        await store.commit(Batch([intent(number, node="late") for number in range(3000)]))
        await store.commit(Batch([result(number, node="late") for number in range(2999)] + [result(17)]))
    async with opened(address) as store:
        assert [(entry.draft.node, entry.draft.item) for entry in store.open_intents()] == [
            ("read", 5),
            ("late", 2999),
        ]


async def test_the_actions_of_a_run_are_its_newest_attempts_in_plan_order(address: str) -> None:
    async with opened(address) as store:
        await store.commit(Batch([intent(number) for number in (2, 0, 1)]))
        await store.commit(Batch([intent(9, run=OTHER_RUN), result(0, "not_done"), intent(0, attempt=2)]))
        await store.commit(Batch([result(0, attempt=2), note("a note of the run", run=RUN)]))
        actions = store.actions_of_run(RUN)
    assert [(action.item, action.attempt, action.status) for action in actions] == [
        (0, 2, "done"),
        (1, 1, ""),
        (2, 1, ""),
    ]
    first = intent(0, attempt=2)
    assert (actions[0].action, actions[0].digest) == (first.action, first.digest)
    assert (actions[0].intent_index, actions[0].result_index, actions[0].intent_leaf) == (5, 6, first.leaf)
    assert (actions[1].intent_index, actions[1].result_index) == (2, None)


async def test_the_entries_of_a_run_come_in_journal_order(address: str) -> None:
    async with opened(address) as store:
        mixed = [
            [intent(number), intent(number, run=OTHER_RUN), note(str(number), run=RUN)]
            for number in range(300)
        ]
        await store.commit(Batch(list(itertools.chain.from_iterable(mixed))))
        found = list(store.entries_of_run(RUN))
        assert [entry.index for entry in found] == [index for index in range(900) if index % 3 != 1]
        assert all(entry.draft.run == RUN for entry in found)
        assert [entry.index for entry in store.entries_of_run(RUN, start=896)] == [896, 897, 899]
        assert list(store.entries_of_run("f" * 32)) == []


async def test_dropped_payloads_are_gone_and_everything_else_stays(address: str) -> None:
    async with opened(address) as store:
        kept = [intent(number, payload=b"secret %d" % number) for number in range(3)]
        await store.commit(Batch(kept))
        store.drop_payloads([0, 2])
        found = [entry.draft for entry in store.entries(0, 3)]
        assert [entry.payload for entry in found] == [None, b"secret 1", None]
        assert [(e.body, e.leaf, e.digest) for e in found] == [(e.body, e.leaf, e.digest) for e in kept]
        assert await store.commit(Batch([note("goes on")])) == 3


@pytest.mark.parametrize(
    "bad",
    [
        draft(EntryKind.NOTE, run="not an id"),
        draft(EntryKind.NOTE, node="zero\0"),
        draft(EntryKind.NOTE, node="half \ud800"),
        draft(EntryKind.NOTE, item=-1),
        draft(EntryKind.NOTE, item=2**63),
        draft(EntryKind.INTENT),
    ],
    ids=["id", "zero", "half", "negative", "huge", "no action"],
)
async def test_what_no_engine_can_keep_is_refused_before_it_is_sent(address: str, bad: object) -> None:
    async with opened(address) as store:
        with pytest.raises(BadInput):
            await store.commit(Batch([bad]))  # type: ignore[list-item]
        assert await store.commit(Batch([note("fine", node="größer")])) == 0


async def test_a_bad_batch_fails_alone(address: str) -> None:
    tree = MemoryTree()
    async with opened(address, tree) as store:
        await store.commit(Batch([intent(5)], [Put("card", "a", b"1")]))
        batches = [Batch([intent(number, node="x"), note(str(number))]) for number in range(40)]
        batches[7] = Batch([note("before"), intent(5)])
        batches[20] = Batch([note("stale")], [Put("card", "b", b"b"), Put("card", "a", b"2", expect=9)])
        batches[21] = Batch([intent(3, node="x"), intent(3, node="x")])
        outcomes = await asyncio.gather(*(store.commit(batch) for batch in batches), return_exceptions=True)
        bad = [number for number, outcome in enumerate(outcomes) if isinstance(outcome, FreeholdError)]
        assert bad == [7, 20, 21]
        assert store.size() == 1 + 37 * 2
        assert tree.leaves == list(store.leaves(0, store.size()))
        for number, outcome in enumerate(outcomes):
            if isinstance(outcome, int):
                found = [entry.draft for entry in store.entries(outcome, outcome + 2)]
                assert found == list(batches[number].entries)
        assert store.document("card", "b") is None
        assert await store.commit(Batch([note("next")])) == store.size() - 1
