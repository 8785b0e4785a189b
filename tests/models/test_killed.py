"""A daemon that is killed in the middle of a call: what it costs, and what is asked of the endpoint again."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from freehold.gateway import most_of, read_asked, read_model
from freehold.testing.models import ModelProcess
from freehold.testing.processes import until
from freehold.testing.server import Behaviour
from tests.cli.conftest import Person, person

__all__ = ["person"]

pytestmark = pytest.mark.timeout(180)

PACK = '''\
"""Asks a model twice; for tests."""

from freehold.sdk import Context, Job, Pack, Plan

pack = Pack("asks", version="1")


@pack.step
async def asks(ctx: Context) -> list[str]:
    said = []
    for word in ("one", "two"):
        asked = {"messages": [{"role": "user", "content": word}], "max_tokens": 50}
        said.append((await ctx.act("model.call", asked)).value["text"])
    return said


@pack.planner
def plan(job: Job) -> Plan:
    made = Plan()
    made.add(asks, tools=["model.call"])
    return made
'''

JOB = """\
---
owner: anna
agent: audrey
pack: asks
budget:
  run: {money: 1.00 EUR, tokens: 1000000, actions: 100, cpu: 5 min, wall: 1 h}
may:
  - model.call: tiny
params:
  model: tiny
---
# Ask
## Goal
Ask twice.
## Context
None.
## Source
None.
## Expectations
Two answers.
"""
FIRST: dict[str, Any] = {"messages": [{"role": "user", "content": "one"}], "max_tokens": 50}
MODEL: dict[str, Any] = {
    "name": "tiny", "url": "http://127.0.0.1:1/v1", "id": "tiny-1", "zone": "device", "context": 32_768,
    "max_output": 4_096, "price_in": 2_000_000, "price_out": 4_000_000,
}  # fmt: skip
IN, OUT, EACH = 1_000, 10, 1_000 * 2 + 10 * 4


def brain() -> dict[str, Any]:
    return {
        "brain": "scripted", "by": "call",
        "replies": [{"text": "first", "tokens": [IN, OUT]}, {"text": "second", "tokens": [IN, OUT]}],
    }  # fmt: skip


@pytest.mark.parametrize("keyed", [True, False])
async def test_a_call_that_was_lost_is_paid_once_under_a_key_and_at_most_as_reserved_without(
    person: Person, tmp_path: Path, keyed: bool
) -> None:
    person.founds()
    person.furnishes("asks", PACK)
    with ModelProcess(
        tmp_path / "model", brain(), behaviour=Behaviour(keyed=keyed, delay_ms=10_000)
    ) as server:
        header = ["--idempotency-header", "Idempotency-Key"] if keyed else []
        person.does(
            "models", "add", "tiny", "--url", server.url, "--model", "tiny-1", "--zone", "device", "--price-in", "2",
            "--price-out", "4", *header,
        )  # fmt: skip
        (person.folder / "jobs" / "ask.md").write_text(JOB)
        digest = person.types("jobs", "check", "ask", "--json").value["digest"]
        person.does("jobs", "accept", "ask", "--digest", digest)
        daemon = person.types("status", "--json").value["pid"]
        run = person.types("run", "ask", "--json").value["id"]
        await until(lambda: len(server.taken()) == 1, 60)
        os.kill(daemon, signal.SIGKILL)
        server.behave(Behaviour(keyed=keyed))
        person.does("up")
        person.types("watch", run)
        shown = person.types("runs", "show", run, "--json").value
        spent = person.types("bill", run, "--json").value
        paid, repeated = server.paid, server.repeated
    assert shown["state"] == "done", shown
    bill = spent["spent"]["money_micro"]
    if keyed:
        assert (paid, repeated) == (2, 1)
        assert shown["result"] == ["first", "second"]
        assert bill == 2 * EACH
    else:
        assert (paid, repeated) == (3, 0)
        model = read_model(MODEL)  # the lost one at what was reserved, the others as their replies state
        assert bill - 2 * EACH == most_of(model, read_asked(FIRST)).money_micro
    assert spent["reserved"]["money_micro"] == 0
