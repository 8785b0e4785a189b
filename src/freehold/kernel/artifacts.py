"""Immutable results as encrypted files, addressed by the SHA-256 of what lies on the disk.

A file is synced, renamed and its folder synced before anybody learns its address, so a RESULT never names a
file that a crash can take back. The gate writes and reads them; ``forget`` deletes those of a subject.
"""

import hashlib
import os
import secrets
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Final

from freehold.base import BadInput, Corrupt, NotFound
from freehold.kernel import files
from freehold.kernel.sealing import SubjectKey, forgotten

_MAGIC: Final = b"FHA1"
_HEAD: Final = len(_MAGIC) + 16
_HEX: Final = frozenset("0123456789abcdef")


class Artifacts:
    """The artifact files of an estate. ``key_of`` finds the key of a subject set, None once forgotten.

    ``put`` and ``get`` may run in a thread: they share nothing that changes.
    """

    def __init__(self, folder: Path, key_of: Callable[[str], SubjectKey | None]) -> None:
        self._folder = folder
        self._key_of = key_of

    def load(self) -> None:
        """Create the folder where there is none; remove what interrupted writes left behind."""
        files.private_folder(self._folder)
        with files.guarded("The artifacts"):
            files.sweep_temporary(self._folder)

    def put(self, data: bytes, key: SubjectKey) -> str:
        """Keep ``data`` for the subjects of ``key`` durably and return its address (64 hex digits).

        The same data for the same subjects has the same address and is kept once. Raises StoreFailed.
        """
        head = _MAGIC + bytes.fromhex(key.set_id)
        sealed = key.seal_content(data, head)
        address = hashlib.sha256(head)
        address.update(sealed)
        path = self._folder / address.hexdigest()
        with files.guarded("An artifact"):
            if not _has_size(path, len(head) + len(sealed)):
                temporary = self._folder / f".{secrets.token_hex(12)}.tmp"
                try:
                    files.write_synced(temporary, head, sealed)
                    os.replace(temporary, path)
                except OSError:
                    temporary.unlink(missing_ok=True)
                    raise
            files.sync_folder(self._folder)
        return address.hexdigest()

    def get(self, address: str) -> bytes:
        """Return what was put; raises NotFound, Refused (``refused.forgotten``), Corrupt, StoreFailed."""
        data = self.get_sealed(address)
        key = self._key_of(data[len(_MAGIC) : _HEAD].hex())
        if key is None:
            raise forgotten()
        return key.open_content(data[_HEAD:], data[:_HEAD])

    def get_sealed(self, address: str) -> bytes:
        """Return the encrypted file as it lies on the disk, checked against its address."""
        path = self._path(address)
        with files.guarded("An artifact"):
            try:
                data = path.read_bytes()
            except FileNotFoundError as error:
                raise NotFound(
                    f"There is no artifact {address[:12]}….",
                    remedy="It may have been deleted when its subject was forgotten.",
                ) from error
        if len(data) < _HEAD or data[: len(_MAGIC)] != _MAGIC or hashlib.sha256(data).hexdigest() != address:
            raise Corrupt(f"The artifact {address[:12]}… is not what was kept under that address.")
        return data

    def has(self, address: str) -> bool:
        """Whether the file is there."""
        return self._path(address).exists()

    def sets(self) -> Iterator[tuple[str, str]]:
        """Yield (address, subject set id) of every artifact."""
        with files.guarded("The artifacts"), os.scandir(self._folder) as found:
            for item in found:
                if len(item.name) != 64:
                    continue
                with open(item.path, "rb") as handle:
                    head = handle.read(_HEAD)
                if len(head) == _HEAD:
                    yield item.name, head[len(_MAGIC) :].hex()

    def delete(self, addresses: Collection[str]) -> None:
        """Delete files durably; those that are gone already do not matter."""
        with files.guarded("An artifact"):
            for address in addresses:
                self._path(address).unlink(missing_ok=True)
            if addresses:
                files.sync_folder(self._folder)

    def _path(self, address: str) -> Path:
        if len(address) != 64 or not _HEX.issuperset(address):
            raise BadInput(f"{address[:80]!r} is not an artifact's address.")
        return self._folder / address


def _has_size(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size
    except FileNotFoundError:
        return False
