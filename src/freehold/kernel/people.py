"""What a person signs, and the key that they sign with. The CLI signs, the kernel verifies.

A statement says one thing about one card, grant or change of one estate, once. The key lives in a file that
only its owner reads; ``presence`` says what using it takes: ``passphrase``, or ``none``, which proves no more
than that a program could read the file. Loads `base` alone; `cryptography` is imported when a key is used.
"""

import contextlib
import hashlib
import hmac
import os
import secrets
import stat
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from freehold.base import BadInput, NotFound, Refused, canonical

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

Presence = Literal["none", "passphrase"]
What = Literal[
    "card.approve",
    "card.deny",
    "card.answer",
    "grant.add",
    "grant.revoke",
    "thaw",
    "rules.change",
    "people.change",
    "word.say",
]

_DOMAIN: Final = b"freehold/statement/v1\0"
_KIND: Final = "freehold human key"
_MAX_FILE: Final = 16_384
NONCE_BYTES: Final = 16


class Statement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One decision of one person.

    ``about`` is the card, grant or other thing; ``digest`` fixes that thing as it was shown; ``args`` is the
    digest of what the person added (edited arguments, a reason, an answer, a scope). ``at`` is the house's
    time in microseconds, as the daemon told it with the card. ``nonce`` is used once.
    """

    what: What
    estate: str
    by: str
    about: str
    digest: str
    decision: str
    args: str
    at: int
    nonce: str
    v: Literal[1] = 1

    def encoded(self) -> bytes:
        """Return the bytes that are signed, without the domain."""
        return canonical.encode(msgspec.to_builtins(self))


class Signed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A statement and its Ed25519 signature in hexadecimal digits."""

    statement: Statement
    signature: str

    def encoded(self) -> bytes:
        """Return the JSON that travels to the daemon."""
        return canonical.encode(msgspec.to_builtins(self))


def content_digest(content: dict[str, Any]) -> str:
    """Return what a statement's ``args`` says of ``content``: its digest, or nothing for nothing."""
    return canonical.digest(canonical.encode(content)) if content else ""


def make_statement(
    what: What,
    *,
    estate: str,
    by: str,
    about: str,
    digest: str,
    at: int,
    content: dict[str, Any] | None = None,
    random_bytes: Callable[[int], bytes] = secrets.token_bytes,
) -> Statement:
    """Return a statement with a fresh nonce; the decision is the last word of ``what``."""
    decision = what.rpartition(".")[2]
    args, nonce = content_digest(content or {}), random_bytes(NONCE_BYTES).hex()
    return Statement(what, estate, by, about, digest, decision, args, at, nonce)


def decode_signed(data: bytes) -> Signed:
    """Return the signed statement in ``data``; raises BadInput when it is none."""
    try:
        return msgspec.json.decode(data, type=Signed)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"The signed statement could not be read: {error}.", remedy="Sign it anew.") from error


def verify(signed: Signed, public_key: bytes) -> None:
    """Raise Refused unless ``signed`` was signed with the private half of ``public_key`` (32 raw bytes)."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    who = signed.statement.by
    try:
        key = Ed25519PublicKey.from_public_bytes(public_key)
        key.verify(bytes.fromhex(signed.signature), _DOMAIN + signed.statement.encoded())
    except (InvalidSignature, ValueError) as error:
        raise Refused(
            f"The signature is not that of {who}.",
            remedy=f"Sign with the key that is registered for {who} (`freehold humans show {who}`).",
            code="refused.signature",
        ) from error


class SigningKey:
    """An unlocked private key; keep it for one decision."""

    def __init__(self, key: "Ed25519PrivateKey", human: str) -> None:
        self._key = key
        self.human = human

    def raw(self) -> bytes:
        """Return the private key, to be encrypted again."""
        return self._key.private_bytes_raw()

    def sign(self, statement: Statement) -> Signed:
        """Return ``statement`` signed; raises BadInput when it speaks for somebody else."""
        if statement.by != self.human:
            raise BadInput(
                f"This key belongs to {self.human}, the statement speaks for {statement.by}.",
                remedy=f"Use the key of {statement.by}.",
            )
        return Signed(statement, self._key.sign(_DOMAIN + statement.encoded()).hex())


def signing_key(raw: bytes, human: str) -> SigningKey:
    """Return the key whose 32 private bytes these are; raises BadInput."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    try:
        return SigningKey(Ed25519PrivateKey.from_private_bytes(raw), human)
    except ValueError as error:
        raise BadInput("These are not the bytes of an Ed25519 key.", remedy="Open the key again.") from error


class Scrypt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Cost of turning the passphrase into a key (RFC 7914); as it stands, 64 MiB and half a second."""

    n: int = 2**16
    r: int = 8
    p: int = 2
    name: Literal["scrypt"] = "scrypt"

    def derive(self, passphrase: str, salt: bytes) -> bytes:
        """Return 32 bytes; raises BadInput when a file asks for more memory than is sane."""
        power_of_two = self.n > 1 and self.n & (self.n - 1) == 0
        if (
            not power_of_two
            or not 1 <= self.r <= 32
            or not 1 <= self.p <= 16
            or 128 * self.n * self.r > 2**30
        ):
            raise BadInput(
                "The key file asks for scrypt parameters out of range.", remedy="Restore it from a copy."
            )
        room = 128 * self.r * (self.n + self.p + 2) + 2**20
        return hashlib.scrypt(
            passphrase.encode(), salt=salt, n=self.n, r=self.r, p=self.p, maxmem=room, dklen=32
        )


class KeyFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A human's key file as it lies on disk; every field but ``private`` is authenticated when encrypted."""

    human: str
    public: str
    presence: Presence
    private: str
    kdf: Scrypt | None = None
    salt: str = ""
    nonce: str = ""
    cipher: str = ""
    kind: str = _KIND
    v: int = 1

    @property
    def public_key(self) -> bytes:
        """The public half, 32 raw bytes."""
        return bytes.fromhex(self.public)

    def unlock(self, passphrase: str | None = None) -> SigningKey:
        """Return the private key; raises Refused for a wrong or missing passphrase, BadInput when broken."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        raw = bytes.fromhex(self.private) if self.presence == "none" else self._decrypt(passphrase)
        try:
            key = Ed25519PrivateKey.from_private_bytes(raw)
        except ValueError as error:
            raise BadInput("The key file holds no Ed25519 key.", remedy="Restore it from a copy.") from error
        if not hmac.compare_digest(key.public_key().public_bytes_raw(), self.public_key):
            raise BadInput("The two halves in the key file do not fit.", remedy="Restore it from a copy.")
        return SigningKey(key, self.human)

    def _decrypt(self, passphrase: str | None) -> bytes:
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        if passphrase is None:
            raise Refused(
                f"The key of {self.human} asks for its passphrase.",
                remedy="Run it at a terminal; scripts decide only with a key whose presence is none.",
                code="refused.presence",
            )
        assert self.kdf is not None  # read_key has seen to it
        box = AESGCM(self.kdf.derive(passphrase, bytes.fromhex(self.salt)))
        try:
            return box.decrypt(bytes.fromhex(self.nonce), bytes.fromhex(self.private), self._header())
        except (InvalidTag, ValueError) as error:
            raise Refused(
                f"The passphrase does not open the key of {self.human}.",
                remedy="Type it again; nothing was decided.",
                code="refused.passphrase",
            ) from error

    def _header(self) -> bytes:
        fields = msgspec.to_builtins(self)
        del fields["private"]
        return canonical.encode(fields)


def make_key(human: str, passphrase: str | None, kdf: Scrypt | None = None) -> KeyFile:
    """Return a new Ed25519 key: encrypted under ``passphrase``, or in the clear when it is None."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    public, raw = key.public_key().public_bytes_raw().hex(), key.private_bytes_raw()
    if passphrase is None:
        return KeyFile(human, public, "none", raw.hex())
    if not passphrase.strip():
        raise BadInput(
            "The passphrase is empty.", remedy="Choose one, or ask for presence `none` in so many words."
        )
    return _sealed(human, raw, passphrase, kdf)


def _sealed(human: str, raw: bytes, passphrase: str, kdf: Scrypt | None) -> KeyFile:
    """Return the key file with ``raw`` encrypted under ``passphrase``, with a salt and nonce of its own."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    public = Ed25519PrivateKey.from_private_bytes(raw).public_key().public_bytes_raw().hex()
    kdf, salt, nonce = kdf or Scrypt(), secrets.token_bytes(16), secrets.token_bytes(12)
    open_file = KeyFile(human, public, "passphrase", "", kdf, salt.hex(), nonce.hex(), "aes-256-gcm")
    sealed = AESGCM(kdf.derive(passphrase, salt)).encrypt(nonce, raw, open_file._header())
    return msgspec.structs.replace(open_file, private=sealed.hex())


def seal_key(key: SigningKey, passphrase: str, kdf: Scrypt | None = None) -> KeyFile:
    """Return an opened key encrypted under another passphrase; its public half stays."""
    if not passphrase.strip():
        raise BadInput("The passphrase is empty.", remedy="Choose one.")
    return _sealed(key.human, key.raw(), passphrase, kdf)


def replace_key(path: Path, key: KeyFile) -> None:
    """Put ``key`` in place of the file, so that a crash leaves the old one or the new one, whole; raises BadInput."""
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    write_key(new, key)
    os.replace(new, path)
    _sync_folder(path.parent)


def write_key(path: Path, key: KeyFile) -> None:
    """Write a new key file, mode 0600, durably; raises BadInput when something is there already."""
    data = msgspec.json.format(canonical.encode(msgspec.to_builtins(key)), indent=1) + b"\n"
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError as error:
        raise BadInput(
            f"{path} exists already.", remedy="Name another file; a key is never overwritten."
        ) from error
    except OSError as error:
        raise BadInput(f"{path} cannot be written: {error.strerror}.", remedy="Check the folder.") from error
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        _sync_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            path.unlink()
        raise BadInput(f"{path} cannot be written: {error.strerror}.", remedy="Check the disk.") from error


def read_key(path: Path) -> KeyFile:
    """Return the key file, still locked; raises NotFound, or BadInput when broken or open to others."""
    try:
        with open(path, "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            data = file.read(_MAX_FILE + 1)
    except FileNotFoundError as error:
        raise NotFound(
            f"There is no key file {path}.", remedy="Make one with `freehold humans add`."
        ) from error
    except OSError as error:
        raise BadInput(
            f"{path} cannot be read: {error.strerror}.", remedy="Check its owner and mode."
        ) from error
    if stat.S_IMODE(mode) & 0o077:
        raise BadInput(
            f"{path} can be read by others (mode {stat.S_IMODE(mode):04o}).",
            remedy=f"Run `chmod 600 {path}`; if others had access, make a new key.",
        )
    broken = BadInput(
        f"{path} is not a key file of Freehold.", remedy="Name the right file, or restore it from a copy."
    )
    try:
        key = msgspec.json.decode(data, type=KeyFile)
        lengths = len(key.public_key), len(bytes.fromhex(key.salt)), len(bytes.fromhex(key.nonce))
        bytes.fromhex(key.private)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise broken from error
    whole = (32, 16, 12) if key.presence == "passphrase" else (32, 0, 0)
    if key.kind != _KIND or lengths != whole or (key.kdf is None) != (key.presence == "none"):
        raise broken
    if key.v != 1:
        raise BadInput(f"{path} was written by a newer Freehold.", remedy="Update this one.")
    return key


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
