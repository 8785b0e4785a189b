"""Control groups, version 1 or 2, where this process may make some: memory and processes of a whole tree, counted.

The group of a sandboxed process lies beside or below the daemon's own, holds only that process and what it
starts, and goes when they are gone.
"""

import contextlib
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from freehold.sandbox.profile import Limits

_ROOT: Final = Path("/sys/fs/cgroup")
_NAME: Final = "freehold"


@dataclass(frozen=True, slots=True)
class Group:
    """The folders of one group: one for each hierarchy of version 1, a single one for version 2."""

    folders: tuple[Path, ...]

    def join(self) -> None:
        """Move the calling process into the group; raises OSError."""
        for folder in self.folders:
            _write(folder / "cgroup.procs", "0")

    def remove(self) -> None:
        """Remove the group, whose processes have ended."""
        for folder in self.folders:
            with contextlib.suppress(OSError):
                folder.rmdir()


@dataclass(frozen=True, slots=True)
class Groups:
    """Where groups can be made. ``version`` is 1 or 2; ``parents`` are the folders in which they are made."""

    version: int
    parents: tuple[Path, ...]

    def make(self, name: str, limits: Limits) -> Group:
        """Make a group with its limits; raises OSError."""
        group = Group(tuple(parent / f"{_NAME}-{name}" for parent in self.parents))
        for folder in group.folders:
            folder.mkdir(exist_ok=True)
        if self.version == 2:
            (folder,) = group.folders
            _write(folder / "memory.max", str(limits.memory_bytes))
            _write(folder / "memory.swap.max", "0", optional=True)
            _write(folder / "memory.oom.group", "1", optional=True)
            _write(folder / "pids.max", str(limits.processes))
        else:
            memory, pids = group.folders
            _write(memory / "memory.limit_in_bytes", str(limits.memory_bytes))
            _write(memory / "memory.memsw.limit_in_bytes", str(limits.memory_bytes), optional=True)
            _write(pids / "pids.max", str(limits.processes))
        return group

    def sweep(self) -> None:
        """End what is left in groups whose maker has ended, named ``freehold-PID-NUMBER``, and remove them."""
        for parent in self.parents:
            for folder in parent.glob(f"{_NAME}-*-*"):
                maker = folder.name.split("-")[1]
                if maker.isdigit() and not _lives(maker):
                    with contextlib.suppress(OSError, ValueError):
                        for line in (folder / "cgroup.procs").read_text().split():
                            os.kill(int(line), signal.SIGKILL)
                        folder.rmdir()


def find_groups(root: Path = _ROOT, own: str = "") -> Groups | None:
    """Return where groups with limits for memory and processes can be made; None where nowhere.

    ``root`` is where the hierarchies are mounted, ``own`` the text of /proc/self/cgroup.
    """
    if not own:
        try:
            own = Path("/proc/self/cgroup").read_text()
        except OSError:
            return None
    places = {names: path for _, names, path in (line.split(":", 2) for line in own.splitlines())}
    for groups in (_second(root, places), _first(root, places)):
        if groups is not None and _usable(groups):
            return groups
    return None


def _first(root: Path, places: dict[str, str]) -> Groups | None:
    folders = []
    for controller in ("memory", "pids"):
        found = next((names for names in places if controller in names.split(",")), None)
        if found is None:
            return None
        mounted = root / controller if (root / controller).is_dir() else root / found
        place = mounted / places[found].strip("/")
        folders.append(place if place.is_dir() else mounted)  # a container sees its own group as the root
    return Groups(1, tuple(folders))


def _second(root: Path, places: dict[str, str]) -> Groups | None:
    if "" not in places:
        return None
    own = root / places[""].strip("/")
    for folder in (own, own.parent):
        with contextlib.suppress(OSError):
            given = (folder / "cgroup.subtree_control").read_text().split()
            if {"memory", "pids"} <= set(given) and os.access(folder / "cgroup.procs", os.W_OK):
                return Groups(2, (folder,))
    return None


def _usable(groups: Groups) -> bool:
    """Make a group, and have a child go into it, to see that both work."""
    try:
        group = groups.make(f"{os.getpid()}-probe", Limits())
    except OSError:
        return False
    try:
        child = os.fork()
        if child == 0:
            try:
                group.join()
                os._exit(0)
            except OSError:
                os._exit(1)
        return os.waitpid(child, 0)[1] == 0
    finally:
        group.remove()


def _lives(pid: str) -> bool:
    """Whether a process runs; one that only waits to be reaped does not."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _write(path: Path, text: str, *, optional: bool = False) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        if optional:
            return
        raise
    try:
        os.write(descriptor, text.encode())
    except OSError:
        if not optional:
            raise
    finally:
        os.close(descriptor)
