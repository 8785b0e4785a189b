"""The fork server: has loaded the SDK and nothing of any run, and forks a runner whenever the daemon asks.

Started by ``freehold.runtime.pool`` as ``python -m freehold.runner.forkserver FD PARENT``. It is the parent
of every runner: it reaps them, reports what they used, and kills them with all that they started, because
only a parent knows that a pid is still the one it forked. When the daemon is gone it kills all and ends.
"""

import contextlib
import os
import resource
import select
import signal
import socket
import sys
from collections import deque
from types import FrameType
from typing import Final, NoReturn

from freehold.base import FreeholdError
from freehold.runner import main as runner_main
from freehold.wire import child
from freehold.wire import messages as m
from freehold.wire.blocking import BlockingChannel

_TO_FORKSERVER: Final = m.decoder(m.ToForkserver)
_OOM_SCORE: Final = "500"
"""A runner is what the kernel should kill first when memory is short, not the daemon."""


class Forkserver:
    """The loop: requests from the daemon, ends of children."""

    def __init__(self, sock: socket.socket) -> None:
        self._channel = BlockingChannel(sock, _TO_FORKSERVER)
        self._runners: dict[int, int] = {}
        self._pids: dict[int, int] = {}
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
        poll = select.poll()
        poll.register(self._channel.fileno(), select.POLLIN)
        poll.register(self._wake_in, select.POLLIN)
        try:
            while not self._stopping:
                ready = {descriptor for descriptor, _ in poll.poll()}
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
                pid = self._runners.get(message.runner)
                if pid is not None:
                    _kill_group(pid)
            else:
                return False
        return True

    def _fork(self, runner: int, sockets: list[int]) -> None:
        """Fork one runner with the first of ``sockets``, which is taken from the list."""
        descriptor = sockets.pop(0)
        server = os.getpid()
        try:
            pid = os.fork()
        except OSError as error:
            os.close(descriptor)
            self._channel.send(m.Exited(runner, 0, error.errno or 1, 0))
            return
        if pid == 0:
            _become_runner(descriptor, server)
        os.close(descriptor)
        self._runners[runner] = pid
        self._pids[pid] = runner
        self._channel.send(m.Forked(runner, pid))

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
            del self._runners[runner]
            _kill_group(pid)
            cpu_us = round((usage.ru_utime + usage.ru_stime) * 1_000_000)
            code = os.waitstatus_to_exitcode(status)
            self._channel.send(m.Exited(runner, pid, code, cpu_us, usage.ru_maxrss))

    def _kill_strays(self) -> None:
        """Kill what runners left behind outside their group; it came to this process when they ended."""
        for pid in _children():
            if pid not in self._pids:
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)

    def _kill_all(self) -> None:
        for pid in self._pids:
            _kill_group(pid)
        self._kill_strays()


def _become_runner(descriptor: int, server: int) -> NoReturn:
    """In the child: give up everything but the socket, then serve."""
    code = 1
    try:
        child.default_signals()
        child.die_with_parent(server)
        os.setsid()
        child.close_all_but([descriptor])
        child.silence()
        child.set_name("freehold-runner")
        with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
            file.write(_OOM_SCORE)
        runner_main.serve(socket.socket(fileno=descriptor))
        code = 0
    finally:
        os._exit(code)


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


def main() -> None:
    """Become the fork server; the arguments are the socket's descriptor and the daemon's pid."""
    descriptor, parent = int(sys.argv[1]), int(sys.argv[2])
    child.die_with_parent(parent, signal.SIGTERM)
    child.adopt_orphans()
    child.close_all_but([descriptor])
    child.silence(keep_stderr=True)
    child.set_name("freehold-forks")
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    child.settle_memory()
    Forkserver(socket.socket(fileno=descriptor)).run()


if __name__ == "__main__":
    main()
