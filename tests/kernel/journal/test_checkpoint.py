"""Checkpoints in the C2SP form, against a known key and against every change of a byte."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.base import BadInput, Corrupt
from freehold.kernel.checkpoint import JournalKey, JournalSigner

# The key pair of the Go project's example for golang.org/x/mod/sumdb/note.
GO_PRIVATE = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
GO_PUBLIC = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
SUM_DATABASE = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"

SIGNER = JournalSigner("estate.example/a", bytes(32))
NOTE = SIGNER.sign(200, bytes(range(32))).note


def test_keys_of_other_tools_are_read_and_written_as_they_are() -> None:
    assert JournalSigner.parse(GO_PRIVATE).key.text == GO_PUBLIC
    assert JournalKey.parse(SUM_DATABASE).text == SUM_DATABASE
    assert JournalSigner.parse(JournalSigner.parse(GO_PRIVATE).secret_text()).key.text == GO_PUBLIC


def test_a_checkpoint_has_the_form_of_the_specification() -> None:
    lines = NOTE.split("\n")
    assert lines[:4] == ["estate.example/a", "200", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", ""]
    assert lines[4].startswith("\u2014 estate.example/a ")
    assert lines[5:] == [""]
    assert SIGNER.key.open_sole(NOTE).size == 200


@given(st.integers(0, len(NOTE.encode()) - 1), st.integers(1, 255))
def test_no_byte_of_a_checkpoint_may_change(at: int, change: int) -> None:
    data = bytearray(NOTE.encode())
    data[at] ^= change
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return
    with pytest.raises(Corrupt):
        SIGNER.key.open_sole(text)


def test_a_witness_may_add_its_signature_but_not_replace_ours() -> None:
    theirs = JournalSigner("witness.example/w", bytes([1]) * 32).sign(200, bytes(range(32)))
    line = theirs.note.split("\n")[4]
    cosigned = f"{NOTE}{line}\n"
    assert SIGNER.key.open(cosigned).size == 200
    with pytest.raises(Corrupt, match="further signatures"):
        SIGNER.key.open_sole(cosigned)
    with pytest.raises(Corrupt):
        SIGNER.key.open(NOTE.replace(NOTE.split("\n")[4], line))


def test_the_same_name_with_another_key_is_not_trusted() -> None:
    other = JournalSigner("estate.example/a", bytes([2]) * 32)
    with pytest.raises(Corrupt, match="not signed by the key"):
        other.key.open(NOTE)


@pytest.mark.parametrize(
    "text", ["", "a", "a+b+c", GO_PUBLIC[:-1], GO_PUBLIC.replace("c74f", "c75f"), "+" * 9]
)
def test_a_wrong_public_key_is_refused_in_words(text: str) -> None:
    with pytest.raises(BadInput, match="not a journal's public key"):
        JournalKey.parse(text)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "-a", "a" * 201, "ä"])
def test_a_name_that_cannot_stand_in_a_note_is_refused(name: str) -> None:
    with pytest.raises(BadInput):
        JournalSigner.generate(name)
