"""Signed checkpoints of the journal: C2SP signed-note, tlog-checkpoint and the note's verifier-key text form.

The ledger signs with it, and a stranger's machine checks with it: base and ``cryptography`` only. The files
that keep checkpoints outside the database are in ``kernel.keeper``.
"""

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from typing import Final, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from freehold.base import BadInput, Corrupt
from freehold.kernel.merkle import EMPTY_ROOT, HASH_SIZE

_ED25519: Final = b"\x01"
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,199}")
_DECIMAL: Final = re.compile(r"0|[1-9][0-9]{0,15}")
_MAX_NOTE: Final = 16_384
_DASH: Final = "\u2014 "


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a signed checkpoint says: the journal ``origin`` had ``size`` entries and this root."""

    origin: str
    size: int
    root: bytes
    note: str

    @property
    def text(self) -> str:
        """The part that is signed."""
        return _text(self.origin, self.size, self.root)


def check_origin(name: str) -> str:
    """Return ``name`` if it can name a journal; raises BadInput."""
    if not _NAME.fullmatch(name):
        raise BadInput(
            f"The name {name!r} cannot name a journal.",
            remedy="Use up to 200 letters, digits and . _ - /, beginning with a letter or digit.",
        )
    return name


class JournalKey:
    """The public half: checks checkpoints of one estate. Its text form is the note's verifier key."""

    def __init__(self, name: str, public: bytes) -> None:
        self.name = check_origin(name)
        self.public = public
        self.id = hashlib.sha256(name.encode() + b"\n" + _ED25519 + public).digest()[:4]
        try:
            self._key = Ed25519PublicKey.from_public_bytes(public)
        except ValueError as error:
            raise BadInput("The public key is not an Ed25519 key of 32 bytes.") from error

    @classmethod
    def parse(cls, text: str) -> "JournalKey":
        """Read ``name+keyid+base64`` (the form that ``text`` writes); raises BadInput."""
        wrong = BadInput(
            "The text is not a journal's public key.",
            remedy="It looks like estate+1a2b3c4d+AX…; `freehold journal show --key` prints it.",
        )
        name, _, rest = text.strip().partition("+")
        identifier, _, data = rest.partition("+")
        raw = decode_base64(data)
        if raw is None or len(raw) != 33 or raw[:1] != _ED25519 or not _NAME.fullmatch(name):
            raise wrong
        key = cls(name, raw[1:])
        if key.id.hex() != identifier:
            raise wrong
        return key

    @property
    def text(self) -> str:
        """The key as text to hand to a verifier."""
        return f"{self.name}+{self.id.hex()}+{base64.b64encode(_ED25519 + self.public).decode()}"

    def open(self, note: str) -> Checkpoint:
        """Return the checkpoint in ``note``; others' signatures are passed over, ours must be there and hold.

        Raises Corrupt.
        """
        checkpoint, signatures = _parse(note)
        if checkpoint.origin != self.name:
            raise _broken(f"it is of the journal {checkpoint.origin}, not {self.name}")
        ours = [raw[4:] for name, raw in signatures if name == self.name and raw[:4] == self.id]
        if not ours:
            raise _broken(f"it is not signed by the key of {self.name} that was given")
        for signature in ours:
            try:
                self._key.verify(signature, checkpoint.text.encode())
            except InvalidSignature as error:
                raise _broken("its signature does not hold") from error
        return checkpoint

    def open_sole(self, note: str) -> Checkpoint:
        """Like ``open``, but there must be no signature but ours, so that every byte is accounted for."""
        checkpoint = self.open(note)
        if len(_parse(note)[1]) != 1:
            raise _broken("it carries further signatures")
        return checkpoint


class Signer(Protocol):
    """Who signs checkpoints: the vault, or a key that is held here (in tests, and in tools without a vault)."""

    @property
    def key(self) -> JournalKey:
        """The public half."""
        ...

    def first(self) -> Checkpoint:
        """Return the checkpoint of an empty journal."""
        ...

    async def checkpoint(self, size: int, root: bytes) -> Checkpoint:
        """Sign what is committed; raises Unavailable while it cannot be signed."""
        ...


def signed_by(key: JournalKey, size: int, root: bytes, signature: bytes) -> Checkpoint:
    """Return the checkpoint that ``key`` signed elsewhere; raises Corrupt where the signature does not hold."""
    text = _text(key.name, size, root)
    line = base64.b64encode(key.id + signature).decode()
    return key.open(f"{text}\n{_DASH}{key.name} {line}\n")


class JournalSigner:
    """The private half, held here. Never printed: ``secret_text`` is for its key file alone."""

    def __init__(self, name: str, seed: bytes) -> None:
        try:
            self._private = Ed25519PrivateKey.from_private_bytes(seed)
        except ValueError as error:
            raise BadInput("The journal's signing key is not an Ed25519 key of 32 bytes.") from error
        self._seed = seed
        self.key = JournalKey(name, self._private.public_key().public_bytes_raw())

    @classmethod
    def generate(cls, name: str) -> "JournalSigner":
        """Return a signer with a new key."""
        return cls(check_origin(name), Ed25519PrivateKey.generate().private_bytes_raw())

    @classmethod
    def parse(cls, text: str) -> "JournalSigner":
        """Read what ``secret_text`` wrote; raises BadInput."""
        parts = text.strip().split("+", 4)
        raw = decode_base64(parts[4]) if len(parts) == 5 and parts[:2] == ["PRIVATE", "KEY"] else None
        if raw is None or len(raw) != 33 or raw[:1] != _ED25519:
            raise BadInput("The journal's signing key file is damaged.", remedy="Restore it from its copy.")
        signer = cls(parts[2], raw[1:])
        if signer.key.id.hex() != parts[3]:
            raise BadInput("The journal's signing key file is damaged.", remedy="Restore it from its copy.")
        return signer

    @property
    def seed(self) -> bytes:
        """The private key, 32 bytes, for the vault to take over."""
        return self._seed

    def secret_text(self) -> str:
        """Return the private key in the note's signer-key form."""
        data = base64.b64encode(_ED25519 + self._seed).decode()
        return f"PRIVATE+KEY+{self.key.name}+{self.key.id.hex()}+{data}\n"

    def first(self) -> Checkpoint:
        """Return the checkpoint of an empty journal."""
        return self.sign(0, EMPTY_ROOT)

    async def checkpoint(self, size: int, root: bytes) -> Checkpoint:
        """Sign, as ``Signer`` has it."""
        return self.sign(size, root)

    def sign(self, size: int, root: bytes) -> Checkpoint:
        """Sign that the journal has ``size`` entries and this root. Sign only what is committed."""
        text = _text(self.key.name, size, root)
        signature = base64.b64encode(self.key.id + self._private.sign(text.encode())).decode()
        return Checkpoint(self.key.name, size, root, f"{text}\n{_DASH}{self.key.name} {signature}\n")


def decode_base64(text: str) -> bytes | None:
    """Return the bytes of standard, padded base64 in its one canonical spelling, else None."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        return None
    return raw if base64.b64encode(raw).decode() == text else None


def _text(origin: str, size: int, root: bytes) -> str:
    return f"{origin}\n{size}\n{base64.b64encode(root).decode()}\n"


def _broken(why: str) -> Corrupt:
    return Corrupt(f"The checkpoint cannot be trusted: {why}.", code="corrupt.checkpoint")


def _parse(note: str) -> tuple[Checkpoint, list[tuple[str, bytes]]]:
    """Split a note that is a checkpoint without extension lines; nothing is verified."""
    if len(note) > _MAX_NOTE:
        raise _broken("it is too long")
    text, blank, tail = note.partition("\n\n")
    lines = text.split("\n")
    if not blank or len(lines) != 3 or not tail.endswith("\n"):
        raise _broken("it is not three lines, a blank one, and signatures")
    origin, size, root_text = lines
    root = decode_base64(root_text)
    if not _NAME.fullmatch(origin) or not _DECIMAL.fullmatch(size) or root is None or len(root) != HASH_SIZE:
        raise _broken("its origin, size or root is malformed")
    signatures: list[tuple[str, bytes]] = []
    for line in tail[:-1].split("\n"):
        name, space, data = line.removeprefix(_DASH).partition(" ")
        raw = decode_base64(data)
        if not line.startswith(_DASH) or not space or not name or raw is None or len(raw) < 5:
            raise _broken("a signature line is malformed")
        signatures.append((name, raw))
    return Checkpoint(origin, int(size), root, note), signatures
