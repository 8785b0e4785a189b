"""A clock that stands until a test moves it."""


class SetClock:
    """Both clocks of the house, moved by hand; begins at ``now_us`` microseconds since the epoch."""

    def __init__(self, now_us: int) -> None:
        self._now_us = now_us
        self._start_us = now_us

    def now_us(self) -> int:
        """The time that was set."""
        return self._now_us

    def monotonic_s(self) -> float:
        """Seconds since the start, as they were set."""
        return (self._now_us - self._start_us) / 1_000_000

    def advance_us(self, by_us: int) -> None:
        """Move on, or back where negative."""
        self._now_us += by_us
