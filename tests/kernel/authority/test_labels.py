"""The lattice's laws, on random labels; and that joins are cheap where one side absorbs the other."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.base import BadInput, Corrupt, canonical
from freehold.kernel.change import Change
from freehold.kernel.label_sets import LABEL_SETS, LabelSets
from freehold.kernel.labels import (
    BOTTOM,
    MAX_INLINE,
    Confidentiality,
    Context,
    Integrity,
    Label,
    Sink,
    Zone,
    flows,
    join_all,
    may_see,
    set_id,
)
from freehold.store.interface import Put
from tests.kernel.authority.house import Shelf

NAMES = st.frozensets(st.sampled_from([f"s{number}" for number in range(20)]), max_size=20)
LABELS = st.builds(Label, st.sampled_from(Integrity), st.sampled_from(Confidentiality), NAMES, NAMES)


@given(LABELS, LABELS, LABELS)
def test_join_is_associative_commutative_and_idempotent(a: Label, b: Label, c: Label) -> None:
    assert a.join(b) == b.join(a)
    assert a.join(b).join(c) == a.join(b.join(c))
    assert a.join(a) is a
    assert a.join(BOTTOM) is a
    assert join_all([a, b, c]) == a.join(b).join(c)


@given(LABELS, LABELS, LABELS)
def test_join_is_the_least_label_above_both(a: Label, b: Label, c: Label) -> None:
    joined = a.join(b)
    assert a.leq(joined)
    assert b.leq(joined)
    assert joined.leq(c) == (a.leq(c) and b.leq(c))


@given(LABELS, LABELS, LABELS)
def test_the_order_is_a_partial_order_with_a_least_label(a: Label, b: Label, c: Label) -> None:
    assert a.leq(a)
    assert BOTTOM.leq(a)
    assert (a.leq(b) and b.leq(a)) == (a == b)
    if a.leq(b) and b.leq(c):
        assert a.leq(c)
    assert (a == b) <= (hash(a) == hash(b))


@given(LABELS, LABELS)
def test_a_join_that_changes_nothing_returns_the_very_same_label(a: Label, b: Label) -> None:
    joined = a.join(b)
    assert joined.join(a) is joined
    assert joined.join(b) is joined
    assert a.join(joined) is joined


@given(LABELS, st.lists(LABELS, max_size=5))
def test_what_a_process_was_shown_only_rises_and_covers_everything(first: Label, more: list[Label]) -> None:
    context = Context(first)
    for label in more:
        before = context.label
        assert before.leq(context.show(label))
        assert label.of_nobody().leq(context.label)
    child = context.fork()
    child.show(Label(Integrity.STRANGER, Confidentiality.RESTRICTED, ["other"]))
    assert context.label == join_all([first, *more]).of_nobody()


@given(LABELS)
def test_a_label_comes_back_from_the_journal_as_it_went_in(label: Label) -> None:
    shelf = Shelf()
    large = [names for names in (label.sources, label.subjects) if len(names) > MAX_INLINE]
    shelf.commit(
        Change([], [Put(LABEL_SETS, set_id(names), canonical.encode(sorted(names))) for names in large])
    )
    form = canonical.decode(canonical.encode(label.encode()))
    assert label.encode() is label.encode()
    assert Label.decode(form, LabelSets(shelf).members) == label


def test_a_large_set_is_written_as_its_digest_and_one_that_is_missing_is_an_alarm() -> None:
    label = Label(subjects=(f"k{number}" for number in range(5_000)))
    name = set_id(label.subjects)
    assert label.encode() == {"c": "public", "i": "owner", "sub": name}
    with pytest.raises(Corrupt, match="missing or changed"):
        Label.decode(label.encode(), LabelSets(Shelf()).members)
    shelf = Shelf()
    shelf.commit(Change([], [Put(LABEL_SETS, name, b'["k1"]')]))
    with pytest.raises(Corrupt, match="missing or changed"):
        Label.decode(label.encode(), LabelSets(shelf).members)


@pytest.mark.parametrize(
    "form",
    [None, [], {"i": "owner"}, {"i": "boss", "c": "public"}, {"i": "owner", "c": "public", "src": [1]}],
)
def test_what_is_not_a_label_is_refused(form: object) -> None:
    with pytest.raises(BadInput, match="not one"):
        Label.decode(form)


def test_a_label_does_not_change() -> None:
    with pytest.raises(AttributeError, match="does not change"):
        BOTTOM.integrity = Integrity.STRANGER
    with pytest.raises(AttributeError, match="does not change"):
        del BOTTOM.sources


def test_a_refused_flow_says_what_may_not_go_where() -> None:
    secret = Label(confidentiality=Confidentiality.RESTRICTED)
    out = flows(secret, Sink(Zone.PEOPLE, name="finance@example.org"), True)
    assert (out.ok, out.code) == (False, "zone")
    assert out.why == (
        "Data of class `restricted` may not reach finance@example.org: it is in the zone `people`, "
        "and that class goes no further than `premises`."
    )
    low = flows(secret, Sink(Zone.PREMISES, Confidentiality.INTERNAL, name="nas"), True)
    assert (low.code, "cleared for `internal`" in low.why) == ("clearance", True)
    steered = flows(Label(Integrity.STRANGER), Sink(Zone.PEOPLE, consequential=True, name="x@y.org"), False)
    assert (steered.code, "may not choose where x@y.org is" in steered.why) == ("steered", True)
    assert flows(Label(Integrity.STRANGER), Sink(Zone.PEOPLE, consequential=True), True).ok
    assert flows(Label(Integrity.STRANGER), Sink(Zone.DEVICE), False).ok
    assert not may_see(secret, Confidentiality.CONFIDENTIAL, "agent bookkeeper").ok


@given(LABELS, LABELS, st.sampled_from(Zone), st.sampled_from(Confidentiality), st.booleans(), st.booleans())
def test_what_a_higher_label_may_do_a_lower_one_may_too(
    a: Label, b: Label, zone: Zone, clearance: Confidentiality, consequential: bool, trusted: bool
) -> None:
    sink = Sink(zone, clearance, consequential)
    assert flows(a.join(b), sink, trusted).ok <= flows(a, sink, trusted).ok


@given(
    LABELS,
    st.lists(st.tuples(st.sampled_from(Zone), st.sampled_from(Confidentiality)), min_size=2, max_size=4),
)
def test_an_action_with_several_sinks_passes_only_where_each_would(
    label: Label, parts: list[tuple[Zone, Confidentiality]]
) -> None:
    sinks = [Sink(zone, clearance, True) for zone, clearance in parts]
    joined = sinks[0]
    for sink in sinks[1:]:
        joined = joined.join(sink)
    for trusted in (True, False):
        assert flows(label, joined, trusted).ok == all(flows(label, sink, trusted).ok for sink in sinks)
