"""The vault's file: each secret sealed by itself, an authenticated index over all, replaced whole or not at all.

Layout (docs/decisions/0014): magic, length and header in JSON, nonce and sealed index, sealed records, SHA-256 of all
before. The header holds how the master key is wrapped under the passphrase; it is the additional data of the index.
The checksum tells damage from a wrong passphrase; the seals are what an attacker has to break. All names are relative
to the working folder, which is the vault's own.
"""

import hashlib
import os
import secrets
import struct
from typing import Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from freehold.base import BadInput, Corrupt, Refused, Unavailable
from freehold.base.errors import FreeholdError
from freehold.wire.permits import Binding
from freehold.wire.vault import SecretView

FILE: Final = "sealed"
BEFORE: Final = "sealed.before"
MARK: Final = "made"
"""Says that there was a file once: where it is gone, no other is made in its place."""
_TEMPORARY: Final = ".sealed.tmp"
_MAGIC: Final = b"FHVAULT\x01"
_SIZE: Final = struct.Struct(">I")
_NONCE: Final = 12
_MAX_FILE: Final = 64 << 20
HUMAN: Final = (2**16, 8, 1)
"""Cost of a passphrase that a person remembers: scrypt (RFC 7914) over 64 MiB."""
RANDOM: Final = (2**10, 8, 1)
"""For one of 256 random bits, which no guessing finds."""


class Record(msgspec.Struct, forbid_unknown_fields=True):
    """One sealed value: where it lies in the file is worked out from the sizes."""

    id: str
    size: int


class Index(msgspec.Struct, forbid_unknown_fields=True):
    """What the file holds, under its own seal. ``generation`` counts how often it was written."""

    estate: str
    generation: int = 0
    secrets: dict[str, SecretView] = {}
    bindings: dict[str, Binding] = {}
    records: list[Record] = []


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """In the clear: how the passphrase becomes a key, and the master key wrapped under it."""

    unlock: str
    n: int
    r: int
    p: int
    salt: str
    nonce: str
    wrapped: str
    kind: str = "freehold vault"

    def bare(self) -> bytes:
        """Return what the wrapping of the master key authenticates."""
        return msgspec.json.encode(msgspec.structs.replace(self, wrapped=""))


class Sealed:
    """The file, open: its index, and values that are unsealed one at a time into memory that the caller gives."""

    def __init__(self, header: Header, master: bytes, index: Index, blobs: dict[str, bytes]) -> None:
        self.header = header
        self.index = index
        self._master = master
        self._cipher = AESGCM(master)
        self._blobs = blobs

    # ---- values --------------------------------------------------------------------------------------------------

    def has(self, record: str) -> bool:
        """Whether there is a value of that id."""
        return record in self._blobs

    def size(self, record: str) -> int:
        """Bytes of a value."""
        return len(self._blobs[record]) - _NONCE - 16

    def unseal(self, record: str, into: memoryview) -> None:
        """Put a value into ``into``, which has its size; raises Corrupt."""
        blob = self._blobs[record]
        try:
            self._cipher.decrypt_into(blob[:_NONCE], blob[_NONCE:], self._aad(record), into)
        except InvalidTag as error:
            raise _damaged(f"the value {record.partition('/')[0]} does not open") from error

    def put(self, record: str, value: bytes) -> None:
        """Seal a value in place of what there was; not on the disk before ``write``."""
        nonce = secrets.token_bytes(_NONCE)
        self._blobs[record] = nonce + self._cipher.encrypt(nonce, value, self._aad(record))

    def drop(self, record: str) -> None:
        """Let go of a value; not on the disk before ``write``."""
        self._blobs.pop(record, None)

    def _aad(self, record: str) -> bytes:
        return f"freehold/vault/v1\0{self.index.estate}\0{record}".encode()

    # ---- the disk ------------------------------------------------------------------------------------------------

    def write(self) -> None:
        """Put the file in place of the one before, durably; that one stays as ``sealed.before``. Raises Unavailable."""
        self.index.generation += 1
        self.index.records = [Record(name, len(blob)) for name, blob in self._blobs.items()]
        head = msgspec.json.encode(self.header)
        head = _MAGIC + _SIZE.pack(len(head)) + head
        nonce = secrets.token_bytes(_NONCE)
        index = self._cipher.encrypt(nonce, msgspec.json.encode(self.index), head)
        data = b"".join([head, _SIZE.pack(len(index)), nonce, index, *self._blobs.values()])
        data += checksum(data)
        try:
            _write_synced(_TEMPORARY, data)
            if os.path.exists(FILE):
                _link_before()
            os.replace(_TEMPORARY, FILE)
            if not os.path.exists(MARK):
                _write_synced(MARK, b"")
            _sync_folder()
        except OSError as error:
            self.index.generation -= 1
            raise Unavailable(
                f"The vault's file cannot be written: {error.strerror}. Nothing was changed.",
                remedy="Make room on the disk, then do it again.",
                code="unavailable.disk",
            ) from error

    def scrub_before(self) -> None:
        """Remove the file before this one: a secret that was revoked is not to lie in it."""
        if os.path.exists(BEFORE):
            os.unlink(BEFORE)
            _sync_folder()

    def rewrap(self, passphrase: bytes, unlock: str) -> None:
        """Wrap the master key under another passphrase; not on the disk before ``write``."""
        self.header = _wrap(self._master, passphrase, unlock)


def make(estate: str, passphrase: bytes, unlock: str) -> Sealed:
    """Return a new, empty vault; it is not on the disk before ``write``."""
    master = secrets.token_bytes(32)
    return Sealed(_wrap(master, passphrase, unlock), master, Index(estate), {})


def exists() -> bool:
    """Whether there is a vault's file here."""
    return os.path.exists(FILE)


def read_header() -> Header:
    """Return the header of the file; raises Corrupt where any byte of the file is not what was written."""
    return _parse(_read())[0]


def open_sealed(estate: str, passphrase: bytes) -> Sealed:
    """Open the file; raises Corrupt for damage, Refused for a wrong passphrase. It changes nothing."""
    data = _read()
    header, head, nonce, box, records = _parse(data)
    try:
        key = _derive(passphrase, header)
        master = AESGCM(key).decrypt(
            bytes.fromhex(header.nonce), bytes.fromhex(header.wrapped), header.bare()
        )
    except InvalidTag as error:
        raise Refused(
            "The passphrase does not open the vault; nothing in it was changed.",
            remedy="Give the one that it was sealed with (`freehold status` says where it comes from).",
            code="refused.passphrase",
        ) from error
    except ValueError as error:
        raise _damaged("its header cannot be read") from error
    try:
        index = msgspec.json.decode(AESGCM(master).decrypt(nonce, box, head), type=Index)
    except (InvalidTag, msgspec.DecodeError) as error:
        raise _damaged("its index does not open") from error
    if index.estate != estate:
        raise BadInput("The vault's file belongs to another estate.", remedy="Put this estate's own back.")
    blobs, at = {}, 0
    for record in index.records:
        blobs[record.id] = bytes(records[at : at + record.size])
        at += record.size
    if at != len(records):
        raise _damaged("it has not the length that its index says")
    return Sealed(header, master, index, blobs)


def checksum(data: bytes) -> bytes:
    """Return what stands at the end of the file: it tells damage, and guards against nobody."""
    return hashlib.sha256(data).digest()


def _wrap(master: bytes, passphrase: bytes, unlock: str) -> Header:
    n, r, p = HUMAN if unlock == "passphrase" else RANDOM
    salt, nonce = secrets.token_bytes(16), secrets.token_bytes(_NONCE)
    header = Header(unlock, n, r, p, salt.hex(), nonce.hex(), "")
    wrapped = AESGCM(_derive(passphrase, header)).encrypt(nonce, master, header.bare())
    return msgspec.structs.replace(header, wrapped=wrapped.hex())


def _derive(passphrase: bytes, header: Header) -> bytes:
    if header.n > 2**20 or header.n & (header.n - 1) or not 1 <= header.r <= 32 or not 1 <= header.p <= 16:
        raise ValueError("the cost is out of range")
    return Scrypt(salt=bytes.fromhex(header.salt), length=32, n=header.n, r=header.r, p=header.p).derive(
        passphrase
    )


def _read() -> bytes:
    try:
        with open(FILE, "rb") as file:
            return file.read(_MAX_FILE + 1)
    except OSError as error:
        raise Unavailable(
            f"The vault's file cannot be read: {error.strerror}.",
            remedy="Restore `vault/sealed` from its copy; nothing else was changed.",
            code="unavailable.vault",
        ) from error


def _parse(data: bytes) -> tuple[Header, bytes, bytes, bytes, memoryview]:
    """Return header, its bytes, nonce and seal of the index, and the records; raises Corrupt."""
    if len(data) < 64 or data[:7] != _MAGIC[:7] or checksum(data[:-32]) != data[-32:]:
        raise _damaged("bytes of it are not what was written")
    if data[:8] != _MAGIC:
        raise BadInput("The vault's file was written by a newer Freehold.", remedy="Update this one.")
    try:
        (size,) = _SIZE.unpack_from(data, 8)
        head = data[: 12 + size]
        header = msgspec.json.decode(head[12:], type=Header)
        (length,) = _SIZE.unpack_from(data, len(head))
        start = len(head) + 4
        nonce, box = data[start : start + _NONCE], data[start + _NONCE : start + _NONCE + length]
        return header, head, nonce, box, memoryview(data)[start + _NONCE + length : -32]
    except (msgspec.DecodeError, struct.error) as error:
        raise _damaged("its header cannot be read") from error


def _damaged(why: str) -> FreeholdError:
    return Corrupt(
        f"The vault's file is damaged: {why}. It was left as it is.",
        remedy="Restore `vault/sealed` from your copy, or from `vault/sealed.before`, one change older.",
        code="corrupt.vault",
    )


def _write_synced(name: str, data: bytes) -> None:
    handle = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(handle, view) :]
        os.fsync(handle)
    finally:
        os.close(handle)


def _link_before() -> None:
    if os.path.exists(BEFORE):
        os.unlink(BEFORE)
    os.link(FILE, BEFORE)


def _sync_folder() -> None:
    handle = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
