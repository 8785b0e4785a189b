"""Attempts on files outside."""

import ctypes
import fcntl
import os
import struct
from typing import Final

from tests.sandbox.escapes.base import Attempts, Facts, call, into

FILES: Final[Attempts] = {}
attempt = into(FILES)


@attempt("read a file outside")
def _(facts: Facts) -> bool:
    with open(facts["file"]) as file:
        return bool(file.read())


@attempt("read the estate's key")
def _(facts: Facts) -> bool:
    with open(facts["key"]) as file:
        return bool(file.read())


@attempt("read the system's passwords")
def _(facts: Facts) -> bool:
    with open("/etc/shadow") as file:
        return bool(file.read())


@attempt("read a file outside through the root of this process")
def _(facts: Facts) -> bool:
    with open("/proc/self/root" + facts["file"]) as file:
        return bool(file.read())


@attempt("read a file outside through the root of the first process")
def _(facts: Facts) -> bool:
    with open("/proc/1/root" + facts["file"]) as file:
        return bool(file.read())


@attempt("read a file outside through the working folder of a process outside")
def _(facts: Facts) -> bool:
    with open(f"/proc/{facts['victim']}/cwd/file") as file:
        return bool(file.read())


@attempt("read a file outside by climbing")
def _(facts: Facts) -> bool:
    with open("../" * 40 + facts["file"].lstrip("/")) as file:
        return bool(file.read())


@attempt("read a file outside through a link of one's own")
def _(facts: Facts) -> bool:
    os.symlink(facts["file"], "soft")
    with open("soft") as file:
        return bool(file.read())


@attempt("give a file outside a second name in the workspace")
def _(facts: Facts) -> bool:
    os.link(facts["file"], "hard")
    return True


@attempt("read a file outside by its handle")
def _(facts: Facts) -> bool:
    handle = ctypes.create_string_buffer(struct.pack("Ii", 128, 0) + bytes(128))
    mount = ctypes.c_int()
    call(303, 264, -100, facts["file"].encode(), handle, ctypes.byref(mount), 0)
    here = os.open(os.path.dirname(facts["file"]), os.O_RDONLY)
    return call(304, 265, here, handle, 0) >= 0


@attempt("write into a file outside")
def _(facts: Facts) -> bool:
    with open(facts["file"], "a") as file:
        file.write("x")
    return True


@attempt("cut a file outside short")
def _(facts: Facts) -> bool:
    os.truncate(facts["victims"] + "/cut", 0)
    return True


@attempt("make a file outside")
def _(facts: Facts) -> bool:
    with open(facts["victims"] + "/made", "x"):
        return True


@attempt("make a folder outside")
def _(facts: Facts) -> bool:
    os.mkdir(facts["victims"] + "/made-folder")
    return True


@attempt("remove a file outside")
def _(facts: Facts) -> bool:
    os.unlink(facts["victims"] + "/removed")
    return True


@attempt("rename a file outside")
def _(facts: Facts) -> bool:
    os.rename(facts["victims"] + "/renamed", facts["victims"] + "/other")
    return True


@attempt("list a folder outside")
def _(facts: Facts) -> bool:
    return bool(os.listdir(facts["victims"]))


@attempt("list the workspaces of others")
def _(facts: Facts) -> bool:
    return len(os.listdir(facts["rooms"])) >= 1


@attempt("write into another run's workspace")
def _(facts: Facts) -> bool:
    with open(facts["rooms"] + "/another/file", "w"):
        return True


@attempt("change the rights of a file outside")
def _(facts: Facts) -> bool:
    os.chmod(facts["file"], 0o666)
    return True


@attempt("change the owner of a file outside")
def _(facts: Facts) -> bool:
    os.chown(facts["file"], os.getuid(), os.getgid())
    return True


@attempt("change the times of a file outside")
def _(facts: Facts) -> bool:
    os.utime(facts["file"])
    return True


@attempt("put an attribute on a file outside")
def _(facts: Facts) -> bool:
    os.setxattr(facts["file"], "user.freehold", b"x")
    return True


@attempt("read an attribute of a file outside")
def _(facts: Facts) -> bool:
    return bool(os.getxattr(facts["file"], "user.marked") == b"yes")


@attempt("tell whether a file outside is there, and its size, owner and times")
def _(facts: Facts) -> bool:
    return os.stat(facts["file"]).st_size > 0


@attempt("read where a link outside leads")
def _(facts: Facts) -> bool:
    return bool(os.readlink(facts["victims"] + "/link") == "file")


@attempt("watch a folder outside")
def _(facts: Facts) -> bool:
    watcher = call(294, 26, 0)
    return call(254, 27, watcher, facts["victims"].encode(), 0x100) >= 0


@attempt("put a file outside under an immutable mark")
def _(facts: Facts) -> bool:
    with open(facts["file"]) as file:
        fcntl.ioctl(file, 0x40086602, struct.pack("L", 0x40))
    return True


@attempt("write where the interpreter lies")
def _(facts: Facts) -> bool:
    path = os.path.join(os.path.dirname(os.__file__), "freehold-was-here")
    with open(path, "w"):
        os.unlink(path)
        return True


@attempt("write to the root folder")
def _(facts: Facts) -> bool:
    with open("/freehold-was-here", "w"):
        os.unlink("/freehold-was-here")
        return True
