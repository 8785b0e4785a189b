"""A file inside a folder of people's, looked at and put back as it was: no link is followed, none is left half done.

The counterpart of reading in ``freehold.runtime.workspace``, for effects that change a file and for taking them back.
"""

import contextlib
import os
import secrets
import stat
from typing import Final

from freehold.base import BadInput, StoreFailed, digest
from freehold.kernel.files import write_all
from freehold.runtime.workspace import folder_inside, read_inside

_MAX: Final = 64 << 20


def now_inside(folder: str, relative: str, max_bytes: int) -> bytes | None:
    """Return what a file in a folder holds; None where there is none. Raises BadInput for what is no plain file."""
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        if not _is_there(handle, relative):
            return None
        return read_inside(handle, relative, max_bytes)
    finally:
        os.close(handle)


def restore_inside(folder: str, relative: str, expected: str, data: bytes | None) -> bool:
    """Put ``data`` in a file's place (None: remove it) where it still holds what ``expected`` is the digest of.

    Returns whether it did; ``expected`` "" is a file that is not there. Raises StoreFailed, and then the file is as
    it was.
    """
    now = now_inside(folder, relative, _MAX)
    if ("" if now is None else digest(now)) != expected:
        return False
    parent, _, name = relative.rpartition("/")
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with folder_inside(handle, parent) as place:
                if data is None:
                    os.unlink(name, dir_fd=place)
                else:
                    replace_in(place, name, data)
                os.fsync(place)
        finally:
            os.close(handle)
    except OSError as error:
        raise StoreFailed(
            f"{folder}/{relative} could not be put back: {error.strerror or error}.",
            remedy="Check the folder's permissions and free space, then undo again.",
        ) from error
    return True


def replace_in(folder: int, name: str, data: bytes) -> None:
    """Put a file into an open folder, whole or not at all; it keeps owner and mode of one that it replaces.

    Raises OSError. The folder's own entry is for the caller to sync.
    """
    temporary = f".{name[:100]}.{secrets.token_hex(6)}.tmp"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    handle = os.open(temporary, flags, 0o600, dir_fd=folder)
    try:
        try:
            facts = _facts(folder, name) or os.fstat(folder)
            if facts.st_uid != os.geteuid() and os.geteuid() == 0:
                os.fchown(handle, facts.st_uid, facts.st_gid)
            if stat.S_ISREG(facts.st_mode):
                os.fchmod(handle, stat.S_IMODE(facts.st_mode) & 0o777)
            write_all(handle, data)
            os.fsync(handle)
        finally:
            os.close(handle)
        os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary, dir_fd=folder)
        raise


def _facts(folder: int, name: str) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _is_there(folder: int, relative: str) -> bool:
    parent, _, name = relative.rpartition("/")
    try:
        with folder_inside(folder, parent) as place:
            return _facts(place, name) is not None
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise BadInput(f"'{relative}' cannot be read: {error.strerror}.") from error
