"""Landlock, by its three system calls: a process gives up the file system but for what it names, and the network.

Used on a process that has one thread, before it has met anything of a stranger's. What each version of the
kernel's interface adds is asked for where it is there; see landlock(7).
"""

import ctypes
import os
import stat
import struct
from collections.abc import Iterable
from typing import Final

_CREATE: Final = 444
_ADD_RULE: Final = 445
_RESTRICT: Final = 446
_VERSION: Final = 1
_PATH_BENEATH: Final = 1
_PR_SET_NO_NEW_PRIVS: Final = 38

_EXECUTE: Final = 1 << 0
_WRITE_FILE: Final = 1 << 1
_READ_FILE: Final = 1 << 2
_READ_FOLDER: Final = 1 << 3
_REFER: Final = 1 << 13
_TRUNCATE: Final = 1 << 14
_DEVICE_CONTROL: Final = 1 << 15
_FIRST: Final = (1 << 13) - 1
_TCP: Final = 0b11
_SCOPES: Final = 0b11
_DEVICES_MADE: Final = 1 << 6 | 1 << 11
"""Character and block devices."""
_OF_A_FILE: Final = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _DEVICE_CONTROL

READ: Final = _READ_FILE | _READ_FOLDER | _EXECUTE
READ_FILE: Final = _READ_FILE
WRITE_FILE: Final = _READ_FILE | _WRITE_FILE

NEEDED: Final = 6
"""From here on (Linux 6.12) it also holds signals and abstract sockets; below it, the level is not reached."""


def version() -> int:
    """Return the version of the kernel's interface; 0 where it has none or it is turned off."""
    return max(0, int(_libc().syscall(_CREATE, None, 0, _VERSION)))


def restrict(reads: Iterable[tuple[str, int]], writes: Iterable[int]) -> None:
    """Give up everything but ``reads`` (a path and what may be done there) and the folders open as ``writes``.

    A path that is not there is left out. Raises OSError where the kernel refuses.
    """
    known = version()
    files = _FIRST | (_REFER if known >= 2 else 0) | (_TRUNCATE if known >= 3 else 0)
    files |= _DEVICE_CONTROL if known >= 5 else 0
    attributes = struct.pack("=QQQ", files, _TCP if known >= 4 else 0, _SCOPES if known >= 6 else 0)
    size = 8 if known < 4 else 16 if known < 6 else 24
    ruleset = _called(_libc().syscall(_CREATE, attributes, ctypes.c_size_t(size), 0))
    try:
        for path, rights in reads:
            _allow_path(ruleset, path, rights & files)
        for folder in writes:
            _allow(ruleset, folder, files & ~(_DEVICES_MADE | _DEVICE_CONTROL))
        _called(_libc().prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        _called(_libc().syscall(_RESTRICT, ruleset, 0))
    finally:
        os.close(ruleset)


def _allow_path(ruleset: int, path: str, rights: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        whole = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        _allow(ruleset, descriptor, rights if whole else rights & _OF_A_FILE)
    finally:
        os.close(descriptor)


def _allow(ruleset: int, descriptor: int, rights: int) -> None:
    beneath = struct.pack("=Qi", rights, descriptor)
    _called(_libc().syscall(_ADD_RULE, ruleset, _PATH_BENEATH, beneath, 0))


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _called(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"Landlock: {os.strerror(number)}")
    return result
