"""Run inside, alone and with nothing imported but the standard library: do the walls hold? Prints what does not.

``python check.py LEVEL OUTSIDE``: ``OUTSIDE`` is a file that must not be readable from in here.
"""

import ctypes
import os
import signal
import socket
import sys
from collections.abc import Callable

_FORKS = 64
_BYTES = 256 << 20
_NEW_USER = 0x10000000


def main(level: str, outside: str) -> int:
    """Return 0 where everything holds."""
    found = [
        sentence
        for sentence, got_out in (
            ("a file outside can be read", lambda: open(outside, "rb").close()),
            ("a connection can be opened", lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM).close()),
            ("a socket can be made", lambda: socket.socket(socket.AF_UNIX, socket.SOCK_STREAM).close()),
            ("a namespace can be made", _new_user),
            ("the filter of system calls is not in force", lambda: _call("ptrace", 0, 0, 0, 0)),
            ("more processes can be started than the limit says", _many),
            ("more memory can be had than the limit says", _much),
        )
        if _succeeds(got_out)
    ]
    if level == "namespaces" and os.getpid() != 1:
        found.append("the processes outside are seen")
    print("\n".join(found))
    return 1 if found else 0


def _succeeds(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except (OSError, MemoryError):
        return False
    return True


def _new_user() -> None:
    _call("unshare", _NEW_USER)


def _call(name: str, *arguments: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments) != 0:
        raise OSError(ctypes.get_errno(), name)


def _many() -> None:
    """Raise OSError where so many processes cannot be started."""
    started = []
    try:
        for _ in range(_FORKS):
            child = os.fork()
            if child == 0:
                signal.pause()
            started.append(child)
    finally:
        for child in started:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def _much() -> None:
    """Raise MemoryError where a child cannot fill so much memory, or is killed for it."""
    child = os.fork()
    if child == 0:
        try:
            held = bytearray(_BYTES)
            held[::4_096] = b"x" * (_BYTES // 4_096)
            os._exit(0)
        except MemoryError:
            os._exit(1)
    if os.waitpid(child, 0)[1] != 0:
        raise MemoryError


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
