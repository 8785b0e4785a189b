"""Memory for secrets: locked against the swap, left out of dumps, wiped after use.

Where the machine does not let all of the process's memory be locked, what secrets are unsealed into is locked by
itself, and the vault says so.
"""

import contextlib
import ctypes
import mmap
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from freehold.wire.permits import MAX_SECRET

_SLOT: Final = 8 * MAX_SECRET
_MCL_CURRENT: Final = 1
_MCL_FUTURE: Final = 2
_MADV_DONTFORK: Final = 10
_MADV_DONTDUMP: Final = 16
ALL: Final = "locked in memory, all of the process"
SECRETS: Final = (
    "locked in memory where secrets are unsealed; keys and copies in passing are not "
    "(the limit of locked memory is {} KiB)"
)
NONE: Final = "NOT locked in memory: this machine allows none, so they could reach the swap"


class Pages:
    """One locked place, into which one secret at a time is unsealed."""

    def __init__(self) -> None:
        self._map = mmap.mmap(-1, _SLOT)
        self._view = memoryview(self._map)

    def lock(self) -> str:
        """Lock what can be locked and return the sentence that says what it was."""
        libc = ctypes.CDLL(None, use_errno=True)
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)[1]
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (hard, hard))
        at = ctypes.addressof(ctypes.c_char.from_buffer(self._map))
        length = ctypes.c_size_t(_SLOT)
        libc.madvise(ctypes.c_void_p(at), length, _MADV_DONTDUMP)
        libc.madvise(ctypes.c_void_p(at), length, _MADV_DONTFORK)
        room = hard if hard != resource.RLIM_INFINITY else sys.maxsize
        if room > 1 << 30 and libc.mlockall(_MCL_CURRENT | _MCL_FUTURE) == 0:
            return ALL
        if libc.mlock(ctypes.c_void_p(at), length) == 0:
            return SECRETS.format(room >> 10)
        return NONE

    @contextmanager
    def slot(self, size: int) -> Iterator[memoryview]:
        """Give ``size`` bytes of it, and wipe them afterwards."""
        part = self._view[:size]
        try:
            yield part
        finally:
            part[:] = bytes(size)
