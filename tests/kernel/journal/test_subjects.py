"""Subject keys: created before use, gone when forgotten, whole after a crash; what is sealed with them."""

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.base import BadInput, Corrupt, NotFound, Refused
from freehold.kernel.sealing import SubjectKey
from freehold.kernel.subjects import ESTATE, SubjectKeys

KEY = SubjectKey("a" * 32, ("a" * 32,), bytes(32))
OTHER = SubjectKey("b" * 32, ("b" * 32,), bytes(32))


def everything_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.iterdir()))


@given(st.binary(max_size=600), st.binary(max_size=20))
def test_what_was_sealed_opens_with_the_same_key_only(plain: bytes, aad: bytes) -> None:
    for seal, unseal, foreign in (
        (KEY.seal, KEY.open, OTHER.open),
        (KEY.seal_content, KEY.open_content, OTHER.open_content),
    ):
        sealed = seal(plain, aad)
        assert unseal(sealed, aad) == plain
        with pytest.raises(Corrupt):
            foreign(sealed, aad)
        with pytest.raises(Corrupt):
            unseal(sealed, aad + b"x")


@given(st.binary(max_size=200), st.data())
def test_no_byte_of_what_is_sealed_may_change(plain: bytes, data: st.DataObject) -> None:
    for sealed, unseal in ((KEY.seal(plain), KEY.open), (KEY.seal_content(plain), KEY.open_content)):
        bent = bytearray(sealed)
        bent[data.draw(st.integers(0, len(bent) - 1))] ^= data.draw(st.integers(1, 255))
        with pytest.raises(Corrupt):
            unseal(bytes(bent))
        with pytest.raises(Corrupt):
            unseal(sealed[: data.draw(st.integers(0, len(sealed) - 1))])


def test_payloads_never_repeat_and_contents_always_do() -> None:
    assert KEY.seal(b"same") != KEY.seal(b"same")
    assert KEY.seal_content(b"same") == KEY.seal_content(b"same") != OTHER.seal_content(b"same")
    assert KEY.digest(b"same") == KEY.digest(b"same") != OTHER.digest(b"same")


def test_a_key_lies_in_a_private_file_before_it_is_used(tmp_path: Path) -> None:
    folder = tmp_path / "keys" / "subjects"
    key = SubjectKeys(folder).key(("employee:anna",))
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in folder.iterdir())
    again = SubjectKeys(folder).key(("employee:anna",))
    assert again.open(key.seal(b"plain")) == b"plain"
    assert again.set_id == key.set_id


def test_many_keys_are_created_in_one_file(tmp_path: Path) -> None:
    keys = SubjectKeys(tmp_path / "s")
    names = [f"file:{number}" for number in range(300)]
    keys.ensure(names)
    assert len(list((tmp_path / "s").glob("*.keys"))) == 1
    assert SubjectKeys(tmp_path / "s").names() == sorted(names)


def test_a_set_has_one_key_whatever_the_order_of_its_names(tmp_path: Path) -> None:
    keys = SubjectKeys(tmp_path / "s")
    first = keys.key(("employee:anna", "employee:bo"))
    assert keys.key(("employee:bo", "employee:anna", "employee:bo")) is first
    assert first.set_id not in {keys.id_of("employee:anna"), keys.id_of("employee:bo")}
    assert keys.key(("employee:anna",)).set_id == keys.id_of("employee:anna")
    assert keys.open_set(first.set_id, first.members) is first


def test_a_folder_that_others_can_read_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    SubjectKeys(folder).load()
    folder.chmod(0o755)
    with pytest.raises(BadInput, match="open to other users"):
        SubjectKeys(folder).load()


@pytest.mark.parametrize("name", ["", "a\nb", "x" * 513, "a\0"])
def test_a_name_that_cannot_be_kept_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInput):
        SubjectKeys(tmp_path / "s").key((name,))
    with pytest.raises(BadInput):
        SubjectKeys(tmp_path / "s").key(())


def test_forgetting_destroys_the_key_the_name_and_every_set_with_it(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    keys = SubjectKeys(folder)
    keys.ensure(["employee:anna", "employee:bo"])
    both, anna, bo = (
        keys.key(names) for names in (("employee:anna", "employee:bo"), ("employee:anna",), ("employee:bo",))
    )
    identifier = keys.id_of("employee:anna")
    (raw,) = folder.glob("*.keys")
    secret = next(line for line in raw.read_bytes().splitlines() if b"anna" in line)
    assert keys.destroy("employee:anna") == (identifier,)
    for dead in (both, anna):
        for use in (dead.seal, dead.open, dead.seal_content, dead.open_content, dead.digest):
            with pytest.raises(Refused) as refusal:
                use(b"x" * 40)
            assert refusal.value.code == "refused.forgotten"
    assert bo.open(bo.seal(b"x")) == b"x"
    left = everything_in(folder)
    assert b"anna" not in left
    assert secret[20:60] not in left
    for again in (keys, SubjectKeys(folder)):
        for names in (("employee:anna",), ("employee:bo", "employee:anna")):
            with pytest.raises(Refused, match="forgotten"):
                again.key(names)
        assert again.open_set(both.set_id, both.members) is None
        assert again.destroy("employee:anna") == (identifier,)
        assert again.names() == ["employee:bo"]


def test_the_last_key_of_a_file_takes_the_file_with_it(tmp_path: Path) -> None:
    keys = SubjectKeys(tmp_path / "s")
    keys.ensure(["a", "b"])
    keys.destroy("a")
    assert len(list((tmp_path / "s").glob("*.keys"))) == 1
    keys.destroy("b")
    assert list((tmp_path / "s").glob("*.keys")) == []


def test_a_forgotten_name_comes_back_only_when_asked_and_with_a_new_key(tmp_path: Path) -> None:
    keys = SubjectKeys(tmp_path / "s")
    old = keys.key(("employee:anna",)).set_id
    keys.destroy("employee:anna")
    keys.readmit("employee:anna")
    for again in (keys, SubjectKeys(tmp_path / "s")):
        assert again.key(("employee:anna",)).set_id != old
        assert again.open_set(old, (old,)) is None
    assert len(keys.destroy("employee:anna")) == 2


def test_the_estate_and_strangers_cannot_be_forgotten(tmp_path: Path) -> None:
    keys = SubjectKeys(tmp_path / "s")
    keys.key((ESTATE,))
    with pytest.raises(Refused):
        keys.destroy(ESTATE)
    with pytest.raises(NotFound):
        keys.destroy("employee:nobody")


def test_a_crash_between_tombstone_and_blanking_is_finished_at_the_next_start(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    keys = SubjectKeys(folder)
    keys.ensure(["employee:anna", "employee:bo"])
    (batch,) = folder.glob("*.keys")
    before = batch.read_bytes()
    keys.destroy("employee:anna")
    blanked = batch.read_bytes()
    half = bytes(new if at % 3 else old for at, (old, new) in enumerate(zip(before, blanked, strict=True)))
    for torn in (before, half):
        batch.write_bytes(torn)
        again = SubjectKeys(folder)
        assert again.names() == ["employee:bo"]
        assert batch.read_bytes() == blanked


def test_a_tombstone_that_was_not_finished_leaves_the_key_alive(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    keys = SubjectKeys(folder)
    key = keys.key(("employee:anna",))
    (folder / "forgotten").write_bytes(b'{"f":"')
    again = SubjectKeys(folder)
    assert again.key(("employee:anna",)).open(key.seal(b"x")) == b"x"
    assert (folder / "forgotten").read_bytes() == b""


def test_a_key_that_a_restored_folder_brings_back_can_be_destroyed_again_by_its_id(tmp_path: Path) -> None:
    keys = SubjectKeys(tmp_path / "s")
    identifier = keys.key(("employee:anna",)).set_id
    assert keys.destroy_again([identifier, "0" * 32]) == [identifier]
    assert keys.destroy_again([identifier]) == []


def test_a_damaged_or_missing_key_is_an_alarm_and_not_a_new_key(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    keys = SubjectKeys(folder)
    lost = keys.key(("employee:anna",))
    (batch,) = folder.glob("*.keys")
    whole = batch.read_bytes()
    batch.write_bytes(whole[:-9])
    with pytest.raises(Corrupt, match="damaged"):
        SubjectKeys(folder).load()
    os.unlink(batch)
    with pytest.raises(Corrupt, match="missing"):
        SubjectKeys(folder).open_set(lost.set_id, lost.members)


# ---- under the vault's key ---------------------------------------------------------------------------------------

SEALING = bytes(range(32))


def test_under_the_vault_s_key_neither_names_nor_keys_lie_open(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    keys = SubjectKeys(folder, SEALING)
    sealed = keys.key(("employee:anna",)).seal(b"plain")
    data = everything_in(folder)
    assert b"anna" not in data
    assert keys._secret.hex().encode() not in data
    assert SubjectKeys(folder, SEALING).key(("employee:anna",)).open(sealed) == b"plain"
    for wrong in (b"", bytes(32)):
        with pytest.raises(Corrupt):
            SubjectKeys(folder, wrong).load()
    assert everything_in(folder) == data


def test_what_lay_open_before_there_was_a_vault_is_sealed_when_it_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    before = SubjectKeys(folder)
    sealed = before.key(("employee:anna", "employee:ben")).seal(b"plain")
    before.ensure(["employee:cleo"])
    before.destroy("employee:cleo")
    for _ in range(2):
        keys = SubjectKeys(folder, SEALING)
        assert keys.key(("employee:anna", "employee:ben")).open(sealed) == b"plain"
        assert keys.is_forgotten("employee:cleo")
        assert b"employee" not in everything_in(folder)
    keys.destroy("employee:anna")
    assert SubjectKeys(folder, SEALING).names() == ["employee:ben"]
