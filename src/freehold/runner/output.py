"""Stands in for standard output and error in a runner: lines go to the run's log, bounded."""

import io
from collections.abc import Callable
from typing import Final

MAX_LINES_BYTES: Final = 8_192


class LogStream(io.TextIOBase):
    """Hands whole lines on; keeps at most one that is not finished. Usable from any thread."""

    def __init__(self, hand_on: Callable[[str], object]) -> None:
        self._hand_on = hand_on
        self._line = ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        pending = self._line + text
        whole, newline, rest = pending.rpartition("\n")
        self._line = rest[-MAX_LINES_BYTES:]
        if newline and whole.strip():
            self._give(whole)
        return len(text)

    def flush(self) -> None:
        pending, self._line = self._line, ""
        if pending:
            self._give(pending)

    def _give(self, text: str) -> None:
        clean = text.encode("utf-8", "replace").decode()
        try:
            self._hand_on(clean if len(clean) <= MAX_LINES_BYTES else "…" + clean[-MAX_LINES_BYTES:])
        except RuntimeError:
            return  # the loop has ended, and with it whoever would read this
