"""Attempts to use more than the limits."""

import contextlib
import ctypes
import mmap
import os
import resource
import signal
import tempfile
from typing import Final

from tests.sandbox.escapes.base import Attempts, Facts, into

LIMITS: Final[Attempts] = {}
attempt = into(LIMITS)


@attempt("start more processes than the limit")
def _(facts: Facts) -> bool:
    started = []
    try:
        for _ in range(facts["processes"] + 30):
            pid = os.fork()
            if pid == 0:
                signal.pause()
            started.append(pid)
        return True
    finally:
        for pid in started:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


@attempt("fill more memory than the limit")
def _(facts: Facts) -> bool:
    held = bytearray(facts["memory"] + (64 << 20))
    held[::4_096] = b"x" * len(held[::4_096])
    return True


@attempt("fill more shared memory than the limit")
def _(facts: Facts) -> bool:
    size = facts["memory"] + (64 << 20)
    with mmap.mmap(-1, size) as held:
        for at in range(0, size, 4_096):
            held[at] = 1
    return True


@attempt("fill memory through a file without a name")
def _(facts: Facts) -> bool:
    os.close(os.memfd_create("x"))
    return True


@attempt("fill the temporary folder")
def _(facts: Facts) -> bool:
    size = facts["temporary"] + (4 << 20)
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        for number in range(size >> 20):
            with open(f"{folder}/{number}", "wb") as file:
                file.write(bytes(1 << 20))
    return True


@attempt("fill the root folder's memory")
def _(facts: Facts) -> bool:
    for folder in ("/dev", "/dev/shm", "/run", "/var/tmp", "/sys", "/etc"):
        with contextlib.suppress(OSError), tempfile.TemporaryFile(dir=folder):
            return True
    return False


@attempt("write a file larger than the limit")
def _(facts: Facts) -> bool:
    with open("large", "wb") as file:
        for _ in range((facts["file_bytes"] >> 20) + 4):
            file.write(bytes(1 << 20))
    os.unlink("large")
    return True


@attempt("open more files than the limit")
def _(facts: Facts) -> bool:
    held = [os.open("/dev/null", os.O_RDONLY) for _ in range(facts["open_files"] + 50)]
    for descriptor in held:
        os.close(descriptor)
    return True


@attempt("raise a limit")
def _(facts: Facts) -> bool:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard + 1, hard + 1))
    return True


@attempt("leave a core dump")
def _(facts: Facts) -> bool:
    resource.setrlimit(resource.RLIMIT_CORE, (1 << 20, 1 << 20))
    return True


@attempt("lock memory")
def _(facts: Facts) -> bool:
    return bool(ctypes.CDLL(None).mlockall(3) == 0)
