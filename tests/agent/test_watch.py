"""What people see of an agent that thinks: its words as they come, a line at a time where there is no terminal."""

from typing import Any

from freehold.cli.watch import Board, Spoken, line

RUN = "0" * 24 + "12345678"


def text(words: str, node: str = "work") -> dict[str, Any]:
    return {"event": "text", "run": RUN, "node": node, "item": 0, "text": words}


def test_words_are_put_together_to_lines_and_the_rest_comes_when_something_else_happens() -> None:
    spoken = Spoken()
    assert spoken.take(text("It ")) == []
    assert spoken.take(text("rains.\nTake an ")) == ["12345678  work says: It rains."]
    progress = {
        "event": "progress",
        "run": RUN,
        "node": "work",
        "item": 0,
        "done": 2,
        "total": 9,
        "text": "calls x",
    }
    assert spoken.take(progress) == ["12345678  work says: Take an"]
    assert line(progress) == "12345678  work: 2 of 9 calls x"
    assert spoken.take(progress) == []


def test_the_words_of_one_node_do_not_end_anothers_and_the_runs_end_ends_all() -> None:
    spoken = Spoken()
    spoken.take(text("one", "a"))
    assert spoken.take(text("two\n", "b")) == ["12345678  b says: two"]
    assert spoken.take({"event": "ended", "run": RUN, "state": "done"}) == ["12345678  a says: one"]


def test_words_that_would_move_the_cursor_are_spelled_out() -> None:
    assert Spoken().take(text("\x1b[2J\u202eyes\n")) == ["12345678  work says: ⟨U+001B⟩[2J⟨U+202E⟩yes"]


def test_a_run_that_waits_for_people_is_shown_as_waiting_until_it_goes_on() -> None:
    board = Board()
    board.take({"event": "run", "id": RUN, "job": "desk", "state": "running", "nodes": [], "cards": []})
    board.take({"event": "card", "run": RUN, "card": "c"})
    board.take({"event": "waiting", "run": RUN, "cards": ["c"]})
    assert board.runs[RUN]["state"] == "waiting"
    board.take(text("Now I go on."))
    assert board.runs[RUN]["state"] == "running"
