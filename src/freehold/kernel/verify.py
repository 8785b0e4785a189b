"""Checks an exported journal, a proof of one entry, or the continuity of two checkpoints, offline.

Meant for a stranger's machine: ``base``, ``cryptography``, the estate's public key as text and, against
truncation or replacement of the whole, a copy of an older checkpoint. Formats: ``docs/journal-format.md``.
"""

import base64
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from freehold.base import BadInput, Corrupt, canonical
from freehold.kernel import body as bodies
from freehold.kernel import merkle
from freehold.kernel.checkpoint import Checkpoint, JournalKey, decode_base64

EXPORT_FORMAT: Final = "freehold-journal-export/v1"
PROOF_FORMAT: Final = "freehold-journal-proof/v1"
CONSISTENCY_FORMAT: Final = "freehold-journal-consistency/v1"
WITHHELD: Final = b"-"
MAX_LINE: Final = 64 * 1024 * 1024

_NOTE_LINES: Final = 5
_HEAD_LINES: Final = 2 + _NOTE_LINES


@dataclass(frozen=True, slots=True)
class Verified:
    """What an export was found to be. ``withheld`` counts payloads that are shredded or were left out."""

    origin: str
    size: int
    root: str
    payloads: int
    withheld: int
    witnessed: bool


@dataclass(frozen=True, slots=True)
class VerifiedEntry:
    """One entry, proven to stand at ``index`` of the journal that ``checkpoint`` signs."""

    index: int
    fields: dict[str, Any]
    checkpoint: Checkpoint


def verify_file(path: Path, public_key: str, witness: str | None = None) -> Verified:
    """Verify the export in a file; raises Corrupt naming the first thing that is wrong, or BadInput."""
    try:
        with path.open("rb") as handle:
            return verify_lines(iter(lambda: handle.readline(MAX_LINE + 1), b""), public_key, witness)
    except OSError as error:
        raise BadInput(f"The export {path} cannot be read: {error.strerror or error}.") from error


def verify_lines(lines: Iterable[bytes], public_key: str, witness: str | None = None) -> Verified:
    """Verify an export given line by line, each with its newline."""
    verifier = BundleVerifier(public_key, witness)
    for line in lines:
        verifier.feed(line)
    return verifier.finish()


def split_lines(data: bytes) -> Iterator[bytes]:
    """Yield the lines of an export held in memory, each with its newline, as a file would."""
    start = 0
    while start < len(data):
        stop = data.find(b"\n", start) + 1 or len(data)
        yield data[start:stop]
        start = stop


class BundleVerifier:
    """Takes an export line by line; its state after a line depends on the lines so far and on nothing else.

    ``feed`` and ``finish`` raise Corrupt. Memory grows with the open intents only.
    """

    def __init__(self, public_key: str, witness: str | None = None) -> None:
        self._key = JournalKey.parse(public_key)
        self._witness = None if witness is None else self._key.open(witness)
        self._witnessed: bytes | None = None
        self._head: list[str] = []
        self._signed: Checkpoint | None = None
        self._peaks = merkle.Peaks()
        self._open: dict[str, tuple[str, int]] = {}
        self._payloads = 0
        self._withheld = 0

    def copy(self) -> "BundleVerifier":
        """Return a verifier in the same state that goes on by itself."""
        other = BundleVerifier.__new__(BundleVerifier)
        other.__dict__.update(self.__dict__)
        other._head, other._open, other._peaks = self._head.copy(), self._open.copy(), self._peaks.copy()
        return other

    def feed(self, line: bytes) -> None:
        """Take the next line."""
        if not line.endswith(b"\n") or len(line) > MAX_LINE:
            raise _wrong(f"{self._where()} is cut off or too long")
        if self._signed is None:
            self._feed_head(line[:-1])
        elif self._peaks.size == self._signed.size:
            raise _wrong(f"something follows after the last of {self._signed.size} entries")
        else:
            self._feed_entry(self._peaks.size, line[:-1])
            if self._witness is not None and self._witness.size == self._peaks.size:
                self._witnessed = self._peaks.root()

    def finish(self) -> Verified:
        """Say that there are no more lines."""
        signed = self._signed
        if signed is None:
            raise _wrong("the file ends before its checkpoint does")
        if self._peaks.size != signed.size:
            raise _wrong(f"the file ends after {self._peaks.size} of {signed.size} entries")
        if self._peaks.root() != signed.root:
            raise _wrong(
                "every entry is whole, but together they are not what was signed: "
                "one was exchanged, taken out or moved, and the rest was made to fit"
            )
        witness = self._witness
        if witness is not None and witness.size and self._witnessed != witness.root:
            raise _rewritten(witness)
        return Verified(
            signed.origin,
            signed.size,
            signed.root.hex(),
            self._payloads,
            self._withheld,
            witness is not None,
        )

    def _where(self) -> str:
        return f"line {len(self._head) + 1}" if self._signed is None else f"entry {self._peaks.size}"

    def _feed_head(self, line: bytes) -> None:
        try:
            self._head.append(line.decode())
        except UnicodeDecodeError as error:
            raise _wrong(f"line {len(self._head) + 1} is not text") from error
        number = len(self._head)
        if number == 1 and self._head[0] != EXPORT_FORMAT:
            raise _wrong(f"its first line is not {EXPORT_FORMAT}")
        if number == 2 and self._head[1] != self._key.text:
            raise _wrong("it names another public key than the one that was given")
        if number < _HEAD_LINES:
            return
        signed = self._key.open_sole("".join(f"{text}\n" for text in self._head[2:]))
        witness = self._witness
        if witness is not None and witness.size > signed.size:
            raise Corrupt(
                f"The export has {signed.size} entries, but the witness copy was made at {witness.size}.",
                remedy="Ask for an export that is at least as new as the witness copy.",
                code="corrupt.truncated",
            )
        if witness is not None and witness.size == signed.size and witness.root != signed.root:
            raise _rewritten(witness)
        self._signed = signed

    def _feed_entry(self, index: int, line: bytes) -> None:
        parts = line.split(b"\t")
        if len(parts) != 4:
            raise _wrong(f"entry {index} is not four fields")
        number, leaf_text, body, payload = parts
        if number != b"%d" % index:
            raise _wrong(f"entry {index} is missing or out of place")
        leaf = merkle.leaf_hash(body)
        if leaf.hex().encode() != leaf_text:
            raise _wrong(f"entry {index} does not match its own hash")
        fields = _fields(index, body)
        self._check_payload(index, fields, payload)
        self._check_order(index, leaf.hex(), fields)
        self._peaks.append(leaf)

    def _check_payload(self, index: int, fields: dict[str, Any], payload: bytes) -> None:
        commitment = bodies.payload_of(fields)
        if commitment is None:
            if payload:
                raise _wrong(f"entry {index} carries encrypted data that it does not commit to")
        elif payload == WITHHELD:
            self._withheld += 1
        else:
            _check_ciphertext(index, commitment, payload.decode("latin-1"))
            self._payloads += 1

    def _check_order(self, index: int, leaf: str, fields: dict[str, Any]) -> None:
        """Every RESULT names an INTENT that stands before it and has no final RESULT yet."""
        if fields["t"] == "intent":
            self._open[leaf] = (fields["id"], fields["try"])
        elif fields["t"] == "result":
            if self._open.get(fields["intent"]) != (fields["id"], fields["try"]):
                raise _wrong(f"entry {index} is a result of no open intent before it")
            if fields["status"] != "unknown":
                del self._open[fields["intent"]]


def verify_proof(data: bytes, public_key: str, witness: str | None = None) -> VerifiedEntry:
    """Verify the proof of one entry; raises Corrupt or BadInput.

    A witness copy of the same size must agree; of another size it is compared by ``verify_consistency``.
    """
    key = JournalKey.parse(public_key)
    proof = _document(data, PROOF_FORMAT, key, {"body": str, "checkpoint": str, "index": int, "path": list})
    signed = key.open_sole(proof["checkpoint"])
    if witness is not None:
        copy = key.open(witness)
        if copy.size == signed.size and copy.root != signed.root:
            raise _rewritten(copy)
    body, index = proof["body"].encode(), proof["index"]
    merkle.check_inclusion(merkle.leaf_hash(body), index, signed.size, _path(proof["path"]), signed.root)
    fields = _fields(index, body)
    if "payload" in proof:
        commitment = bodies.payload_of(fields)
        if commitment is None or not isinstance(proof["payload"], str):
            raise _wrong(f"entry {index} carries encrypted data that it does not commit to")
        _check_ciphertext(index, commitment, proof["payload"])
    return VerifiedEntry(index, fields, signed)


def verify_consistency(
    data: bytes, public_key: str, witness: str | None = None
) -> tuple[Checkpoint, Checkpoint]:
    """Verify that a newer checkpoint continues an older one and return both; raises Corrupt or BadInput.

    With ``witness``, the older one must be that copy's statement.
    """
    key = JournalKey.parse(public_key)
    proof = _document(data, CONSISTENCY_FORMAT, key, {"new": str, "old": str, "path": list})
    old, new = key.open_sole(proof["old"]), key.open_sole(proof["new"])
    if witness is not None:
        copy = key.open(witness)
        if replace(copy, note="") != replace(old, note=""):
            raise _rewritten(copy)
    merkle.check_consistency(old.size, new.size, old.root, new.root, _path(proof["path"]))
    return old, new


def _document(data: bytes, form: str, key: JournalKey, types: dict[str, type]) -> dict[str, Any]:
    """Return a proof document: canonical JSON, one newline, the given key, and these fields."""
    try:
        found = canonical.decode(data)
        same = canonical.encode(found) + b"\n" == data
    except BadInput as error:
        raise _wrong("it is not plain JSON") from error
    if not same or not isinstance(found, dict) or found.get("format") != form:
        raise _wrong(f"it is not a {form} in canonical form")
    names = {"format", "key", *types}
    if not names <= found.keys() <= names | {"payload"}:
        raise _wrong("it lacks fields or has others")
    if any(type(found[name]) is not kind for name, kind in types.items()):
        raise _wrong("a field is malformed")
    if found["key"] != key.text:
        raise _wrong("it names another public key than the one that was given")
    if "payload" in found and form != PROOF_FORMAT:
        raise _wrong("it lacks fields or has others")
    return found


def _path(texts: list[Any]) -> list[bytes]:
    path = [bytes.fromhex(text) for text in texts if isinstance(text, str) and bodies.is_hex(text, 64)]
    if len(path) != len(texts):
        raise _wrong("its path is malformed")
    return path


def _fields(index: int, body: bytes) -> dict[str, Any]:
    try:
        return bodies.decode(body)
    except Corrupt as error:
        raise _wrong(f"entry {index} cannot be read: {error.message}") from error


def _check_ciphertext(index: int, commitment: dict[str, Any], text: str) -> None:
    data = decode_base64(text)
    if data is None or len(data) != commitment["n"] or hashlib.sha256(data).hexdigest() != commitment["d"]:
        raise _wrong(f"the encrypted data of entry {index} is not what it commits to")


def encode_base64(data: bytes) -> bytes:
    """Return the one spelling of base64 that a verifier takes."""
    return base64.b64encode(data)


def _wrong(what: str) -> Corrupt:
    return Corrupt(
        f"The journal does not verify: {what}.",
        remedy="Do not rely on this file; ask the estate's owner for another and keep this one as evidence.",
        code="corrupt.journal",
    )


def _rewritten(witness: Checkpoint) -> Corrupt:
    return Corrupt(
        f"The journal is not the one of the witness copy: its first {witness.size} entries differ.",
        remedy="Keep both: two signed statements that contradict each other are evidence of rewriting.",
        code="corrupt.rewritten",
    )
