"""Attempts on devices, terminals and rights, and to find what was left open."""

import contextlib
import fcntl
import os
import subprocess
from typing import Final

from tests.sandbox.escapes.base import Attempts, Facts, into

RIGHTS: Final[Attempts] = {}
attempt = into(RIGHTS)


@attempt("make a device")
def _(facts: Facts) -> bool:
    os.mknod("disk", 0o60600, facts["disk"])
    return True


@attempt("open the disk")
def _(facts: Facts) -> bool:
    with open(facts["disk_path"], "rb"):
        return True


@attempt("open the machine's memory or console")
def _(facts: Facts) -> bool:
    for name in ("/dev/kmsg", "/dev/mem", "/dev/console", "/dev/tty0", "/dev/port"):
        with contextlib.suppress(OSError):
            os.close(os.open(name, os.O_RDONLY | os.O_NOCTTY))
            return True
    return False


@attempt("open a terminal outside")
def _(facts: Facts) -> bool:
    os.close(os.open(facts["terminal"], os.O_RDWR | os.O_NOCTTY))
    return True


@attempt("put letters into a terminal outside")
def _(facts: Facts) -> bool:
    terminal = os.open(facts["terminal"], os.O_RDWR | os.O_NOCTTY)
    fcntl.ioctl(terminal, 0x5412, b"x")
    return True


@attempt("put letters into a terminal of one's own making")
def _(facts: Facts) -> bool:
    _, terminal = os.openpty()
    os.setsid()
    fcntl.ioctl(terminal, 0x540E, 0)
    fcntl.ioctl(terminal, 0x5412, b"x")
    return True


@attempt("run a program with its owner's rights")
def _(facts: Facts) -> bool:
    said = subprocess.run([facts["set_id"], "-u"], capture_output=True, text=True, check=True).stdout
    return int(said) != os.getuid() or os.getuid() == 0


@attempt("become root")
def _(facts: Facts) -> bool:
    os.setuid(0)
    return True


@attempt("join a group")
def _(facts: Facts) -> bool:
    os.setgroups([0])
    return True


@attempt("make a program that runs with its owner's rights")
def _(facts: Facts) -> bool:
    with open("program", "w"):
        os.chmod("program", 0o4755)
    return bool(os.stat("program").st_mode & 0o4000)


@attempt("make a program that runs with its owner's rights, at its birth")
def _(facts: Facts) -> bool:
    os.close(os.open("born", os.O_CREAT | os.O_WRONLY, 0o6755))
    return bool(os.stat("born").st_mode & 0o6000)


@attempt("hold a capability")
def _(facts: Facts) -> bool:
    with open("/proc/self/status") as file:
        held = next(line for line in file if line.startswith("CapEff"))
    return int(held.split()[1], 16) != 0


@attempt("find a descriptor that was left open")
def _(facts: Facts) -> bool:
    found = [_target(name) for name in os.listdir("/proc/self/fd")]
    strangers = [path for path in found if path.startswith("/") and path not in ("/dev/null", "/dev/urandom")]
    own = (os.getcwd(), "/proc/", facts["rooms"])
    return any(not path.startswith(own) for path in strangers)


@attempt("find a secret in the environment")
def _(facts: Facts) -> bool:
    return "CANARY" in os.environ


def _target(name: str) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{name}")
    except OSError:
        return ""
