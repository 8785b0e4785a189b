"""How answers look on a narrow screen."""

from freehold.cli import words

ROWS = [("tiny", "https://models.example.com/a/very/long/address/v1", "1"), ("large", "short", "22")]


def test_a_table_that_is_wider_than_the_screen_gives_its_longest_cells_several_lines() -> None:
    whole = words.table(("model", "answers at", "jobs"), ROWS, "", 0)
    assert "/address/v1" in whole
    narrow = words.table(("model", "answers at", "jobs"), ROWS, "", 40).splitlines()
    assert max(map(len, narrow)) == 40
    assert [line.split() for line in narrow] == [
        ["MODEL", "ANSWERS", "AT", "JOBS"],
        ["tiny", "https://models.example.com/", "1"],
        ["a/very/long/address/v1"],
        ["large", "short", "22"],
    ]


def test_a_table_is_never_narrower_than_its_ids_need() -> None:
    narrow = words.table(("run", "by"), [("01234567", "anna")], "", 3)
    assert narrow.splitlines()[1] == "01234567  anna"


def test_a_long_line_is_broken_between_words_under_its_own_column() -> None:
    said = words.pairs([("vault", "one two three four five"), ("x", "y")], 18)
    assert said.splitlines() == ["vault  one two", "       three four", "       five", "x      y"]
