"""Attempts on processes outside."""

import ctypes
import os
import resource
import signal
from typing import Final

from tests.sandbox.escapes.base import Attempts, Facts, into, reached

PROCESSES: Final[Attempts] = {}
attempt = into(PROCESSES)


@attempt("see the processes outside")
def _(facts: Facts) -> bool:
    return str(facts["victim"]) in os.listdir("/proc")


@attempt("tell that a process outside lives, by its number")
def _(facts: Facts) -> bool:
    return os.path.exists(f"/proc/{facts['victim']}/stat") and not _is_own(facts["victim"])


@attempt("read the command line of a process outside")
def _(facts: Facts) -> bool:
    with open(f"/proc/{facts['victim']}/cmdline", "rb") as file:
        return b"sleep" in file.read()


@attempt("read the environment of a process outside")
def _(facts: Facts) -> bool:
    with open(f"/proc/{facts['victim']}/environ", "rb") as file:
        return b"CANARY" in file.read()


@attempt("read the memory of a process outside")
def _(facts: Facts) -> bool:
    with open(f"/proc/{facts['victim']}/mem", "rb"):
        return True


@attempt("read the memory of a process outside without opening it")
def _(facts: Facts) -> bool:
    return reached(310, 270, facts["victim"], 0, 1, 0, 1, 0)


@attempt("write the memory of a process outside")
def _(facts: Facts) -> bool:
    return reached(311, 271, facts["victim"], 0, 1, 0, 1, 0)


@attempt("read the memory of the daemon")
def _(facts: Facts) -> bool:
    with open(f"/proc/{facts['daemon']}/mem", "rb"):
        return True


@attempt("trace a process outside")
def _(facts: Facts) -> bool:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ptrace(0x4206, facts["victim"], 0, 0) != 0:
        return False
    libc.ptrace(17, facts["victim"], 0, 0)
    return True


@attempt("take a descriptor from a process outside")
def _(facts: Facts) -> bool:
    return reached(438, 438, os.pidfd_open(facts["victim"]), 0, 0)


@attempt("signal a process outside")
def _(facts: Facts) -> bool:
    os.kill(facts["victim"], signal.SIGCONT)
    return True


@attempt("signal a process outside through a descriptor of it")
def _(facts: Facts) -> bool:
    signal.pidfd_send_signal(os.pidfd_open(facts["victim"]), signal.SIGCONT)
    return True


@attempt("signal the daemon")
def _(facts: Facts) -> bool:
    os.kill(facts["daemon"], 0)
    return not _is_own(facts["daemon"])


@attempt("change the limits of a process outside")
def _(facts: Facts) -> bool:
    resource.prlimit(facts["victim"], resource.RLIMIT_CORE)
    return True


@attempt("lower the priority of a process outside")
def _(facts: Facts) -> bool:
    os.setpriority(os.PRIO_PROCESS, facts["victim"], 5)
    return True


@attempt("move a process of the same user to other processors")
def _(facts: Facts) -> bool:
    os.sched_setaffinity(facts["victim"], os.sched_getaffinity(facts["victim"]))
    return True


@attempt("read how a process of the same user is scheduled, and on which processors it may run")
def _(facts: Facts) -> bool:
    return bool(os.sched_getaffinity(facts["victim"]))


def _is_own(pid: int) -> bool:
    """Whether a number means a process of this sandbox's own, whatever it means outside."""
    return os.getpid() < 100 and pid < 100
