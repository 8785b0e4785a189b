"""What an agent wrote while strangers had a say is remembered by value, and forgotten with the subject it was about."""

from freehold.kernel.hearsay import HEARSAY, Hearsay
from tests.kernel.shelf import Shelf


def test_a_value_is_known_from_the_moment_it_is_written_and_after_a_restart() -> None:
    shelf = Shelf()
    hearsay = Hearsay(shelf)  # type: ignore[arg-type]
    shelf.commit([], list(hearsay.writes(["pay eve", "no"], "set-a")))
    assert hearsay.holds("pay eve")
    assert Hearsay(shelf).holds("pay eve")  # type: ignore[arg-type]
    assert not hearsay.holds("no")
    assert not hearsay.holds("pay ben")
    assert b"pay eve" not in b"".join(one.body + one.key.encode() for one in shelf.documents(HEARSAY))
    assert hearsay.writes(["pay eve"], "set-a") == []


def test_forgetting_removes_what_only_that_subjects_sets_hold() -> None:
    shelf = Shelf()
    hearsay = Hearsay(shelf)  # type: ignore[arg-type]
    shelf.commit([], list(hearsay.writes(["pay eve", "call ben"], "set-a")))
    shelf.commit([], list(hearsay.writes(["call ben"], "set-b")))
    shelf.commit([], hearsay.without(frozenset({"set-a", "set-ab"})))
    for one in (hearsay, Hearsay(shelf)):  # type: ignore[arg-type]
        assert not one.holds("pay eve")
        assert one.holds("call ben")
        assert one.without(frozenset({"set-a"})) == []
    shelf.commit([], hearsay.without(frozenset({"set-b"})))
    assert [one.key for one in shelf.documents(HEARSAY)] == ["salt"]
    shelf.commit([], list(hearsay.writes(["pay eve"], "set-c")))
    assert Hearsay(shelf).holds("pay eve")  # type: ignore[arg-type]
