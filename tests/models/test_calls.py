"""A call of a model through the gate: what is sent, what comes back, what it costs."""

from typing import Any

import pytest

from freehold.base import BadInput
from freehold.runtime.job import Limits
from freehold.testing.brains import Nonsense, Reply, Scripted
from freehold.testing.estates import ThrowawayEstate
from freehold.testing.models import ModelServer
from tests.models.conftest import HELLO, ask, job_that_asks, model, money, refused

OFFER = {"name": "mail.send", "description": "Send mail.", "parameters": '{"type":"object","properties":{}}'}


@pytest.mark.parametrize("kind", ["openai", "anthropic"])
async def test_an_answer_comes_back_in_one_form_with_its_exact_price(
    estate: ThrowawayEstate, kind: str
) -> None:
    call = ("mail__send", {"to": "a@example.org", "n": 1.5})
    with ModelServer(Scripted([Reply("Hello, you.", [call], tokens=(1_001, 33))])) as server:
        await estate.add_model(model(server.url, kind=kind))
        found = await ask(estate, {**HELLO, "tools": [OFFER]})
    assert server.refused == []
    assert found["text"] == "Hello, you."
    (made,) = found["tool_calls"]
    assert made["name"] == "mail.send"
    assert made["arguments"] == '{"to": "a@example.org", "n": 1.5}'
    assert (found["finish"], found["model"]) == ("tool_calls", "tiny")
    assert found["usage"] == {"input_tokens": 1_001, "output_tokens": 33, "cached_tokens": 0}
    assert found["cost_micro"] == 1_001 + 66


@pytest.mark.parametrize("kind", ["openai", "anthropic"])
@pytest.mark.parametrize(
    ("price", "cost"),
    [(100_000, 301 + 70 + 66), (None, 1_001 + 66), (0, 301 + 66), (333_333, 301 + 234 + 66)],
)
async def test_input_that_was_kept_from_before_is_billed_at_its_own_price(
    estate: ThrowawayEstate, kind: str, price: int | None, cost: int
) -> None:
    with ModelServer(Scripted([Reply("Hello.", tokens=(1_001, 33), cached=700)])) as server:
        await estate.add_model(model(server.url, kind=kind, price_cached=price))
        document = await estate.run(await job_that_asks(estate))
    found = estate.result(document)
    assert found["usage"] == {"input_tokens": 1_001, "output_tokens": 33, "cached_tokens": 700}
    assert (found["cost_micro"], money(estate, document.id)) == (cost, (cost, 0))


async def test_more_kept_than_came_in_is_billed_as_what_came_in(estate: ThrowawayEstate) -> None:
    with ModelServer(Scripted([Reply("Hello.", tokens=(100, 1), cached=5_000)])) as server:
        await estate.add_model(model(server.url, price_cached=100_000))
        document = await estate.run(await job_that_asks(estate))
    assert money(estate, document.id) == (10 + 2, 0)


def test_what_was_kept_costs_no_more_than_other_input() -> None:
    with pytest.raises(BadInput, match="--price-cached is more than --price-in"):
        model("http://127.0.0.1:1/v1", price_cached=1_000_001)


async def test_the_bill_is_what_the_reply_states_and_nothing_stays_reserved(estate: ThrowawayEstate) -> None:
    with ModelServer(Scripted([Reply("Hello.", tokens=(700, 9))])) as server:
        await estate.add_model(model(server.url))
        job = await job_that_asks(estate)
        document = await estate.run(job)
    assert money(estate, document.id) == (700 + 18, 0)
    assert len(server.calls) == 1


async def test_text_is_told_to_whoever_watches_as_it_comes(estate: ThrowawayEstate) -> None:
    with ModelServer(Scripted(["One two three."])) as server:
        await estate.add_model(model(server.url))
        await ask(estate)
    told = [event for _, event in estate.events if event["event"] == "text"]
    assert [event["text"] for event in told] == ["One ", "two ", "three."]
    assert {(event["node"], event["item"]) for event in told} == {("act", 0)}


async def test_a_call_that_may_cost_more_than_is_left_is_not_made(estate: ThrowawayEstate) -> None:
    with ModelServer(Scripted(["Hello."])) as server:
        await estate.add_model(model(server.url, price_out=10**12))
        words, _ = await refused(estate, limits=Limits(10**7, 10**7, 10_000, 10**12))
        assert server.calls == []
    assert "money" in words


async def test_what_no_rule_allows_is_not_asked(estate: ThrowawayEstate) -> None:
    with ModelServer(Scripted(["Hello."])) as server:
        await estate.add_model(model(server.url))
        words, _ = await refused(estate, may="other")
        assert server.calls == []
    assert "call model tiny" in words


@pytest.mark.parametrize(
    ("reply", "code", "says"),
    [
        (Reply("Bad key.", status=401), "model.key", "add it with --key"),
        (Reply("Moved.", status=302), "model.refused", "sends the call elsewhere (302)"),
        (
            Reply("This model's maximum context length is 10.", status=400),
            "model.context-too-long",
            "too long",
        ),
        (Reply("No such model.", status=404), "model.unknown-id", "knows no tiny-1"),
        (Reply("Slower.", status=429, headers={"Retry-After": "0"}), "model.busy", "busy"),
        (Reply("Slower.", status=429, headers={"Retry-After": "3600"}), "model.busy", "busy"),
        (Reply(raw="<html>no</html>"), "model.nonsense", "cannot be read"),
    ],
)
async def test_what_an_endpoint_refuses_is_a_sentence_with_a_code(
    estate: ThrowawayEstate, reply: Reply, code: str, says: str
) -> None:
    with ModelServer(Scripted([reply])) as server:
        await estate.add_model(model(server.url))
        words, document = await refused(estate)
    assert says in words
    spent, reserved = money(estate, document.id)
    assert reserved == 0
    assert (spent > 0) == (
        code == "model.nonsense"
    )  # a call that was answered has been paid, whatever it says


async def test_a_busy_endpoint_is_asked_again_under_the_same_intent(estate: ThrowawayEstate) -> None:
    busy = Reply("Later.", status=429, headers={"Retry-After": "0"})
    with ModelServer(
        Scripted([busy, Reply("", status=503, headers={"Retry-After": "0.01"}), "Hello."], by="call")
    ) as server:
        await estate.add_model(model(server.url))
        found = await ask(estate)
    assert found["text"] == "Hello."
    assert len(server.calls) == 3


async def test_no_kind_of_nonsense_is_more_than_an_answer_or_a_sentence(estate: ThrowawayEstate) -> None:
    outcomes: list[Any] = []
    with ModelServer(Nonsense()) as server:
        await estate.add_model(model(server.url))
        for _ in range(11):
            document = await estate.run(await job_that_asks(estate, {**HELLO, "tools": [OFFER]}))
            assert document.state in ("done", "failed"), document
            outcomes.append(
                None if document.failed or document.state == "failed" else estate.result(document)
            )
            assert money(estate, document.id)[1] == 0
    assert outcomes[0]["tool_calls"][0]["arguments"] == "{not json"
    assert outcomes[2]["tool_calls"][0]["name"] == "no_such_tool"
    assert outcomes[6:10] == [None, None, None, None]
    assert outcomes[10]["text"] == "Now I make sense."
