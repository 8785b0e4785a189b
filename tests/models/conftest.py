"""A throw-away estate with a model, and a job whose one step asks it something."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from freehold.gateway import Model, read_model
from freehold.kernel.rights import right
from freehold.runtime.engine import RunDocument
from freehold.runtime.job import Job, Limits
from freehold.testing import nursery
from freehold.testing.estates import ThrowawayEstate, synthetic_job

HELLO: Mapping[str, Any] = {"messages": [{"role": "user", "content": "Say hello."}]}
ROOM = Limits(money_micro=10**9, tokens=10**7, actions=10_000, cpu_us=10**12)


@pytest.fixture
async def estate(tmp_path: Path) -> AsyncIterator[ThrowawayEstate]:
    """An open estate in a folder of its own."""
    (tmp_path / "estate").mkdir()
    made = ThrowawayEstate(tmp_path / "estate")
    made.starts = nursery.start
    await made.open()
    yield made
    await made.close()


def model(url: str, **more: Any) -> Model:
    """Return a model at ``url``: 1.00 in, 2.00 out per million tokens."""
    plain = {
        "name": "tiny", "url": url, "id": "tiny-1", "zone": "device", "context": 8_000, "max_output": 100,
        "price_in": 1_000_000, "price_out": 2_000_000,
    }  # fmt: skip
    return read_model(plain | more)


async def job_that_asks(
    estate: ThrowawayEstate,
    args: Mapping[str, Any] = HELLO,
    *,
    may: str = "tiny",
    limits: Limits = ROOM,
    **more: Any,
) -> Job:
    """Return a job, its agent employed, whose step asks for one `model.call`."""
    node = {
        "step": "act",
        "tools": ["model.call"],
        "params": {"tool": "model.call", "args": dict(args)},
        **more,
    }
    job = synthetic_job({"model": "tiny", "plan": [node]}, may=(right("model.call", may),), limits=limits)
    await estate.employ(job)
    return job


async def ask(estate: ThrowawayEstate, args: Mapping[str, Any] = HELLO, **more: Any) -> dict[str, Any]:
    """Run a job that asks for one call and return what it was given."""
    document = await estate.run(await job_that_asks(estate, args, **more))
    assert (document.state, document.failed) == ("done", 0), sentence(estate, document)
    found: dict[str, Any] = estate.result(document)
    return found


async def refused(
    estate: ThrowawayEstate, args: Mapping[str, Any] = HELLO, **more: Any
) -> tuple[str, RunDocument]:
    """Run a job whose call does not succeed; return the sentence that it ended with, and its document."""
    document = await estate.run(await job_that_asks(estate, args, **more))
    assert document.failed or document.state != "done"
    return sentence(estate, document), document


def sentence(estate: ThrowawayEstate, document: RunDocument) -> str:
    """Return everything that the records of a run say in private."""
    opened = [
        estate.rooms.ledger.open_payload(entry) for entry in estate.rooms.store.entries_of_run(document.id)
    ]
    return "\n".join([document.message, *(private.decode() for private in opened if private is not None)])


def money(estate: ThrowawayEstate, run: str) -> tuple[int, int]:
    """Return what a run has spent and what is still reserved, in millionths."""
    bill = estate.rooms.budget.bill(run, estate.rooms.ledger.now_us())
    return bill.spent.money_micro, bill.reserved.money_micro
