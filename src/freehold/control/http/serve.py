"""The server of the way in for programs: listens on this machine's own address, in the daemon's loop."""

import asyncio
import contextlib
import functools
import importlib
import socket
from collections.abc import Iterator
from typing import Any, Final

import uvicorn
from starlette.types import Receive, Scope, Send

from freehold.base import Unavailable
from freehold.control.http.app import Api
from freehold.control.http.guard import Guard
from freehold.control.http.sessions import Sessions
from freehold.control.http.tokens import Tokens
from freehold.control.verbs.desk import Desk
from freehold.runtime.external import Externals

HOST: Final = "127.0.0.1"
_END_S: Final = 2.0


class _Server(uvicorn.Server):
    """A server that leaves the daemon's signals alone."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _Mcp:
    """What answers at `/mcp`; the SDK is loaded with the first request, beside the daemon's loop."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._loading = asyncio.Lock()
        self._mcp: Any = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        async with self._loading:
            if self._mcp is None:
                load = functools.partial(importlib.import_module, "freehold.control.http.mcp")
                module = await asyncio.get_running_loop().run_in_executor(None, load)
                found = module.Mcp(self._sessions)
                await found.start()
                self._mcp = found
        await self._mcp.serve(scope, receive, send)

    async def stop(self) -> None:
        """End what is open."""
        if self._mcp is not None:
            await self._mcp.stop()


class Serving:
    """The way in while it is open."""

    def __init__(self, server: _Server, sessions: Sessions, mcp: _Mcp, task: "asyncio.Task[None]") -> None:
        self._mcp = mcp
        self._server = server
        self._sessions = sessions
        self._task = task

    @staticmethod
    async def open(desk: Desk, externals: Externals, public: bytes) -> "Serving":
        """Listen at the port of the settings; raises Unavailable where somebody else does."""
        port = desk.rooms.settings.now.agents_port
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except OSError as error:
            listener.close()
            raise Unavailable(
                f"Programs from elsewhere cannot come in: port {port} is not free ({error.strerror}).",
                remedy="Choose another: freehold settings set agents_port NUMBER; then issue the tokens anew.",
                code="unavailable.port",
            ) from error
        sessions = Sessions(desk)
        sessions.start()
        mcp = _Mcp(sessions)
        app = Guard(Api(sessions, externals).app(mcp), desk.rooms, externals, Tokens(externals, public))
        config = uvicorn.Config(
            app, log_config=None, access_log=False, lifespan="off", server_header=False, date_header=False,
            timeout_graceful_shutdown=1, limit_concurrency=512, ws="none",
        )  # fmt: skip
        server = _Server(config)
        task = asyncio.get_running_loop().create_task(server.serve(sockets=[listener]))
        return Serving(server, sessions, mcp, task)

    async def close(self) -> None:
        """Stop listening; sessions go on after a restart."""
        self._sessions.stop()
        await self._mcp.stop()
        self._server.should_exit = True
        with contextlib.suppress(TimeoutError, asyncio.CancelledError):
            async with asyncio.timeout(_END_S):
                await asyncio.shield(self._task)
        self._task.cancel()
