"""What a sandboxed process may read of this machine: the interpreter, what it imports from, the system's libraries.

Looked up in the process that makes the sandboxed ones, from its own interpreter; nothing of an estate is ever
among it, and a folder that would show one is refused.
"""

import os
import sys
from collections.abc import Iterable
from typing import Final

from freehold.base import BadInput

SYSTEM: Final = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
EXTRA: Final = ("/etc/ld.so.cache", "/etc/localtime", "/sys/devices/system/cpu")
DEVICES: Final = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")


def import_path() -> list[str]:
    """Return where this interpreter imports from, as far as it is a place of its own and not a working folder."""
    return [entry for entry in sys.path if os.path.isabs(entry) and entry != "/" and os.path.exists(entry)]


def refuse_hidden(mounts: Iterable[str], hidden: Iterable[str]) -> None:
    """Raise BadInput where one of ``mounts`` holds one of ``hidden``."""
    secrets = [os.path.realpath(folder) for folder in hidden]
    for folder in mounts:
        shown = next((secret for secret in secrets if _within(secret, os.path.realpath(folder))), None)
        if shown is not None:
            raise BadInput(
                f"A runner that may read {folder} could read {shown} too.",
                remedy="Put the pack into a folder of its own, outside of the estate and not above it.",
            )


def readable(mounts: Iterable[str], hidden: Iterable[str]) -> list[str]:
    """Return the folders and files that may be read, none beneath another, ``SYSTEM`` and ``EXTRA`` aside.

    Raises BadInput where one of ``mounts`` holds one of ``hidden``.
    """
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    root = os.path.dirname(package)
    given, secrets = [os.path.abspath(mount) for mount in mounts], list(hidden)
    refuse_hidden(given, secrets)
    needed = [sys.base_prefix, sys.base_exec_prefix, sys.prefix, package]
    needed += [entry for entry in import_path() if entry != root]
    found: list[str] = []
    for folder in sorted({*needed, *given}, key=len):
        if any(_within(folder, other) for other in (*found, *SYSTEM)) or not os.path.exists(folder):
            continue
        refuse_hidden([folder], secrets)
        found.append(folder)
    return found


def _within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")
