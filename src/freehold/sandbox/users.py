"""Users of their own for sandboxed processes, where the daemon is root: numbers that nobody else has.

The range is one that neither distributions nor systemd hand out; a container that maps fewer users has a
smaller one. Held in memory by the process that makes the sandboxed ones, for as long as they live.
"""

import os
from types import MappingProxyType
from typing import Final

from freehold.base import Unavailable

RANGES: Final = ((1_900_000_000, 65_536), (55_000, 5_000))


_NEEDED: Final = MappingProxyType(
    {"CAP_CHOWN": 0, "CAP_DAC_OVERRIDE": 1, "CAP_KILL": 5, "CAP_SETGID": 6, "CAP_SETUID": 7}
)


class Users:
    """Gives out numbers, each to one living process at a time; 0 throughout where the daemon is not root."""

    def __init__(self) -> None:
        self._first, self._count = _mapped() if os.geteuid() == 0 else (0, 0)
        self._next = os.getpid() * 97 % self._count if self._count else 0
        self._live: set[int] = set()

    def take(self) -> int:
        """Return a number that no living process of ours has; raises Unavailable when all are taken."""
        if not self._count:
            return 0
        if len(self._live) >= self._count:
            raise Unavailable("There is no user left for another sandboxed process.")
        while True:
            user = self._first + self._next % self._count
            self._next += 1
            if user not in self._live:
                self._live.add(user)
                return user

    def give_back(self, user: int) -> None:
        """The process is gone; what it left behind belongs to a number that may be given out again."""
        self._live.discard(user)


def _mapped() -> tuple[int, int]:
    """Return the first range that this user namespace knows as a whole; raises Unavailable."""
    with open("/proc/self/uid_map") as file:
        known = [tuple(map(int, line.split())) for line in file]
    for first, count in RANGES:
        if any(start <= first and first + count <= start + length for start, _, length in known):
            return first, count
    raise Unavailable(
        "This container knows too few users for processes of their own.",
        remedy=f"Map at least {RANGES[-1][0] + RANGES[-1][1]:,} users into it, or run Freehold without root.",
    )


def rights_lacking() -> list[str]:
    """Return which capabilities this root lacks to handle other users' processes and files; [] where it is none."""
    if os.geteuid() != 0:
        return []
    with open("/proc/self/status") as file:
        held = next(int(line.split()[1], 16) for line in file if line.startswith("CapEff"))
    return [name for name, bit in _NEEDED.items() if not held >> bit & 1]


def become(user: int) -> None:
    """Be ``user`` from now on, with no other group and no capability; 0 changes nothing. Raises OSError."""
    if user:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
