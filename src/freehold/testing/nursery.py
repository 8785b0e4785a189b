"""Fork servers as forks of one process that has loaded what they load, for tests that open an estate each.

``start`` stands in for ``freehold.runtime.processes.start`` where a ``ThrowawayEstate`` is told so; ``python -m
freehold.testing.nursery LISTENER LIFE`` is that process, one for each that tests. A fork server is the same and a
process of its own; Python's start and its imports, most of its time, have been paid for. It ends with its channel, as
any does, but no signal tells it of its daemon's end: what kills daemons starts real ones.
"""

import contextlib
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Final, NoReturn

from freehold.runner import forkserver
from freehold.runner.loading import loading
from freehold.wire import child

LOADED: Final = ("freehold.runner.main", "freehold.sdk.agent")
MAX_BYTES: Final = 64 << 10
_OWN: Final = 3
"""Words of a fork server's command before its arguments: the interpreter, ``-P -m``, and before the module's name."""


class Forked:
    """A fork server that somebody else is the parent of; to be waited for and killed like a ``subprocess.Popen``."""

    def __init__(self, pid: int, descriptor: int) -> None:
        self.pid: Final = pid
        self._descriptor = descriptor

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it has ended; how it did is its parent's to know. Raises subprocess.TimeoutExpired."""
        if self._descriptor >= 0:
            if not select.select([self._descriptor], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("fork server", timeout or 0.0)
            os.close(self._descriptor)
            self._descriptor = -1
        return 0

    def kill(self) -> None:
        """Kill it."""
        if self._descriptor >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._descriptor, signal.SIGKILL)


def start(
    command: Sequence[str], passed: Sequence[int], log: Path | None, known: Mapping[str, str] | None = None
) -> Forked:
    """Start a fork server as ``freehold.runtime.processes.start`` does; ``passed`` is its socket."""
    module, descriptor, _, *words = command[_OWN:]
    assert (module, [int(descriptor)]) == ("freehold.runner.forkserver", list(passed))
    environment = child.clean_environment(dict(os.environ)) | dict(known or {})
    request = json.dumps({"words": words, "environment": environment}).encode()
    with contextlib.ExitStack() as stack:
        said = stack.enter_context((log or Path(os.devnull)).open("ab"))
        line = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET))
        line.connect(_address())
        socket.send_fds(line, [request], [*passed, said.fileno()])
        data, received, _, _ = socket.recv_fds(line, 64, 1)
    return Forked(int(data), received[0])


@cache
def _address() -> bytes:
    """Start the process once, and return where it listens; it ends when this one does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(b"")  # the kernel finds a free name
        listener.listen(64)
        theirs, ours = os.pipe()
        process = subprocess.Popen(
            child.command("freehold.testing.nursery", str(listener.fileno()), str(theirs)),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, pass_fds=[listener.fileno(), theirs],
            env=child.clean_environment(dict(os.environ)) | {"PYTHONHASHSEED": "0"}, start_new_session=True,
        )  # fmt: skip
        os.close(theirs)
        os.set_inheritable(ours, False)
        process.returncode = 0  # nobody waits for it
        return bytes(listener.getsockname())


def _serve(listener: socket.socket, life: int) -> None:
    while True:
        ready, _, _ = select.select([listener.fileno(), life], [], [])
        if life in ready:
            return
        line, _ = listener.accept()
        with line:
            data, passed, _, _ = socket.recv_fds(line, MAX_BYTES, 2)
            parent = os.getpid()
            pid = os.fork()
            if pid == 0:
                _become(json.loads(data), passed, parent)
            told = os.pidfd_open(pid)
            with contextlib.suppress(OSError):
                socket.send_fds(line, [str(pid).encode()], [told])
        for descriptor in (told, *passed):
            os.close(descriptor)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def _become(request: dict[str, object], passed: list[int], parent: int) -> NoReturn:
    """In the child: be the fork server that was asked for."""
    code: int | str | None = 1
    try:
        os.setsid()
        os.dup2(passed[1], 2)
        os.environ.clear()
        os.environ.update(request["environment"])  # type: ignore[call-overload]
        sys.argv = ["forkserver", str(passed[0]), str(parent), *request["words"]]  # type: ignore[misc]
        forkserver.main()
        code = 0
    except SystemExit as leave:
        code = leave.code
    finally:
        os._exit(code if isinstance(code, int) else 1)


def main() -> None:
    """Load, then serve."""
    listener, life = socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2])
    with loading():
        for name in LOADED:
            importlib.import_module(name)
    child.settle_memory()
    _serve(listener, life)


if __name__ == "__main__":
    main()
