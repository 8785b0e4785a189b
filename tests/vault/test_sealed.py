"""The vault's file: every flipped byte is told, a wrong passphrase is told apart from damage, and nothing is lost."""

import os
from pathlib import Path

import pytest

from freehold.base import Corrupt, FreeholdError, Refused, Unavailable
from freehold.vault import sealed
from freehold.vault.pages import Pages
from freehold.vault.safe import Safe
from tests.vault.test_use import bound

PASSPHRASE = b"a passphrase of random bits"


@pytest.fixture
def safe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Safe:
    """A vault with one secret and one binding, in the working folder."""
    monkeypatch.chdir(tmp_path)
    made = Safe(sealed.make("estate-1", PASSPHRASE, "file"), Pages(), lambda: 1)
    made.set("crm-key", {"hosts": ["127.0.0.1"]}, b"a secret value", "anna")
    made.bind([bound(80)])
    return made


def opened() -> Safe:
    return Safe(sealed.open_sealed("estate-1", PASSPHRASE), Pages(), lambda: 1)


def test_what_was_sealed_is_there_again(safe: Safe) -> None:
    again = opened()
    assert again.secrets() == safe.secrets()
    assert again.bindings() == [bound(80)]
    assert again.subjects_key() == safe.subjects_key()


def test_nothing_secret_stands_in_the_file(safe: Safe) -> None:
    data = Path(sealed.FILE).read_bytes()
    assert b"a secret value" not in data
    assert b"crm-key" not in data
    assert safe.subjects_key() not in data


def test_every_flipped_byte_is_told_in_a_sentence_and_changes_nothing(safe: Safe) -> None:
    path = Path(sealed.FILE)
    whole = path.read_bytes()
    for at in range(len(whole)):
        harmed = bytearray(whole)
        harmed[at] ^= 1 << (at % 8)
        path.write_bytes(harmed)
        with pytest.raises(Corrupt, match=r"damaged: .*Restore `vault/sealed`"):
            sealed.open_sealed("estate-1", PASSPHRASE)
        assert path.read_bytes() == harmed
    path.write_bytes(whole)
    assert opened().secrets() == safe.secrets()


def test_a_flipped_byte_that_brings_its_own_checksum_is_found_by_the_seals(safe: Safe) -> None:
    path = Path(sealed.FILE)
    whole = path.read_bytes()
    for at in range(8, len(whole) - 32, 7):
        harmed = bytearray(whole)
        harmed[at] ^= 4
        path.write_bytes(bytes(harmed[:-32]) + sealed.checksum(bytes(harmed[:-32])))
        with pytest.raises(FreeholdError):
            unseal_all()


def unseal_all() -> None:
    """A value is opened only when it is used; here all are."""
    again = sealed.open_sealed("estate-1", PASSPHRASE)
    for record in again.index.records:
        again.unseal(record.id, memoryview(bytearray(again.size(record.id))))


@pytest.mark.parametrize("length", [0, 7, 31, 64, 200, -1])
def test_a_file_that_was_cut_is_told(safe: Safe, length: int) -> None:
    path = Path(sealed.FILE)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(Corrupt):
        opened()


def test_a_wrong_passphrase_is_told_and_changes_nothing(safe: Safe) -> None:
    before = Path(sealed.FILE).read_bytes()
    with pytest.raises(Refused, match="passphrase does not open the vault"):
        sealed.open_sealed("estate-1", b"another")
    assert Path(sealed.FILE).read_bytes() == before


def test_another_estates_file_is_refused(safe: Safe) -> None:
    with pytest.raises(FreeholdError, match="another estate"):
        sealed.open_sealed("estate-2", PASSPHRASE)


def test_a_full_disk_loses_nothing(safe: Safe, monkeypatch: pytest.MonkeyPatch) -> None:
    before = Path(sealed.FILE).read_bytes()

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(os, "fsync", full)
        with pytest.raises(Unavailable, match="No space left"):
            safe.rotate("crm-key", {}, b"another value", "anna")
    assert (safe.secrets()[0].version, opened_in(before).secrets()[0].version) == (1, 1)


def opened_in(data: bytes) -> Safe:
    Path(sealed.FILE).write_bytes(data)
    return opened()


def test_the_state_before_the_last_change_stays_until_a_secret_is_revoked(safe: Safe) -> None:
    safe.rotate("crm-key", {}, b"another value", "anna")
    assert Path(sealed.BEFORE).exists()
    safe.revoke("crm-key", "anna")
    assert not Path(sealed.BEFORE).exists()
    assert [record for record in opened_records() if record.startswith("crm-key/")] == []


def opened_records() -> list[str]:
    return [record.id for record in sealed.open_sealed("estate-1", PASSPHRASE).index.records]


def test_a_binding_to_a_host_that_the_secret_was_not_set_for_is_refused(safe: Safe) -> None:
    elsewhere = bound(80, host="evil.example")
    with pytest.raises(Refused, match=r"set for 127\.0\.0\.1, not for evil\.example"):
        safe.bind([elsewhere])
    assert safe.bindings() == [bound(80)]
