"""The life of a daemon: lock, compose, listen, tell that it is ready, wait for the end, close in reverse.

``python -m freehold.daemon`` and ``freehold up --foreground`` call ``run``; tests bring their own composition.
"""

import asyncio
import logging
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from freehold.control.address import check_private
from freehold.control.estate import Estate
from freehold.control.server import ControlServer, Handlers
from freehold.daemon.lock import DaemonLock
from freehold.wire import child

_log = logging.getLogger("freehold.daemon")


@dataclass(slots=True)
class Composition:
    """A daemon put together: its verbs, and how to take it apart again."""

    handlers: Handlers
    close: Callable[[], Awaitable[None]]


@dataclass(slots=True)
class Stop:
    """The wish that the daemon ends, from a signal or a verb."""

    _event: asyncio.Event = field(default_factory=asyncio.Event)

    def set(self, why: str) -> None:
        """Ask for the end."""
        _log.info("stopping: %s", why)
        self._event.set()

    async def wait(self) -> None:
        """Wait until somebody asks."""
        await self._event.wait()


Compose = Callable[[Estate, Stop], Awaitable[Composition]]


async def serve(estate: Estate, compose: Compose, ready: Callable[[], None]) -> None:
    """Serve ``estate`` until somebody asks for the end; ``ready`` is called once the socket answers.

    Raises what prevents it, before anything was changed: the lock, the folder, the store.
    """
    check_private(estate.folder)
    lock = DaemonLock(estate.lock)
    lock.take()
    try:
        stop = Stop()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, stop.set, signal.Signals(number).name)
        composition = await compose(estate, stop)
        try:
            server = ControlServer(estate.socket, composition.handlers)
            await server.start()
            try:
                ready()
                child.settle_memory()
                _log.info("serving %s", estate.folder)
                await stop.wait()
            finally:
                await server.close()
        finally:
            await composition.close()
    finally:
        lock.release()
    _log.info("stopped")


def run(estate: Estate, compose: Compose, ready: Callable[[], None]) -> None:
    """Serve ``estate`` in a loop of its own until it is asked to end; raises as ``serve`` does."""
    with asyncio.Runner() as runner:
        runner.run(serve(estate, compose, ready))


def log_to_stderr(level: int = logging.INFO) -> None:
    """Let the log go to standard error, which a detached daemon has turned to its log file."""
    handler = logging.StreamHandler()
    formatter = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    root = logging.getLogger("freehold")
    root.addHandler(handler)
    root.setLevel(level)
