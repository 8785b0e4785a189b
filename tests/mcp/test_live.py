"""What a tool server says over HTTP in the middle of a call is heard while the call is under way."""

import json
import time
from typing import Any

import pytest

from freehold.runtime.servers import Server
from freehold.testing.estates import OWNER
from tests.mcp.conftest import Elsewhere
from tests.mcp.live_server import Live, served

pytestmark = pytest.mark.timeout(120)
ADD: tuple[str, dict[str, Any]] = ("calc.add", {})


async def added(elsewhere: Elsewhere, live: Live) -> None:
    settings = elsewhere.estate.rooms.settings.change({"premises_hosts": ["127.0.0.1"]}, by=OWNER)
    await elsewhere.commit(settings)
    offer = await elsewhere.add(Server("calc", url=live.url, zone="device", data="public", timeout_s=25))
    assert offer.protocol == "2025-11-25"


async def test_a_question_in_the_middle_of_a_call_becomes_one_for_a_person_and_progress_is_shown(
    elsewhere: Elsewhere,
) -> None:
    with served(Live()) as live:
        await added(elsewhere, live)
        run = await elsewhere.call(ADD)
        (value,) = elsewhere.values(run)
        assert value["text"] == '{"action": "cancel"}'
        told = [e for of, e in elsewhere.estate.events if of == run.id and e.get("node") == "calc.add"]
        assert [(event["done"], event["text"]) for event in told] == [(1, "half")]
        (asked,) = value["asks"]
        answered = await elsewhere.call(("calc.add", {"_answers": {asked["key"]: "yes"}}))
        (told_back,) = elsewhere.values(answered)
    assert json.loads(told_back["text"]) == {"action": "accept", "content": {"sure": True}}


async def test_a_stream_that_is_left_open_holds_up_nobody(elsewhere: Elsewhere) -> None:
    with served(Live(asks=False, stays=True)) as live:
        await added(elsewhere, live)
        began = time.monotonic()
        (value,) = elsewhere.values(await elsewhere.call(ADD))
        assert value["text"] == "null"
        assert time.monotonic() - began < 15


async def test_a_stream_that_broke_off_is_resumed_where_it_was(elsewhere: Elsewhere) -> None:
    with served(Live(asks=False, breaks=True)) as live:
        await added(elsewhere, live)
        (value,) = elsewhere.values(await elsewhere.call(ADD))
        assert value["text"] == "resumed"
        assert len(live.resumed) == 1
        assert live.resumed[0].startswith("call:")


@pytest.mark.parametrize(
    ("behaviour", "why"),
    [
        ({"floods": True}, "it sent more than 2,000 messages that answer nothing"),
        ({"drops": True}, "ended without"),
    ],
)
async def test_a_stream_that_floods_or_breaks_off_for_good_leaves_the_call_unknown(
    elsewhere: Elsewhere, behaviour: dict[str, bool], why: str
) -> None:
    with served(Live(asks=False, **behaviour)) as live:
        await added(elsewhere, live)
        run = await elsewhere.call(ADD)
    assert run.state == "failed"
    assert why in elsewhere.sentences(run.id)
    assert "unknown" in [result["status"] for result in elsewhere.results(run.id)]
