"""The lifetime lock on an estate's folder: one process writes, and it says which one it is.

Only ``sqlite.py`` calls it. The lock is the kernel's, on an open file, so it ends with the process however
that ends; the file's content is only there to be named in a sentence.
"""

import fcntl
import os
from pathlib import Path
from typing import Final

from freehold.base import StoreFailed, Unavailable

LOCK_NAME: Final = "freehold.lock"


class FolderLock:
    """The lock on one folder, taken by ``take`` and held until ``release``."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / LOCK_NAME
        self._fd: int | None = None

    def take(self) -> None:
        """Take the lock or raise Unavailable naming the process that has it; lets OSError out."""
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(fd, 32, 0).decode("ascii", "replace").strip()
            os.close(fd)
            raise Unavailable(
                f"The store in {self._path.parent} is in use by process {holder or 'unknown'}.",
                remedy="One daemon serves an estate: stop that process, or name another folder.",
                code="unavailable.store.locked",
            ) from error
        except BaseException:
            os.close(fd)
            raise
        self._fd = fd
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)

    def check(self) -> None:
        """Raise StoreFailed unless the file that is locked is still the one that others would lock."""
        try:
            held = self._fd is not None and os.path.samestat(os.fstat(self._fd), self._path.stat())
        except OSError:
            held = False
        if not held:
            raise StoreFailed(
                f"The lock file {self._path} was removed or replaced while the store was open.",
                remedy="Stop every daemon of this estate and start one.",
                code="unavailable.store.lock-lost",
            )

    def release(self) -> None:
        """Give the lock back; the file stays."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
