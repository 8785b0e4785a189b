"""The ledger on a real store: bodies, house time, sealed payloads, and the alarms at opening."""

import asyncio
import json
import shutil
from pathlib import Path

import pytest

from freehold.base import Corrupt, Internal, NotFound, Refused
from freehold.kernel import merkle
from freehold.kernel.change import Change, Note
from freehold.kernel.checkpoint import JournalSigner
from freehold.kernel.journal import SUBJECT_SETS
from freehold.store.interface import EntryKind, Put
from tests.kernel.journal.house import ORIGIN, HandClock, House, fill, intent, open_house, result


async def test_a_change_is_one_commit_and_moves_memory_only_after_it(tmp_path: Path) -> None:
    house = await open_house(tmp_path)
    moved: list[int] = []
    note = Note("agent.added", {"agent": "auditor"}, {"name": "Olivia"}, ("employee:olivia",))
    change = Change(
        [note], [Put("agent", "auditor", b"{}")], [lambda: moved.append(house.ledger.size)], "value"
    )
    assert await house.ledger.commit(change) == "value"
    assert moved == [1]
    entry = house.store.entry(0)
    assert entry is not None
    fields = json.loads(entry.draft.body)
    assert fields["t"] == "note:agent.added"
    assert fields["head"] == {"agent": "auditor"}
    assert b"Olivia" not in entry.draft.body + (entry.draft.payload or b"")
    assert json.loads(house.ledger.open_payload(entry) or b"") == {"name": "Olivia"}
    refused = Change([], [Put("agent", "auditor", b"{}", expect=0)], [lambda: moved.append(0)])
    with pytest.raises(Exception, match="auditor"):
        await house.ledger.commit(refused)
    assert moved == [1]
    await house.close()


async def test_the_house_time_never_goes_back(tmp_path: Path) -> None:
    clock = HandClock()
    house = await open_house(tmp_path, clock)
    await fill(house, 2)
    newest = house.ledger.last_time_us
    clock.now -= 3_600_000_000
    assert house.ledger.now_us() == newest
    await fill(house, 2, first=1)
    await house.close()
    house = await open_house(tmp_path, clock)
    assert house.ledger.now_us() == newest
    times = [json.loads(entry.draft.body)["at"] for entry in house.store.entries(0, 4)]
    assert times == sorted(times)
    await house.close()


async def test_a_restart_finds_the_same_tree_and_reads_sets_of_subjects(tmp_path: Path) -> None:
    house = await open_house(tmp_path)
    await fill(house, 600, ("employee:anna", "employee:bo"))
    root = house.tree.root()
    assert house.store.document(SUBJECT_SETS, house.keys.key(("employee:bo", "employee:anna")).set_id)
    await house.close()
    house = await open_house(tmp_path)
    assert house.tree.root() == root
    leaves = list(house.store.leaves(0, 600))
    for index in (0, 255, 256, 511, 512, 599):
        merkle.check_inclusion(leaves[index], index, 600, house.tree.inclusion(index), root)
    entry = house.store.entry(401)
    assert entry is not None
    assert house.ledger.open_payload(entry) == b'{"total":200}'
    await house.close()


async def test_private_data_without_a_key_is_our_own_bug_and_a_missing_ciphertext_an_alarm(
    tmp_path: Path,
) -> None:
    house = await open_house(tmp_path)
    with pytest.raises(Internal):
        house.ledger.draft(EntryKind.NOTE, "note:x", {}, b"private")
    await fill(house, 2)
    house.store.drop_payloads([1])
    entry = house.store.entry(1)
    assert entry is not None
    with pytest.raises(Corrupt, match="entry 1 is missing or altered"):
        house.ledger.open_payload(entry)
    await house.close()


async def test_checkpoints_follow_commits_and_then_rest(tmp_path: Path) -> None:
    house = await open_house(tmp_path)
    latest = tmp_path / "checkpoints" / "latest"
    assert "\n0\n" in latest.read_text()
    await fill(house, 40)
    async with asyncio.timeout(5):
        while house.keeper.latest is None or house.keeper.latest.size != 40:
            await asyncio.to_thread(lambda: None)
    note = latest.read_text()
    assert house.keeper.signer.key.open_sole(note).root == house.tree.root()
    assert house.keeper._timer is None
    assert house.keeper._writing is None
    await house.close()
    assert latest.read_text() == note  # Ed25519 is deterministic: nothing new was said
    history = (tmp_path / "checkpoints" / "history").read_text()
    assert history.endswith(note + "\n\n")


async def test_a_journal_with_fewer_entries_than_signed_is_an_alarm(tmp_path: Path) -> None:
    house = await open_house(tmp_path)
    await fill(house, 10)
    await house.close()
    shutil.copytree(tmp_path / "store", tmp_path / "older")
    house = await open_house(tmp_path)
    await fill(house, 4, first=5)
    await house.close()
    shutil.rmtree(tmp_path / "store")
    shutil.move(tmp_path / "older", tmp_path / "store")
    with pytest.raises(Corrupt) as alarm:
        await open_house(tmp_path)
    assert alarm.value.code == "corrupt.truncated"
    assert "10 entries, but 14 were signed" in alarm.value.message


async def test_a_journal_with_other_entries_than_signed_is_an_alarm(tmp_path: Path) -> None:
    for name, first in (("a", 0), ("b", 100)):
        house = await open_house(tmp_path / name)
        await fill(house, 10, first=first)
        await house.close()
    shutil.rmtree(tmp_path / "a" / "store")
    shutil.copytree(tmp_path / "b" / "store", tmp_path / "a" / "store")
    with pytest.raises(Corrupt) as alarm:
        await open_house(tmp_path / "a")
    assert alarm.value.code == "corrupt.rewritten"


async def test_missing_or_foreign_checkpoints_are_an_alarm(tmp_path: Path) -> None:
    house = await open_house(tmp_path)
    await fill(house, 10)
    await house.close()
    latest, history = (tmp_path / "checkpoints" / name for name in ("latest", "history"))
    kept = latest.read_text()
    forged = JournalSigner(ORIGIN, bytes([9]) * 32).sign(4, house.tree.root(4))
    latest.write_text(forged.note)
    with pytest.raises(Corrupt) as alarm:
        await open_house(tmp_path)
    assert alarm.value.code == "corrupt.checkpoint"
    latest.unlink()
    open_again = await open_house(tmp_path)  # the history still speaks
    await open_again.store.close()
    latest.unlink(missing_ok=True)
    history.unlink()
    with pytest.raises(Corrupt) as alarm:
        await open_house(tmp_path)
    assert alarm.value.code == "corrupt.checkpoint-missing"
    latest.write_text(kept)
    await (await open_house(tmp_path)).close()


async def test_a_history_cut_by_a_crash_goes_on_behind_its_last_whole_note(tmp_path: Path) -> None:
    house = await open_house(tmp_path)
    await fill(house, 2)
    await house.close()
    history = tmp_path / "checkpoints" / "history"
    whole = history.read_bytes()
    for cut in (1, 2, 30, 150):
        history.write_bytes(whole[:-cut])
        house = await open_house(tmp_path)
        await house.close()
        text = history.read_text()
        assert text.endswith("\n\n\n")
        notes = [f"{note}\n" for note in text.removesuffix("\n\n\n").split("\n\n\n")]
        sizes = [house.keeper.signer.key.open_sole(note).size for note in notes]
        assert (sizes[0], sizes[-1]) == (0, 2)
        assert sizes == sorted(sizes)


async def test_an_unknown_result_stays_open_until_it_is_settled(house_of_one: House) -> None:
    opened = intent(house_of_one, 1)
    await house_of_one.ledger.write([opened])
    await house_of_one.ledger.write([result(house_of_one, opened, b"", status="unknown")])
    assert [entry.draft.action for entry in house_of_one.store.open_intents()] == [opened.action]
    await house_of_one.ledger.write([result(house_of_one, opened, b"")])
    assert house_of_one.store.open_intents() == []


async def test_artifacts_have_one_address_and_are_checked_when_read(house_of_one: House) -> None:
    house = house_of_one
    key = house.keys.key(("employee:anna",))
    address = house.artifacts.put(b"a report", key)
    assert house.artifacts.put(b"a report", key) == address
    assert house.artifacts.put(b"a report", house.keys.key(("employee:bo",))) != address
    assert house.artifacts.put(b"", key) != address
    assert house.artifacts.get(address) == b"a report"
    path = house.folder / "artifacts" / address
    assert b"report" not in path.read_bytes()
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(Corrupt):
        house.artifacts.get(address)
    with pytest.raises(NotFound):
        house.artifacts.get("0" * 64)
    house.keys.destroy("employee:bo")
    with pytest.raises(Refused):
        house.artifacts.put(b"x", house.keys.key(("employee:bo",)))
