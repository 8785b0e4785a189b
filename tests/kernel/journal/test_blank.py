"""A body that is filled in is the body that the canonical encoder writes."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from freehold.base import canonical
from freehold.kernel.blank import Blank, number, word

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ["%", "%d", "%%s", "\0", "\0s", '"', "\\u0000", "é%d", "{}"]
)
NAMES = st.text("abcdeinopstuvwy%", min_size=1, max_size=4)
FIXED = st.recursive(
    st.none() | st.booleans() | st.integers(-canonical.MAX_INT, canonical.MAX_INT) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)
NUMBERS = st.integers(0, canonical.MAX_INT)
WORDS = st.text("0123456789abcdef", max_size=64)


@given(st.dictionaries(NAMES, FIXED | st.tuples(NUMBERS) | st.tuples(WORDS), max_size=12), NUMBERS, WORDS)
def test_filling_in_gives_what_the_encoder_gives(drawn: dict[str, Any], size: int, digest: str) -> None:
    """Open fields are the drawn tuples, and two within ``pay``; everything else is fixed."""
    drawn = {name: value for name, value in drawn.items() if name != "pay"}
    fields: dict[str, Any] = {"pay": {"s": "0f", "n": size, "d": digest}}
    open_ones: dict[str, Any] = {"pay": {"s": "0f", "n": number(), "d": word()}}
    values: list[tuple[str, list[Any]]] = [("pay", [digest, size])]
    for name, value in drawn.items():
        fields[name] = value[0] if isinstance(value, tuple) else value
        open_ones[name] = value
        if isinstance(value, tuple):
            open_ones[name] = word() if isinstance(value[0], str) else number()
            values.append((name, [value[0]]))
    ordered = [value for _, found in sorted(values) for value in found]
    assert Blank(open_ones).filled(*ordered) == canonical.encode(fields)
