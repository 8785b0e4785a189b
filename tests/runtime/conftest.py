"""A throw-away estate for every test that runs something, and a pack whose steps misbehave."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from freehold.base.canonical import decode
from freehold.kernel.rights import Right
from freehold.runtime.engine import RunDocument
from freehold.runtime.house import Pack
from freehold.runtime.job import Job, Limits, Source
from freehold.store.interface import EntryKind
from freehold.testing import nursery
from freehold.testing.estates import ThrowawayEstate, synthetic_job

PACKS = {"runtime": Pack("runtime", "runtime_pack:pack", (str(Path(__file__).parent / "packs"),))}

Open = Callable[..., Any]


@pytest.fixture
async def estate(tmp_path: Path) -> AsyncIterator[ThrowawayEstate]:
    """An open estate in a folder of its own."""
    folder = tmp_path / "estate"
    folder.mkdir()
    made = ThrowawayEstate(folder, packs=PACKS)
    made.starts = nursery.start
    await made.open()
    yield made
    await made.close()


async def job_of(
    estate: ThrowawayEstate, *plan: dict[str, Any], may: tuple[Right, ...] = (), limits: Limits | None = None,
    sources: dict[str, Source] | None = None, runners: int = 1,
) -> Job:  # fmt: skip
    """Return a job of the misbehaving pack with this plan, its agent employed."""
    job = synthetic_job({"plan": list(plan), "runners": runners}, may=may, limits=limits)
    job = msgspec.structs.replace(job, pack="runtime", sources=sources or {})
    await estate.employ(job)
    return job


def bodies(estate: ThrowawayEstate, run: str, kind: EntryKind) -> list[dict[str, Any]]:
    """Return the public parts of a run's entries of one kind, in order."""
    found = estate.rooms.store.entries_of_run(run)
    return [decode(entry.draft.body) for entry in found if entry.draft.kind is kind]


def sentences(estate: ThrowawayEstate, run: str) -> str:
    """Return everything that a run's entries keep private, as one text."""
    opened = [estate.rooms.ledger.open_payload(entry) for entry in estate.rooms.store.entries_of_run(run)]
    return "\n".join(private.decode() for private in opened if private is not None)


def ended(estate: ThrowawayEstate, run: RunDocument | str) -> str:
    """Return the sentence that a run ended with."""
    name = run if isinstance(run, str) else run.id
    (event,) = [event for of, event in estate.events if of == name and event["event"] == "ended"]
    return str(event["message"])


def starts(estate: ThrowawayEstate, run: str, node: str) -> list[int]:
    """Return the items of a node in the order in which their steps were begun."""
    return [body["item"] for body in bodies(estate, run, EntryKind.INTENT) if body.get("node") == node]
