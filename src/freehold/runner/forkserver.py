"""The fork server: makes a runner behind the walls of its profile whenever the daemon asks.

Started by ``freehold.runtime.pool`` as ``python -m freehold.runner.forkserver FD PARENT PROFILE [MODULE]``. It is the
parent of every runner: it reaps them, reports what they used, and kills them with all that they started, because
only a parent knows that a pid is still the one it forked. When the daemon is gone it kills all and ends. With
namespaces a runner is an interpreter of its own; below that it is a fork of this one, which has loaded the SDK,
and MODULE of it where its runners want that.
"""

import contextlib
import importlib
import os
import resource
import select
import signal
import socket
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, MappingProxyType
from typing import Final, NoReturn

from freehold.base import FreeholdError
from freehold.runner.loading import loading
from freehold.sandbox import Cell, Level, Sandbox, environment_inside, read_profile
from freehold.wire import child
from freehold.wire import messages as m
from freehold.wire.blocking import BlockingChannel

_TO_FORKSERVER: Final = m.decoder(m.ToForkserver)
_SIGNALLED: Final = 128
"""Bubblewrap ends with this and the number of the signal that ended the process inside."""

_KEEP_MEMORY: Final = MappingProxyType(
    {"MALLOC_MMAP_THRESHOLD_": str(32 << 20), "MALLOC_TRIM_THRESHOLD_": str(128 << 20)}
)
"""A control group counts every page that a process is given: one that keeps what it has freed is given fewer."""

Serve = Callable[[socket.socket, str], None]


@dataclass(slots=True)
class _Runner:
    """A child and its place. ``inside`` is a descriptor of the process that bubblewrap made, -1 for none."""

    number: int
    pid: int
    cell: Cell
    inside: int = -1

    def kill(self) -> None:
        """Kill it with all that it started."""
        if self.inside >= 0:
            with contextlib.suppress(OSError):
                signal.pidfd_send_signal(self.inside, signal.SIGKILL)
        else:
            _kill_group(self.pid)


class Forkserver:
    """The loop: requests from the daemon, ends of children."""

    def __init__(self, sock: socket.socket, sandbox: Sandbox, serve: Serve | None) -> None:
        self._channel = BlockingChannel(sock, _TO_FORKSERVER)
        self._sandbox = sandbox
        self._serve_runner = serve
        self._runners: dict[int, _Runner] = {}
        self._pids: dict[int, _Runner] = {}
        self._unborn: dict[int, _Runner] = {}
        self._poll = select.poll()
        self._wake_in, self._wake_out = os.pipe()
        self._stopping = False

    def run(self) -> None:
        """Serve until the daemon is gone or says goodbye."""
        os.set_blocking(self._wake_out, False)
        os.set_blocking(self._wake_in, False)
        signal.set_wakeup_fd(self._wake_out, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, _ignore)
        signal.signal(signal.SIGTERM, self._stop)
        self._channel.send(m.Hello("forkserver", os.getpid()))
        self._poll.register(self._channel.fileno(), select.POLLIN)
        self._poll.register(self._wake_in, select.POLLIN)
        try:
            while not self._stopping:
                ready = {descriptor for descriptor, _ in self._poll.poll()}
                for told in ready & self._unborn.keys():
                    self._born(told)
                if self._wake_in in ready:
                    with contextlib.suppress(BlockingIOError):
                        os.read(self._wake_in, 4096)
                    self._reap()
                if self._channel.fileno() in ready and not self._serve():
                    return
        except FreeholdError:
            return
        finally:
            self._kill_all()

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._stopping = True

    def _serve(self) -> bool:
        if not self._channel.read():
            return False
        waiting = deque(self._channel.waiting())
        while waiting:
            message = waiting.popleft()
            if isinstance(message, m.Fork):
                sockets = self._channel.take_descriptors(message.count)
                while sockets:
                    self._fork(message.first + message.count - len(sockets), sockets)
            elif isinstance(message, m.Kill):
                known = self._runners.get(message.runner)
                if known is not None:
                    known.kill()
            else:
                return False
        return True

    def _fork(self, number: int, sockets: list[int]) -> None:
        """Make one runner with the first of ``sockets``, which is taken from the list."""
        descriptor = sockets.pop(0)
        server = os.getpid()
        try:
            cell = self._sandbox.cell(number)
            pid = os.fork()
        except (OSError, FreeholdError) as error:
            os.close(descriptor)
            print(f"runner {number} cannot be made: {error}", file=sys.stderr, flush=True)
            self._channel.send(m.Exited(number, 0, getattr(error, "errno", None) or 1, 0))
            return
        if pid == 0:
            _become_runner(self._sandbox, cell, descriptor, server, self._serve_runner)
        os.close(descriptor)
        cell.forked()
        runner = self._runners[number] = self._pids[pid] = _Runner(number, pid, cell)
        if cell.told >= 0:
            self._unborn[cell.told] = runner
            self._poll.register(cell.told, select.POLLIN)
        else:
            self._channel.send(m.Forked(number, pid))

    def _born(self, told: int) -> None:
        """Bubblewrap has made the process inside, or has ended."""
        runner = self._unborn.pop(told)
        self._poll.unregister(told)
        pid = self._sandbox.process_of(runner.cell)
        if pid:
            with contextlib.suppress(OSError):
                runner.inside = os.pidfd_open(pid)
            self._channel.send(m.Forked(runner.number, pid))

    def _reap(self) -> None:
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self._kill_strays()
            runner = self._pids.pop(pid, None)
            if runner is None:
                continue  # something that a runner had started and left behind
            del self._runners[runner.number]
            cpu_us = round((usage.ru_utime + usage.ru_stime) * 1_000_000)
            code = os.waitstatus_to_exitcode(status)
            if self._sandbox.profile.level is Level.NAMESPACES:
                self._bury(runner)
                code = _SIGNALLED - code if code > _SIGNALLED else code
            else:
                _kill_group(pid)
            self._sandbox.leave(runner.cell)
            self._channel.send(m.Exited(runner.number, pid, code, cpu_us, usage.ru_maxrss))

    def _bury(self, runner: _Runner) -> None:
        """Forget the process inside, which has ended with its bubblewrap."""
        if self._unborn.pop(runner.cell.told, None) is not None:
            self._poll.unregister(runner.cell.told)
        if runner.inside >= 0:
            os.close(runner.inside)
            runner.inside = -1

    def _kill_strays(self) -> None:
        """Kill what runners left behind outside their group; it came to this process when they ended."""
        for pid in _children():
            if pid not in self._pids:
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)

    def _kill_all(self) -> None:
        for runner in self._pids.values():
            runner.kill()
        self._kill_strays()
        for runner in self._pids.values():
            with contextlib.suppress(OSError):
                os.waitpid(runner.pid, 0)
            self._sandbox.leave(runner.cell)


def _become_runner(
    sandbox: Sandbox, cell: Cell, descriptor: int, server: int, serve: Serve | None
) -> NoReturn:
    """In the child: give up everything but the socket, go behind the walls, then serve."""
    code = 1
    try:
        child.default_signals()
        child.die_with_parent(server)
        os.setsid()
        child.silence(keep_stderr=serve is None)
        child.set_name("freehold-runner")
        inside = [
            sys.executable,
            "-S",
            "-s",
            "-P",
            str(Path(__file__).with_name("inside.py")),
            str(descriptor),
        ]
        room = sandbox.enter(cell, server, inside, [descriptor], _environment())
        if serve is not None:
            serve(socket.socket(fileno=descriptor), room)
        code = 0
    except OSError as error:
        print(f"a runner cannot go behind its walls: {error}", file=sys.stderr, flush=True)
    finally:
        os._exit(code)


def _environment() -> dict[str, str]:
    """Return what a runner may know, of what this process was told already."""
    threads = {name: value for name, value in os.environ.items() if name.endswith("_NUM_THREADS")}
    return environment_inside(os.environ) | threads | {"PYTHONHASHSEED": "0", **_KEEP_MEMORY}


def _ignore(number: int, frame: FrameType | None) -> None:
    """Only wake the loop."""


def _kill_group(pid: int) -> None:
    with contextlib.suppress(OSError):
        os.killpg(pid, signal.SIGKILL)
    with contextlib.suppress(OSError):
        os.kill(pid, signal.SIGKILL)


def _children() -> list[int]:
    try:
        with open(f"/proc/self/task/{os.getpid()}/children") as file:
            return [int(pid) for pid in file.read().split()]
    except OSError:
        return []


def _forked_server(module: str) -> Serve:
    """Return what a fork of this process serves with; loading it here, and ``module``, is what makes a fork cheap."""
    with loading():
        from freehold.runner.main import serve

        if module:
            importlib.import_module(module)
    return serve


def main() -> None:
    """Become the fork server; the arguments are its socket, the daemon's pid, the profile, a module."""
    descriptor, parent, profile = int(sys.argv[1]), int(sys.argv[2]), read_profile(sys.argv[3])
    child.die_with_parent(parent, signal.SIGTERM)
    child.adopt_orphans()
    child.close_all_but([descriptor])
    child.silence(keep_stderr=True)
    child.set_name("freehold-forks")
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sandbox = Sandbox(profile)
    try:
        sandbox.open()
    except FreeholdError as error:
        sys.exit(f"{error} {error.remedy}")
    module = "".join(sys.argv[4:])
    serve = None if profile.level is Level.NAMESPACES else _forked_server(module)
    child.settle_memory()
    Forkserver(socket.socket(fileno=descriptor), sandbox, serve).run()


if __name__ == "__main__":
    main()
