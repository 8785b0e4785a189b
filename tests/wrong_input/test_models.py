"""Models that cannot be, or are not there."""

import pytest

from tests.wrong_input.conftest import Person, says

pytestmark = pytest.mark.timeout(120)

GOOD = {"--url": "https://models.example.com/v1", "--model": "m-1", "--zone": "foreign", "--price-in": "1",
        "--price-out": "2"}  # fmt: skip


CHANGED: list[tuple[dict[str, str], str]] = [
    ({"--url": "models.example.com"}, "is not an address of a model"),
    ({"--url": "https://user:pass@models.example.com/v1"}, "is not an address of a model"),
    ({"--url": "http://models.example.com/v1"}, "is not encrypted"),
    ({"--url": "https://models.example.com:99999/v1"}, "is not an address of a model"),
    ({"--zone": "moon"}, "moon"),
    ({"--zone": "device"}, "is not this device"),
    ({"--kind": "telepathy"}, "telepathy"),
    ({"--price-in": "1,50"}, "is not a price"),
    ({"--price-in": "-1"}, "is not a price"),
    ({"--price-out": "0.0000001"}, "is not a price"),
    ({"--price-out": ""}, "--price-out is missing"),
    ({"--context": "0"}, "out of range"),
    ({"--max-output": "40000"}, "more than --context"),
    ({"--idempotency-header": "Not A Header:"}, "not the name of a header"),
    ({"--shown": "everything"}, "everything"),
    ({"--shown": "restricted"}, "no model outside of your own machines"),
    ({"--model": ""}, "--model is missing"),
]


def test_a_model_that_cannot_be_is_one_sentence(owner: Person) -> None:
    for changed, words in CHANGED:
        options = [word for pair in (GOOD | changed).items() for word in pair]
        says(owner.types("models", "add", "m", *options), 2, words)
    assert owner.types("models", "--json").value == []


def test_a_model_that_is_not_there_is_said_with_where_to_look(owner: Person) -> None:
    for verb in ("show", "test", "remove"):
        says(owner.types("models", verb, "ghost"), 2, "no model 'ghost'", "freehold models add")


def test_a_name_that_is_taken_and_one_that_is_none_are_refused(owner: Person) -> None:
    options = [word for pair in GOOD.items() for word in pair]
    owner.does("models", "add", "m", *options)
    says(
        owner.types("models", "add", "m", *options),
        2,
        "There is a model m already",
        "freehold models remove m",
    )
    says(owner.types("models", "add", "Über mich", *options), 2, "is not a name for a model")


def test_a_model_that_cannot_be_reached_is_said_when_it_is_tried(owner: Person) -> None:
    owner.does("models", "add", "gone", "--url", "http://127.0.0.1:9/v1", "--model", "m", "--zone", "device")
    says(owner.types("models", "test", "gone"), 4, "cannot be reached")


def test_a_foreign_model_is_not_shown_what_its_zone_forbids(owner: Person) -> None:
    options = [word for pair in GOOD.items() for word in pair]
    assert "--shown internal" in owner.does("models", "add", "far", *options)
    says(owner.types("models", "test", "far"), 3, "internal", "model far")
