"""A change of authority or state: what to journal, which documents to write, and what to do in memory after.

The rooms of the kernel (registry, rules, cards, …) judge and describe; only the ledger commits. Memory moves
in ``after``, which runs once the commit is durable, so a failed commit leaves the rooms as they were; what a
room held back meanwhile, it takes back in ``undo``. Who is cancelled while waiting cannot know: runs neither.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from freehold.store.interface import Drop, Put


@dataclass(slots=True)
class Note:
    """Something to journal. ``head`` is public and hashed; ``private`` is encrypted for ``subjects``."""

    type: str
    head: dict[str, Any]
    private: dict[str, Any] | None = None
    subjects: tuple[str, ...] = ()
    run: str = ""


@dataclass(slots=True)
class Change:
    """One change, not yet made. ``value`` is what the verb returns once it is."""

    notes: list[Note] = field(default_factory=list)
    writes: list[Put | Drop] = field(default_factory=list)
    after: list[Callable[[], None]] = field(default_factory=list)
    value: Any = None
    undo: list[Callable[[], None]] = field(default_factory=list)

    def join(self, other: "Change") -> "Change":
        """Return both as one, made together or not at all; the value is the other's where it has one."""
        return Change(
            self.notes + other.notes,
            self.writes + other.writes,
            self.after + other.after,
            self.value if other.value is None else other.value,
            self.undo + other.undo,
        )
