"""Forgetting: nothing readable is left, proofs still hold, and a kill at any durable step only delays."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from freehold.base import NotFound, Refused
from freehold.kernel.checkpoint import JournalSigner
from freehold.kernel.export import export_journal, prove_consistency, prove_entry
from freehold.kernel.verify import verify_consistency, verify_file, verify_proof
from tests.kernel.journal.house import ORIGIN, SEED, House, fill, open_house

KEY = JournalSigner(ORIGIN, SEED).key.text
ANNA, BO = ("employee:anna",), ("employee:bo",)
BOTH = ANNA + BO


async def lived_in(folder: Path) -> House:
    """An estate with entries and artifacts of Anna, of Bo, and of both."""
    house = await open_house(folder)
    for first, subjects in enumerate((ANNA, BO, BOTH)):
        await fill(house, 8, subjects, first=100 * first)
        house.artifacts.put(b"report " + subjects[0].encode(), house.keys.key(subjects))
    return house


def readable(house: House) -> list[bool]:
    """For each entry, whether its payload opens."""
    return [house.ledger.open_payload(entry) is not None for entry in house.store.entries(0, 24)]


def files_with(folder: Path, word: bytes) -> list[Path]:
    """The files under ``folder`` that hold ``word``."""
    return [path for path in folder.rglob("*") if path.is_file() and word in path.read_bytes()]


async def test_forgetting_shreds_the_person_alone_and_with_others(tmp_path: Path) -> None:
    house = await lived_in(tmp_path)
    assert readable(house) == [True] * 24
    anna, both = house.keys.key(ANNA).set_id, house.keys.key(BOTH).set_id
    addresses = dict(house.artifacts.sets())
    found = await house.forgetter.forget("employee:anna", ["the report sent to finance"])
    assert found.keys == (anna,)
    assert found.payloads == 16
    assert set(found.artifacts) == {address for address, owner in addresses.items() if owner in (anna, both)}
    assert found.swept == ("a card",)
    assert found.unreachable == ("the report sent to finance",)
    assert house.swept == [frozenset({anna, both})]
    assert readable(house) == [False] * 8 + [True] * 8 + [False] * 8
    assert [entry.draft.payload is None for entry in house.store.entries(0, 24)] == [True] * 8 + [
        False
    ] * 8 + [True] * 8
    assert len(list(house.artifacts.sets())) == 1
    await house.close()


async def test_proofs_made_before_and_after_still_verify(tmp_path: Path) -> None:
    house = await lived_in(tmp_path / "estate")
    before = (await export_journal(house.ledger, tmp_path / "before")).note
    proof = await prove_entry(house.ledger, 3)
    await house.forgetter.forget("employee:anna")
    await export_journal(house.ledger, tmp_path / "after")
    found = verify_file(tmp_path / "after", KEY, before)
    assert (found.size, found.payloads, found.withheld, found.witnessed) == (26, 8, 16, True)
    assert verify_file(tmp_path / "before", KEY).withheld == 0
    verify_proof(proof, KEY)
    verify_proof(await prove_entry(house.ledger, 3), KEY)
    verify_consistency(await prove_consistency(house.ledger, before), KEY, before)
    await house.close()


async def test_forgetting_is_journaled_without_a_name_and_done_once(tmp_path: Path) -> None:
    house = await lived_in(tmp_path)
    await house.forgetter.forget("employee:anna")
    notes = [json.loads(entry.draft.body) for entry in house.store.entries(24, house.ledger.size)]
    assert [note["t"] for note in notes] == ["note:subject.forget", "note:subject.forgotten"]
    assert notes[1]["head"] | {"subject": ""} == {"artifacts": 2, "payloads": 16, "subject": "", "swept": 1}
    again = await house.forgetter.forget("employee:anna")
    assert (again.payloads, again.artifacts) == (0, ())
    assert await house.forgetter.resume() is None
    assert house.ledger.size == 26
    with pytest.raises(Refused, match="forgotten"):
        house.keys.key(BOTH)
    with pytest.raises(NotFound):
        await house.forgetter.forget("employee:nobody")
    await house.close()


async def test_no_byte_of_the_person_is_left_in_keys_or_artifacts(tmp_path: Path) -> None:
    house = await lived_in(tmp_path)
    await house.forgetter.forget("employee:anna")
    await house.close()
    assert files_with(tmp_path, b"anna") == []


async def test_the_database_alone_reveals_nothing(tmp_path: Path) -> None:
    house = await lived_in(tmp_path)
    await house.close()
    for word in (b"anna", b"receipt-", b'"total"', b"report"):
        assert files_with(tmp_path / "store", word) == []


async def test_a_keys_folder_restored_from_a_copy_is_shredded_again_at_the_next_start(tmp_path: Path) -> None:
    house = await lived_in(tmp_path)
    folder = tmp_path / "keys" / "subjects"
    copy = {path.name: path.read_bytes() for path in folder.iterdir()}
    await house.forgetter.forget("employee:anna")
    await house.close()
    for name, data in copy.items():
        (folder / name).write_bytes(data)
        (folder / name).chmod(0o600)
    (folder / "forgotten").unlink()
    house = await open_house(tmp_path)
    assert await house.forgetter.resume() is not None
    assert b"anna" not in b"".join(path.read_bytes() for path in folder.iterdir())
    assert readable(house) == [False] * 8 + [True] * 8 + [False] * 8
    await house.close()


async def test_an_artifact_that_a_crash_left_without_an_owner_goes_too(tmp_path: Path) -> None:
    house = await open_house(tmp_path)
    house.keys.key(ANNA)
    address = house.artifacts.put(b"never committed", house.keys.key(BOTH))
    await house.close()
    house = await open_house(tmp_path)
    assert (await house.forgetter.forget("employee:anna")).artifacts == (address,)
    await house.close()


def test_a_kill_at_every_durable_step_is_completed_by_running_again(tmp_path: Path) -> None:
    """A process is killed with SIGKILL before its first, second, … durable step, then started again."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.kernel.journal.kill_forget", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    assert done.returncode == 0, done.stderr[-3_000:]
    report = json.loads(done.stdout)
    assert report["killed"] >= 8
    assert report["wrong"] == []
