"""What every process that the daemon starts does first: die with its parent, hold nothing but its own.

The kernel's signal on a parent's death is there on Linux only; elsewhere a child ends when its socket does.
"""

import ctypes
import gc
import os
import resource
import signal
import sys
from collections.abc import Sequence
from typing import Final

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_DUMPABLE: Final = 4
_CLONE_NEWUSER: Final = 0x10000000
_CLONE_NEWNET: Final = 0x40000000
_PR_SET_CHILD_SUBREAPER: Final = 36
_PR_SET_NAME: Final = 15
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)
_THREADS: Final = ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "VECLIB_MAXIMUM")
_KEPT: Final = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "PYTHONPATH", "TZ", "VIRTUAL_ENV")


def clean_environment(given: dict[str, str]) -> dict[str, str]:
    """Return what a child may know of the daemon's environment; number libraries get one thread each."""
    kept: dict[str, str] = {name: given[name] for name in _KEPT if name in given}
    kept |= {f"{name}_NUM_THREADS": "1" for name in _THREADS}
    return kept | {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONNOUSERSITE": "1", "HOME": "/nonexistent"}


def command(module: str, *arguments: str) -> list[str]:
    """Return the command line that starts ``module``; the working folder is no source of modules (``-P``)."""
    return [sys.executable, "-P", "-m", module, *arguments]


def die_with_parent(parent: int, how: int = signal.SIGKILL) -> None:
    """Ask the kernel to send ``how`` when the parent ends; exits at once if ``parent`` is gone already."""
    _prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(how))
    if os.getppid() != parent:
        os._exit(1)


def adopt_orphans() -> None:
    """Become the parent of grandchildren whose parent ends, so that they can be found and killed."""
    _prctl(_PR_SET_CHILD_SUBREAPER, ctypes.c_ulong(1))


def set_name(name: str) -> None:
    """Set what ``ps`` shows for this process (15 bytes)."""
    if sys.platform == "linux":
        _prctl(_PR_SET_NAME, ctypes.create_string_buffer(name.encode()[:15]))


VAULT_UID: Final = 64_871
COURIER_UID: Final = 64_872
"""Whom these processes become where the daemon is root: users that no package of Debian gives to anybody."""


def become(uid: int) -> None:
    """Become that user, for good; 0 changes nothing. The signal on a parent's death must be asked for afterwards."""
    if uid:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)


def leave_network() -> bool:
    """Move into a network namespace that holds nothing; False where the machine does not let us.

    Sockets that were connected before, or are passed in, go on. To be called before any thread is started.
    """
    if sys.platform != "linux":
        return False
    unshare = ctypes.CDLL(None).unshare
    return bool(unshare(_CLONE_NEWNET) == 0 or unshare(_CLONE_NEWUSER | _CLONE_NEWNET) == 0)


def close_to_others() -> None:
    """Let no core be written and no process of the same user trace this one or read its memory."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _prctl(_PR_SET_DUMPABLE, ctypes.c_ulong(0))


def close_all_but(kept: Sequence[int]) -> None:
    """Close every descriptor from 3 on that is not in ``kept``."""
    start = 3
    for descriptor in sorted(set(kept)):
        if descriptor >= start:
            os.closerange(start, descriptor)
            start = descriptor + 1
    os.closerange(start, _highest_descriptor() + 1)


def silence(*, keep_stderr: bool = False) -> None:
    """Point standard input, output and error at /dev/null."""
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1) if keep_stderr else (0, 1, 2):
        os.dup2(null, descriptor)
    if null > 2:
        os.close(null)


def default_signals() -> None:
    """Undo what Python and the fork server set: default actions, and none is blocked."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    signal.set_wakeup_fd(-1)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def settle_memory() -> None:
    """Move what is loaded out of the collector's sight, and have it look less often.

    Forked children then share those pages; a daemon spends a tenth less on steps (``bench/runtime.py``).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def _highest_descriptor() -> int:
    folder = "/proc/self/fd" if sys.platform == "linux" else "/dev/fd"
    try:
        return max(map(int, os.listdir(folder)))
    except (OSError, ValueError):
        return os.sysconf("SC_OPEN_MAX")


def _prctl(option: int, value: object) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)
