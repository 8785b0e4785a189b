"""The two ways to a tool server: a pipe to its process, and HTTP that the daemon has carried out for us.

Both are bounded here, before anything of a server is parsed: how long a message may be, how much one errand may bring.
This process has no network; a request over HTTP is handed to the daemon, which sends it to that server or not at all.
"""

import asyncio
import socket
from collections.abc import AsyncGenerator
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
        self._waiting: dict[int, asyncio.Future[t.Answer]] = {}
        self._pieces: dict[int, bytearray] = {}
        self._number = 0

    def step(self, done: float, total: float | None, text: str | None) -> None:
        """Tell how far the server says it is."""
        self._channel.send(t.Step(done, total or 0.0, (text or "")[:200]))

    async def ask(self, method: str, url: str, headers: list[tuple[str, str]], body: bytes) -> t.Answer:
        """Have a request carried out."""
        self._number += 1
        answer: asyncio.Future[t.Answer] = asyncio.get_running_loop().create_future()
        self._waiting[self._number] = answer
        try:
            self._channel.send(t.Ask(self._number, method, url, headers, body))
        except FreeholdError as error:
            return t.Answer(self._number, problem=error.message, sent=False)
        return await answer

    def close(self) -> None:
        """End it."""
        self._channel.close()

    def _take(self, messages: list[Any], size: int) -> None:
        for message in messages:
            if isinstance(message, t.More):
                self._pieces.setdefault(message.number, bytearray()).extend(message.data)
                continue
            body = bytes(self._pieces.pop(message.number, b"")) or message.body
            message = msgspec.structs.replace(message, body=body)
            waiting = self._waiting.pop(message.number, None)
            if waiting is not None and not waiting.done():
                waiting.set_result(message)


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
        if request.method == "GET":  # a stream of notifications that nobody has asked for
            return httpx2.Response(405, request=request)
        self.sent = True  # as long as nobody says that it was not
        answer = await self.line.ask(request.method, str(request.url), headers, body)
        if answer.problem:
            self.sent = answer.sent
            self._meter.problem = answer.problem
            kind = httpx2.ReadError if answer.sent else httpx2.ConnectError
            raise kind(answer.problem, request=request)
        self._meter.count(len(answer.body), noise=False)
        return httpx2.Response(answer.status, headers=answer.headers, content=answer.body, request=request)
