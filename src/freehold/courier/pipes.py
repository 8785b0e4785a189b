"""The two ways to a tool server: a pipe to its process, and HTTP that the daemon has carried out for us.

Both are bounded here, before anything of a server is parsed: how long a message may be, how much one errand may bring.
This process has no network; a request over HTTP is handed to the daemon, which sends it to that server or not at all.
"""

import asyncio
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import anyio
import httpx2
import msgspec
from mcp.shared.message import SessionMessage
from mcp_types import jsonrpc_message_adapter

from freehold.base import FreeholdError
from freehold.wire import messages as m
from freehold.wire import tools as t
from freehold.wire.channel import Channel

MAX_NOISE: Final = 2_000
"""Messages of one errand that answer nothing: notifications, log lines, answers to what was never asked."""
MAX_INCOMING: Final = 64 << 20
_FROM_DAEMON: Final = m.decoder(t.ToSpeaker)
_DROPPED: Final = frozenset({"host", "content-length", "connection", "accept-encoding", "transfer-encoding"})
_EVENTS: Final = {"content-type": "text/event-stream"}
Streams = tuple[Any, Any]


class Broken(Exception):
    """The server broke the rules of the conversation; the words say how."""


class Meter:
    """What came from the server in one errand, and why the conversation ended, where it did."""

    def __init__(self) -> None:
        self.problem = ""
        self._bytes = 0
        self._noise = 0

    def reset(self) -> None:
        """Begin another errand."""
        self._bytes = self._noise = 0

    def count(self, size: int, *, noise: bool) -> None:
        """Count one message; raises Broken beyond the bounds."""
        self._bytes += size
        self._noise += noise
        if self._bytes > MAX_INCOMING:
            raise Broken(f"it sent more than {MAX_INCOMING >> 20} MiB in one call")
        if self._noise > MAX_NOISE:
            raise Broken(f"it sent more than {MAX_NOISE:,} messages that answer nothing")


class Line:
    """The line of one errand to the daemon: progress, requests over HTTP; its end cancels the errand."""

    def __init__(self, sock: socket.socket, on_end: Any) -> None:
        self._channel = Channel(sock, _FROM_DAEMON, self._take, lambda error: on_end())
        self._channel.start()
        self._waiting: dict[int, asyncio.Future[t.Answer | Events]] = {}
        self._pieces: dict[int, bytearray] = {}
        self._events: dict[int, Events] = {}
        self._live: set[int] = set()
        self._number = 0

    def step(self, done: float, total: float | None, text: str | None) -> None:
        """Tell how far the server says it is."""
        self._channel.send(t.Step(done, total or 0.0, (text or "")[:200]))

    async def ask(
        self, method: str, url: str, headers: list[tuple[str, str]], body: bytes, *, live: bool = False
    ) -> "t.Answer | Events":
        """Have a request carried out; where ``live``, a stream of events is returned as it begins."""
        self._number += 1
        number, answer = self._number, asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        if live:
            self._live.add(number)
        try:
            self._channel.send(t.Ask(number, method, url, headers, body))
        except FreeholdError as error:
            return t.Answer(number, problem=error.message, sent=False)
        found: t.Answer | Events = await answer
        return found

    def close(self) -> None:
        """End it."""
        self._channel.close()
        for events in self._events.values():
            events.end("the call is over")

    def _take(self, messages: list[Any], size: int) -> None:
        for message in messages:
            number = message.number
            if isinstance(message, t.More):
                self._more(number, message.data)
                continue
            self._live.discard(number)
            if number in self._events:
                self._events.pop(number).end(message.problem)
                continue
            body = bytes(self._pieces.pop(number, b"")) or message.body
            self._answered(number, msgspec.structs.replace(message, body=body))

    def _more(self, number: int, data: bytes) -> None:
        """Take in a piece of a body: it is kept until its end, but for a stream of events that somebody waits for."""
        if number in self._events:
            self._events[number].put(data)
            return
        kept = self._pieces.setdefault(number, bytearray())
        kept.extend(data)
        begun = bytes(kept[:8]).lstrip(b"\xef\xbb\xbf\r\n ")
        if (
            number in self._live and begun[:1] and begun[:1] in b":deir"
        ):  # how the fields of events begin; JSON does not
            events = self._events[number] = Events()
            events.put(bytes(self._pieces.pop(number)))
            self._answered(number, events)

    def _answered(self, number: int, answer: "t.Answer | Events") -> None:
        waiting = self._waiting.pop(number, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)


class Events(httpx2.AsyncByteStream):
    """A body that comes as it is sent: the events of a server in the middle of a call."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[bytes | str] = asyncio.Queue()
        self.counted: Callable[[bytes], None] = lambda data: None
        """Is told each piece before it is handed on; raises Broken beyond the bounds."""

    def put(self, data: bytes) -> None:
        """Take in a piece."""
        self._queue.put_nowait(data)

    def end(self, problem: str) -> None:
        """Take in the end, and what was wrong with it; nothing where it came to its end."""
        self._queue.put_nowait(problem)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the pieces; raises httpx2.ReadError where the stream broke off."""
        while isinstance(data := await self._queue.get(), bytes):
            self.counted(data)
            yield data
        if data:
            raise httpx2.ReadError(data)


# ---- a pipe --------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def pipe(server: socket.socket, meter: Meter) -> AsyncGenerator[Streams, None]:
    """Yield the streams of a session with the process at the other end of ``server``: a line for each message."""
    reader, writer = await asyncio.open_connection(sock=server, limit=t.MAX_MESSAGE)
    incoming, read = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    write, outgoing = anyio.create_memory_object_stream[SessionMessage](0)

    async def take_in() -> None:
        async with incoming:
            try:
                while data := await _line(reader):
                    message = _message(data)
                    meter.count(len(data), noise=message is None or not hasattr(message.message, "result"))
                    if message is not None:
                        await incoming.send(message)
                meter.problem = meter.problem or "it ended"
            except (Broken, OSError) as error:
                meter.problem = str(error) or "its pipe broke"
            except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                return

    async def put_out() -> None:
        async with outgoing:
            async for message in outgoing:
                data = message.message.model_dump_json(by_alias=True, exclude_unset=True)
                try:
                    writer.write(f"{data}\n".encode())
                    await writer.drain()
                except OSError:
                    meter.problem = meter.problem or "it ended"
                    incoming.close()
                    return

    async with anyio.create_task_group() as group:
        group.start_soon(take_in)
        group.start_soon(put_out)
        try:
            yield read, write
        finally:
            group.cancel_scope.cancel()
            writer.close()


async def _line(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\n")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise Broken("it ended in the middle of a message") from error
        return b""
    except asyncio.LimitOverrunError as error:
        raise Broken(f"it sent a message of more than {t.MAX_MESSAGE >> 20} MiB") from error


def _message(data: bytes) -> SessionMessage | None:
    """Return the message in a line; None for a line that is none, such as a log's. Raises Broken."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise Broken("it sent bytes that are not UTF-8") from error
    try:
        return SessionMessage(jsonrpc_message_adapter.validate_json(text, by_name=False))
    except ValueError:
        return None


# ---- HTTP ----------------------------------------------------------------------------------------------------------


class Forwarded(httpx2.AsyncBaseTransport):
    """Requests of the SDK's HTTP client, handed to the daemon over the line of the errand under way."""

    def __init__(self, meter: Meter) -> None:
        self.line: Line | None = None
        self.sent = False
        self._meter = meter

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Have it carried out; raises httpx2.ConnectError where nothing was sent, ReadError where no answer came."""
        body = await request.aread()
        headers = [pair for pair in request.headers.items() if pair[0].lower() not in _DROPPED]
        if self.line is None:
            raise httpx2.ConnectError("no errand is under way", request=request)
        resumes = request.method == "GET" and "last-event-id" in request.headers
        if request.method == "GET" and not resumes:  # what a server says outside of any call
            return httpx2.Response(405, request=request)
        self.sent = True  # as long as nobody says that it was not
        live = resumes or _is_call(body)
        answer = await self.line.ask(request.method, str(request.url), headers, body, live=live)
        if isinstance(answer, Events):
            answer.counted = self._count
            return httpx2.Response(200, headers=_EVENTS, stream=answer, request=request)
        if answer.problem:
            self.sent = answer.sent
            self._meter.problem = answer.problem
            kind = httpx2.ReadError if answer.sent else httpx2.ConnectError
            raise kind(answer.problem, request=request)
        self._meter.count(len(answer.body), noise=False)
        return httpx2.Response(answer.status, headers=answer.headers, content=answer.body, request=request)

    def _count(self, data: bytes) -> None:
        """Count a piece of a stream, and each event that it ends; raises Broken."""
        try:
            self._meter.count(len(data), noise=False)
            for _ in range(data.replace(b"\r", b"").count(b"\n\n")):
                self._meter.count(0, noise=True)
        except Broken as error:
            self._meter.problem = str(error)
            raise


def _is_call(body: bytes) -> bool:
    """Say whether a request is one in whose middle the server may have something to say."""
    try:
        message = msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.MsgspecError:
        return False
    return message.get("method") == "tools/call"
