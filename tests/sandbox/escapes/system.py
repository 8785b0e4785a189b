"""Attempts on the kernel itself."""

import ctypes
import os
import signal
import socket
import struct
import time
from typing import Final

from tests.sandbox.escapes.base import Attempts, Facts, call, into, reached

SYSTEM: Final[Attempts] = {}
attempt = into(SYSTEM)


@attempt("make a user namespace")
def _(facts: Facts) -> bool:
    return call(272, 97, 0x10000000) == 0


@attempt("make a user namespace by cloning")
def _(facts: Facts) -> bool:
    pid = call(56, 220, 0x10000000 | signal.SIGCHLD, 0, 0, 0, 0)
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return True


@attempt("make a user namespace by the new clone")
def _(facts: Facts) -> bool:
    arguments = struct.pack("8Q", 0x10000000, 0, 0, 0, signal.SIGCHLD, 0, 0, 0)
    pid = call(435, 435, arguments, len(arguments))
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return True


@attempt("enter a namespace outside")
def _(facts: Facts) -> bool:
    return reached(308, 268, os.open(f"/proc/{facts['victim']}/ns/ipc", os.O_RDONLY), 0x08000000)


@attempt("mount a file system")
def _(facts: Facts) -> bool:
    os.mkdir("mounted")
    call(165, 40, b"none", b"mounted", b"tmpfs", 0, None)
    call(166, 39, b"mounted", 0)
    return True


@attempt("open a file system by the new calls")
def _(facts: Facts) -> bool:
    return reached(430, 430, b"tmpfs", 0)


@attempt("change what a mount allows")
def _(facts: Facts) -> bool:
    return reached(442, 442, -100, b"/usr", 0, ctypes.create_string_buffer(32), 32)


@attempt("take a mount away")
def _(facts: Facts) -> bool:
    return reached(166, 39, b"/nowhere-at-all", 0)


@attempt("change the root folder")
def _(facts: Facts) -> bool:
    os.chroot(".")
    return True


@attempt("load a program into the kernel")
def _(facts: Facts) -> bool:
    return reached(321, 280, 0, ctypes.create_string_buffer(72), 72)


@attempt("use a ring of calls past the filter")
def _(facts: Facts) -> bool:
    return call(425, 425, 4, ctypes.create_string_buffer(120)) >= 0


@attempt("use the kernel's keyrings")
def _(facts: Facts) -> bool:
    return call(248, 217, b"user", b"freehold", b"x", 1, -3) > 0


@attempt("watch the processor's counters")
def _(facts: Facts) -> bool:
    attributes = ctypes.create_string_buffer(struct.pack("IIQQQQQ", 1, 64, 1, 0, 0, 0, 1 << 5 | 1 << 6))
    return call(298, 241, attributes, 0, -1, -1, 0) >= 0


@attempt("handle page faults")
def _(facts: Facts) -> bool:
    return reached(323, 282, 1 << 30)


@attempt("load a module")
def _(facts: Facts) -> bool:
    return reached(175, 105, None, 0, b"")


@attempt("load another kernel")
def _(facts: Facts) -> bool:
    return reached(246, 104, 0, 99, None, 0xFFFF)


@attempt("restart the machine")
def _(facts: Facts) -> bool:
    return reached(169, 142, 0, 0, 0, 0)


@attempt("set the clock")
def _(facts: Facts) -> bool:
    time.clock_settime(time.CLOCK_REALTIME, time.clock_gettime(time.CLOCK_REALTIME))
    return True


@attempt("adjust the clock")
def _(facts: Facts) -> bool:
    return reached(159, 171, ctypes.create_string_buffer(struct.pack("I", 0x4000) + bytes(300)))


@attempt("name the machine")
def _(facts: Facts) -> bool:
    socket.sethostname(socket.gethostname())
    return True


@attempt("see the name of the machine")
def _(facts: Facts) -> bool:
    return bool(os.uname().nodename == facts["machine"])


@attempt("turn off accounting")
def _(facts: Facts) -> bool:
    return reached(163, 89, None)


@attempt("read the kernel's log")
def _(facts: Facts) -> bool:
    return reached(103, 116, 10, None, 0)


@attempt("turn off the shuffling of addresses")
def _(facts: Facts) -> bool:
    return call(135, 92, 0x0040000) >= 0


@attempt("set a pattern for core dumps")
def _(facts: Facts) -> bool:
    with open("/proc/sys/kernel/core_pattern", "r+"):
        return True


@attempt("pull the kernel's emergency levers")
def _(facts: Facts) -> bool:
    with open("/proc/sysrq-trigger", "r+"):
        return True


@attempt("leave the control group")
def _(facts: Facts) -> bool:
    with open(facts["group"] + "/cgroup.procs", "w") as file:
        file.write(str(os.getpid()))
    return True
