"""What has to work at every level, or the rest would show nothing."""

import os
import socket
import subprocess
from typing import Final

from tests.sandbox.escapes.base import Attempts, Facts, into

WORK: Final[Attempts] = {}
attempt = into(WORK)


@attempt("write in the workspace")
def _(facts: Facts) -> bool:
    os.mkdir("folder")
    with open("folder/own", "w") as file:
        file.write("mine")
    os.rename("folder/own", "own")
    return os.stat("own").st_size == 4


@attempt("talk over a pair of sockets")
def _(facts: Facts) -> bool:
    one, other = socket.socketpair()
    with one, other:
        one.sendall(b"x")
        return other.recv(1) == b"x"


@attempt("start a program")
def _(facts: Facts) -> bool:
    return subprocess.run(["/usr/bin/env"], capture_output=True, check=True).stdout != b""


@attempt("use half of the memory")
def _(facts: Facts) -> bool:
    held = bytearray(facts["memory"] // 2)
    held[::4_096] = b"x" * len(held[::4_096])
    return True
