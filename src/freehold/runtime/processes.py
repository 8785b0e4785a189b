"""Starting the processes that the daemon is the parent of: the fork servers of runners, couriers, the vault."""

import contextlib
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from freehold.wire import child


class Process(Protocol):
    """What was started: as much of a ``subprocess.Popen`` as its parent needs."""

    @property
    def pid(self) -> int:
        """Its number."""

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it has ended; raises subprocess.TimeoutExpired."""

    def kill(self) -> None:
        """Kill it."""


class Starts(Protocol):
    """What starts a process as ``start`` does."""

    def __call__(
        self,
        command: Sequence[str],
        passed: Sequence[int],
        log: Path | None,
        known: Mapping[str, str] | None = None,
    ) -> Process:
        """Start it; raises OSError."""


def start(
    command: Sequence[str],
    passed: Sequence[int],
    log: Path | None,
    known: Mapping[str, str] | None = None,
) -> "subprocess.Popen[bytes]":
    """Start ``command`` in a session of its own, with a clean environment and no file of ours but ``passed``.

    What it says goes to ``log``; ``known`` is what its environment has besides. Raises OSError.
    """
    with contextlib.ExitStack() as stack:
        errors = subprocess.DEVNULL if log is None else stack.enter_context(log.open("ab"))
        return subprocess.Popen(
            command,
            pass_fds=passed,
            env=child.clean_environment(dict(os.environ)) | dict(known or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,
        )
