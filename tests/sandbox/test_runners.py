"""Runners behind walls at work for runs: they find nothing, keep their files, and are accounted for like any other."""

import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from freehold.kernel.rights import Right
from freehold.runtime.engine import RunDocument
from freehold.runtime.house import Pack
from freehold.runtime.job import Job
from freehold.sandbox import Level
from freehold.testing.estates import ThrowawayEstate, synthetic_job
from freehold.testing.processes import until
from tests.sandbox.conftest import ROOT, need

PACKS = {
    "hostile": Pack("hostile", "freehold.testing.hostile:pack"),
    "files": Pack("files", "tests.sandbox.files_pack:pack", (str(ROOT),)),
}


@pytest.fixture(params=[Level.NAMESPACES, Level.LANDLOCK], ids=lambda level: level.word)
async def estate(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ThrowawayEstate]:
    need(request.param)
    folder = tmp_path / "estate"
    folder.mkdir(mode=0o700)
    made = ThrowawayEstate(folder, packs=PACKS, spare=0)
    made.level = request.param
    await made.open()
    yield made
    await made.close()


def job_of(estate: ThrowawayEstate, pack: str, params: dict[str, Any], *may: Right) -> Job:
    return msgspec.structs.replace(synthetic_job(params, name="job", may=may), pack=pack)


async def done(estate: ThrowawayEstate, job: Job) -> RunDocument:
    await estate.employ(job)
    document = await estate.run(job)
    assert document.state == "done"
    return document


async def test_the_hostile_pack_finds_no_file_no_socket_and_no_process(estate: ThrowawayEstate) -> None:
    job = job_of(estate, "hostile", {"step": "look", "params": {}})
    seen = estate.result(await done(estate, job))
    assert seen["kinds"] == []
    assert seen["parent_memory"] is False
    assert seen["controlling_terminal"] is False
    files = [name for name in seen["descriptors"] if name.startswith("/") and not name.startswith("/proc/")]
    assert set(files) <= {"/dev/null", seen["working_folder"]}
    assert not [name for name in seen["environment"] if name.startswith(("FREEHOLD", "PYTEST", "VIRTUAL"))]


async def test_what_goes_through_the_workspace_arrives_both_ways(estate: ThrowawayEstate) -> None:
    job = job_of(estate, "files", {"plan": ["there_and_back"]})
    said = estate.result(await done(estate, job))
    assert said == hashlib.sha256(b"x" * (3 << 20)).hexdigest()


async def test_each_runner_has_a_folder_of_its_own(estate: ThrowawayEstate) -> None:
    job = job_of(estate, "files", {"plan": ["meet"], "runners": 2})
    document = await done(estate, job)
    seen = estate.result(document)
    assert sorted(map(len, seen)) == [1, 1]
    run = estate.place.folder / "workspaces" / document.id
    assert sorted(path.name for path in run.iterdir()) == ["0", "1"]
    owners = {path.stat().st_uid for path in run.iterdir()}
    assert len(owners) == (2 if os.geteuid() == 0 else 1)


async def test_a_runner_that_follows_another_finds_its_files(estate: ThrowawayEstate) -> None:
    job = job_of(estate, "files", {"plan": ["die_once"]})
    assert estate.result(await done(estate, job)) == ["deep/left", "left"]


async def test_what_a_runner_burns_is_measured(estate: ThrowawayEstate) -> None:
    job = job_of(estate, "files", {"plan": ["burn"]})
    document = await done(estate, job)
    entries = estate.rooms.store.entries_of_run(document.id)
    spent = sum(entry.draft.spent.cpu_us for entry in entries if entry.draft.spent is not None)
    assert 150_000 <= spent < 5_000_000


async def test_nothing_is_left_when_the_pool_ends(estate: ThrowawayEstate) -> None:
    await done(estate, job_of(estate, "files", {"plan": ["burn"]}))
    await until(lambda: estate.pool.in_use == 0)
    server = estate.pool.server_pid
    await estate.pool.stop()
    left = [
        str(path)
        for root in ("memory", "pids")
        for path in Path("/sys/fs/cgroup", root).rglob(f"freehold-{server}-*")
    ]
    assert left == []
    ready = estate.place.folder / "workspaces" / ".ready"
    assert list(ready.iterdir()) == []
