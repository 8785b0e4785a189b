"""The keys of the people and files that data is about, outside the database so that they can be destroyed.

One folder, read by the daemon alone. A batch file holds one line a key; a key is durable before its first
use. Destroying one writes a tombstone, blanks its line where it lies, and removes the file once it is empty.
"""

import hashlib
import secrets
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple
from weakref import WeakValueDictionary

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from freehold.base import BadInput, Corrupt, NotFound, Refused, canonical
from freehold.kernel import files
from freehold.kernel.sealing import KEY_SIZE, NONCE_SIZE, SubjectKey, forgotten

ESTATE: Final = "estate"
"""The subject of what concerns nobody in particular; it cannot be forgotten."""

_MEMO: Final = 4_096
_MAX_NAME: Final = 512
_BLANK: Final = b"#"
_SEALED: Final = "aes-256-gcm:"


class _Kept(NamedTuple):
    name: str
    key: bytes
    file: str
    offset: int
    length: int


def set_id_of(members: Sequence[str]) -> str:
    """Return the opaque id of a set of key ids: a lone one's own, else a digest of them in order."""
    if len(members) == 1:
        return members[0]
    return hashlib.sha256("\0".join(["freehold/subjectset/v1", *members]).encode()).hexdigest()[:32]


class SubjectKeys:
    """All subject keys of an estate. ``load`` reads them; anything else loads first where that was not done.

    Names look like ``employee:anna``, ``file:<sha256>``, ``estate``. They are personal and stand nowhere but
    beside their key. With ``sealing`` (32 bytes, from the vault) names and keys are sealed where they lie, and what lay
    open before is sealed when it is read. Not for use by several threads (what it returns may be).
    """

    def __init__(self, folder: Path, sealing: bytes = b"") -> None:
        self._folder = folder
        self._cipher = AESGCM(sealing) if sealing else None
        self._kept: dict[str, _Kept] = {}
        self._ids: dict[str, str] = {}
        self._stones: dict[str, list[dict[str, Any]]] = {}  # digest of the name -> tombstones
        self._gone: set[str] = set()  # destroyed key ids
        self._barred: set[str] = set()  # digests of names that may not come back unasked
        self._secret = b""
        self._bare: set[str] = set()  # files with lines that are not sealed yet
        self._loaded = False
        self._memo: dict[tuple[str, ...], SubjectKey] = {}
        self._recent: dict[str, SubjectKey] = {}
        self._live: WeakValueDictionary[str, SubjectKey] = WeakValueDictionary()

    # ---- using --------------------------------------------------------------------------------------------

    def key(self, subjects: tuple[str, ...]) -> SubjectKey:
        """Return the key of these subjects together, creating durably what is missing.

        Forgetting any of them destroys it. Raises Refused (``refused.forgotten``) for one that is forgotten.
        """
        found = self._memo.get(subjects)
        if found is not None:
            return found
        if not subjects:
            raise BadInput("Data must belong to somebody: no subject was named.")
        self.ensure(subjects)
        members = tuple(sorted({self._ids[name] for name in subjects}))
        key = self._derive(set_id_of(members), members)
        if len(self._memo) >= _MEMO:
            del self._memo[next(iter(self._memo))]
        self._memo[subjects] = key
        return key

    def ensure(self, subjects: Iterable[str]) -> None:
        """Create the keys that are missing, all in one file and with one sync; call it before a fan-out."""
        self.load()
        new: list[str] = []
        for name in dict.fromkeys(subjects):
            if name in self._ids:
                continue
            _check_name(name)
            if self._digest(name) in self._barred:
                raise forgotten()
            new.append(name)
        if new:
            self._create(new)

    def open_set(self, set_id: str, members: tuple[str, ...]) -> SubjectKey | None:
        """Return the key of a set by its members' ids; None once one of them was forgotten.

        Raises Corrupt (``corrupt.key-missing``) where a key is neither here nor known to be forgotten.
        """
        found = self._live.get(set_id)
        if found is not None and found.alive:
            return found
        self.load()
        if not self._gone.isdisjoint(members):
            return None
        missing = [member for member in members if member not in self._kept]
        if missing or set_id_of(members) != set_id:
            raise Corrupt(
                f"The subject key {(missing or [set_id])[0]} is missing, though nobody forgot it.",
                remedy="Restore the keys folder from its own copy; without it the data cannot be read.",
                code="corrupt.key-missing",
            )
        return self._derive(set_id, members)

    def live(self, set_id: str) -> SubjectKey | None:
        """Return the key of a set where its members need not be looked up: in use now, or of one subject."""
        found = self._live.get(set_id)
        if found is not None and found.alive:
            return found
        return self._derive(set_id, (set_id,)) if set_id in self._kept else None

    def names(self) -> list[str]:
        """Return the names of all subjects that have a key."""
        self.load()
        return sorted(self._ids)

    def name_of(self, identifier: str) -> str:
        """Return the name of the subject whose key has this id; raises Refused when it was forgotten."""
        if not self._loaded:
            self.load()
        found = self._kept.get(identifier)
        if found is None:
            raise forgotten()
        return found.name

    def is_forgotten(self, subject: str) -> bool:
        """Whether a name was forgotten and not readmitted; it cannot be used."""
        self.load()
        return subject not in self._ids and self._digest(subject) in self._barred

    def id_of(self, subject: str) -> str:
        """Return the opaque id of a subject's key; raises NotFound."""
        self.load()
        if subject not in self._ids:
            raise NotFound(f"There is no subject named {subject}.", remedy="`freehold subjects` lists them.")
        return self._ids[subject]

    # ---- forgetting ---------------------------------------------------------------------------------------

    def destroy(self, subject: str) -> tuple[str, ...]:
        """Destroy a subject's key and return the ids of every key that it ever had. Again does no harm.

        After a crash at any point ``load`` or a second call completes it. Data of the journal, artifacts and
        documents is the ledger's: use ``kernel.forget``.
        """
        self.load()
        if subject == ESTATE:
            raise Refused(
                "The estate itself cannot be forgotten.", remedy="Delete the estate's folder instead."
            )
        mark = self._digest(subject)
        identifier = self._ids.get(subject)
        if identifier is None and mark not in self._stones:
            raise NotFound(f"There is no subject named {subject}.", remedy="`freehold subjects` lists them.")
        if identifier is not None:
            kept = self._kept[identifier]
            stone: dict[str, Any] = {
                "f": kept.file,
                "id": identifier,
                "mac": mark,
                "n": kept.length,
                "o": kept.offset,
            }
            with files.guarded("The list of forgotten subjects"):
                files.append_synced(self._folder / "forgotten", canonical.encode(stone) + b"\n")
            self._bury(stone)
            self._let_go(identifier)
        for buried in self._stones[mark]:
            self._blank(buried["f"], buried["o"], buried["n"])
        return tuple(buried["id"] for buried in self._stones[mark])

    def destroy_again(self, identifiers: Iterable[str]) -> list[str]:
        """Destroy keys that a restored copy of the folder brought back, by id; return those that it had."""
        self.load()
        back = [identifier for identifier in identifiers if identifier in self._kept]
        for identifier in back:
            self.destroy(self._kept[identifier].name)
        return back

    def destroyed(self) -> frozenset[str]:
        """Return the ids of all keys that were destroyed."""
        self.load()
        return frozenset(self._gone)

    def readmit(self, subject: str) -> None:
        """Let a forgotten name be used again, with a new key; what was shredded stays so."""
        self.load()
        mark = self._digest(subject)
        if mark in self._barred:
            with files.guarded("The list of forgotten subjects"):
                files.append_synced(self._folder / "forgotten", canonical.encode({"again": mark}) + b"\n")
            self._barred.discard(mark)

    def _let_go(self, identifier: str) -> None:
        del self._ids[self._kept.pop(identifier).name]
        for key in list(self._live.values()):
            if identifier in key.members:
                key.destroy()
        self._memo = {names: key for names, key in self._memo.items() if key.alive}
        self._recent = {set_id: key for set_id, key in self._recent.items() if key.alive}

    def _bury(self, stone: dict[str, Any]) -> None:
        self._stones.setdefault(stone["mac"], []).append(stone)
        self._gone.add(stone["id"])
        self._barred.add(stone["mac"])

    def _blank(self, file: str, offset: int, length: int) -> None:
        """Overwrite a key's line where it lies; remove the file once nothing lives in it."""
        path = self._folder / file
        with files.guarded("A subject's key"):
            if not path.exists():
                return
            files.overwrite_synced(path, offset, _BLANK * length)
            if not path.read_bytes().strip(_BLANK + b"\n"):
                path.unlink()
                files.sync_folder(self._folder)

    # ---- the folder ---------------------------------------------------------------------------------------

    def load(self) -> None:
        """Read the folder, creating it (0700) where there is none, and finish what a crash interrupted."""
        if self._loaded:
            return
        files.private_folder(self._folder)
        with files.guarded("The subjects' keys"):
            files.sweep_temporary(self._folder)
            self._load_secret()
            self._load_stones()
            for path in sorted(self._folder.glob("*.keys")):
                self._load_batch(path)
            self._seal_open_ones()
        self._loaded = True

    def _load_secret(self) -> None:
        path = self._folder / "secret"
        if not path.exists():
            if (self._folder / "forgotten").exists():
                raise Corrupt(
                    "The subjects' folder has lost its file `secret`.", remedy="Restore it from its copy."
                )
            files.replace(path, self._closed("secret", secrets.token_bytes(KEY_SIZE)).encode())
        text = path.read_text()
        self._secret = self._opened("secret", text)
        if self._cipher is not None and not text.startswith(_SEALED):
            files.replace(path, self._closed("secret", self._secret).encode())

    def _load_stones(self) -> None:
        path = self._folder / "forgotten"
        data = path.read_bytes() if path.exists() else b""
        whole = data[: data.rfind(b"\n") + 1]
        if whole != data:  # a crash while it was appended: that key is not destroyed, forgetting starts anew
            files.replace(path, whole)
        for line in whole.splitlines():
            stone = canonical.decode(line)
            if "again" in stone:
                self._barred.discard(stone["again"])
                continue
            self._bury(stone)
            batch = self._folder / stone["f"]
            if batch.exists():
                with batch.open("rb") as handle:
                    handle.seek(stone["o"])
                    left = handle.read(stone["n"])
                if left.strip(_BLANK):
                    self._blank(stone["f"], stone["o"], stone["n"])

    def _load_batch(self, path: Path) -> None:
        offset = 0
        for line in path.read_bytes().split(b"\n"):
            if line.strip(_BLANK):
                self._take(path.name, offset, line)
            offset += len(line) + 1

    def _take(self, file: str, offset: int, line: bytes) -> None:
        try:
            record = canonical.decode(line)
            identifier = record["id"]
            if "sealed" in record:
                record |= canonical.decode(self._opened(identifier, record["sealed"]))
            elif self._cipher is not None:
                self._bare.add(file)
            name, key = record["name"], bytes.fromhex(record["key"])
        except (BadInput, KeyError, TypeError, ValueError) as error:
            raise Corrupt(
                f"The key file {file} is damaged at byte {offset}.", remedy="Restore it."
            ) from error
        self._kept[identifier] = _Kept(name, key, file, offset, len(line))
        self._ids[name] = identifier

    def _create(self, names: list[str]) -> None:
        self._write([(secrets.token_hex(16), secrets.token_bytes(KEY_SIZE), name) for name in names])

    def _write(self, keys: Iterable[tuple[str, bytes, str]]) -> None:
        """Write keys (id, key, name) into one new file, durably."""
        file, lines, offset, kept = f"{secrets.token_hex(16)}.keys", [], 0, {}
        for identifier, key, name in keys:
            line = self._line(identifier, key, name)
            kept[identifier] = _Kept(name, key, file, offset, len(line))
            lines.append(line + b"\n")
            offset += len(line) + 1
        with files.guarded("A subject's key"):
            files.replace(self._folder / file, *lines)
        self._kept.update(kept)
        self._ids.update((item.name, identifier) for identifier, item in kept.items())

    def _line(self, identifier: str, key: bytes, name: str) -> bytes:
        plain = {"key": key.hex(), "name": name}
        if self._cipher is None:
            return canonical.encode({"id": identifier, **plain})
        return canonical.encode(
            {"id": identifier, "sealed": self._closed(identifier, canonical.encode(plain))}
        )

    def _closed(self, what: str, plain: bytes) -> str:
        """Return ``plain`` as it is written: sealed where there is a key for that, else in digits."""
        if self._cipher is None:
            return plain.hex()
        nonce = secrets.token_bytes(NONCE_SIZE)
        return _SEALED + (nonce + self._cipher.encrypt(nonce, plain, _aad(what))).hex()

    def _opened(self, what: str, text: str) -> bytes:
        """Return what ``_closed`` was given; raises Corrupt where it cannot be opened."""
        if not text.startswith(_SEALED):
            return bytes.fromhex(text)
        data = bytes.fromhex(text.removeprefix(_SEALED))
        if self._cipher is None:
            raise Corrupt(
                "The subjects' keys are sealed, and the vault that opens them is not there.",
                remedy="Start the daemon: it has the key from the vault.",
                code="corrupt.sealed",
            )
        try:
            return self._cipher.decrypt(data[:NONCE_SIZE], data[NONCE_SIZE:], _aad(what))
        except InvalidTag as error:
            raise Corrupt(
                "The subjects' keys were altered, or belong to another vault.",
                remedy="Restore the folders `keys` and `vault` from one copy.",
                code="corrupt.sealed",
            ) from error

    def _seal_open_ones(self) -> None:
        """Write sealed what was written before there was a vault, then destroy the open lines."""
        bare, self._bare = self._bare, set()
        again = [kept for kept in self._kept.items() if kept[1].file in bare]
        if again:
            self._write([(identifier, kept.key, kept.name) for identifier, kept in again])
        for file in sorted(bare):
            path = self._folder / file
            files.overwrite_synced(path, 0, _BLANK * path.stat().st_size)
            path.unlink()
            files.sync_folder(self._folder)

    def _derive(self, set_id: str, members: tuple[str, ...]) -> SubjectKey:
        found = self._live.get(set_id)
        if found is None or not found.alive:
            found = SubjectKey(set_id, members, b"".join(self._kept[member].key for member in members))
            self._live[set_id] = found
            if len(self._recent) >= _MEMO:
                del self._recent[next(iter(self._recent))]
            self._recent[set_id] = found
        return found

    def _digest(self, name: str) -> str:
        return hashlib.blake2b(name.encode(), key=self._secret, digest_size=32).hexdigest()


def _aad(what: str) -> bytes:
    return f"freehold/subjects/v1\0{what}".encode()


def _check_name(name: str) -> None:
    if not 0 < len(name) <= _MAX_NAME or not name.isprintable():
        raise BadInput(
            f"The subject's name {name[:40]!r} cannot be used.",
            remedy=f"Use 1 to {_MAX_NAME} printable characters, such as employee:anna.",
        )
