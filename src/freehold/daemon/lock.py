"""The lifetime lock of a daemon on its estate: taken before anything else, ended by the process's end.

Apart from the store's own lock, because an estate whose store is elsewhere has one folder too.
"""

import fcntl
import os
from pathlib import Path

from freehold.base.errors import Unavailable


class DaemonLock:
    """The lock; ``take`` before opening the estate, ``release`` last."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle = -1

    def take(self) -> None:
        """Take the lock; raises Unavailable when another daemon has it or the folder cannot be written."""
        try:
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise Unavailable(
                f"The lock {self._path} cannot be made: {error.strerror}.",
                remedy="Check the folder's permissions and the disk: freehold doctor",
                code="unavailable.disk",
            ) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        except BlockingIOError as error:
            holder = os.pread(handle, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(handle)
            raise Unavailable(
                f"A daemon serves this estate already (process {holder}).",
                remedy="Use it as it is, or stop it first: freehold down",
                code="unavailable.running",
            ) from error
        except OSError as error:
            os.close(handle)
            raise Unavailable(
                f"The lock {self._path} cannot be written: {error.strerror}.",
                remedy="Make room on the disk.",
                code="unavailable.disk",
            ) from error
        self._handle = handle

    def release(self) -> None:
        """Give the lock back; the file stays."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


def holder(path: Path) -> int | None:
    """Return the process that holds the lock at ``path``, or None when nobody does."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        text = os.pread(handle, 32, 0).decode("ascii", "replace").strip()
        return int(text) if text.isdigit() else 0
    except OSError:
        return None
    finally:
        os.close(handle)
    return None
