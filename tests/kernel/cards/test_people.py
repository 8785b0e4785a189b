"""A human's key: what using it takes, what a wrong file says, and what the CLI has to load for it."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.base import BadInput, FreeholdError, NotFound, Refused, canonical
from freehold.kernel import people
from freehold.kernel.people import Scrypt, Signed, make_key, make_statement, read_key, verify, write_key
from tests.kernel.cards.office import ESTATE, KEYS, NOW, sign

QUICK = Scrypt(n=2**10, r=8, p=1)


def test_a_plain_key_signs_what_its_public_half_verifies(tmp_path: Path) -> None:
    path = tmp_path / "anna.key"
    write_key(path, make_key("anna", None))
    assert os.stat(path).st_mode & 0o777 == 0o600
    key = read_key(path)
    assert key.presence == "none"
    said = make_statement("thaw", estate=ESTATE, by="anna", about="estate", digest="", at=NOW)
    signed = key.unlock().sign(said)
    verify(people.decode_signed(signed.encoded()), key.public_key)


def test_a_passphrase_opens_its_key_and_no_other_does(tmp_path: Path) -> None:
    path = tmp_path / "anna.key"
    made = make_key("anna", "correct horse", QUICK)
    write_key(path, made)
    key = read_key(path)
    assert key == made
    assert key.unlock("correct horse").human == "anna"
    with pytest.raises(Refused, match="does not open the key of anna") as wrong:
        key.unlock("battery staple")
    assert wrong.value.code == "refused.passphrase"
    with pytest.raises(Refused, match="asks for its passphrase") as scripted:
        key.unlock(None)
    assert scripted.value.code == "refused.presence"


@pytest.mark.parametrize("change", [{"human": "eve"}, {"kdf": Scrypt(2**11, 8, 1)}, {"salt": "00" * 16}])
def test_whatever_stands_beside_a_sealed_key_is_bound_to_it(change: dict[str, object]) -> None:
    key = msgspec.structs.replace(make_key("anna", "correct horse", QUICK), **change)
    with pytest.raises(Refused):
        key.unlock("correct horse")


def test_an_empty_passphrase_is_not_one() -> None:
    with pytest.raises(BadInput, match="empty"):
        make_key("anna", "  ")


def test_a_key_signs_for_nobody_else() -> None:
    said = make_statement("thaw", estate=ESTATE, by="ben", about="estate", digest="", at=NOW)
    with pytest.raises(BadInput, match="belongs to anna"):
        KEYS["anna"].unlock().sign(said)


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "anna.key"
    write_key(path, make_key("anna", None))
    before = path.read_bytes()
    with pytest.raises(BadInput, match="exists already"):
        write_key(path, make_key("anna", None))
    assert path.read_bytes() == before


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "anna.key"
    write_key(path, make_key("anna", None))
    path.chmod(0o640)
    with pytest.raises(BadInput, match="can be read by others"):
        read_key(path)


def test_a_missing_key_is_a_clear_sentence(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="There is no key file"):
        read_key(tmp_path / "nobody.key")


@given(st.integers(0, 400), st.binary(max_size=3))
def test_a_damaged_key_file_is_a_clear_sentence_and_never_another_key(place: int, damage: bytes) -> None:
    data = bytearray(canonical.encode(msgspec.to_builtins(KEYS["anna"])))
    data[place : place + len(damage)] = damage
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "anna.key"
        path.touch(0o600)
        path.write_bytes(data)
        try:
            key = read_key(path)
            key.unlock()
        except FreeholdError:
            return
        assert (key.public, key.private) == (KEYS["anna"].public, KEYS["anna"].private)


@pytest.mark.parametrize(
    "scrypt", [Scrypt(2**25, 8, 1), Scrypt(1000, 8, 1), Scrypt(2**10, 99, 1), Scrypt(0, 8, 1)]
)
def test_a_file_cannot_ask_for_any_amount_of_memory(scrypt: Scrypt) -> None:
    with pytest.raises(BadInput, match="out of range"):
        scrypt.derive("correct horse", b"0" * 16)


@pytest.mark.parametrize(
    "field", ["what", "estate", "by", "about", "digest", "decision", "args", "at", "nonce"]
)
def test_every_word_of_a_statement_is_signed(field: str) -> None:
    signed = sign("anna", "card.approve", about="card", digest="d", content={"args": {"a": 1}})
    other = {"what": "card.deny", "at": NOW + 1}.get(field, "other")
    forged = Signed(msgspec.structs.replace(signed.statement, **{field: other}), signed.signature)
    verify(signed, KEYS["anna"].public_key)
    with pytest.raises(Refused, match="The signature is not that of"):
        verify(forged, KEYS["anna"].public_key)


def test_a_signature_over_the_bare_bytes_does_not_count() -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    said = make_statement("thaw", estate=ESTATE, by="anna", about="estate", digest="", at=NOW)
    raw = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(KEYS["anna"].private))
    with pytest.raises(Refused):
        verify(Signed(said, raw.sign(said.encoded()).hex()), KEYS["anna"].public_key)


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"\xff", b'{"statement":{},"signature":1}'])
def test_bytes_that_are_no_statement_are_a_clear_sentence(data: bytes) -> None:
    with pytest.raises(BadInput, match="could not be read"):
        people.decode_signed(data)


def test_the_cli_loads_no_cryptography_before_it_signs() -> None:
    watched = ("crypto", "freehold.kernel", "freehold.store", "asyncio")
    found_modules = f"sorted(m for m in sys.modules if m.startswith({watched}))"
    code = f"import sys, freehold.kernel.people; print({found_modules})"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30
    )
    assert found.stdout.strip() == "['freehold.kernel', 'freehold.kernel.people']"
