"""How answers look on a narrow screen."""

from freehold.cli import words

ROWS = [("tiny", "https://models.example.com/a/very/long/address/v1", "1"), ("large", "short", "22")]


def test_a_table_that_is_wider_than_the_screen_loses_the_ends_of_its_longest_cells_alone() -> None:
    whole = words.table(("model", "answers at", "jobs"), ROWS, "", 0)
    assert "/address/v1" in whole
    cut = words.table(("model", "answers at", "jobs"), ROWS, "", 40)
    assert max(map(len, cut.splitlines())) == 40
    assert "https://models.example.c" in cut
    assert all(kept in cut for kept in ("MODEL", "ANSWERS AT", "JOBS", "tiny", "large", "22"))


def test_a_table_is_never_cut_below_what_its_ids_need() -> None:
    cut = words.table(("run",), [("0123456789abcdef",)], "", 3)
    assert cut.splitlines()[1] == "0123456789a…"


def test_a_long_line_is_broken_between_words_under_its_own_column() -> None:
    said = words.pairs([("vault", "one two three four five"), ("x", "y")], 18)
    assert said.splitlines() == ["vault  one two", "       three four", "       five", "x      y"]
