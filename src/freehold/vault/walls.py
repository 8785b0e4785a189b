"""The walls that the vault puts around itself once all is open: Landlock, and a filter of system calls.

It keeps its folder, the lines and the door that it has; it can make no socket, start no program and reach no process.
"""

import os
import sys
from typing import Final

from freehold.base import Unavailable
from freehold.sandbox import landlock, library, seccomp

BOTH: Final = "Landlock around its folder, and a filter of system calls"
FILTER: Final = "a filter of system calls; NO Landlock: {}"
FOLDER: Final = "Landlock around its folder; NO filter of system calls: {}"
NONE: Final = "NONE: {}"


def close() -> str:
    """Go behind them for good and return the sentence that says what they are; the working folder stays open."""
    if sys.platform != "linux":
        return NONE.format(f"{sys.platform} has neither Landlock nor seccomp")
    known = landlock.version()
    lacking = "" if known else "the kernel has none, or it is turned off"
    try:
        if known:
            _restrict()
    except OSError as error:
        known, lacking = 0, str(error)
    try:
        seccomp.install(seccomp.program(landlock=True, signals=known >= landlock.NEEDED, door=True))
    except (OSError, Unavailable) as error:
        return NONE.format(error) if lacking else FOLDER.format(error)
    return FILTER.format(lacking) if lacking else BOTH


def _restrict() -> None:
    own = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        reads = [*library.readable((), ()), *library.SYSTEM]
        landlock.restrict([(path, landlock.READ) for path in reads], [own])
    finally:
        os.close(own)
