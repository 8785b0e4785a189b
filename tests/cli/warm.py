"""Commands as forks of a process that has loaded them, for what tests do with hundreds of them beside what they show.

``python -m tests.cli.warm LISTENER LIFE`` forks one keeper for each command, which forks the command, waits for it and
says how it ended. Each is a process of its own with its own environment, folder and streams, as one that a shell
starts; Python's start and its imports, most of a command's time, have been paid for. The tests of the commands
themselves (tests/cli) start real ones.
"""

import atexit
import contextlib
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

from freehold.cli.app import TABLE, build
from freehold.cli.main import main as command

ROOT = Path(__file__).resolve().parents[2]
BESIDE = (
    "freehold.daemon.found",
    "freehold.daemon.start",
    "freehold.runtime.jobfile",
    "freehold.runtime.jobwords",
)
MAX_BYTES = 128 << 10


def run(
    words: list[str], environment: Mapping[str, str], folder: Path, limit_s: float
) -> tuple[int, str, str]:
    """Run one command to its end: its exit code, what it printed, what it said on standard error."""
    request = json.dumps({"words": words, "environment": dict(environment), "folder": str(folder)}).encode()
    streams = [os.memfd_create(name, os.MFD_CLOEXEC) for name in ("out", "err")]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as line:
            line.settimeout(limit_s)
            line.connect(_address())
            socket.send_fds(line, [request], streams)
            try:
                code = line.recv(64)
            except TimeoutError as error:  # the keeper ends the command when we hang up
                raise subprocess.TimeoutExpired(words, limit_s) from error
        assert code, "the keeper of a command is gone"
        out, err = (os.pread(stream, os.fstat(stream).st_size, 0).decode() for stream in streams)
        return int(code), out, err
    finally:
        for stream in streams:
            os.close(stream)


@cache
def _address() -> bytes:
    """Start the process once, and return where it listens; it ends when this one does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(b"")  # the kernel finds a free name
        listener.listen(64)
        theirs, ours = os.pipe()
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.cli.warm", str(listener.fileno()), str(theirs)], cwd=ROOT,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, pass_fds=[listener.fileno(), theirs],
            env={key: value for key, value in os.environ.items() if not key.startswith("FREEHOLD")},
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
        if os.fork() == 0:
            listener.close()
            os.close(life)
            _keep(line)
        line.close()
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def _keep(line: socket.socket) -> NoReturn:
    data, streams, _, _ = socket.recv_fds(line, MAX_BYTES, 2)
    pid = os.fork()
    if pid == 0:
        line.close()
        _become(json.loads(data), streams)
    watched = os.pidfd_open(pid)
    ready, _, _ = select.select([watched, line.fileno()], [], [])
    if watched not in ready:
        os.kill(pid, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    with contextlib.suppress(OSError):
        line.send(str(code).encode())
    os._exit(0)


def _become(request: dict[str, Any], streams: list[int]) -> NoReturn:
    code: int | str | None = 1
    for number, stream in enumerate(streams, 1):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(request["environment"])
    time.tzset()
    os.chdir(request["folder"])
    sys.argv = ["freehold", *request["words"]]
    try:
        command(request["words"])
    except SystemExit as leave:
        code = leave.code
    finally:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 0 if code is None else 1)


def main() -> None:
    """Load every command, then serve."""
    for name in {f"freehold.cli.{entry.module}" for entry in TABLE} | set(BESIDE):
        importlib.import_module(name)
    build()
    _serve(socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2]))


if __name__ == "__main__":
    main()
