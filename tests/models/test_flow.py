"""Which data a model may be shown: judged by its zone, by what people allowed it beyond that, and by nothing else."""

import pytest

from freehold.base import BadInput
from freehold.gateway import Model, read_model
from freehold.kernel.labels import FURTHEST, Confidentiality, Integrity, Label, flows
from freehold.testing.brains import Scripted
from freehold.testing.estates import ThrowawayEstate
from freehold.testing.models import ModelServer
from tests.models.conftest import ask, model, refused

LEVELS = list(Confidentiality)


def far(zone: str, shown: str = "") -> Model:
    return read_model(
        {"name": "far", "url": "https://models.example.com/v1", "id": "m", "zone": zone, "context": 100,
         "max_output": 10, "shown": shown}
    )  # fmt: skip


def reached(one: Model) -> list[str]:
    """The classes of data that may go there, from whoever they come."""
    label = [Label(Integrity.STRANGER, level) for level in LEVELS]
    return [each.confidentiality.name.lower() for each in label if flows(each, one.sink(FURTHEST), False).ok]


def test_what_a_model_may_be_shown_follows_from_its_zone() -> None:
    assert reached(far("foreign")) == ["public"]
    assert reached(far("jurisdiction")) == ["public", "internal"]
    assert reached(model("http://127.0.0.1/v1")) == ["public", "internal", "confidential", "restricted"]


def test_a_person_may_let_it_be_shown_more_but_restricted_data_never_leaves() -> None:
    assert reached(far("foreign", "confidential")) == ["public", "internal", "confidential"]
    assert reached(far("jurisdiction", "public")) == ["public", "internal"]
    with pytest.raises(BadInput, match="Restricted data goes to no model"):
        far("foreign", "restricted")


async def test_a_call_of_a_foreign_model_is_refused_before_anything_is_sent(estate: ThrowawayEstate) -> None:
    await estate.add_model(far("foreign"))
    words, _ = await refused(
        estate, {"model": "far", "messages": [{"role": "user", "content": "hi"}]}, may="far"
    )
    assert "may not reach model far" in words
    assert "internal" in words


async def test_an_answer_carries_the_label_of_whoever_asked(estate: ThrowawayEstate) -> None:
    with ModelServer(Scripted(["Hello."])) as server:
        await estate.add_model(model(server.url))
        await ask(estate)
    (run,) = {run for run, _ in estate.events}
    actions = [action for action in estate.rooms.store.actions_of_run(run) if action.ordinal == 1]
    (call,) = actions
    value = estate.house.records.value(call.result_index or -1)
    assert value.label.integrity is Integrity.OWNER
    assert value.label.confidentiality is Confidentiality.INTERNAL
