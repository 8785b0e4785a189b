"""One number that moves whenever authority does; a cached decision is worth nothing under another.

Registry, delegations, rules, settings and freeze share one instance. Whoever caches what they said keeps the
value beside it.
"""


class Epoch:
    """Counts changes of authority since this process started; it is not stored."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0

    def bump(self) -> None:
        """Make every decision cached so far stale."""
        self.value += 1
