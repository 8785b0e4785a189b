"""The format as a stranger meets it: a verifier written from ``docs/journal-format.md`` alone, and old files.

``frozen/`` holds what released versions wrote; it must verify for ever. Nothing in it is ever written anew.
"""

import base64
import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from freehold.base import BadInput, Corrupt
from freehold.kernel import body
from freehold.kernel.verify import verify_consistency, verify_file, verify_proof

FROZEN = Path(__file__).parent / "frozen"
KEY = "estate.example/books+b59ea0c8+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4"


def strangers_root(leaves: list[bytes]) -> bytes:
    if len(leaves) < 2:
        return leaves[0] if leaves else hashlib.sha256(b"").digest()
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\1" + strangers_root(leaves[:split]) + strangers_root(leaves[split:])).digest()


def strangers_check(data: bytes, public_key: str) -> int:
    """A third party's verifier: no line of it is Freehold's."""
    lines = data.split(b"\n")
    assert lines.pop() == b""
    assert lines[0] == b"freehold-journal-export/v1"
    assert lines[1].decode() == public_key
    name, size, root, empty, signed = (line.decode() for line in lines[2:7])
    raw = base64.b64decode(public_key.split("+", 2)[2])
    assert raw[0] == 1
    assert empty == ""
    dash, signer, blob = signed.split(" ")
    key_id = hashlib.sha256(name.encode() + b"\n\x01" + raw[1:]).digest()[:4]
    assert (dash, signer) == ("\u2014", name)
    assert base64.b64decode(blob)[:4] == key_id
    Ed25519PublicKey.from_public_bytes(raw[1:]).verify(
        base64.b64decode(blob)[4:], f"{name}\n{size}\n{root}\n".encode()
    )
    leaves = []
    for number, line in enumerate(lines[7:]):
        index, leaf, text, payload = line.split(b"\t")
        assert int(index) == number
        leaves.append(hashlib.sha256(b"\0" + text).digest())
        assert leaves[-1].hex() == leaf.decode()
        fields = json.loads(text)
        assert json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() == text
        if "pay" in fields and payload != b"-":
            sealed = base64.b64decode(payload)
            assert (hashlib.sha256(sealed).hexdigest(), len(sealed)) == (
                fields["pay"]["d"],
                fields["pay"]["n"],
            )
    assert len(leaves) == int(size)
    assert base64.b64encode(strangers_root(leaves)).decode() == root
    return len(leaves)


def test_a_strangers_verifier_agrees_about_the_frozen_export() -> None:
    assert strangers_check((FROZEN / "v1.export").read_bytes(), KEY) == 14


def test_what_version_1_wrote_verifies_for_ever() -> None:
    witness = (FROZEN / "v1.witness").read_text()
    found = verify_file(FROZEN / "v1.export", KEY, witness)
    assert (found.size, found.payloads, found.withheld, found.witnessed) == (14, 4, 8, True)
    assert verify_proof((FROZEN / "v1.proof").read_bytes(), KEY, witness).index == 3
    old, new = verify_consistency((FROZEN / "v1.consistency").read_bytes(), KEY, witness)
    assert (old.size, new.size) == (6, 14)


def test_verifying_needs_neither_store_nor_daemon() -> None:
    """A stranger's machine has base, cryptography and this module."""
    script = (
        "import sys\nfrom freehold.kernel.verify import verify_file\n"
        "print(sorted({name.split('.')[0] for name in sys.modules} - set(sys.stdlib_module_names)))\n"
        "print(sorted(name for name in sys.modules if name.startswith('freehold.')))\n"
    )
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    foreign, own = (set(json.loads(line.replace("'", '"'))) for line in shown.splitlines())
    assert {name for name in foreign if not name.startswith("_")} <= {
        "cryptography",
        "freehold",
        "msgspec",
        "typing_extensions",
    }
    assert {name for name in own if not name.startswith("freehold.base")} == {
        "freehold.kernel",
        "freehold.kernel.body",
        "freehold.kernel.checkpoint",
        "freehold.kernel.merkle",
        "freehold.kernel.verify",
    }


def test_a_file_that_is_not_there_is_a_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be read"):
        verify_file(tmp_path / "none", KEY)


GOOD = b'{"at":1,"e":0,"t":"note:x","v":1}'
BAD = {
    "nothing": b"",
    "a list": b"[]",
    "no fields": b"{}",
    "cut off": GOOD[:-1],
    "a space": GOOD + b" ",
    "a fraction": GOOD.replace(b"1", b"1.0", 1),
    "another version": GOOD.replace(b'"v":1', b'"v":2'),
    "true for 1": GOOD.replace(b'"v":1', b'"v":true'),
    "an unknown type": GOOD.replace(b"note:x", b"other"),
    "no time": b'{"e":0,"t":"note:x","v":1}',
    "a negative time": b'{"at":-1,"e":0,"t":"note:x","v":1}',
    "unsorted": b'{"e":0,"at":1,"t":"note:x","v":1}',
    "an intent of nothing": b'{"at":1,"e":0,"t":"intent","v":1}',
    "a bad payload": b'{"at":1,"e":0,"pay":{"d":"x","n":1,"s":"y"},"t":"note:x","v":1}',
    "a field twice": b'{"at":1,"at":1,"e":0,"t":"note:x","v":1}',
    "a bad id": b'{"at":1,"e":0,"id":"ABC","t":"note:x","v":1}',
    "no text": b"\xff",
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
def test_a_body_that_is_not_version_1_is_not_taken(bad: bytes) -> None:
    assert body.decode(GOOD) == {"at": 1, "e": 0, "t": "note:x", "v": 1}
    with pytest.raises(Corrupt):
        body.decode(bad)
