"""An estate as a folder: where everything lies, and the little that must be known before its store is open.

The daemon, the commands and the verbs ask it for paths. It makes folders, and reads and writes `estate.toml`;
everything else in the folder belongs to the rooms that keep it.
"""

import contextlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from freehold.base.errors import BadInput, Unavailable
from freehold.control.address import SOCKET_NAME, check_private

FORMAT: Final = 1
UNLOCKS: Final = ("file", "passphrase", "keyring")
FILE_NAME: Final = "estate.toml"
FOLDERS: Final = ("jobs", "keys", "keys/people", "logs", "outbox", "packs", "sources")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,62}")


@dataclass(frozen=True, slots=True)
class Estate:
    """One installation. ``store`` is the store's address; ``id`` is what signed statements name.

    ``vault`` is the socket of a vault that is a unit of its own, "" for one that the daemon starts; ``unlock`` is where
    the passphrase of that one comes from: ``file``, ``passphrase`` (a person types it) or ``keyring``.
    """

    folder: Path
    id: str
    name: str
    store: str
    vault: str = ""
    unlock: str = "file"

    @property
    def socket(self) -> Path:
        """The control socket."""
        return self.folder / SOCKET_NAME

    @property
    def jobs(self) -> Path:
        """Where job files lie, `NAME.md` each."""
        return self.folder / "jobs"

    @property
    def keys(self) -> Path:
        """Where keys lie: the estate's own, people's, and those of subjects."""
        return self.folder / "keys"

    @property
    def log(self) -> Path:
        """The daemon's log."""
        return self.folder / "logs" / "daemon.log"

    @property
    def lock(self) -> Path:
        """The file that a running daemon holds locked."""
        return self.folder / "daemon.lock"

    @property
    def outbox(self) -> Path:
        """Where effects put files for people to take."""
        return self.folder / "outbox"

    def key_of(self, human: str) -> Path:
        """The key file of a person."""
        return self.keys / "people" / f"{human}.key"

    def job_file(self, name: str) -> Path:
        """The file of a job."""
        return self.jobs / f"{name}.md"


def choose_folder(given: Path | None) -> Path:
    """Return the folder that a command means: the given one, FREEHOLD_ESTATE, here, or `~/freehold`."""
    if given is not None:
        return given.expanduser().absolute()
    named = os.environ.get("FREEHOLD_ESTATE")
    if named:
        return Path(named).expanduser().absolute()
    here = Path.cwd()
    return here if (here / FILE_NAME).is_file() else Path.home() / "freehold"


def open_estate(folder: Path) -> Estate:
    """Return the estate in ``folder``; raises BadInput when there is none or it is of a newer format."""
    import tomllib

    path = folder / FILE_NAME
    try:
        values: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise BadInput(
            f"There is no estate in {folder}.",
            remedy="Make one: freehold init; or name another: --estate FOLDER.",
            code="input.no-estate",
        ) from error
    except OSError as error:
        raise BadInput(
            f"{path} cannot be read: {error.strerror}.", remedy=f"Give yourself access: chmod u+rwX {folder}"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} is not valid TOML: {error}.", remedy="Mend that line.") from error
    return _read(folder, path, values)


def _read(folder: Path, path: Path, values: dict[str, Any]) -> Estate:
    version = values.get("format")
    if type(version) is not int or version < 1:
        raise BadInput(f"{path} does not say its `format`.", remedy=f"Write a line: format = {FORMAT}")
    if version > FORMAT:
        raise BadInput(
            f"The estate in {folder} was made by a newer Freehold (format {version}, this one knows {FORMAT}).",
            remedy="Install the newer version.",
            code="input.newer-version",
        )
    identifier, name, store = values.get("id"), values.get("name"), values.get("store", "")
    vault, unlock = values.get("vault", ""), values.get("unlock", "file")
    if (
        not isinstance(identifier, str)
        or not isinstance(name, str)
        or not isinstance(store, str)
        or not isinstance(vault, str)
        or unlock not in UNLOCKS
    ):
        raise BadInput(f"{path} lacks `id` or `name`.", remedy="Restore it from a copy.")
    return Estate(folder, identifier, name, store or str(folder / "store"), vault, str(unlock))


def make_estate(folder: Path, *, name: str, store: str = "") -> Estate:
    """Make the folder of a new estate; raises BadInput where something is in the way, Unavailable."""
    import secrets

    if not _NAME.fullmatch(name):
        raise BadInput(
            f"{name!r} cannot be an estate's name.", remedy="Use letters, digits, spaces, `.`, `-` and `_`."
        )
    path = folder / FILE_NAME
    if path.exists():
        raise BadInput(
            f"There is an estate in {folder} already.",
            remedy="See it: freehold status",
            code="input.estate-exists",
        )
    if any('"' in text or "\\" in text or "\n" in text for text in (store,)):
        raise BadInput("The store's address holds a quote or backslash.", remedy="Write it percent-encoded.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise BadInput(f"The folder {folder} is not empty.", remedy="Name a new folder for the estate.")
        folder.chmod(0o700)
        check_private(folder)
        for part in FOLDERS:
            (folder / part).mkdir(mode=0o700, parents=True, exist_ok=True)
        lines = [
            "# An estate of Freehold. What people may change is changed by: freehold settings",
            f"format = {FORMAT}",
            f'id = "{secrets.token_hex(16)}"',
            f'name = "{name}"',
            f'store = "{store}"'
            if store
            else '# store = "postgresql://..."  # in the folder `store` when left out',
        ]
        with open(path, "x", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise Unavailable(
            f"The estate cannot be made in {folder}: {error.strerror}.",
            remedy="Name a folder that you may write to, on a disk with room.",
            code="unavailable.disk",
        ) from error
    return open_estate(folder)


def set_unlock(estate: Estate, unlock: str) -> None:
    """Write down where the vault's passphrase comes from now, durably; raises Unavailable."""
    path = estate.folder / FILE_NAME
    new = path.with_suffix(".new")
    try:
        lines = [
            line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("unlock")
        ]
        with open(new, "w", encoding="utf-8") as file:
            file.write("\n".join([*lines, f'unlock = "{unlock}"']) + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, path)
    except OSError as error:
        raise Unavailable(
            f"{path} cannot be written: {error.strerror}.",
            remedy=f'Write this line into it: unlock = "{unlock}"',
        ) from error


def write_passphrase(path: Path, passphrase: str) -> None:
    """Write the vault's passphrase into a file that its owner alone reads, durably; raises Unavailable."""
    path.unlink(missing_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(f"{passphrase}\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise Unavailable(
            f"{path} cannot be written: {error.strerror}.", remedy="Make room on the disk."
        ) from error


def destroy_passphrase(path: Path) -> None:
    """Overwrite the file with the vault's passphrase where it lies, and remove it."""
    if path.exists():
        with open(path, "r+b") as file:
            file.write(b"#" * path.stat().st_size)
            file.flush()
            os.fsync(file.fileno())
        path.unlink()


def remove_estate(estate: Estate) -> None:
    """Remove an estate whose making failed halfway; only what `make_estate` and founding put there."""
    import shutil

    for part in (*{part.split("/")[0] for part in FOLDERS}, "store", "checkpoints", "artifacts", "vault"):
        shutil.rmtree(estate.folder / part, ignore_errors=True)
    for path in (estate.folder / FILE_NAME, estate.lock):
        path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        estate.folder.rmdir()
