"""Documents on both engines: versions, order, and a comparison with a plain dictionary."""

import asyncio
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from freehold.base import BadInput
from freehold.store import CONFLICT, Batch, Document, Drop, Put, Store
from tests.store.helpers import note, opened


async def test_a_document_counts_its_versions(address: str) -> None:
    async with opened(address) as store:
        assert store.document("card", "a") is None
        assert await store.commit(Batch([], [Put("card", "a", b"1", "open")])) == 0
        assert store.document("card", "a") == Document("card", "a", b"1", "open", 1)
        await store.commit(
            Batch([], [Put("card", "a", b"2", "done", expect=1), Put("card", "a", b"3", expect=2)])
        )
        assert store.document("card", "a") == Document("card", "a", b"3", "", 3)
        await store.commit(Batch([], [Drop("card", "a"), Drop("card", "never")]))
        assert store.document("card", "a") is None
        await store.commit(Batch([], [Put("card", "a", b"4", expect=0)]))
        assert store.document("card", "a") == Document("card", "a", b"4", "", 1)


@pytest.mark.parametrize(
    ("expect", "says"),
    [(0, "exists already"), (2, "has version 1; version 2 was expected"), (7, "does not exist; version 7")],
)
async def test_a_version_that_does_not_hold_fails_the_whole_batch(
    address: str, expect: int, says: str
) -> None:
    key = "missing" if expect == 7 else "a"
    async with opened(address) as store:
        await store.commit(Batch([], [Put("card", "a", b"1")]))
        with pytest.raises(BadInput, match=says) as caught:
            await store.commit(
                Batch([note("x")], [Put("card", "b", b""), Put("card", key, b"2", expect=expect)])
            )
        assert caught.value.code == CONFLICT
        assert store.size() == 0
        assert store.documents("card") == [Document("card", "a", b"1", "", 1)]


async def test_one_of_two_who_expect_the_same_version_loses(address: str) -> None:
    async with opened(address) as store:
        await store.commit(Batch([], [Put("card", "a", b"0")]))
        outcomes = await asyncio.gather(
            *(store.commit(Batch([], [Put("card", "a", b"%d" % n, expect=1)])) for n in range(10)),
            return_exceptions=True,
        )
        assert [type(outcome) for outcome in outcomes] == [int] + [BadInput] * 9
        assert store.document("card", "a") == Document("card", "a", b"0", "", 2)


async def test_documents_are_selected_by_state_and_prefix_in_key_order(address: str) -> None:
    keys = ["a", "ab", "aé", "aéz", "aê", "b", "B", "a\U0010ffff", "a\ud7ff", "a\U0010ffffx", "Ω"]
    async with opened(address) as store:
        puts = [Put("card", key, b"", "even" if place % 2 == 0 else "odd") for place, key in enumerate(keys)]
        await store.commit(Batch([], [*puts, Put("other", "a", b"")]))
        assert [found.key for found in store.documents("card")] == sorted(keys)
        for prefix in ["a", "aé", "a\ud7ff", "a\U0010ffff", "x", "\U0010ffff"]:
            found = [document.key for document in store.documents("card", prefix=prefix)]
            assert found == sorted(key for key in keys if key.startswith(prefix))
        odd = sorted(keys[1::2])
        assert [found.key for found in store.documents("card", state="odd")] == odd
        assert [found.key for found in store.documents("card", state="odd", prefix="a", limit=2)] == odd[:2]


TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=4)
KEYS = st.sampled_from(["a", "b", "ab", "é"]) | TEXT


@dataclass
class Model:
    """What a document store is, in one dictionary."""

    held: dict[tuple[str, str], Document]

    def apply(self, changes: list[Put | Drop]) -> bool:
        after = dict(self.held)
        for change in changes:
            place = (change.collection, change.key)
            old = after[place].version if place in after else 0
            if isinstance(change, Drop):
                after.pop(place, None)
            elif change.expect is not None and change.expect != old:
                return False
            else:
                after[place] = Document(*place, change.body, change.state, old + 1)
        self.held = after
        return True


CHANGES = st.one_of(
    st.builds(
        Put,
        st.sampled_from(["x", "y"]),
        KEYS,
        st.binary(max_size=9),
        st.sampled_from(["", "open", "done"]),
        st.none() | st.integers(0, 3),
    ),
    st.builds(Drop, st.sampled_from(["x", "y"]), KEYS),
)


def machine_of(store: Store, runner: "asyncio.Runner") -> type[RuleBasedStateMachine]:
    class Documents(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            held = [Drop(found.collection, found.key) for name in "xy" for found in store.documents(name)]
            runner.run(store.commit(Batch([], held)))
            self.model = Model({})

        @rule(groups=st.lists(st.lists(CHANGES, max_size=3), min_size=1, max_size=4))
        def commit_at_once(self, groups: list[list[Put | Drop]]) -> None:
            async def commit() -> list[object]:
                return await asyncio.gather(
                    *(store.commit(Batch([], group)) for group in groups), return_exceptions=True
                )

            done = [isinstance(outcome, int) for outcome in runner.run(commit())]
            assert done == [self.model.apply(group) for group in groups]

        @rule(prefix=TEXT, state=st.sampled_from([None, "", "open"]))
        def select(self, prefix: str, state: str | None) -> None:
            wanted = [
                found
                for (collection, key), found in sorted(self.model.held.items())
                if collection == "x" and key.startswith(prefix) and state in (None, found.state)
            ]
            assert store.documents("x", state=state, prefix=prefix) == wanted

        @invariant()
        def holds_what_the_dictionary_holds(self) -> None:
            for (collection, key), found in self.model.held.items():
                assert store.document(collection, key) == found

    return Documents


def test_documents_behave_like_a_dictionary_with_versions(address: str) -> None:
    with asyncio.Runner() as runner:
        context = opened(address)
        store = runner.run(context.__aenter__())
        try:
            run_state_machine_as_test(
                machine_of(store, runner),
                settings=settings(
                    max_examples=25,
                    stateful_step_count=12,
                    deadline=None,
                    database=None,
                    suppress_health_check=list(HealthCheck),
                ),
            )
        finally:
            runner.run(context.__aexit__(None, None, None))
