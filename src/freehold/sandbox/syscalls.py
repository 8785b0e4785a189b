"""The numbers of the system calls that the filter speaks of, by processor (Linux's unistd tables).

Only what may be refused or looked at stands here; a call newer than ``LAST`` is one that this list cannot judge.
"""

from types import MappingProxyType
from typing import Final, NamedTuple

LAST: Final = 470
"""The newest number that was known when the list was written (Linux 6.17)."""


class Machine(NamedTuple):
    """A processor: the kernel's name for its calls' convention, and the numbers of the calls."""

    audit: int
    numbers: "MappingProxyType[str, int]"


_SAME: Final = {
    "bpf": (321, 280), "add_key": (248, 217), "keyctl": (250, 219), "request_key": (249, 218),
    "perf_event_open": (298, 241), "ptrace": (101, 117), "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271), "process_madvise": (440, 440), "kcmp": (312, 272),
    "pidfd_getfd": (438, 438), "io_uring_setup": (425, 425), "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427), "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41),
    "chroot": (161, 51), "move_mount": (429, 429), "open_tree": (428, 428), "open_tree_attr": (467, 467),
    "fsopen": (430, 430), "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433),
    "mount_setattr": (442, 442), "statmount": (457, 457), "listmount": (458, 458), "unshare": (272, 97),
    "setns": (308, 268), "clone": (56, 220), "clone3": (435, 435), "userfaultfd": (323, 282),
    "kexec_load": (246, 104), "kexec_file_load": (320, 294), "init_module": (175, 105),
    "finit_module": (313, 273), "delete_module": (176, 106), "socket": (41, 198), "connect": (42, 203),
    "bind": (49, 200), "listen": (50, 201), "accept": (43, 202), "accept4": (288, 242), "sendto": (44, 206),
    "socketpair": (53, 199), "ioctl": (16, 29), "mknodat": (259, 33), "prlimit64": (302, 261),
    "personality": (135, 92), "open_by_handle_at": (304, 265), "name_to_handle_at": (303, 264),
    "acct": (163, 89), "swapon": (167, 224), "swapoff": (168, 225), "reboot": (169, 142),
    "sethostname": (170, 161), "setdomainname": (171, 162), "settimeofday": (164, 170),
    "clock_settime": (227, 112), "clock_adjtime": (305, 266), "adjtimex": (159, 171), "quotactl": (179, 60),
    "quotactl_fd": (443, 443), "lookup_dcookie": (212, 18), "nfsservctl": (180, 42), "syslog": (103, 116),
    "vhangup": (153, 58), "fanotify_init": (300, 262), "fanotify_mark": (301, 263),
    "inotify_init1": (294, 26), "inotify_add_watch": (254, 27), "move_pages": (279, 239),
    "migrate_pages": (256, 238), "memfd_create": (319, 279), "memfd_secret": (447, 447), "shmget": (29, 194),
    "shmat": (30, 196), "shmctl": (31, 195), "msgget": (68, 186), "semget": (64, 190), "mq_open": (240, 180),
    "openat2": (437, 437), "openat": (257, 56), "fchmod": (91, 52), "fchmodat": (268, 53),
    "fchmodat2": (452, 452), "fchown": (93, 55), "fchownat": (260, 54), "utimensat": (280, 88),
    "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7), "setxattrat": (463, 463),
    "removexattr": (197, 14), "lremovexattr": (198, 15), "fremovexattr": (199, 16),
    "removexattrat": (466, 466), "getxattr": (191, 8), "lgetxattr": (192, 9), "fgetxattr": (193, 10),
    "getxattrat": (464, 464), "listxattr": (194, 11), "llistxattr": (195, 12), "flistxattr": (196, 13),
    "listxattrat": (465, 465), "kill": (62, 129), "tkill": (200, 130), "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240), "pidfd_send_signal": (424, 424), "setpriority": (141, 140),
    "sched_setaffinity": (203, 122), "sched_setscheduler": (144, 119), "sched_setparam": (142, 118),
    "sched_setattr": (314, 274), "ioprio_set": (251, 30), "lsm_set_self_attr": (460, 460),
    "file_setattr": (469, 469), "execve": (59, 221), "execveat": (322, 281),
}  # fmt: skip
_OLD: Final = {
    "create_module": 174, "mknod": 133, "iopl": 172, "ioperm": 173, "modify_ldt": 154, "inotify_init": 253,
    "open": 2, "creat": 85, "chmod": 90, "chown": 92, "lchown": 94, "utime": 132, "utimes": 235,
    "futimesat": 261, "uselib": 134, "ustat": 136, "sysfs": 139, "_sysctl": 156,
}  # fmt: skip
"""Calls that x86-64 alone still has."""

MACHINES: Final = MappingProxyType(
    {
        "x86_64": Machine(
            0xC000003E, MappingProxyType({name: both[0] for name, both in _SAME.items()} | _OLD)
        ),
        "aarch64": Machine(0xC00000B7, MappingProxyType({name: both[1] for name, both in _SAME.items()})),
    }
)
