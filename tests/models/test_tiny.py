"""A real model, tiny, behind a server that we did not write: taken in, tried, and called in a run."""

from pathlib import Path

import pytest

from freehold.testing.estates import ThrowawayEstate
from freehold.testing.tiny import CONTEXT, TinyModel, write
from tests.cli.conftest import Person, person
from tests.models.conftest import ask, model, money, refused

__all__ = ["person"]

pytestmark = pytest.mark.timeout(180)


def test_the_file_is_the_same_bytes_for_the_same_seed(tmp_path: Path) -> None:
    for name, seed in (("one", 1), ("again", 1), ("two", 2)):
        write(tmp_path / name, seed)
    one, again, two = ((tmp_path / name).read_bytes() for name in ("one", "again", "two"))
    assert one == again != two
    assert one[:4] == b"GGUF"


async def test_it_answers_through_the_gate_and_the_bill_is_what_it_states(
    estate: ThrowawayEstate, tmp_path: Path
) -> None:
    with TinyModel(tmp_path / "tiny") as server:
        await estate.add_model(model(server.url, context=CONTEXT))
        found = await ask(estate, {"messages": [{"role": "user", "content": "Hello you."}], "max_tokens": 12})
        (run,) = {run for run, _ in estate.events}
        usage = found["usage"]
        assert (usage["output_tokens"], found["finish"]) == (12, "length")
        assert 10 <= usage["input_tokens"] <= 60  # its vocabulary is bytes, and a template is around them
        assert money(estate, run) == (usage["input_tokens"] + 2 * 12, 0)
        told = "".join(event["text"] for _, event in estate.events if event["event"] == "text")
        assert told == found["text"] != ""


async def test_a_call_that_is_too_long_for_it_is_said_so(estate: ThrowawayEstate, tmp_path: Path) -> None:
    with TinyModel(tmp_path / "tiny") as server:
        await estate.add_model(model(server.url, context=CONTEXT))
        words, _ = await refused(estate, {"messages": [{"role": "user", "content": "x" * 3 * CONTEXT}]})
    assert "too long for the model tiny" in words


def test_it_is_taken_in_and_tried_at_the_commands(person: Person, tmp_path: Path) -> None:
    person.founds()
    with TinyModel(tmp_path / "tiny") as server:
        person.does(
            "models",
            "add",
            "tiny",
            "--url",
            server.url,
            "--model",
            "tiny",
            "--zone",
            "device",
            "--context",
            str(CONTEXT),
        )
        tried = person.types("models", "test", "tiny", "--json").value
    assert tried["usage"]["output_tokens"] == 16
    assert tried["latency_ms"] > 0
