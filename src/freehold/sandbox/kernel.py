"""The few calls of the C library that Python has no name for: a namespace of mounts, mounts, the parent's death."""

import ctypes
import os
import signal
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_NEW_MOUNTS: Final = 0x20000
_BIND: Final = 0x1000
_RECURSIVE: Final = 0x4000
_SLAVE: Final = 0x80000
_NOSUID_NODEV: Final = 0x6
_PR_SET_PDEATHSIG: Final = 1
_PLACES: Final = ("/mnt", "/media", "/srv", "/opt", "/tmp")


def open_up(paths: Iterable[str]) -> bool:
    """Let every user reach ``paths``, also through folders that are closed to it; seen by this process alone.

    Returns whether anything had to be done for it.

    A closed folder above one of them (root's home, an estate) is covered, in a namespace of mounts of this
    process's own, by an empty one in which there are only those paths, by their names. Raises OSError, also
    where this root may not mount.
    """
    shut: dict[str, list[str]] = {}
    for path in paths:
        closed = closed_above(path)
        if closed:
            shut.setdefault(closed, []).append(path)
    if not shut:
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    _called(libc.unshare(_NEW_MOUNTS))
    _mount(libc, "none", "/", None, _RECURSIVE | _SLAVE)
    mask = os.umask(0o066)
    held = {path: os.open(path, os.O_PATH | os.O_CLOEXEC) for inner in shut.values() for path in inner}
    for folder, inner in shut.items():
        _mount(libc, "freehold", folder, "tmpfs", _NOSUID_NODEV, "mode=0711,size=1m")
        for path in inner:
            _bind_again(libc, held[path], path)
    os.umask(mask)
    return True


def enter_apart(folder: str) -> str:
    """Go to ``folder`` under a name that it keeps when it is moved, seen by this process alone; return that name."""
    libc = ctypes.CDLL(None, use_errno=True)
    _called(libc.unshare(_NEW_MOUNTS))
    place = next(place for place in _PLACES if os.path.isdir(place))
    _mount(libc, folder, place, None, _BIND)
    os.chdir(place)
    return place


def closed_above(path: str) -> str:
    """Return the highest folder above ``path`` that other users may not walk through; "" where there is none."""
    folders = [*reversed(Path(path).parents)]
    return next((str(folder) for folder in folders if not folder.stat().st_mode & stat.S_IXOTH), "")


def _bind_again(libc: ctypes.CDLL, descriptor: int, path: str) -> None:
    os.makedirs(os.path.dirname(path), 0o711, exist_ok=True)
    if stat.S_ISDIR(os.fstat(descriptor).st_mode):
        os.mkdir(path, 0o711)
    else:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o644))
    _mount(libc, f"/proc/self/fd/{descriptor}", path, None, _BIND | _RECURSIVE)
    os.close(descriptor)


def die_with(parent: int) -> None:
    """Be killed when the parent ends; ends at once where ``parent`` is gone already."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def _mount(libc: ctypes.CDLL, source: str, target: str, kind: str | None, flags: int, data: str = "") -> None:
    _called(
        libc.mount(
            os.fsencode(source), os.fsencode(target), kind.encode() if kind else None, ctypes.c_ulong(flags),
            data.encode() if data else None,
        )
    )  # fmt: skip


def _called(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
