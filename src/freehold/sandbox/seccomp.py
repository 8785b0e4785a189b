"""The filter of system calls that every sandboxed process carries: what no runner or courier has a use for.

A classic BPF program (seccomp(2)), written here instruction by instruction for the machine at hand. It allows
what it does not name; namespaces, Landlock and limits do the rest. It sees numbers and not what pointers lead
to, so calls whose meaning lies behind a pointer are refused as a whole, as ones the kernel does not have.
"""

import ctypes
import errno
import platform
import struct
from collections.abc import Iterator
from typing import Final

from freehold.base import Unavailable
from freehold.sandbox.syscalls import LAST, MACHINES, Machine

_LOAD: Final = 0x20
_AND: Final = 0x54
_EQUAL: Final = 0x15
_AT_LEAST: Final = 0x35
_ANY_BIT: Final = 0x45
_RETURN: Final = 0x06
_NUMBER: Final = 0
_AUDIT: Final = 4
_ARGUMENTS: Final = 16
_ALLOW: Final = 0x7FFF0000
_KILL: Final = 0x80000000
_ERRNO: Final = 0x00050000
_X32: Final = 0x40000000
_PR_SET_NO_NEW_PRIVS: Final = 38
_PR_SET_SECCOMP: Final = 22
_FILTER_MODE: Final = 2

_NEW_NAMESPACES: Final = 0x7E020080
_AF_UNIX: Final = 1
_SOCK_STREAM: Final = 1
_SET_ID_BITS: Final = 0o6000
_CREATES: Final = 0x400040
"""O_CREAT or O_TMPFILE: only then has ``open`` a mode."""
_AS_IT_IS: Final = 0xFFFFFFFF
_IOCTLS: Final = (0x5412, 0x541C, 0x541D, 0x5423, 0x40086602, 0x401C5820)
"""Put a letter into a terminal, draw on a console, take it over, change a line's discipline, a file's flags."""

_REFUSED: Final = (
    "ptrace process_vm_readv process_vm_writev process_madvise kcmp pidfd_getfd io_uring_setup io_uring_enter "
    "io_uring_register keyctl add_key request_key bpf perf_event_open mount umount2 pivot_root chroot "
    "move_mount open_tree open_tree_attr fsopen fsconfig fsmount fspick mount_setattr statmount listmount "
    "unshare setns userfaultfd kexec_load kexec_file_load init_module finit_module delete_module create_module "
    "socket connect bind listen accept accept4 open_by_handle_at name_to_handle_at acct swapon swapoff reboot "
    "sethostname setdomainname settimeofday clock_settime clock_adjtime adjtimex iopl ioperm modify_ldt "
    "quotactl quotactl_fd lookup_dcookie nfsservctl syslog vhangup fanotify_init fanotify_mark move_pages "
    "migrate_pages memfd_create memfd_secret shmget shmat shmctl msgget semget mq_open uselib ustat sysfs "
    "_sysctl lsm_set_self_attr file_setattr"
)
_AT_A_DOOR: Final = ("accept", "accept4")
_STARTS: Final = ("execve", "execveat")
_REFUSED_AT_LANDLOCK: Final = (
    "chmod fchmod fchmodat fchmodat2 chown fchown lchown fchownat utime utimes utimensat futimesat "
    "inotify_init inotify_init1 inotify_add_watch setpriority sched_setscheduler sched_setparam "
    "sched_setattr ioprio_set pidfd_send_signal rt_sigqueueinfo rt_tgsigqueueinfo"
)
"""What Landlock lets through: it judges the opening of files, not their facts, and no other process's place."""
_XATTR: Final = (
    "setxattr lsetxattr fsetxattr setxattrat removexattr lremovexattr fremovexattr removexattrat getxattr "
    "lgetxattr fgetxattr getxattrat listxattr llistxattr flistxattr listxattrat"
)

Instruction = tuple[int, int, int, int]


def program(*, landlock: bool, signals: bool = True, door: bool = False, machine: str = "") -> bytes:
    """Return the filter for this machine (or ``machine``); ``landlock`` refuses also what namespaces hold.

    ``signals`` False refuses to send any signal to others, for a kernel whose Landlock cannot hold them. ``door`` is
    for a process that takes callers at a socket it listens on already, and starts no program.
    Raises Unavailable for a processor whose calls are not known here.
    """
    found = MACHINES.get(machine or platform.machine())
    if found is None:
        raise Unavailable(
            f"There is no filter of system calls for a {machine or platform.machine()} processor.",
            remedy="Use a machine with x86-64 or aarch64.",
        )
    lines = list(_lines(found, landlock=landlock, signals=signals, door=door))
    return b"".join(struct.pack("=HBBI", *line) for line in lines)


def install(filter_program: bytes) -> None:
    """Lay a filter on this process for good, and on all that it starts; raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    count = len(filter_program) // 8
    held = ctypes.create_string_buffer(filter_program, len(filter_program))
    head = struct.pack("@HxxxxxxP", count, ctypes.addressof(held))
    for option, first, second in (
        (_PR_SET_NO_NEW_PRIVS, 1, 0),
        (_PR_SET_SECCOMP, _FILTER_MODE, ctypes.c_char_p(head)),
    ):
        if libc.prctl(option, first, second, 0, 0) != 0:
            number = ctypes.get_errno()
            raise OSError(number, "no filter of system calls can be laid on a process")


def _lines(machine: Machine, *, landlock: bool, signals: bool, door: bool) -> Iterator[Instruction]:
    yield (_LOAD, 0, 0, _AUDIT)
    yield (_EQUAL, 1, 0, machine.audit)
    yield _return(_KILL)
    yield (_LOAD, 0, 0, _NUMBER)
    yield from _if((_AT_LEAST, _X32), [_refuse(errno.ENOSYS)])
    yield from _if((_AT_LEAST, LAST + 1), [_refuse(errno.ENOSYS)])
    refused = [name for name in _REFUSED.split() if not (door and name in _AT_A_DOOR)]
    if door:
        refused += _STARTS
    if landlock:
        refused += _REFUSED_AT_LANDLOCK.split()
    if not signals:
        refused += ["kill", "tkill"]
    for name in refused:
        yield from _call(machine, name, [_refuse(errno.EPERM)])
    if landlock:
        for name in _XATTR.split():
            yield from _call(machine, name, [_refuse(errno.EOPNOTSUPP)])
    for name in ("clone3", "openat2"):
        yield from _call(machine, name, [_refuse(errno.ENOSYS)])
    for name, block in _looked_at(landlock=landlock):
        yield from _call(machine, name, block)
    yield _return(_ALLOW)


def _looked_at(*, landlock: bool) -> Iterator[tuple[str, list[Instruction]]]:
    """Calls that are judged by their arguments."""
    yield "clone", [_argument(0), *_if((_ANY_BIT, _NEW_NAMESPACES), [_refuse(errno.EPERM)]), _return(_ALLOW)]
    yield "ioctl", [_argument(1), *_unless_any(_IOCTLS)]
    stream = [_argument(1), (_AND, 0, 0, 0xF), *_if((_EQUAL, _SOCK_STREAM), [_return(_ALLOW)])]
    yield "socketpair", [_argument(0), *_if((_EQUAL, _AF_UNIX), stream), _refuse(errno.EPERM)]
    yield "prlimit64", [_argument(0), *_if((_EQUAL, 0), [_return(_ALLOW)]), _refuse(errno.EPERM)]
    yield "personality", [_argument(0), *_if((_EQUAL, _AS_IT_IS), [_return(_ALLOW)]), _refuse(errno.EPERM)]
    nobody = [_argument(4, high=True), *_if((_EQUAL, 0), [_return(_ALLOW)])]
    yield "sendto", [_argument(4), *_if((_EQUAL, 0), nobody), _refuse(errno.EPERM)]
    for name, at in (("mknod", 1), ("mknodat", 2)):
        device = [_argument(at), (_AND, 0, 0, 0xF000), *_unless_any((0x2000, 0x6000))][:-1]
        yield name, [*device, _argument(at), *_unless_bits(_SET_ID_BITS)]
    for name, at in (("open", 1), ("openat", 2)):
        creates = [_argument(at + 1), *_unless_bits(_SET_ID_BITS)]
        yield name, [_argument(at), *_if((_ANY_BIT, _CREATES), creates), _return(_ALLOW)]
    modes = [("creat", 1)]
    if not landlock:
        modes += [("chmod", 1), ("fchmod", 1), ("fchmodat", 2), ("fchmodat2", 2)]
    for name, at in modes:
        yield name, [_argument(at), *_unless_bits(_SET_ID_BITS)]


def _call(machine: Machine, name: str, block: list[Instruction]) -> list[Instruction]:
    number = machine.numbers.get(name)
    return [] if number is None else _if((_EQUAL, number), block)


def _if(test: tuple[int, int], block: list[Instruction]) -> list[Instruction]:
    """Return ``block``, passed over where the test does not hold."""
    return [(test[0], 0, len(block), test[1]), *block]


def _unless_any(values: tuple[int, ...]) -> list[Instruction]:
    refusals = [line for value in values for line in _if((_EQUAL, value), [_refuse(errno.EPERM)])]
    return [*refusals, _return(_ALLOW)]


def _unless_bits(bits: int) -> list[Instruction]:
    return [*_if((_ANY_BIT, bits), [_refuse(errno.EPERM)]), _return(_ALLOW)]


def _argument(index: int, *, high: bool = False) -> Instruction:
    """Load 32 bits of an argument; both machines store the lower half first."""
    return (_LOAD, 0, 0, _ARGUMENTS + 8 * index + (4 if high else 0))


def _return(action: int) -> Instruction:
    return (_RETURN, 0, 0, action)


def _refuse(number: int) -> Instruction:
    return _return(_ERRNO | number)
