"""Finds out which level this machine reaches, by building the walls and trying to get out of them.

For the daemon, once a start, and for ``freehold sandbox`` and ``freehold doctor``. What a probe says is what was
tried a moment ago by this user on this kernel, not what is installed.
"""

import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from freehold.base import Refused
from freehold.sandbox import bubblewrap, landlock
from freehold.sandbox.enter import enter_command
from freehold.sandbox.profile import Level, Limits, Profile

_SMALL: Final = Limits(memory_bytes=128 << 20, temporary_bytes=1 << 20, processes=24)
_LIMIT_S: Final = 30.0
REMEDIES: Final = {
    Level.NAMESPACES: "Install bubblewrap (apt-get install bubblewrap) and allow user namespaces.",
    Level.LANDLOCK: "Use Linux 6.12 or later with Landlock turned on.",
}


@dataclass(frozen=True, slots=True)
class Reach:
    """The highest level that holds here; ``missing`` says of each level above it why it does not."""

    level: Level
    missing: tuple[tuple[Level, str], ...] = ()

    def require(self, needed: Level, *, none_allowed: bool) -> Level:
        """Return the level to run at; raises Refused below ``needed``, and for none unless that is allowed."""
        if self.level < needed:
            why = dict(self.missing).get(needed, "it was not tried")
            raise Refused(
                f"This work needs the sandbox level {needed.word}, which this machine does not reach: {why}.",
                remedy=f"{REMEDIES[needed]} What this machine reaches: freehold sandbox",
                code="refused.sandbox",
            )
        if self.level is Level.NONE and not none_allowed:
            raise Refused(
                "This machine has no sandbox, and the estate does not allow to work without one.",
                remedy="Say so by name: freehold settings set sandbox_none allow",
                code="refused.sandbox",
            )
        return self.level


def probe() -> Reach:
    """Try the levels from the highest down; takes a tenth of a second or so, and blocks."""
    missing: list[tuple[Level, str]] = []
    for level in (Level.NAMESPACES, Level.LANDLOCK):
        why = _missing(level) or _tried(level)
        if not why:
            return Reach(level, tuple(missing))
        missing.append((level, why))
    return Reach(Level.NONE, tuple(missing))


def _missing(level: Level) -> str:
    """Return what is plainly not there."""
    if sys.platform != "linux":
        return f"{sys.platform} has neither namespaces nor Landlock"
    if level is Level.NAMESPACES:
        return "" if bubblewrap.find() else "bubblewrap (bwrap) is not installed"
    known = landlock.version()
    if not known:
        return "the kernel has no Landlock, or it is turned off"
    if known < landlock.NEEDED:
        return f"the kernel's Landlock is version {known}, and {landlock.NEEDED} is needed"
    return ""


def _tried(level: Level) -> str:
    """Build the walls and try to get out; return what went wrong, in words, "" where everything held."""
    with tempfile.TemporaryDirectory(prefix="freehold-") as folder:
        outside = Path(folder, "outside")
        outside.write_text("A file that a sandboxed process must not read.")
        rooms = Path(folder, "rooms")
        rooms.mkdir()
        rooms.chmod(0o711)  # a process of another user walks through it to its own
        inside = [sys.executable, "-S", "-s", "-P", str(Path(__file__).with_name("check.py"))]
        profile = Profile(level, rooms=str(rooms), limits=_SMALL)
        try:
            ran = subprocess.run(
                enter_command(profile, [*inside, level.word, str(outside)]),
                capture_output=True, text=True, timeout=_LIMIT_S, stdin=subprocess.DEVNULL, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return f"trying it took longer than {_LIMIT_S:g} s"
        except OSError as error:
            return f"it cannot be tried: {error.strerror}"
    said = "; ".join((ran.stdout + "\n" + ran.stderr).split("\n")).strip("; ").rstrip(".")
    return "" if ran.returncode == 0 else said[:500] or f"trying it ended with code {ran.returncode}"
