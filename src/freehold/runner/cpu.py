"""Shares a process's CPU time among the steps that run in it, so that the shares add up to the whole.

While n steps are open each gets 1/n of what the process spends, helper threads and sub-tasks included. A
running total of time per open step makes entering and leaving cost the same for any n.
"""

from collections.abc import Callable


class CpuShares:
    """``clock_ns`` is the process's CPU time in nanoseconds."""

    def __init__(self, clock_ns: Callable[[], int]) -> None:
        self._clock_ns = clock_ns
        self._open = 0
        self._seen_ns = 0
        self._per_step_ns = 0.0

    def enter(self) -> float:
        """Open a share; hand what is returned to ``leave``."""
        self._advance()
        self._open += 1
        return self._per_step_ns

    def leave(self, share: float) -> int:
        """Close a share and return its CPU time in microseconds."""
        self._advance()
        self._open -= 1
        return int(self._per_step_ns - share) // 1_000

    def _advance(self) -> None:
        now = self._clock_ns()
        if self._open:
            self._per_step_ns += (now - self._seen_ns) / self._open
        self._seen_ns = now
