"""The parts that need no walls: the filter's text, profiles, what may be mounted, where control groups are found."""

import struct
from pathlib import Path

import pytest

from freehold.base import BadInput, Unavailable
from freehold.runtime.jobfile import check_job, parse_job
from freehold.runtime.jobwords import describe
from freehold.sandbox import Level, Limits, Profile, parse_level, read_profile, seccomp
from freehold.sandbox.cgroups import Groups, find_groups
from freehold.sandbox.library import readable, refuse_hidden
from freehold.sandbox.syscalls import LAST, MACHINES
from freehold.sandbox.users import RANGES, Users

ALLOW, KILL, ERRNO = 0x7FFF0000, 0x80000000, 0x00050000


def judged(program: bytes, audit: int, number: int, *arguments: int) -> int:
    """What a filter says of a call: the instructions that it is made of, carried out here."""
    data = (
        struct.pack("=II", number, audit)
        + bytes(8)
        + b"".join(struct.pack("<Q", argument) for argument in (*arguments, *[0] * (6 - len(arguments))))
    )
    lines = [struct.unpack_from("=HBBI", program, at) for at in range(0, len(program), 8)]
    at, held = 0, 0
    while True:
        code, yes, no, value = lines[at]
        at += 1
        if code == 0x20:
            (held,) = struct.unpack_from("<I", data, value)
        elif code == 0x54:
            held &= value
        elif code == 0x06:
            return int(value)
        else:
            holds = {0x15: held == value, 0x35: held >= value, 0x45: bool(held & value)}[code]
            at += yes if holds else no


@pytest.mark.parametrize("name", sorted(MACHINES))
def test_the_filter_refuses_what_it_names_and_allows_the_rest(name: str) -> None:
    machine = MACHINES[name]
    program = seccomp.program(landlock=False, machine=name)
    calls = machine.numbers

    def says(call: str, *arguments: int) -> int:
        return judged(program, machine.audit, calls[call], *arguments)

    for call in ("ptrace", "mount", "socket", "connect", "bpf", "io_uring_setup", "keyctl", "unshare"):
        assert says(call) == ERRNO | 1, call
    assert says("clone3") == says("openat2") == ERRNO | 38
    assert says("clone", 0x10000000 | 17) == ERRNO | 1
    assert says("clone", 0x3D0F00) == ALLOW
    assert says("socketpair", 1, 1) == says("socketpair", 1, 1 | 0x80000) == ALLOW
    assert says("socketpair", 1, 2) == says("socketpair", 2, 1) == ERRNO | 1
    assert says("sendto", 3, 1, 1, 0, 0) == ALLOW
    assert says("sendto", 3, 1, 1, 0, 1 << 40) == ERRNO | 1
    assert says("ioctl", 0, 0x5412) == says("ioctl", 0, 0x5412 | 1 << 32) == ERRNO | 1
    assert says("ioctl", 0, 0x5401) == ALLOW
    assert says("mknodat", 0, 0, 0o10600) == ALLOW
    assert says("mknodat", 0, 0, 0o60600) == says("mknodat", 0, 0, 0o104755) == ERRNO | 1
    assert says("openat", 0, 0, 0x40, 0o4755) == ERRNO | 1
    assert says("openat", 0, 0, 0, 0o4755) == says("openat", 0, 0, 0x40, 0o644) == ALLOW
    assert says("prlimit64", 0) == ALLOW
    assert says("prlimit64", 77) == ERRNO | 1
    assert says("fchmod", 3, 0o755) == ALLOW
    assert says("fchmod", 3, 0o4755) == ERRNO | 1
    assert judged(program, machine.audit, LAST + 1) == ERRNO | 38
    other = next(one.audit for key, one in MACHINES.items() if key != name)
    assert judged(program, other, 0) == KILL


@pytest.mark.parametrize("name", sorted(MACHINES))
def test_at_landlock_the_facts_of_files_are_refused_too(name: str) -> None:
    machine = MACHINES[name]
    program = seccomp.program(landlock=True, machine=name)
    for call in ("fchmod", "fchmodat", "fchownat", "utimensat", "pidfd_send_signal"):
        assert judged(program, machine.audit, machine.numbers[call]) == ERRNO | 1, call
    assert judged(program, machine.audit, machine.numbers["setxattr"]) == ERRNO | 95


def test_a_processor_that_nobody_knows_has_no_filter() -> None:
    with pytest.raises(Unavailable, match="sparc"):
        seccomp.program(landlock=False, machine="sparc")


def test_a_profile_travels_as_text() -> None:
    profile = Profile(Level.NAMESPACES, ("/a", "/b c"), "/rooms", ("/estate",), Limits(processes=3))
    assert read_profile(profile.text()) == profile


def test_a_level_is_named_or_refused() -> None:
    assert [parse_level(level.word) for level in Level] == list(Level)
    with pytest.raises(BadInput, match="'chroot'"):
        parse_level("chroot")


def test_a_folder_that_would_show_the_estate_is_not_mounted(tmp_path: Path) -> None:
    estate = tmp_path / "home" / "estate"
    estate.mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "home")
    for folder in (estate, tmp_path / "home", tmp_path / "link", Path("/")):
        with pytest.raises(BadInput, match="could read"):
            refuse_hidden([str(folder)], [str(estate)])
    refuse_hidden([str(estate / "packs"), str(tmp_path / "homestead")], [str(estate)])


def test_what_may_be_read_is_neither_the_root_nor_twice_the_same(tmp_path: Path) -> None:
    (tmp_path / "pack" / "deep").mkdir(parents=True)
    found = readable([str(tmp_path / "pack"), str(tmp_path / "pack" / "deep")], [])
    assert str(tmp_path / "pack") in found
    assert str(tmp_path / "pack" / "deep") not in found
    assert "/" not in found


def test_control_groups_of_version_two_are_used_where_the_parent_gives_them(tmp_path: Path) -> None:
    own = tmp_path / "user.slice" / "daemon"
    own.mkdir(parents=True)
    parent = own.parent
    (parent / "cgroup.subtree_control").write_text("cpu memory pids\n")
    (parent / "cgroup.procs").write_text("")
    groups = Groups(2, (parent,))
    with pytest.raises(
        OSError, match=r"memory\.max"
    ):  # a folder of files is no kernel: nothing appears in it
        groups.make("1", Limits())
    assert find_groups(tmp_path, "0::/user.slice/daemon\n") is None


def test_without_control_groups_none_are_found(tmp_path: Path) -> None:
    assert find_groups(tmp_path, "4:memory:/x\n0::/\n") is None


def test_users_of_their_own_are_each_given_to_one_at_a_time() -> None:
    users = Users()
    taken = {users.take() for _ in range(50)}
    if taken == {0}:
        return  # not root: there are none to give
    assert len(taken) == 50
    assert any(first <= min(taken) and max(taken) < first + count for first, count in RANGES)


JOB = """\
---
owner: anna
agent: audrey
pack: expense-audit
sandbox: {level}
sources: {{receipts: .}}
budget:
  run: {{money: 0.00 EUR, tokens: 0, actions: 5, cpu: 1 min, wall: 1 h}}
may:
  - read: receipts
---
# A job
## Goal
One.
## Context
Two.
## Source
Three.
## Expectations
Four.
"""


@pytest.mark.parametrize("level", list(Level))
def test_a_job_says_the_least_that_it_needs(level: Level) -> None:
    job = parse_job(JOB.format(level=level.word), "job")
    assert job.sandbox is level
    assert dict(describe(job))["sandbox"].startswith("It runs behind")


def test_a_job_that_says_nothing_needs_landlock_and_one_that_says_nonsense_is_told(tmp_path: Path) -> None:
    assert parse_job(JOB.replace("sandbox: {level}\n", "").format(), "job").sandbox is Level.LANDLOCK
    (mistake,) = check_job(JOB.format(level="chroot"), "job").mistakes
    assert mistake.line == 5
    assert "'chroot'" in mistake.message
