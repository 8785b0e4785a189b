"""The courier of one tool server: speaks MCP by the official SDK, over a pipe or over HTTP that the daemon carries.

It has no network, no file and no secret: it turns what a stranger's server says into a few bounded types. Spoken are
both current revisions, 2026-07-28 and 2025-11-25. Right before each call the tool is listed anew and held against its
pin.
"""

import asyncio
import base64
import functools
import json
import os
import re
import socket
import sys
from contextlib import AsyncExitStack
from typing import Any, Final

import httpx2
import mcp_types as types
import msgspec
from mcp.client._probe import negotiate_auto
from mcp.client.session import ClientRequestContext, ClientSession
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from pydantic import ValidationError

from freehold.base import Unavailable
from freehold.courier.pipes import Forwarded, Line, Meter, pipe
from freehold.wire import messages as m
from freehold.wire import tools as t
from freehold.wire.blocking import BlockingChannel

MAX_PAGES: Final = 64
MAX_ROUNDS: Final = 4
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./-]{0,127}")
_REFUSALS: Final = (types.METHOD_NOT_FOUND, types.INVALID_PARAMS, types.INVALID_REQUEST)
_CLIENT: Final = types.Implementation(name="freehold", version="1")
Result = tuple[str, dict[str, Any], str]


class _Session(ClientSession):
    """The SDK's session; a result that does not fit its schema is noted, not lost: the call has been made."""

    note = ""

    async def validate_tool_result(self, name: str, result: types.CallToolResult) -> None:
        try:
            await super().validate_tool_result(name, result)
        except (ImportError, RuntimeError, RecursionError) as error:
            self.note = f"The result does not fit the schema that the server gave: {str(error)[:300]}"


class Speaker:
    """One conversation with one server, for one run: errands one after another over one session."""

    def __init__(self, channel: BlockingChannel) -> None:
        self._channel = channel
        self._meter = Meter()
        self._forwarded = Forwarded(self._meter)
        self._session: _Session | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._line: Line | None = None
        self._asked: list[t.Asks] = []
        self._answers: dict[str, Any] = {}
        self._notes: list[str] = []
        self._http = False

    async def serve(self) -> None:
        """Carry out errands until the daemon says goodbye or is gone."""
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[None] = loop.create_future()
        tasks: set[asyncio.Task[None]] = set()

        def readable() -> None:
            if not self._channel.read():
                if not ended.done():
                    ended.set_result(None)
                loop.remove_reader(self._channel.fileno())
                return
            for message in self._channel.waiting():
                if isinstance(message, m.Deliver):
                    descriptors = self._channel.take_descriptors(1 + len(message.files))
                    task = asyncio.create_task(self._carry(message, descriptors))
                    tasks.add(task)
                    task.add_done_callback(functools.partial(self._broke, message.seq))
                    task.add_done_callback(tasks.discard)

        self._channel.send(m.Hello("courier", os.getpid()))
        loop.add_reader(self._channel.fileno(), readable)
        await ended
        os._exit(0)  # a conversation in the middle of something is not waited for

    # ---- one errand

    def _broke(self, seq: int, done: "asyncio.Task[None]") -> None:
        """Answer for an errand that a mistake of ours broke off: nobody knows what became of it."""
        error = None if done.cancelled() else done.exception()
        if error is not None:
            print(f"courier of a tool server: {type(error).__name__}", file=sys.stderr, flush=True)
            text = "The courier broke off by a mistake of its own."
            self._channel.send(m.Delivered(seq, "unknown", {"phase": "call"}, text))

    async def _carry(self, message: m.Deliver, descriptors: list[int]) -> None:
        named = dict(zip(message.files, descriptors[1:], strict=True))
        errand = msgspec.convert(message.request, t.Errand)
        doing = asyncio.current_task()
        assert doing is not None
        self._line = self._forwarded.line = Line(socket.socket(fileno=descriptors[0]), doing.cancel)
        self._asked, self._notes, self._answers = [], [], json.loads(errand.answers)
        self._meter.reset()
        self._forwarded.sent = False
        try:
            status, value, text = await self._within(errand, named, message.timeout_ms / 1_000)
        finally:
            self._line.close()
            for descriptor in named.values():
                os.close(descriptor)
        try:
            self._channel.send(m.Delivered(message.seq, status, value, text[:1_000]))  # type: ignore[arg-type]
        except Unavailable:
            os._exit(0)

    async def _within(self, errand: t.Errand, named: dict[str, int], limit_s: float) -> Result:
        began = False
        try:
            async with asyncio.timeout(max(0.5, limit_s - 0.5)):  # before the daemon cuts the line
                await self._open(errand, named.pop("server", -1))
                offer = await self._offer()
                if errand.do == "list":
                    _write(named["reply"], offer)
                    return "done", {"protocol": offer.protocol}, ""
                wrong = _held_against(offer, errand)
                if wrong:
                    _write(named["reply"], offer)
                    return "not_done", {"phase": "pin"}, wrong
                self._forwarded.sent, began = False, True
                return await self._call(errand, named["reply"])
        except TimeoutError:
            return self._over(began, f"it did not answer within {limit_s:g} s")
        except asyncio.CancelledError:  # the line was cut: the SDK has told the server
            return self._over(began, "the call was cancelled")
        except MCPError as error:
            if began and error.code in _REFUSALS:
                return "not_done", {"code": error.code}, f"The tool server refused: {_line(error.message)}."
            if began and not self._meter.problem and error.code != types.CONNECTION_CLOSED:
                reply = t.Reply((t.Part("text", error.message[:4_000]),), failed=True)
                _write(named["reply"], reply)
                return "done", {"code": error.code}, ""
            return self._over(began, self._meter.problem or _line(error.message))
        except (OSError, httpx2.HTTPError, ValidationError, ValueError, RuntimeError) as error:
            return self._over(began, self._meter.problem or _line(str(error)))

    def _over(self, began: bool, why: str) -> Result:
        """Return that it came to nothing: not done before the call was sent, else unknown."""
        unsent = not began or (self._http and not self._forwarded.sent)
        words = f"The tool server did not do as it should: {why}."
        return ("not_done" if unsent else "unknown"), {"phase": "call" if began else "open"}, words

    # ---- the session

    async def _open(self, errand: t.Errand, server: int) -> None:
        """Begin the conversation where there is none; raises what prevents it."""
        if self._keeper is not None and not self._keeper.done() and self._session is not None:
            return
        if self._keeper is not None:
            raise RuntimeError(self._meter.problem or "it ended")
        self._http = bool(errand.url)
        ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._keeper = asyncio.create_task(self._keep(errand.url, server, ready))
        await asyncio.wait({ready, self._keeper}, return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            raise _plain(self._keeper.exception())

    async def _keep(self, url: str, server: int, ready: "asyncio.Future[None]") -> None:
        """Hold the conversation open; entered and left in one task, as the SDK's scopes need it."""
        try:
            async with AsyncExitStack() as stack:
                if url:
                    client = httpx2.AsyncClient(transport=self._forwarded, timeout=None, trust_env=False)
                    streams = await stack.enter_async_context(
                        streamable_http_client(url, http_client=client, terminate_on_close=False)
                    )
                else:
                    streams = await stack.enter_async_context(pipe(socket.socket(fileno=server), self._meter))
                session = _Session(*streams, client_info=_CLIENT, elicitation_callback=self._elicited)
                self._session = await stack.enter_async_context(session)
                await negotiate_auto(session)
                ready.set_result(None)
                await asyncio.Event().wait()
        finally:
            self._session = None
            self._meter.problem = self._meter.problem or "it ended"

    async def _offer(self) -> t.Offer:
        """Return what the server offers now; raises ValueError for what cannot be an offer."""
        session = self._session
        assert session is not None
        found: list[types.Tool] = []
        cursor: str | None = None
        for _ in range(MAX_PAGES):
            params = types.PaginatedRequestParams(cursor=cursor) if cursor else None
            page = await session.list_tools(params=params)
            found += page.tools
            cursor = page.next_cursor
            if len(found) > t.MAX_TOOLS:
                raise ValueError(f"it offers more than {t.MAX_TOOLS} tools")
            if not cursor:
                break
        else:
            raise ValueError(f"its list of tools has more than {MAX_PAGES} pages")
        info = session.server_info
        tools, refused = _usable(found)
        return t.Offer(
            server=(info.name if info else "")[:200], version=(info.version if info else "")[:100],
            protocol=session.protocol_version or "", instructions=session.instructions or "",
            tools=tools, refused=refused,
        )  # fmt: skip

    # ---- a call

    async def _call(self, errand: t.Errand, reply: int) -> Result:
        session = self._session
        assert session is not None
        session.note = ""
        answered: types.InputResponses | None = None
        state: str | None = None
        for _ in range(MAX_ROUNDS):
            result = await session.call_tool(
                errand.name, json.loads(errand.arguments), progress_callback=self._progress,
                input_responses=answered, request_state=state, allow_input_required=True,
            )  # fmt: skip
            if isinstance(result, types.CallToolResult):
                notes = [*self._notes, *([session.note] if session.note else [])]
                _write(reply, _reply(result, self._asked, notes))
                return "done", {"failed": result.is_error, "asks": len(self._asked)}, ""
            answered = await self._fulfilled(result)
            state = result.request_state
            if answered is None:
                _write(reply, t.Reply(asks=tuple(self._asked), failed=True, notes=tuple(self._notes)))
                return "done", {"failed": True, "asks": len(self._asked)}, ""
        raise RuntimeError("it asks again and again")

    async def _fulfilled(self, asked: types.InputRequiredResult) -> types.InputResponses | None:
        """Return the answers to what a server needs before it goes on; None where a person has to be asked first."""
        found: types.InputResponses = {}
        for key, request in (asked.input_requests or {}).items():
            if not isinstance(request, types.ElicitRequest):
                self._notes.append(f"The server asked for {request.method}, which is refused.")
                return None
            answer = self._answer(request.params)
            if answer.action != "accept":
                return None
            found[key] = answer
        return found

    async def _elicited(
        self, context: ClientRequestContext, params: types.ElicitRequestParams
    ) -> types.ElicitResult | types.ErrorData:
        return self._answer(params)

    def _answer(self, params: types.ElicitRequestParams) -> types.ElicitResult:
        """Return a person's answer to exactly this question, where there is one; else keep the question."""
        if not isinstance(params, types.ElicitRequestFormParams):
            self._notes.append("The server wanted a person to open an address of its own, which is refused.")
            return types.ElicitResult(action="decline")
        schema = _json(params.requested_schema)
        key = t.pin(t.Offered(params.message, parameters=schema), "")[:16]
        if key in self._answers:
            return types.ElicitResult(action="accept", content=_content(schema, self._answers[key]))
        if len(self._asked) < t.MAX_ASKS and len(schema) + len(params.message) < 20_000:
            self._asked.append(t.Asks(key, params.message, schema))
        return types.ElicitResult(action="cancel")

    async def _progress(self, progress: float, total: float | None, message: str | None) -> None:
        if self._line is not None:
            self._line.step(progress, total, message)


def _content(schema: str, said: Any) -> dict[str, Any]:
    """Return a person's answer as the form that the server asked for, with its defaults; raises ValueError."""
    fields = json.loads(schema).get("properties", {})
    if len(fields) != 1:
        left_out = {name: field["default"] for name, field in fields.items() if "default" in field}
        content = json.loads(said) if isinstance(said, str) else said
        if not isinstance(content, dict):
            raise ValueError("the answer is not the form that was asked for")
        return left_out | content
    ((name, field),) = fields.items()
    kind = field.get("type")
    if isinstance(said, dict) and isinstance(said.get("micro"), int):
        number = said["micro"] / 1_000_000
        said = int(number) if kind == "integer" else number
    elif kind == "boolean" and isinstance(said, str):
        said = said == "yes"
    return {name: said}


# ---- out of the SDK's types ----------------------------------------------------------------------------------------


def _usable(found: list[types.Tool]) -> tuple[tuple[t.Offered, ...], tuple[str, ...]]:
    names = [tool.name for tool in found]
    tools, refused = [], []
    for tool in found:
        if not _NAME.fullmatch(tool.name):
            refused.append(f"A tool's name {tool.name[:80]!a} cannot be one.")
        elif names.count(tool.name) > 1:
            refused.append(
                f"The server names {names.count(tool.name)} tools {tool.name}: none of them can be used."
            )
        else:
            tools.append(_offered(tool))
    return tuple(sorted(tools, key=lambda one: one.name)), tuple(dict.fromkeys(refused))


def _offered(tool: types.Tool) -> t.Offered:
    annotations = (
        tool.annotations.model_dump(mode="json", by_alias=True, exclude_none=True) if tool.annotations else {}
    )
    return t.Offered(
        tool.name, tool.title or "", tool.description or "", _json(tool.input_schema),
        _json(tool.output_schema) if tool.output_schema is not None else "",
        _json(annotations) if annotations else "",
    )  # fmt: skip


def _held_against(offer: t.Offer, errand: t.Errand) -> str:
    """Return why a tool is not the one that was approved, or nothing."""
    tool = offer.find(errand.name)
    if tool is None:
        return f"The tool server no longer offers {errand.name} as it was approved."
    if t.pin(tool, offer.instructions) != errand.pin:
        return f"The tool {errand.name} is not what it was when it was approved."
    return ""


def _reply(result: types.CallToolResult, asked: list[t.Asks], notes: list[str]) -> t.Reply:
    parts = [_part(block) for block in result.content]
    structured = "" if result.structured_content is None else _json(result.structured_content)
    return t.Reply(tuple(parts), structured, result.is_error, tuple(asked), tuple(notes))


def _part(block: Any) -> t.Part:
    if isinstance(block, types.TextContent):
        return t.Part("text", block.text)
    if isinstance(block, types.ImageContent | types.AudioContent):
        return _file(block.data, block.mime_type, block.type)
    if isinstance(block, types.EmbeddedResource):
        inner = block.resource
        if isinstance(inner, types.TextResourceContents):
            return t.Part("text", inner.text, media_type=inner.mime_type or "", name=str(inner.uri))
        return _file(inner.blob, inner.mime_type or "", str(inner.uri))
    if isinstance(block, types.ResourceLink):
        return t.Part("link", str(block.uri), media_type=block.mime_type or "", name=block.name)
    return t.Part("text", _json(block.model_dump(mode="json")))


def _file(coded: str, media_type: str, name: str) -> t.Part:
    try:
        data = base64.b64decode(coded)
    except ValueError:
        return t.Part("text", "[contents that are not base64]")
    return t.Part("file", data=data, media_type=media_type[:100], name=name[:200])


def _json(value: Any) -> str:
    if hasattr(value, "model_dump"):
        value = value.model_dump(mode="json", by_alias=True, exclude_none=True)
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _write(descriptor: int, value: msgspec.Struct) -> None:
    with open(descriptor, "wb", closefd=False) as file:
        file.write(msgspec.json.encode(value))


def _line(text: str) -> str:
    return " ".join(text.split())[:300].rstrip(".") or "the conversation ended"


def _plain(error: BaseException | None) -> Exception:
    """Return the one exception out of a group, for whoever waits."""
    while isinstance(error, BaseExceptionGroup) and error.exceptions:
        error = error.exceptions[0]
    return error if isinstance(error, Exception) else RuntimeError("it ended")
