"""Durable small files with tight permissions, for the kernel's rooms that keep things outside the database.

Keys, checkpoints and artifacts use it. Every failure of the operating system leaves as StoreFailed.
"""

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from freehold.base import BadInput, StoreFailed


@contextmanager
def guarded(what: str) -> Iterator[None]:
    """Turn an operating system error into StoreFailed with a sentence about ``what``."""
    try:
        yield
    except OSError as error:
        raise StoreFailed(
            f"{what} could not be read or written: {error.strerror or error}.",
            remedy="Check free space and permissions of the estate's folder, then start the daemon again.",
        ) from error


def private_folder(folder: Path) -> None:
    """Create ``folder`` with mode 0700 (durably), or make sure that nobody else can look into it."""
    with guarded(f"The folder {folder.name}"):
        if not folder.is_dir():
            make_folder(folder)
        if stat.S_IMODE(folder.stat().st_mode) & 0o077:
            raise BadInput(
                f"The folder {folder} is open to other users of this machine.",
                remedy=f"Run: chmod 700 {folder}",
                code="input.permissions",
            )


def make_folder(folder: Path) -> None:
    """Create ``folder`` (0700) and what is missing above it, each with its name durable."""
    for path in reversed([path for path in (folder, *folder.parents) if not path.is_dir()]):
        path.mkdir(mode=0o700)
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make names in ``folder`` durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_synced(path: Path, *parts: bytes) -> None:
    """Create ``path`` (0600, must not exist), write ``parts`` and sync the file, not yet its name."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        for part in parts:
            write_all(handle, part)
        os.fsync(handle)
    finally:
        os.close(handle)


def write_all(handle: int, data: bytes) -> None:
    """Write all of ``data``."""
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]


def replace(path: Path, *parts: bytes) -> None:
    """Put a new file in place of ``path`` so that a crash leaves the old one or the new one, whole."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
    try:
        write_synced(temporary, *parts)
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def append_synced(path: Path, data: bytes) -> None:
    """Append to ``path`` (0600) and sync it; its name too when it is new. What did not fit is taken back."""
    new = not path.exists()
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    size = os.fstat(handle).st_size
    try:
        write_all(handle, data)
        os.fsync(handle)
    except OSError:
        os.ftruncate(handle, size)
        raise
    finally:
        os.close(handle)
    if new:
        sync_folder(path.parent)


def overwrite_synced(path: Path, offset: int, data: bytes) -> None:
    """Write over bytes of ``path`` where they lie, and sync them."""
    handle = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        view, at = memoryview(data), offset
        while view:
            count = os.pwrite(handle, view, at)
            view, at = view[count:], at + count
        os.fsync(handle)
    finally:
        os.close(handle)


def sweep_temporary(folder: Path) -> None:
    """Remove what an interrupted ``replace`` left behind."""
    for path in folder.glob(".*.tmp"):
        path.unlink(missing_ok=True)
