"""The same way in for agents that speak MCP: the tools that an agent's job allows, each call through the gate.

Revisions 2026-07-28 and 2025-11-25, by the official SDK, which is loaded with the first request. What waits for a
person is told as the revision has it: come back with the state that was given, or a result that names the card.
"""

import asyncio
import base64
import contextlib
import json
from collections.abc import Iterator
from typing import Any, Final

import mcp_types as types
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel.server import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.shared.exceptions import MCPError
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from starlette.types import Receive, Scope, Send

from freehold import __version__
from freehold.base import BadInput, FreeholdError
from freehold.base.canonical import check, decode
from freehold.control.http.sessions import Sessions
from freehold.runtime.remote import Asked, RemoteRun

WAIT_S: Final = 10.0
ROUNDS: Final = 6
"""How often a client of the stateless revision is told to come back before the card is its answer."""
MAX_BODY: Final = 4 << 20
_TELL_S: Final = 2.0
_INSTRUCTIONS: Final = (
    "Every call is judged by this estate's gate under your own identity. A call that waits for a person is answered "
    "with its card: call the same tool with the same arguments again once it is decided."
)


class Mcp:
    """Serves MCP over the sessions of one estate. ``start`` it, then ``serve`` requests, ``stop`` it."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        server: Server[Any] = Server(
            "freehold", version=__version__, title="Freehold", instructions=_INSTRUCTIONS,
            on_list_tools=self._list, on_call_tool=self._call,
        )  # fmt: skip
        server.middleware.clear()  # nothing of what is asked leaves by telemetry
        self._manager = StreamableHTTPSessionManager(
            server, max_request_body_size=MAX_BODY, max_sessions=256, session_idle_timeout=1_800.0
        )
        self._stopped = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Get ready to serve."""
        ready = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(self._run(ready))
        await ready.wait()

    async def _run(self, ready: asyncio.Event) -> None:
        async with self._manager.run():
            ready.set()
            await self._stopped.wait()

    async def stop(self) -> None:
        """End what is open."""
        self._stopped.set()
        if self._task is not None:
            await asyncio.wait([self._task], timeout=2.0)
            self._task.cancel()

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request, whose agent the guard has named; a session of MCP is its agent's alone."""
        agent = scope["state"]["agent"]
        scope["user"] = AuthenticatedUser(AccessToken(token="", client_id=agent, scopes=[]))
        await self._manager.handle_request(scope, receive, send)

    # ---- the two requests --------------------------------------------------------------------------------

    async def _list(
        self, context: ServerRequestContext[Any], params: types.PaginatedRequestParams | None
    ) -> types.ListToolsResult:
        with _said_as_error():
            live = await self._live(context)
            tools = [
                types.Tool(
                    name=name,
                    description=face.description,
                    input_schema={"type": "object", **face.parameters},
                )
                for name, face in sorted(live.tools().items())
            ]
        return types.ListToolsResult(tools=tools, ttl_ms=0, cache_scope="private")

    async def _call(
        self, context: ServerRequestContext[Any], params: types.CallToolRequestParams
    ) -> types.CallToolResult | types.InputRequiredResult:
        with _said_as_error():
            live = await self._live(context)
        args = params.arguments or {}
        try:
            check(args)
            if params.name not in live.tools():
                raise BadInput(
                    f"There is no tool {params.name[:64]!a} for you here.",
                    remedy="List the tools.",
                    code="input.tool",
                )
            number, rounds = _state(params.request_state)
            asked = (live.same(params.name, args) if not number else None) or live.ask(
                number, params.name, args
            )
            await self._wait(context, live, asked)
        except FreeholdError as error:
            return _failed(error.message, error.remedy, error.code)
        if asked.state == "over":
            return _result(live, asked)
        if (
            context.protocol_version in MODERN_PROTOCOL_VERSIONS
            and rounds < ROUNDS
            and asked.state == "parked"
        ):
            return types.InputRequiredResult(request_state=f"{asked.number}.{rounds + 1}")
        return _parked(live, asked)

    async def _live(self, context: ServerRequestContext[Any]) -> RemoteRun:
        request = context.request
        if request is None:
            raise BadInput("This request came by no way that is known.", remedy="Ask by HTTP.")
        return await self._sessions.current(
            str(request.scope["state"]["agent"]), str(request.path_params.get("job", ""))
        )

    async def _wait(self, context: ServerRequestContext[Any], live: RemoteRun, asked: Asked) -> None:
        """Wait for the answer, for a person only so long; tell a client that asked for it how it stands."""
        await live.answer(asked, 0.0)
        token = (context.meta or {}).get("progress_token")
        waited_s = 0.0
        while asked.state == "parked" and waited_s < WAIT_S:
            if token is not None:
                await context.session.send_progress_notification(
                    token,
                    waited_s,
                    None,
                    f"Waiting for a person: card {asked.card[-8:]}.",
                    str(context.request_id),
                )
            await live.answer(asked, _TELL_S)
            waited_s += _TELL_S


def _state(text: str | None) -> tuple[int, int]:
    """Return which request a state names, and how often its client came back; none is none."""
    number, _, rounds = (text or "").partition(".")
    if not (number.isdecimal() and rounds.isdecimal() and len(number + rounds) < 16):
        return 0, 0
    return int(number), int(rounds)


def _result(live: RemoteRun, asked: Asked) -> types.CallToolResult:
    record = asked.record
    assert record is not None
    live.forget(asked)
    if record.status not in ("done", "proposed"):
        return _failed(record.message, record.remedy, record.code or record.status)
    value = decode(record.value)
    if record.status == "proposed":
        value = {"status": "proposed", "message": record.message}
    content: list[Any] = [types.TextContent(type="text", text=json.dumps(value, ensure_ascii=False))]
    if asked.contents is not None:
        blob = types.BlobResourceContents(
            uri=f"freehold:///{record.action}", blob=base64.b64encode(asked.contents).decode()
        )
        content.append(types.EmbeddedResource(type="resource", resource=blob))
    structured = value if isinstance(value, dict) else {"result": value}
    return types.CallToolResult(content=content, structured_content=structured)


def _parked(live: RemoteRun, asked: Asked) -> types.CallToolResult:
    if asked.state != "parked":
        return _failed(f"The run is {live.halted or 'over'}.", "Ask again later.", "refused.halted")
    text = (
        f"Nothing was done yet: this waits for a person, card {asked.card[-8:]}. "
        "Call the same tool with the same arguments again once it is decided."
    )
    return types.CallToolResult(
        content=[types.TextContent(type="text", text=text)],
        structured_content={"status": "parked", "card": asked.card, "number": asked.number},
        is_error=True,
    )


def _failed(message: str, remedy: str, code: str) -> types.CallToolResult:
    return types.CallToolResult(
        content=[types.TextContent(type="text", text=f"{message} {remedy}".strip() or code)],
        structured_content={"status": "refused" if code.startswith("refused") else "failed", "code": code},
        is_error=True,
    )


@contextlib.contextmanager
def _said_as_error() -> Iterator[None]:
    """What keeps an agent from a session at all is an error of the protocol, in our own sentence."""
    try:
        yield
    except FreeholdError as error:
        raise MCPError(types.INVALID_REQUEST, str(error), {"code": error.code}) from error
