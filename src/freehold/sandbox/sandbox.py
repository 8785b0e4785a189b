"""Makes processes behind the walls of one profile: a cell for each, entered by a forked child, left when it ended.

Held by a small process with one thread (the fork server of runners, ``freehold.sandbox.enter``), as root or not.
As root every cell has a user of its own, whom the child becomes before anything else happens.
"""

import json
import os
import resource
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

from freehold.base import Unavailable
from freehold.sandbox import bubblewrap, kernel, landlock, library, seccomp, users
from freehold.sandbox.cgroups import Group, find_groups
from freehold.sandbox.profile import Level, Profile

_COUNT_EVERY_S: Final = 5.0
_CLEAN: Final = ("LANG", "LC_ALL", "LC_CTYPE", "TZ", "TERM")
_OOM_SCORE: Final = "500"
"""A sandboxed process is what the kernel should kill first when memory is short, not the daemon."""


@dataclass(slots=True)
class Cell:
    """The place of one process. ``room`` is its own folder, by the name under which the daemon knows it.

    ``others`` is how many threads its user runs beside it, where a limit of the user's counts them too.
    ``told`` is where bubblewrap says which process it made, -1 at other levels.
    """

    number: int
    user: int = 0
    room: str = ""
    group: Group | None = None
    others: int = 0
    told: int = -1
    tells: int = -1

    def forked(self) -> None:
        """To be called by the parent once the child was forked: ``told`` is then at its end when that ends."""
        if self.tells >= 0:
            os.close(self.tells)
            self.tells = -1

    def close(self) -> None:
        """Close what is open of it in this process."""
        self.forked()
        if self.told >= 0:
            os.close(self.told)
            self.told = -1


class Sandbox:
    """The walls of one profile; ``open`` it once, then make cells."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self._users = users.Users() if profile.level is not Level.NONE else None
        self._groups = find_groups() if profile.level is not Level.NONE else None
        self._readable: list[str] = []
        self._covered = False
        self._program = ""
        self._filter = b""
        self._counted = (0.0, 0)

    def open(self) -> None:
        """Find out what is to be mounted, and make it reachable; raises Unavailable or BadInput."""
        profile = self.profile
        if profile.level is Level.NONE:
            return
        lacking = users.rights_lacking()
        if lacking:
            raise Unavailable(
                f"this root lacks {', '.join(lacking)}, and its runners would be users of their own",
                remedy="Give it these capabilities, or run Freehold without root.",
            )
        if self._groups is not None:
            self._groups.sweep()
        self._filter = seccomp.program(landlock=profile.level is Level.LANDLOCK)
        self._readable = library.readable(profile.mounts, profile.hidden)
        if profile.level is Level.NAMESPACES:
            program = bubblewrap.find()
            if program is None:
                raise Unavailable("bubblewrap (bwrap) is not installed", remedy="apt-get install bubblewrap")
            self._program = program
        if os.geteuid() == 0:
            self._open_up()

    def _open_up(self) -> None:
        """Let the users of the cells reach what they may have; a room is entered before its user is become."""
        needed = list(self._readable)
        covers = self.profile.level is Level.NAMESPACES or any(map(kernel.closed_above, needed))
        if covers and self.profile.rooms:  # this process has to reach them too
            needed.append(self.profile.rooms)
        try:
            self._covered = kernel.open_up(needed)
        except OSError as error:
            raise Unavailable(
                f"users of their own cannot reach {next(filter(kernel.closed_above, needed), needed[0])}, "
                f"and this root may not mount it for them ({error.strerror})",
                remedy="Let others walk through the folders above it, or run Freehold without root.",
            ) from error

    # ---- in the process that makes them

    def cell(self, number: int) -> Cell:
        """Make the place of one more process; raises OSError or Unavailable, and then nothing of it is left."""
        cell = Cell(number)
        if self.profile.level is Level.NONE:
            return cell
        try:
            cell.user = self._users.take() if self._users is not None else 0
            if self.profile.rooms:
                cell.room = os.path.join(self.profile.rooms, str(number))
                os.mkdir(cell.room, 0o700)
                if cell.user:
                    os.chown(cell.room, cell.user, cell.user)
            if self._groups is not None:
                cell.group = self._groups.make(f"{os.getpid()}-{number}", self.profile.limits)
            elif not cell.user:
                cell.others = self._of_this_user()
            if self.profile.level is Level.NAMESPACES:
                cell.told, cell.tells = os.pipe2(os.O_CLOEXEC)
        except BaseException:
            self.leave(cell)
            raise
        return cell

    def process_of(self, cell: Cell) -> int:
        """Return the process inside, as this side knows it; 0 where bubblewrap ended without making one.

        To be called when ``cell.told`` can be read.
        """
        said = b""
        while part := os.read(cell.told, 4_096):
            said += part
            if b"}" in part:
                break
        cell.close()
        try:
            return int(json.loads(said)["child-pid"])
        except (ValueError, KeyError):
            return 0

    def leave(self, cell: Cell) -> None:
        """Clear up after a process that has ended; its folder is removed where it was never used."""
        cell.close()
        if cell.group is not None:
            cell.group.remove()
        if cell.user and self._users is not None:
            self._users.give_back(cell.user)
        if cell.room:
            try:
                os.rmdir(cell.room)
            except OSError:
                return  # moved to where its run keeps it, or something lies in it

    # ---- in the child

    def enter(
        self,
        cell: Cell,
        parent: int,
        argv: Sequence[str],
        keep: Sequence[int],
        environment: Mapping[str, str],
    ) -> str:
        """Go behind the walls. Namespaces start ``argv`` there and do not return; else say where the room is.

        Of the open files ``keep`` and the standard ones are left. Raises OSError where a wall cannot be built;
        the caller must end then.
        """
        level, room = self.profile.level, cell.room
        _close_all_but([*keep, cell.tells])
        if level is Level.NONE:
            return ""
        if cell.group is not None:
            cell.group.join()
        Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE)
        if level is Level.NAMESPACES:
            self._exec(cell, parent, argv, keep, environment)
        if room:
            if self._covered:
                room = kernel.enter_apart(room)
            else:
                os.chdir(room)
            descriptor = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            if cell.user and not self._covered:  # it may not walk there by its name
                room = f"/proc/self/fd/{descriptor}"
        self._limit(cell)
        users.become(cell.user)
        kernel.die_with(parent)
        landlock.restrict(self._reads(), [descriptor] if room else [])
        seccomp.install(self._filter)
        return room

    def _exec(
        self,
        cell: Cell,
        parent: int,
        argv: Sequence[str],
        keep: Sequence[int],
        environment: Mapping[str, str],
    ) -> NoReturn:
        filter_, writer = os.pipe()
        os.write(writer, self._filter)
        os.close(writer)
        command = bubblewrap.command(
            self._program,
            self._readable,
            cell.room,
            self.profile.limits,
            environment,
            (cell.tells, filter_),
            argv,
        )
        for descriptor in (*keep, cell.tells, filter_):
            os.set_inheritable(descriptor, True)
        self._limit(cell)
        users.become(cell.user)
        kernel.die_with(parent)
        os.execve(self._program, command, {})

    def _limit(self, cell: Cell) -> None:
        limits = self.profile.limits
        wanted = [
            (resource.RLIMIT_CORE, 0),
            (resource.RLIMIT_NOFILE, limits.open_files),
            (resource.RLIMIT_FSIZE, limits.file_bytes),
            (resource.RLIMIT_MEMLOCK, 0),
            (resource.RLIMIT_MSGQUEUE, 0),
        ]
        if limits.cpu_s:
            wanted.append((resource.RLIMIT_CPU, limits.cpu_s))
        if cell.group is None:
            wanted += [
                (resource.RLIMIT_AS, limits.memory_bytes),
                (resource.RLIMIT_NPROC, limits.processes + cell.others),
            ]
        for what, most in wanted:
            hard = resource.getrlimit(what)[1]
            value = most if hard == resource.RLIM_INFINITY else min(most, hard)
            resource.setrlimit(what, (value, value))

    def _of_this_user(self) -> int:
        """Return how many threads the user runs, or ran a few seconds ago."""
        at, count = self._counted
        if time.monotonic() - at > _COUNT_EVERY_S or not at:
            count = sum(_threads(entry.path) for entry in os.scandir("/proc") if entry.name.isdigit())
            self._counted = (time.monotonic(), count)
        return count

    def _reads(self) -> list[tuple[str, int]]:
        folders = [*self._readable, *library.SYSTEM]
        return [
            *((path, landlock.READ) for path in folders),
            *((path, landlock.READ) for path in ("/proc/self", "/sys/devices/system/cpu")),
            *((path, landlock.READ_FILE) for path in ("/proc/cpuinfo", "/proc/meminfo", "/etc/ld.so.cache")),
            *((path, landlock.READ_FILE) for path in ("/etc/localtime",)),
            *((path, landlock.WRITE_FILE) for path in library.DEVICES),
        ]


def _close_all_but(kept: Sequence[int]) -> None:
    start = 3
    for descriptor in sorted({*kept} - {-1}):
        if descriptor >= start:
            os.closerange(start, descriptor)
            start = descriptor + 1
    os.closerange(start, max(map(int, os.listdir("/proc/self/fd"))) + 1)


def environment_inside(given: Mapping[str, str]) -> dict[str, str]:
    """Return what a sandboxed process may know of an environment: words about language, time and terminal."""
    return {
        **{name: given[name] for name in _CLEAN if name in given},
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": "/nonexistent",
        "PYTHONPATH": os.pathsep.join(library.import_path()),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONNOUSERSITE": "1",
    }


def _threads(process: str) -> int:
    try:
        if os.stat(process).st_uid != os.getuid():
            return 0
        return len(os.listdir(f"{process}/task"))
    except OSError:
        return 0
