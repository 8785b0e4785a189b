"""Sources that runners see as folders: read-only, with their owner's links, written down; and nothing else."""

import json
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from freehold.base import BadInput
from freehold.base.canonical import decode
from freehold.kernel.labels import Integrity
from freehold.kernel.rights import Right, right
from freehold.runtime.job import Job, Source
from freehold.runtime.mounts import MAX_LINKS, look
from freehold.runtime.pools import Pools
from freehold.runtime.records import Records
from freehold.sandbox import Level
from freehold.store.interface import EntryKind
from freehold.testing.estates import ThrowawayEstate, synthetic_job
from freehold.testing.processes import until
from tests import needs
from tests.runtime.conftest import ended, sentences
from tests.sandbox.conftest import ORDINARY, USERS, Run, as_user, need
from tests.sandbox.mounting import PACKS, furnish

READS = (right("source.read", "in"),)


@pytest.mark.parametrize("level", [Level.NAMESPACES, Level.LANDLOCK], ids=lambda level: level.word)
@pytest.mark.parametrize("user", USERS)
def test_a_run_sees_its_source_and_its_owners_link_and_leads_nowhere_else(
    run: Run, level: Level, user: str
) -> None:
    need(level)
    said = json.loads(run("tests.sandbox.mounting", *as_user(user, level.word)).stdout)
    assert said["see"] == {"early": [], "texts": {"a.txt": "a", "receipts/r.txt": "r"}}
    assert said["change"] == []
    brought = {name: text for name, text in said["lead_out"].items() if not name.endswith(", put")}
    assert len(brought) == 4
    assert set(brought.values()) == {""}
    refused = [text for name, text in said["lead_out"].items() if name.endswith(", put")]
    assert len(refused) == 4
    assert all("leads through a link" in text for text in refused)


@pytest.mark.parametrize("user", USERS)
def test_the_same_links_lead_out_where_there_is_no_sandbox(run: Run, user: str) -> None:
    said = json.loads(run("tests.sandbox.mounting", *as_user(user, "none")).stdout)
    brought = {name: text for name, text in said["lead_out"].items() if not name.endswith(", put")}
    assert set(brought.values()) == {"A file outside."}
    assert "write" in said["change"]
    assert said["see"]["early"] == ["a.txt", "receipts"]


# ---- what is written down, and when it is not mounted


@pytest.fixture
async def estate(tmp_path: Path) -> AsyncIterator[ThrowawayEstate]:
    need(Level.LANDLOCK)
    folder = tmp_path / "estate"
    folder.mkdir(mode=0o700)
    made = ThrowawayEstate(folder, packs=PACKS, spare=0)
    made.level = Level.LANDLOCK
    await made.open()
    yield made
    await made.close()


async def job_of(
    estate: ThrowawayEstate, source: Path, *steps: str, mount: bool = True, may: tuple[Right, ...] = READS
) -> Job:
    job = synthetic_job({"steps": list(steps), "folder": str(source)}, name="job", may=may)
    job = msgspec.structs.replace(job, pack="mounts", sources={"in": Source(str(source), mount=mount)})
    await estate.employ(job)
    return job


def open_to_walk(tmp_path: Path) -> Path:
    for folder in (tmp_path, *tmp_path.parents):
        if folder != Path("/") and folder.stat().st_uid == os.geteuid():
            folder.chmod(folder.stat().st_mode | 0o011)
    return tmp_path


def open_to_all(tmp_path: Path) -> Path:
    return furnish(open_to_walk(tmp_path))


def mounts_of(estate: ThrowawayEstate, run: str) -> list[dict[str, Any]]:
    entries = estate.rooms.store.entries_of_run(run)
    bodies = [decode(entry.draft.body) for entry in entries if entry.draft.kind is EntryKind.INTENT]
    return [body for body in bodies if body["tool"] == "source.mount"]


async def test_what_was_mounted_is_journaled_and_labels_all_that_follows(
    estate: ThrowawayEstate, tmp_path: Path
) -> None:
    source = open_to_all(tmp_path)
    document = await estate.run(await job_of(estate, source, "see"), {"in": source})
    assert document.state == "done", estate.events[-1]
    assert len(mounts_of(estate, document.id)) == 1
    assert str(tmp_path / "documents") in sentences(estate, document.id)
    label = Records(estate.rooms).value(document.result_index).label
    assert label.integrity is Integrity.STRANGER
    assert "source:in" in label.sources
    plan, *_ = [action for action in estate.rooms.store.actions_of_run(document.id) if action.node == "$plan"]
    assert plan.result_index is not None
    assert Records(estate.rooms).value(plan.result_index).label.integrity is Integrity.OWNER


async def test_a_run_that_is_taken_up_again_sees_the_same_and_asks_the_gate_once(
    estate: ThrowawayEstate, tmp_path: Path
) -> None:
    source = open_to_all(tmp_path)
    run = await estate.engine.start(await job_of(estate, source, "ask", "see"), {"in": source})
    await until(lambda: bool(estate.rooms.cards.waiting(estate.rooms.ledger.now_us())))
    await estate.close()
    await estate.open()
    (card,) = estate.rooms.cards.waiting(estate.rooms.ledger.now_us())
    await estate.decide(card, "card.answer", {"value": "yes"})
    document = await estate.engine.wait(run)
    assert document.state == "done", estate.events[-1]
    assert estate.result(document)["texts"] == {"a.txt": "a", "receipts/r.txt": "r"}
    assert len(mounts_of(estate, run)) == 1


async def test_a_job_that_says_no_or_may_not_read_the_source_is_not_begun(
    estate: ThrowawayEstate, tmp_path: Path
) -> None:
    source = open_to_all(tmp_path)
    document = await estate.run(await job_of(estate, source, "see", mount=False), {"in": source})
    assert "does not let its runners see the folder of source 'in'" in ended(estate, document)
    document = await estate.run(await job_of(estate, source, "see", may=()), {"in": source})
    assert (document.state, mounts_of(estate, document.id)) == ("failed", [])


async def test_a_link_that_leads_nowhere_ends_the_run_with_a_sentence(
    estate: ThrowawayEstate, tmp_path: Path
) -> None:
    source = open_to_all(tmp_path)
    (source / "old").symlink_to(tmp_path / "gone")
    document = await estate.run(await job_of(estate, source, "see"), {"in": source})
    assert document.state == "failed"
    assert "The link 'old' in source 'in' leads nowhere." in ended(estate, document)


# ---- which links are followed


def looked(tmp_path: Path, source: Path) -> tuple[str, ...]:
    return look("in", source, tmp_path / "estate").links


def test_a_link_in_a_circle_or_to_no_file_gets_a_sentence(tmp_path: Path) -> None:
    source = furnish(tmp_path)
    (source / "one").symlink_to("two")
    (source / "two").symlink_to("one")
    with pytest.raises(BadInput, match="'one' in source 'in' leads in a circle"):
        looked(tmp_path, source)
    (source / "one").unlink()
    (source / "two").unlink()
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(tmp_path / "door"))
        (tmp_path / "door").chmod(0o777)
        (source / "door").symlink_to(tmp_path / "door")
        with pytest.raises(BadInput, match="is neither a folder nor a file"):
            looked(tmp_path, source)


@pytest.mark.parametrize("place", ["estate", "estate/keys", "estate/vault/inner", "", "/"])
def test_a_link_to_what_the_estate_keeps_or_above_it_is_refused(tmp_path: Path, place: str) -> None:
    source = furnish(tmp_path)
    (tmp_path / "estate" / "vault" / "inner").mkdir(parents=True)
    (tmp_path / "estate" / "keys").mkdir()
    (source / "sly").symlink_to(tmp_path / place)
    with pytest.raises(BadInput, match="would show a runner what the estate keeps"):
        looked(tmp_path, source)


def test_what_runners_cannot_read_is_said(tmp_path: Path) -> None:
    source = furnish(tmp_path)
    (tmp_path / "documents").chmod(0o000)
    try:
        with pytest.raises(
            BadInput, match=r"What the link 'receipts' in source 'in' leads to cannot be read"
        ):
            looked(tmp_path, source)
    finally:
        (tmp_path / "documents").chmod(0o755)


def test_links_are_nobodys_where_others_may_write_and_inner_ones_need_no_mount(tmp_path: Path) -> None:
    source = furnish(tmp_path)
    assert looked(tmp_path, source) == (str(tmp_path / "documents"),)
    (source / "inner").symlink_to("a.txt")
    (source / "deep").mkdir()
    (source / "deep" / "out").symlink_to(tmp_path / "victims")
    assert looked(tmp_path, source) == (str(tmp_path / "documents"),)
    source.chmod(0o777)
    assert looked(tmp_path, source) == ()


def test_root_mounts_nothing_that_the_folders_owner_could_not_reach(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        needs.leave_out("folders of others take root (run as root)")
    source, closed = furnish(open_to_walk(tmp_path)), tmp_path / "closed"
    (closed / "inner").mkdir(parents=True)
    closed.chmod(0o700)
    (source / "sly").symlink_to(closed / "inner")
    assert str(closed / "inner") in looked(tmp_path, source)
    for path in (source, source / "sly", source / "receipts"):
        os.chown(path, ORDINARY, ORDINARY, follow_symlinks=False)
    with pytest.raises(
        BadInput, match="'sly' in source 'in' leads to cannot be reached by the folder's owner"
    ):
        looked(tmp_path, source)
    closed.chmod(0o711)
    assert len(looked(tmp_path, source)) == 2
    os.chown(source / "sly", 0, 0, follow_symlinks=False)
    assert len(looked(tmp_path, source)) == 1


@pytest.mark.parametrize("level", [Level.NAMESPACES, Level.LANDLOCK], ids=lambda level: level.word)
async def test_a_source_inside_the_closed_estate_is_seen_and_nothing_beside_it(
    tmp_path: Path, level: Level
) -> None:
    need(level)
    place = open_to_walk(tmp_path) / "estate"
    place.mkdir(mode=0o700)
    pools = Pools(place / "workspaces", PACKS.__getitem__, hidden=(place,), spare=0)
    estate = ThrowawayEstate(place, packs=PACKS, spare=0)
    estate.takes = pools.take
    await estate.open()
    source = place / "jobs" / "in"
    source.mkdir(parents=True)
    (source / "a.txt").write_text("a")
    (place / "jobs" / "beside.txt").write_text("b")
    job = msgspec.structs.replace(await job_of(estate, source, "see"), sandbox=level)
    document = await estate.run(job, {"in": source})
    assert document.state == "done", estate.events[-1]
    assert estate.result(document)["texts"] == {"a.txt": "a"}
    await estate.close()
    await pools.stop()


def test_a_folder_has_only_so_many_links(tmp_path: Path) -> None:
    source = furnish(tmp_path)
    for number in range(MAX_LINKS):
        (source / f"link-{number}").symlink_to(tmp_path / "documents")
    with pytest.raises(BadInput, match=f"{MAX_LINKS} is the most"):
        looked(tmp_path, source)
