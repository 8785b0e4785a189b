"""The command line of bubblewrap (bwrap 0.8 or later) for one sandboxed process.

Every namespace of its own, no further one, no capability, no terminal, an environment and a root folder in
which there is only what is named here.
"""

import os
import shutil
from collections.abc import Mapping, Sequence
from typing import Final

from freehold.sandbox.library import DEVICES, EXTRA, SYSTEM
from freehold.sandbox.profile import Limits

ROOM: Final = "/workspace"
_USER: Final = "1000"
_WALLS: Final = (
    "--unshare-user", "--disable-userns", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts",
    "--unshare-cgroup", "--cap-drop", "ALL", "--uid", _USER, "--gid", _USER, "--hostname", "freehold",
    "--new-session", "--die-with-parent", "--as-pid-1", "--clearenv",
)  # fmt: skip


def find() -> str | None:
    """Return the program's path; None where it is not installed."""
    return shutil.which("bwrap")


def command(
    program: str,
    mounts: Sequence[str],
    room: str,
    limits: Limits,
    environment: Mapping[str, str],
    descriptors: tuple[int, int],
    argv: Sequence[str],
) -> list[str]:
    """Return the command. ``mounts`` are read there under the names that they have here.

    ``room`` is the folder that may be written, "" for none; ``descriptors`` are where bubblewrap tells the
    process's id and from where it reads the filter of system calls.
    """
    info, filter_ = descriptors
    words = [program, *_WALLS, "--info-fd", str(info), "--seccomp", str(filter_)]
    for name, value in environment.items():
        words += ["--setenv", name, value]
    words += [word for folder in SYSTEM for word in _system(folder)]
    for path in EXTRA:
        words += ["--ro-bind-try", path, path]
    for device in DEVICES:
        words += ["--dev-bind", device, device]
    words += ["--proc", "/proc", "--perms", "1777", "--size", str(limits.temporary_bytes), "--tmpfs", "/tmp"]
    for path in mounts:
        words += ["--ro-bind", path, path]
    if room:
        words += ["--bind", room, ROOM]
    return [*words, "--remount-ro", "/", "--chdir", ROOM if room else "/", "--", *argv]


def _system(folder: str) -> list[str]:
    if os.path.islink(folder):
        return ["--symlink", os.readlink(folder), folder]
    return ["--ro-bind", folder, folder] if os.path.isdir(folder) else []
