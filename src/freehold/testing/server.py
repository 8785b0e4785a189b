"""A server for tests as a process of its own: started, told how to misbehave, asked what it took, killed.

What it takes is appended to a file and synced before it answers, so that its count survives its own death
and ours. It never forgets and never deduplicates unless told to.
"""

import json
import os
import select
import signal
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import msgspec

from freehold.base import Unavailable
from freehold.wire import child

_START_LIMIT_S: Final = 20.0


class Behaviour(msgspec.Struct, frozen=True, omit_defaults=True):
    """How the server treats what comes; each may be changed while it runs.

    ``refuse`` answers with an explicit refusal and takes nothing. ``drop`` closes the connection without an
    answer, ``before`` or ``after`` it has taken the effect. ``delay_ms`` waits before the answer.
    ``crash_at`` kills the server at its nth effect since its start, ``before`` or ``after`` it was taken.
    ``keyed`` honours an Idempotency-Key (HTTP only).
    """

    refuse: bool = False
    drop: str = ""
    delay_ms: int = 0
    crash_at: int = 0
    crash_when: str = "after"
    keyed: bool = False


class Journal:
    """The server's own side: its list of what it took, and the wishes of the test."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = (folder / "taken.jsonl").open("ab")
        self._seen = 0

    def behaviour(self) -> Behaviour:
        """Return how to treat the next effect."""
        try:
            return msgspec.json.decode((self._folder / "behaviour.json").read_bytes(), type=Behaviour)
        except FileNotFoundError:
            return Behaviour()

    def take(self, entry: dict[str, Any], behaviour: Behaviour) -> None:
        """Write an effect down durably; dies where the behaviour says so."""
        self._seen += 1
        dies = self._seen == behaviour.crash_at
        if dies and behaviour.crash_when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        self._file.write(json.dumps(entry, ensure_ascii=False).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        if dies:
            os.kill(os.getpid(), signal.SIGKILL)

    def taken(self) -> list[dict[str, Any]]:
        """Return everything that was ever taken in this folder."""
        return read_taken(self._folder)


class Server:
    """A server process, seen from the test; a context manager that ends it."""

    module: str = ""

    def __init__(self, folder: Path, *, port: int = 0, behaviour: Behaviour | None = None) -> None:
        self.folder: Final = folder
        self.port = port
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        if behaviour is not None:
            self.behave(behaviour)

    def behave(self, behaviour: Behaviour) -> None:
        """Treat everything from now on like this."""
        draft = self.folder / "behaviour.draft"
        draft.write_bytes(msgspec.json.encode(behaviour))
        draft.replace(self.folder / "behaviour.json")

    def start(self) -> Self:
        """Start it, on the former port when it ran before, and wait until it listens."""
        self.kill()
        self._process = subprocess.Popen(
            child.command(self.module, str(self.folder), str(self.port), str(os.getpid())),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            env=child.clean_environment(dict(os.environ)),
        )
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], _START_LIMIT_S)
        line = self._process.stdout.readline() if ready else b""
        if not line.strip().isdigit():
            self.kill()
            where = f"port {self.port} may be in use" if self.port else "it said nothing"
            raise Unavailable(
                f"The server {self.module} did not start: {where}.",
                remedy="Name another port, or 0 for a free one.",
            )
        self.port = int(line)
        return self

    def taken(self) -> list[dict[str, Any]]:
        """Return what the server has taken, in order, from its own file."""
        return read_taken(self.folder)

    def kill(self) -> None:
        """End it without warning."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            if self._process.stdout is not None:
                self._process.stdout.close()
            self._process = None

    def wait(self, timeout_s: float = 10.0) -> int:
        """Wait until it has died by itself and return how."""
        assert self._process is not None
        return self._process.wait(timeout_s)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()


def read_taken(folder: Path) -> list[dict[str, Any]]:
    """Return the whole lines of a server's file; a torn last one was never answered."""
    try:
        data = (folder / "taken.jsonl").read_bytes()
    except FileNotFoundError:
        return []
    return [json.loads(line) for line in data.splitlines(keepends=True) if line.endswith(b"\n")]
