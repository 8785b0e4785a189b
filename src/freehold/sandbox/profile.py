"""What a process may have: how thick its walls are, what it may read, how much it may use. Plain data.

A profile is made in the daemon and travels as text to the process that makes the sandboxed ones.
"""

import json
from dataclasses import asdict, dataclass, field
from enum import IntEnum
from typing import Any

from freehold.base import BadInput


class Level(IntEnum):
    """How thick the walls are; a higher one holds whatever a lower one does."""

    NONE = 0
    LANDLOCK = 1
    NAMESPACES = 2

    @property
    def word(self) -> str:
        """The level as people write it."""
        return self.name.lower()

    @property
    def meaning(self) -> str:
        """What the level is, in one line."""
        return _MEANINGS[self]


_MEANINGS = {
    Level.NONE: "every right of the user that the daemon runs as, and no limit",
    Level.LANDLOCK: "files, network, signals and system calls held by Landlock and seccomp; others' names are seen",
    Level.NAMESPACES: "a file system, processes and a network of its own (bubblewrap), with seccomp and limits",
}

NOT_HELD = (
    "tell whether a file outside is there, and its size, owner and times",
    "read where a link outside leads",
    "tell that a process outside lives, by its number",
    "see the name of the machine",
    "read how a process of the same user is scheduled, and on which processors it may run",
    "move a process of the same user to other processors",
    "leave a process behind that outlives a daemon killed by force",
)
"""What the level ``landlock`` does not hold, by name; the battery of escapes finds these and no others."""


def parse_level(word: object) -> Level:
    """Return the level that a person named; raises BadInput."""
    for level in Level:
        if level.word == word:
            return level
    known = ", ".join(level.word for level in reversed(Level))
    raise BadInput(f"There is no sandbox level {str(word)[:80]!a}.", remedy=f"Known: {known}.")


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one sandboxed process and all that it starts may use. 0 for ``cpu_s`` is no limit of its own."""

    memory_bytes: int = 2 << 30
    temporary_bytes: int = 256 << 20
    file_bytes: int = 1 << 30
    processes: int = 256
    open_files: int = 256
    cpu_s: int = 0


@dataclass(frozen=True, slots=True)
class Profile:
    """``mounts`` are folders that may be read, beside the interpreter and what this Python imports from.

    ``rooms`` is the folder in which each process gets a folder of its own to write in, "" for none. ``hidden``
    are folders of which nothing may be mounted.
    """

    level: Level = Level.NONE
    mounts: tuple[str, ...] = ()
    rooms: str = ""
    hidden: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)

    def text(self) -> str:
        """Return the profile as one line of JSON."""
        return json.dumps(asdict(self) | {"level": int(self.level)})


def read_profile(text: str) -> Profile:
    """Return the profile in what ``Profile.text`` gave."""
    values: dict[str, Any] = json.loads(text)
    return Profile(
        Level(values["level"]),
        tuple(values["mounts"]),
        values["rooms"],
        tuple(values["hidden"]),
        Limits(**values["limits"]),
    )
