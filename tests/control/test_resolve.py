"""Short ids: any beginning or end that fits one thing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.base import NotFound
from freehold.control.resolve import resolve

IDS = [
    "01a1fd4441a1738fa0aefbb10143bb16",
    "01a1fd4441a1738fa0aefbb1aa43bb17",
    "01a1fd4441a1738fa0aefbb1aa99cc18",
]


@pytest.mark.parametrize(
    ("short", "found"), [("0143bb16", 0), ("0143", 0), ("bb17", 1), ("aa99", 2), (IDS[1], 1)]
)
def test_an_end_a_beginning_and_the_beginning_of_the_end_are_enough(short: str, found: int) -> None:
    assert resolve(short, IDS, "run", "freehold runs") == IDS[found]


def test_what_fits_several_names_them() -> None:
    with pytest.raises(NotFound, match="fits 2 runs: aa43bb17, aa99cc18") as caught:
        resolve("aa", IDS, "run", "freehold runs")
    assert caught.value.code == "input.not-found.ambiguous"


@pytest.mark.parametrize("nothing", ["", "zz", " "])
def test_what_fits_nothing_says_where_to_look(nothing: str) -> None:
    with pytest.raises(NotFound) as caught:
        resolve(nothing, IDS, "run", "freehold runs")
    assert "freehold runs" in caught.value.remedy


@given(
    st.lists(st.text("0123456789abcdef", min_size=32, max_size=32), unique=True, max_size=6),
    st.text(max_size=9),
)
def test_nothing_that_does_not_begin_or_end_so_is_ever_taken(ids: list[str], given_: str) -> None:
    wanted = given_.strip().lower()
    try:
        found = resolve(given_, ids, "run", "freehold runs")
    except NotFound:
        return
    assert found.startswith(wanted) or found.endswith(wanted) or found[-8:].startswith(wanted)
