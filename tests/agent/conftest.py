"""A throw-away estate with a model behind a real endpoint, and the assistant at work in it."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from freehold.gateway import Model, read_model
from freehold.kernel.grades import Category, Grade
from freehold.kernel.rights import Right, right
from freehold.runtime.house import Pack
from freehold.runtime.job import Job, Limits, Source
from freehold.testing import nursery
from freehold.testing.brains import Brain
from freehold.testing.estates import OWNER, ThrowawayEstate, synthetic_job
from freehold.testing.models import ModelServer

ASSISTANT = Pack("assistant", "freehold.packs.assistant.pack:pack", thinks=True)
WIDE = Limits(money_micro=10**9, tokens=10**7, actions=10_000, cpu_us=10**12)
MAY = (right("model.call", "*"), right("source.read", "*"), right("outbox.write", "*"))


@pytest.fixture
async def estate(tmp_path: Path) -> AsyncIterator[ThrowawayEstate]:
    """An open estate in a folder of its own."""
    (tmp_path / "estate").mkdir()
    made = ThrowawayEstate(tmp_path / "estate", packs={"assistant": ASSISTANT})
    made.starts = nursery.start
    await made.open()
    yield made
    await made.close()


def model(url: str, **more: Any) -> Model:
    """Return a model at ``url``: 1.00 in, 2.00 out per million tokens."""
    plain = {
        "name": "tiny", "url": url, "id": "tiny-1", "zone": "device", "context": 32_000, "max_output": 4_096,
        "price_in": 1_000_000, "price_out": 2_000_000, "key_header": "Idempotency-Key",
    }  # fmt: skip
    return read_model(plain | more)


def papers(folder: Path, **files: str) -> Path:
    """Write files for a source and return their folder."""
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.txt").write_text(text)
    return folder


def assistant(
    *, may: tuple[Right, ...] = MAY, limits: Limits = WIDE, grades: dict[Category, Grade] | None = None,
    goal: str = "Find out what the papers say.", **params: Any,
) -> Job:  # fmt: skip
    """Return a job of the assistant with a source of papers."""
    job = synthetic_job({"model": "tiny"} | params, may=may, limits=limits, grades=grades, name="assistant")
    return msgspec.structs.replace(job, pack="assistant", goal=goal, sources={"papers": Source("papers")})


async def hire(estate: ThrowawayEstate, server: ModelServer, job: Job, name: str = "tiny") -> Job:
    """Add the server's model to the estate and employ the job's agent."""
    await estate.rooms.ledger.commit(estate.models.add(model(server.url, name=name), by=OWNER))
    await estate.employ(job)
    return job


def serve(brain: Brain, **more: Any) -> ModelServer:
    """Return a model's endpoint with that brain, to be entered."""
    return ModelServer(brain, **more)
