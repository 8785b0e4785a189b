"""How an attempt is written down, and system calls by their number."""

import ctypes
import errno
import os
import platform
from collections.abc import Callable
from typing import Any, Final

Facts = dict[str, Any]
Attempt = Callable[[Facts], bool]
Attempts = dict[str, Attempt]
_X86: Final = platform.machine() == "x86_64"


def into(attempts: Attempts) -> Callable[[str], Callable[[Attempt], Attempt]]:
    """A decorator that writes an attempt down under its name."""

    def attempt(name: str) -> Callable[[Attempt], Attempt]:
        def add(function: Attempt) -> Attempt:
            assert name not in attempts
            attempts[name] = function
            return function

        return add

    return attempt


def call(on_x86: int, on_arm: int, *arguments: Any) -> int:
    """A system call by its number; raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    result: int = libc.syscall(on_x86 if _X86 else on_arm, *arguments)
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def reached(on_x86: int, on_arm: int, *arguments: Any) -> bool:
    """Whether a call that cannot succeed as given got to the kernel's own code, past every wall."""
    try:
        call(on_x86, on_arm, *arguments)
    except OSError as error:
        return error.errno not in (errno.EPERM, errno.EACCES, errno.ENOSYS)
    return True
