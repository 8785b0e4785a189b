"""The few lines of HTTP by which a program from elsewhere reaches its estate: this machine's own address, nothing else.

A token is sent to no other place: an address that is not this machine's is refused, a redirect is not followed.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any, Final
from urllib.parse import urlsplit

from freehold.base import BadInput, Unavailable
from freehold.wire.problems import error_of

HOSTS: Final = ("127.0.0.1", "localhost", "::1")
_MAX_HEAD: Final = 64 << 10


class Door:
    """The way in of one estate, with one agent's token."""

    def __init__(self, url: str, token: str) -> None:
        parts = urlsplit(url)
        if parts.scheme != "http" or parts.hostname not in HOSTS or parts.username is not None:
            raise BadInput(
                f"{url[:200]!a} is not the address of an estate on this machine.",
                remedy="Set FREEHOLD_URL as `freehold agents show NAME` prints it.",
            )
        if not token or not token.isascii() or not token.isprintable():
            raise BadInput(
                "There is no token.",
                remedy="Set FREEHOLD_TOKEN as `freehold agents token NAME` printed it.",
                code="input.token",
            )
        self._host = parts.hostname
        self._port = parts.port or 80
        self._token = token

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Return what is answered, as JSON; raises the problem that is answered, Unavailable without an answer."""
        try:
            reader, writer = await self._send(method, path, body)
        except OSError as error:
            raise _unreachable(error) from error
        try:
            status, size = await self._head(reader)
            data = await (reader.read() if size is None else reader.readexactly(size))
        except (OSError, asyncio.IncompleteReadError, ValueError) as error:
            raise Unavailable(
                "The estate broke off before it had answered.",
                remedy="See: freehold status",
                code="unavailable.answer",
            ) from error
        finally:
            writer.close()
        return _said(status, data)

    async def lines(self, path: str) -> AsyncIterator[Any]:
        """Yield what an answer that stays open says, line by line; raises as ``ask`` does."""
        try:
            reader, writer = await self._send("GET", path, None)
        except OSError as error:
            raise _unreachable(error) from error
        try:
            status, size = await self._head(reader)
            if status != 200:
                _said(status, await (reader.read() if size is None else reader.readexactly(size)))
            while line := await reader.readline():  # chunked: a line of its own tells each piece's size
                if line.startswith(b"{"):
                    yield json.loads(line)
        except (OSError, asyncio.IncompleteReadError, ValueError) as error:
            raise Unavailable("The line to the estate broke.", code="unavailable.answer") from error
        finally:
            writer.close()

    async def _send(
        self, method: str, path: str, body: Any
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        data = b"" if body is None else json.dumps(body, ensure_ascii=False).encode()
        reader, writer = await asyncio.open_connection(self._host, self._port, limit=_MAX_HEAD)
        host = f"[{self._host}]" if ":" in self._host else self._host
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: {host}:{self._port}\r\nAuthorization: Bearer {self._token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\nConnection: close\r\n\r\n"
        )
        writer.write(head.encode("ascii") + data)
        with contextlib.suppress(ConnectionError):  # it may have answered before it had read everything
            await writer.drain()
        return reader, writer

    @staticmethod
    async def _head(reader: asyncio.StreamReader) -> tuple[int, int | None]:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        status, size = int(lines[0].split(" ")[1]), None
        for line in lines[1:]:
            name, _, value = line.partition(":")
            if name.lower() == "content-length":
                size = int(value)
        return status, size


def _said(status: int, data: bytes) -> Any:
    try:
        said = json.loads(data)
    except ValueError as error:
        raise Unavailable(f"What answered (status {status}) is no estate.") from error
    if 200 <= status < 300:
        return said
    raise error_of(said if isinstance(said, dict) else {})


def _unreachable(error: OSError) -> Unavailable:
    return Unavailable(
        f"The estate does not answer ({error.strerror or error}).",
        remedy="Start it: freehold up",
        code="unavailable.daemon",
    )
