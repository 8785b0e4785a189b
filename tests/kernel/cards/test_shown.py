"""What a card shows is what would be sent; what a person answers is a value of the type asked for."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.base import BadInput, Refused, canonical
from freehold.kernel.envelopes import Envelopes
from freehold.kernel.facts import LONGEST_BODY, body, read_back, visible
from freehold.kernel.questions import Question, read_answer, read_question
from freehold.kernel.subjects import SubjectKeys
from tests.kernel.cards.office import Office

ARGS = {
    "to": ["a@example.com", "b@example.com"],
    "subject": "Audit",
    "body": "one\ntwo",
    "urgent": True,
    "cc": [],
}


def test_each_value_that_would_be_sent_is_shown_once_with_where_it_came_from() -> None:
    facts = read_back(
        "mail.send", canonical.encode(ARGS), [("r.html", b"<p>")], lambda path, value: f"job file: {path}"
    )
    assert [(line.name, line.value) for line in facts.lines] == [
        ("cc", "[]"), ("subject", "Audit"), ("to.0", "a@example.com"), ("to.1", "b@example.com"),
        ("urgent", "true"),
    ]  # fmt: skip
    assert facts.lines[2].provenance == "job file: to.0"
    assert [(found.name, found.text, found.provenance) for found in facts.bodies] == [
        ("body", "one\ntwo", "job file: body")
    ]
    assert [(found.name, found.size, found.digest) for found in facts.attachments] == [
        ("r.html", 3, canonical.digest(b"<p>"))
    ]


@pytest.mark.parametrize(
    "trick",
    [
        "a\u202egpj.exe",
        "a\u200bb",
        "a\rb",
        "a\x1b[2Jb",
        "a\u2028b",
        "\ufeffa",
        "a\u2066b",
        "a\xa0b",
        "a\u2800",
    ],
)
def test_nothing_that_a_stranger_writes_can_hide_or_turn_around(trick: str) -> None:
    shown = visible(trick)
    assert "⟨U+" in shown
    assert shown.isprintable()


@pytest.mark.parametrize(
    ("trick", "shown"),
    [
        ("amy@hоme.example", "amy@hо⟨Cyrillic U+043E⟩me.example"),
        ("аррӏе.com", "аррӏе.c⟨Latin U+0063⟩o⟨Latin U+006F⟩m⟨Latin U+006D⟩"),
        ("pαypal", "pα⟨Greek U+03B1⟩ypal"),
        ("ｐaypal", "ｐ⟨Fullwidth U+FF50⟩aypal"),
        ("Grüße an Дима", "Grüße an Дима"),
        ("Ünal 東京 5µm", "Ünal 東京 5µm"),
    ],
)
def test_letters_of_another_alphabet_within_a_word_are_marked(trick: str, shown: str) -> None:
    assert visible(trick) == shown


@given(st.text())
def test_whatever_is_shown_can_be_seen(text: str) -> None:
    assert visible(text).isprintable()
    assert set(visible(text, lines=True).replace("\n", "").replace("\t", "")) <= set(visible(text))


def test_a_long_text_is_clipped_only_with_a_note() -> None:
    text = "x" * (LONGEST_BODY + 7)
    shown = body("body", text).text
    assert "7 more characters are sent" in shown
    assert canonical.digest(text.encode()) in shown


@pytest.mark.parametrize(
    ("question", "said", "value"),
    [
        (Question("?", "text"), " yes ", "yes"),
        (Question("?", "number"), "12", {"micro": 12_000_000}),
        (Question("?", "number"), "-0,5", {"micro": -500_000}),
        (Question("?", "amount", currency="EUR"), "12.50", {"micro": 12_500_000, "currency": "EUR"}),
        (Question("?", "amount", currency="EUR"), "12.5 eur", {"micro": 12_500_000, "currency": "EUR"}),
        (
            Question("?", "amount", currency="EUR"),
            {"micro": 1, "currency": "EUR"},
            {"micro": 1, "currency": "EUR"},
        ),
        (Question("?", "date"), "2026-02-28", "2026-02-28"),
        (Question("?", "choice", choices=("Done", "Not done")), "not done", "Not done"),
    ],
)
def test_an_answer_becomes_a_value_of_the_type(question: Question, said: Any, value: Any) -> None:
    assert read_answer(question, said) == value
    assert read_answer(question, value if question.type != "number" else {"micro": value["micro"]}) == value


BOUNDED = Question("?", "number", minimum=0, maximum=10_000_000)


@pytest.mark.parametrize(
    ("question", "said", "remedy"),
    [
        (Question("?", "text"), "", "Write up to"),
        (Question("?", "text"), "x" * 10_001, "Write up to"),
        (Question("?", "text"), ["x"], "Write up to"),
        (Question("?", "number"), "1,234", "with a point"),
        (Question("?", "number"), "1e5", "such as 12.5"),
        (Question("?", "number"), True, "such as 12.5"),
        (Question("?", "number"), {"micro": True}, "such as 12.5"),
        (BOUNDED, "10.000001", "between 0 and 10"),
        (BOUNDED, "-1", "between 0 and 10"),
        (Question("?", "amount", currency="EUR"), "12 USD", "in EUR"),
        (Question("?", "date"), "2026-02-30", "YYYY-MM-DD"),
        (Question("?", "date"), "28.02.2026", "YYYY-MM-DD"),
        (Question("?", "date"), "20260228", "YYYY-MM-DD"),
        (Question("?", "choice", choices=("a", "b")), "c", "Choose one of: a, b"),
        (Question("?", "choice", choices=("a", "b")), None, "Choose one of: a, b"),
    ],
)
def test_a_wrong_answer_says_what_is_expected(question: Question, said: Any, remedy: str) -> None:
    with pytest.raises(BadInput, match=remedy):
        read_answer(question, said)


@given(st.integers(-(10**15), 10**15))
def test_a_number_written_out_reads_back_exactly(micro: int) -> None:
    sign, (whole, rest) = "-" if micro < 0 else "", divmod(abs(micro), 1_000_000)
    assert read_answer(Question("?", "number"), f"{sign}{whole}.{rest:06d}") == {"micro": micro}


@pytest.mark.parametrize(
    "data",
    [
        None,
        {},
        {"text": " ", "type": "text"},
        {"text": "?", "type": "choice"},
        {"text": "?", "type": "colour"},
    ],
)
def test_a_malformed_question_is_a_clear_sentence(data: Any) -> None:
    with pytest.raises(BadInput):
        read_question(data)


def test_a_card_whose_person_is_forgotten_can_no_longer_be_read(tmp_path: Path) -> None:
    keys = SubjectKeys(tmp_path)
    sealer = Envelopes(keys)
    sealed = sealer.seal(b"dora had lunch", ("employee:dora", "employee:emil"))
    assert b"dora" not in sealed
    assert sealer.open(sealed) == b"dora had lunch"
    keys.destroy("employee:dora")
    for room in (sealer, Envelopes(SubjectKeys(tmp_path))):
        with pytest.raises(Refused):
            room.open(sealed)


def test_what_a_card_is_about_never_lies_open_in_its_document() -> None:
    office = Office()
    asked = office.asks(args={"to": "dora@example.com"})
    row = canonical.decode(asked.encoded())
    del row["sealed"]
    assert "dora" not in str(row)
    shown = office.cards.show(asked)
    assert shown.subjects == ("employee:dora",)
    assert shown.facts.lines[0].value == "dora@example.com"
