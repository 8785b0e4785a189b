"""Files in a folder that somebody else may write to meanwhile: opened inside it or not at all.

A runner writes as it likes in its workspace and hands the daemon a relative path; a source folder belongs to
people. What is opened here is a regular file with one name, reached without a symbolic link and without
leaving the folder; what is read is bounded and the same at the end as at the beginning.
"""

import contextlib
import ctypes
import errno
import os
import stat
import sys
from collections.abc import Iterator
from typing import Final

from freehold.base import BadInput

MAX_PATH: Final = 1_024
_CHUNK: Final = 1 << 20
_OPENAT2: Final = 437
_RESOLVE_NO_MAGICLINKS: Final = 0x02
_RESOLVE_NO_SYMLINKS: Final = 0x04
_RESOLVE_BENEATH: Final = 0x08
_FILE_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
_FOLDER_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OUTSIDE: Final = "Name a file inside the folder, without links."


class _OpenHow(ctypes.Structure):
    """``struct open_how`` of openat2(2)."""

    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


def open_inside(folder: int, relative: str, *, walk: bool = False) -> int:
    """Return a descriptor of the regular file ``relative`` inside the open ``folder``, for reading.

    Uses openat2(2) where the kernel has it, else (or with ``walk``) opens component by component. Raises
    BadInput for a path that leaves the folder, a link, a second name of a file, or anything but a file.
    """
    parts = _parts(relative)
    try:
        descriptor = None if walk else _openat2(folder, "/".join(parts))
        if descriptor is None:
            descriptor = _walk(folder, parts)
    except OSError as error:
        raise _cannot_open(relative, error) from None
    try:
        _require_plain_file(relative, os.fstat(descriptor))
    except BadInput:
        os.close(descriptor)
        raise
    return descriptor


def read_inside(folder: int, relative: str, max_bytes: int) -> bytes:
    """Return the contents of a file inside ``folder``; raises BadInput when it is too large or changes."""
    descriptor = open_inside(folder, relative)
    try:
        return _read_unchanged(descriptor, relative, max_bytes)
    except OSError as error:
        raise _cannot_open(relative, error) from None
    finally:
        os.close(descriptor)


def files_inside(folder: int, limit: int = 100_000) -> list[str]:
    """Return the relative paths of the plain files under ``folder``, sorted; links are left out."""
    found: list[str] = []
    waiting = [""]
    while waiting:
        prefix = waiting.pop()
        for entry in _entries(folder, prefix):
            path = f"{prefix}{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                waiting.append(f"{path}/")
            elif entry.is_file(follow_symlinks=False) and _is_text(path):
                found.append(path)
            if len(found) + len(waiting) > limit:
                raise BadInput(f"The folder holds more than {limit:,} files.", remedy="Split it up.")
    return sorted(found)


def place_inside(folder: int, subfolder: str, name: str, data: bytes) -> str:
    """Write a read-only file ``subfolder/name`` into ``folder`` and return that path.

    Nothing that lies there already is followed or written into: a former file of that name is removed.
    """
    if len(_parts(subfolder)) != 1 or len(_parts(name)) != 1:
        raise BadInput("A file is placed one folder deep.")
    try:
        with contextlib.suppress(FileExistsError):
            os.mkdir(subfolder, 0o700, dir_fd=folder)
        owner = os.fstat(folder).st_uid
        with _opened_folder(folder, subfolder) as target:
            give_to_owner(target, owner)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name, dir_fd=target)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            with open(os.open(name, flags, 0o400, dir_fd=target), "wb") as file:
                give_to_owner(file.fileno(), owner)
                file.write(data)
    except OSError as error:
        raise _cannot_open(f"{subfolder}/{name}", error) from None
    return f"{subfolder}/{name}"


@contextlib.contextmanager
def folder_inside(folder: int, relative: str) -> Iterator[int]:
    """Give a descriptor of the folder ``relative`` inside the open ``folder`` ("" for itself), without links.

    Raises OSError, and BadInput for a path that leaves the folder.
    """
    with _opened_folder(folder, "/".join(_parts(relative)) if relative else "") as descriptor:
        yield descriptor


def give_to_owner(descriptor: int, owner: int) -> None:
    """Make an open file or folder that of the runner whose folder it lies in, where that is another user."""
    if owner != os.geteuid():
        os.fchown(descriptor, owner, owner)


# ---- opening


def _parts(relative: str) -> list[str]:
    parts = relative.split("/")
    if not relative or len(relative) > MAX_PATH or "\0" in relative or not _is_text(relative):
        raise BadInput("A path is not usable as a file name.", remedy=_OUTSIDE, code="input.path")
    if any(part in ("", ".", "..") for part in parts):
        raise BadInput(f"The path '{relative}' is not a plain path.", remedy=_OUTSIDE, code="input.path")
    return parts


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _openat2(folder: int, path: str) -> int | None:
    """Open in one call; None where the kernel does not know it."""
    if sys.platform != "linux":
        return None
    how = _OpenHow(_FILE_FLAGS, 0, _RESOLVE_BENEATH | _RESOLVE_NO_SYMLINKS | _RESOLVE_NO_MAGICLINKS)
    libc = ctypes.CDLL(None, use_errno=True)
    result = libc.syscall(
        ctypes.c_long(_OPENAT2),
        ctypes.c_int(folder),
        ctypes.c_char_p(os.fsencode(path)),
        ctypes.byref(how),
        ctypes.c_size_t(ctypes.sizeof(how)),
    )
    if result >= 0:
        return int(result)
    number = ctypes.get_errno()
    if number in (errno.ENOSYS, errno.EPERM):  # an old kernel, or a filter that knows it not
        return None
    raise OSError(number, os.strerror(number))


def _walk(folder: int, parts: list[str]) -> int:
    current = os.dup(folder)
    try:
        for part in parts[:-1]:
            following = os.open(part, _FOLDER_FLAGS, dir_fd=current)
            os.close(current)
            current = following
        return os.open(parts[-1], _FILE_FLAGS, dir_fd=current)
    finally:
        os.close(current)


@contextlib.contextmanager
def _opened_folder(folder: int, relative: str) -> Iterator[int]:
    current = os.dup(folder) if relative else os.open(".", _FOLDER_FLAGS, dir_fd=folder)
    try:
        for part in relative.rstrip("/").split("/") if relative else []:
            following = os.open(part, _FOLDER_FLAGS, dir_fd=current)
            os.close(current)
            current = following
        yield current
    finally:
        os.close(current)


def _entries(folder: int, relative: str) -> Iterator["os.DirEntry[str]"]:
    with (
        contextlib.suppress(OSError),
        _opened_folder(folder, relative) as descriptor,
        os.scandir(descriptor) as entries,
    ):
        yield from entries


def _require_plain_file(relative: str, facts: os.stat_result) -> None:
    if not stat.S_ISREG(facts.st_mode):
        raise BadInput(f"'{relative}' is not a file.", remedy=_OUTSIDE, code="input.path")
    if facts.st_nlink != 1:
        raise BadInput(f"'{relative}' is a file that has other names.", remedy=_OUTSIDE, code="input.path")


def _cannot_open(relative: str, error: OSError) -> BadInput:
    if error.errno in (errno.ELOOP, errno.EXDEV, errno.ENOTDIR):
        return BadInput(f"'{relative}' leads through a link.", remedy=_OUTSIDE, code="input.path")
    return BadInput(
        f"'{relative}' cannot be read: {error.strerror}.",
        remedy="Give the daemon's user access to it, or take it out of the folder.",
        code="input.path",
    )


# ---- reading


def _read_unchanged(descriptor: int, relative: str, max_bytes: int) -> bytes:
    before = os.fstat(descriptor)
    if before.st_size > max_bytes:
        raise BadInput(
            f"'{relative}' has {before.st_size:,} bytes; {max_bytes:,} is the most.", code="input.too-large"
        )
    data = b"".join(_chunks(descriptor, max_bytes + 1))
    place = 0
    same = True
    for chunk in _chunks(descriptor, max_bytes + 1):
        same = same and data[place : place + len(chunk)] == chunk
        place += len(chunk)
    after = os.fstat(descriptor)
    if not same or place != len(data) or len(data) != before.st_size or _facts(before) != _facts(after):
        raise BadInput(f"'{relative}' changed while it was read.", remedy="Try again once it is whole.")
    return data


def _chunks(descriptor: int, most: int) -> Iterator[bytes]:
    place = 0
    while place < most:
        chunk = os.pread(descriptor, min(_CHUNK, most - place), place)
        if not chunk:
            return
        yield chunk
        place += len(chunk)


def _facts(facts: os.stat_result) -> tuple[int, ...]:
    return (facts.st_ino, facts.st_dev, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_nlink)
