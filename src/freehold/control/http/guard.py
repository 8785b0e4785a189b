"""What every request has to pass before anything of it is read: host, origin, size, token.

A page in somebody's browser cannot come in by a name that it points here (DNS rebinding), nor from its own origin.
"""

import re
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from freehold.base import BadInput, FreeholdError, Refused
from freehold.control.http.tokens import Tokens
from freehold.kernel.rooms import Rooms
from freehold.runtime.external import Externals

MAX_BODY: Final = 24 << 20
METADATA: Final = "/.well-known/oauth-protected-resource"
_MCP: Final = re.compile(r"/mcp(?:/[a-z0-9._-]{1,100})?")
_IN_QUERY: Final = ("access_token", "token")


class Guard:
    """Lets in requests of external agents only; the agent's name is in the scope's state as ``agent``."""

    def __init__(self, app: ASGIApp, rooms: Rooms, externals: Externals, tokens: Tokens) -> None:
        self._app = app
        self._rooms = rooms
        self._externals = externals
        self._tokens = tokens

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]
        }
        try:
            self._check_place(headers)
            _check_size(headers)
            if not scope["path"].startswith(METADATA):
                scope.setdefault("state", {})["agent"] = await self._agent(scope, headers)
        except FreeholdError as error:
            await self._answer(send, error, scope["path"])
            return
        await self._app(scope, _bounded(receive), send)

    def _check_place(self, headers: dict[str, str]) -> None:
        port = self._externals.audience.rpartition(":")[2]
        names = {f"{host}:{port}" for host in ("127.0.0.1", "localhost", "[::1]")}
        if headers.get("host", "").lower() not in names:
            raise Refused(
                "This request was sent to another host.",
                remedy=f"Use {self._externals.audience}.",
                code="refused.host",
            )
        origin = headers.get("origin")
        if origin is not None and origin.lower().removeprefix("http://") not in names:
            raise Refused(
                "Pages of other origins may not ask here.",
                remedy="Ask from a program.",
                code="refused.origin",
            )

    async def _agent(self, scope: Scope, headers: dict[str, str]) -> str:
        query = parse_qsl(scope.get("query_string", b"").decode("latin-1"))
        if any(name in _IN_QUERY for name, _ in query):
            raise Refused(
                "A token in an address ends up in logs; it does not count there.",
                remedy="Send it as `Authorization: Bearer …`, and have the owner issue a new one.",
                code="refused.token",
            )
        kind, _, token = headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer" or not token.strip():
            raise Refused(
                "This request has no token.",
                remedy="Send it as `Authorization: Bearer …`.",
                code="refused.token.none",
            )
        now_us = self._rooms.ledger.now_us()
        agent = self._tokens.check(token.strip(), now_us).agent
        self._rooms.registry.chain_of(agent)
        await self._externals.used(agent, now_us)
        return agent

    async def _answer(self, send: Send, error: FreeholdError, path: str) -> None:
        extra = {}
        status = status_of(error)
        if status == 401:
            why = "" if error.code == "refused.token.none" else ', error="invalid_token"'
            extra["www-authenticate"] = (
                f'Bearer resource_metadata="{self._externals.audience}{METADATA}{resource_of(path)}"{why}'
            )
        body = problem(error)
        head = {"content-type": "application/problem+json", "content-length": str(len(body)), **extra}
        await send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": [(name.encode(), value.encode()) for name, value in head.items()],
            }
        )
        await send({"type": "http.response.body", "body": body})


def resource_of(path: str) -> str:
    """Return the path of the resource that a request is for: MCP's, for one job or the only one; "" for the rest."""
    return path if _MCP.fullmatch(path) else ""


def status_of(error: FreeholdError) -> int:
    """Return the HTTP status of an error."""
    if error.code.startswith("refused.token"):
        return 401
    return 413 if error.code == "input.size" else error.http_status


def problem(error: FreeholdError) -> bytes:
    """Return an error as `application/problem+json`."""
    return msgspec.json.encode({**error.problem(), "status": status_of(error)})


def _too_large() -> BadInput:
    return BadInput(
        f"The request is over {MAX_BODY >> 20} MiB.", remedy="Send less at once.", code="input.size"
    )


def _check_size(headers: dict[str, str]) -> None:
    size = headers.get("content-length", "0")
    if not size.isdecimal() or int(size) > MAX_BODY:
        raise _too_large()


def _bounded(receive: Receive) -> Receive:
    """Return the request's body as it comes; what reads past what it may be has it raised."""
    left = MAX_BODY

    async def bounded() -> Message:
        nonlocal left
        message: dict[str, Any] = dict(await receive())
        left -= len(message.get("body", b""))
        if left < 0:
            raise _too_large()
        return message

    return bounded
