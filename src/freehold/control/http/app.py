"""What a program from elsewhere may ask by HTTP: sessions, actions, leave to run its own functions, results of those.

``docs/external-agents.md`` is its public description. Every answer is JSON; what went wrong is a problem (RFC 9457).
"""

import asyncio
import base64
import binascii
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import msgspec
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from freehold.base import BadInput, FreeholdError, Json
from freehold.base.canonical import check, decode
from freehold.control.http.guard import METADATA, problem, resource_of, status_of
from freehold.control.http.sessions import Sessions
from freehold.runtime.external import Externals
from freehold.runtime.remote import Asked, RemoteRun, Report

MAX_WAIT_S: Final = 60.0
HEARTBEAT_S: Final = 10.0
_T = TypeVar("_T")
Endpoint = Callable[[Request], Awaitable[Response]]


class _Open(msgspec.Struct, forbid_unknown_fields=True):
    job: str = ""


class _Act(msgspec.Struct, forbid_unknown_fields=True):
    tool: str
    args: dict[str, Any] = {}
    number: int = 0
    blob: str | None = None
    wait_s: float = 0.0


class _May(msgspec.Struct, forbid_unknown_fields=True):
    function: str
    args: dict[str, Any] = {}
    number: int = 0
    line: str = ""
    wait_s: float = 0.0


class _Result(msgspec.Struct, forbid_unknown_fields=True):
    status: str = "done"
    value: Any = None
    message: str = ""


class Api:
    """The endpoints, over the sessions of one estate."""

    def __init__(self, sessions: Sessions, externals: Externals) -> None:
        self._sessions = sessions
        self._externals = externals

    def app(self, mcp: ASGIApp) -> Starlette:
        """Return the application; ``mcp`` is what answers at `/mcp`."""
        one = "/v1/sessions/{run}"
        return Starlette(
            routes=[
                Route(METADATA, _guarded(self._metadata)),
                Route(f"{METADATA}/mcp", _guarded(self._metadata)),
                Route(f"{METADATA}/mcp/{{job}}", _guarded(self._metadata)),
                Route("/v1/sessions", _guarded(self._open), methods=["POST"]),
                Route(one, _guarded(self._show), methods=["GET"]),
                Route(one, _guarded(self._close), methods=["DELETE"]),
                Route(f"{one}/line", _guarded(self._line), methods=["GET"]),
                Route(f"{one}/actions", _guarded(self._act), methods=["POST"]),
                Route(f"{one}/functions", _guarded(self._may), methods=["POST"]),
                Route(f"{one}/functions/{{number:int}}", _guarded(self._report), methods=["POST"]),
                Route("/mcp", mcp),
                Route("/mcp/{job}", mcp),
            ]
        )

    async def _metadata(self, request: Request) -> Response:
        """RFC 9728: for what this is, and how a token is sent. No authorization server issues tokens: people do.

        Each resource says its own identifier, which a client compares with the address that it uses (section 3.3).
        """
        resource = self._externals.audience + resource_of(request.url.path.removeprefix(METADATA))
        return _json(
            {"resource": resource, "resource_name": "Freehold", "bearer_methods_supported": ["header"]}
        )

    # ---- sessions ----------------------------------------------------------------------------------------

    async def _open(self, request: Request) -> Response:
        live = await self._sessions.open(_agent(request), (await _read(request, _Open)).job)
        return _json(_session(live), 201)

    async def _show(self, request: Request) -> Response:
        return _json(_session(await self._live(request)))

    async def _close(self, request: Request) -> Response:
        live = await self._live(request)
        self._sessions.close(live)
        return _json({"session": live.scope.run, "state": "done"})

    async def _line(self, request: Request) -> Response:
        live = await self._live(request)
        return _Line(self._sessions, live.scope.run)

    async def _live(self, request: Request) -> RemoteRun:
        return await self._sessions.find(_agent(request), request.path_params["run"])

    # ---- actions and functions ---------------------------------------------------------------------------

    async def _act(self, request: Request) -> Response:
        live, asks = await self._live(request), await _read(request, _Act)
        asked = live.ask(asks.number, asks.tool, _args(asks.args), _blob(asks.blob))
        await live.answer(asked, _wait(asks.wait_s))
        return _answer(live, asked)

    async def _may(self, request: Request) -> Response:
        live, asks = await self._live(request), await _read(request, _May)
        asked = live.ask_function(asks.number, asks.function, _args(asks.args), asks.line)
        await live.answer(asked, _wait(asks.wait_s))
        return _answer(live, asked)

    async def _report(self, request: Request) -> Response:
        live, said = await self._live(request), await _read(request, _Result)
        if said.status not in ("done", "not_done", "unknown"):
            raise BadInput(
                "A function is `done`, `not_done` or `unknown`.", remedy="Write one of them as `status`."
            )
        asked = live.report(
            request.path_params["number"], Report(said.status, said.value, said.message[:1_000])
        )
        await live.answer(asked, 0.0)
        return _answer(live, asked)


class _Line(Response):
    """The connection by which a program says that it lives: open until it ends."""

    def __init__(self, sessions: Sessions, run: str) -> None:
        super().__init__(media_type="application/x-ndjson")
        self._sessions = sessions
        self._run = run

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        name = self._sessions.line(self._run)
        gone = asyncio.ensure_future(_disconnected(receive))
        try:
            head = [(b"content-type", b"application/x-ndjson"), (b"cache-control", b"no-store")]
            await send({"type": "http.response.start", "status": 200, "headers": head})
            beat = msgspec.json.encode({"line": name}) + b"\n"
            while not gone.done():
                await send({"type": "http.response.body", "body": beat, "more_body": True})
                await asyncio.wait([gone], timeout=HEARTBEAT_S)
                beat = b"{}\n"
        except OSError:
            pass  # it is gone: that is what this tells
        finally:
            gone.cancel()
            self._sessions.line_ended(self._run, name)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _guarded(endpoint: Endpoint) -> Endpoint:
    """Return an endpoint whose errors are problems."""

    async def call(request: Request) -> Response:
        try:
            return await endpoint(request)
        except FreeholdError as error:
            return Response(problem(error), status_of(error), media_type="application/problem+json")
        except ClientDisconnect:
            broken = BadInput("The request broke off, or was larger than it said.", remedy="Send it again.")
            return Response(problem(broken), status_of(broken), media_type="application/problem+json")

    return call


def _agent(request: Request) -> str:
    return str(request.scope["state"]["agent"])


async def _read(request: Request, shape: type[_T]) -> _T:
    try:
        return msgspec.json.decode(await request.body() or b"{}", type=shape)
    except msgspec.DecodeError as error:
        raise BadInput(
            f"The body is not what this takes: {error}.", remedy="See docs/external-agents.md."
        ) from error


def _args(args: dict[str, Any]) -> dict[str, Json]:
    check(args)
    return args


def _blob(text: str | None) -> bytes | None:
    try:
        return None if text is None else base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise BadInput("`blob` is not base64.", remedy="Encode the bytes.") from error


def _wait(wait_s: float) -> float:
    return min(max(wait_s, 0.0), MAX_WAIT_S)


def _session(live: RemoteRun) -> dict[str, Any]:
    return {
        "session": live.scope.run, "job": live.job.name, "agent": live.job.agent, "next": live.next_number,
        "cards": sorted(live.waiting), "tools": sorted(live.tools()),
    }  # fmt: skip


def _answer(live: RemoteRun, asked: Asked) -> Response:
    found: dict[str, Any] = {"number": asked.number, "action": live.action_of(asked.number)}
    record = asked.record
    if asked.state != "over" or record is None:
        if live.over or live.halted:
            found |= {"status": "halted", "message": f"The run is {live.halted or 'over'}."}
        elif asked.state == "go":
            found |= {"status": "go", "args": asked.sent}
        else:
            found |= {"status": "parked", "card": asked.card}
        return _json(found)
    found |= {
        "status": record.status, "value": decode(record.value), "code": record.code, "message": record.message,
        "remedy": record.remedy,
    }  # fmt: skip
    if asked.contents is not None:
        found["contents"] = base64.b64encode(asked.contents).decode()
    return _json(found)


def _json(value: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")
