"""One request to one HTTP host (RFC 9110), on a connected socket. Redirects are answers, never followed.

Any whole response is an answer, whatever its status says: what a 409 means is for whoever asked. Without one
nobody knows; ``sent`` tells whether a byte of the request had left.
"""

import base64
import http.client
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from freehold.courier.tls import wrapped

BODY: Final = "body"
MAX_RESPONSE: Final = 512 << 10
MAX_HEADERS: Final = 64
_PIECE: Final = 64 << 10


class Stream(NamedTuple):
    """Where a reply goes as it comes: to whom, how many bytes at most, and until when on the monotonic clock."""

    say: Callable[[bytes], None]
    most: int
    deadline_s: float


def deliver_http(
    connection: socket.socket,
    request: dict[str, Any],
    contents: dict[str, bytes],
    stream: Stream | None = None,
) -> tuple[str, dict[str, Any], str]:
    """Send the request and return status, the response and one sentence.

    ``request`` holds ``method``, ``host`` (as the Host header has it), ``path`` (with the query), ``headers``
    as a list of pairs and ``tls``; the body is ``contents["body"]``. The response is ``status``, ``headers``
    (names in lower case, at most 64), ``body`` in base64 up to 512 KiB, and ``truncated``. A reply that ``streams``
    goes to ``stream``, where there is one: ``body`` is empty then, and ``streamed`` says how many bytes went.
    """
    sent = False
    try:
        host = str(request["host"])
        if request.get("tls"):
            name = host.rpartition(":")[0] if ":" in host else host
            connection = wrapped(connection, name)
        body = contents.get(BODY, b"")
        client = opened(connection, host)
        write_head(
            client, str(request["method"]), str(request["path"]), request.get("headers", []), len(body)
        )
        sent = True
        client.endheaders(body or None)
        response = client.getresponse()
        value = _read(response) if stream is None or not streams(response) else _handed_on(response, stream)
    except (KeyError, TypeError, ValueError, http.client.InvalidURL) as error:
        if not sent:
            return "not_done", {"sent": False}, f"The request cannot be sent as it is: {error}."
        return "unknown", {"sent": True}, f"The answer cannot be read: {error}."
    except (OSError, http.client.HTTPException) as error:
        return "unknown", {"sent": sent}, f"The host did not answer: {why(error)}."
    return "done", value, ""


def opened(connection: socket.socket, host: str) -> http.client.HTTPConnection:
    """Return a client that speaks over this very connection."""
    client = http.client.HTTPConnection(host)
    client.sock = connection
    return client


def write_head(
    client: http.client.HTTPConnection,
    method: str,
    path: str,
    headers: Any,
    length: int,
    *,
    close: bool = True,
) -> None:
    """Write the request line and the headers that are the asker's to say; nothing leaves yet."""
    client.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    client.putheader(
        "Host", client.host if client.port == client.default_port else f"{client.host}:{client.port}"
    )
    for name, value in headers:
        if str(name).lower() not in ("host", "content-length", "transfer-encoding", "connection"):
            client.putheader(str(name), str(value))
    if length or method in ("POST", "PUT", "PATCH"):
        client.putheader("Content-Length", str(length))
    client.putheader("Connection", "close" if close else "keep-alive")


def _read(response: http.client.HTTPResponse) -> dict[str, Any]:
    body = response.read(MAX_RESPONSE + 1)
    return answer(response.status, joined(response), body)


def _handed_on(response: http.client.HTTPResponse, stream: Stream) -> dict[str, Any]:
    size = 0
    for piece in pieces(response, stream):
        stream.say(piece)
        size += len(piece)
    return answer(response.status, joined(response), b"") | {"streamed": size}


def streams(response: http.client.HTTPResponse) -> bool:
    """Whether a reply may be handed on as it comes: a success, and text that is neither packed nor coded."""
    kind = response.headers.get_content_type()
    coded = response.headers.get("Content-Encoding", "identity").strip().lower()
    readable = kind.startswith("text/") or kind.endswith(("json", "jsonl"))
    return 200 <= response.status < 300 and readable and coded == "identity"


def pieces(response: http.client.HTTPResponse, stream: Stream) -> Iterator[bytes]:
    """Yield a body as it comes.

    Raises ValueError beyond the bound, TimeoutError after the deadline, http.client.IncompleteRead where it breaks
    off before the length that it said, and OSError.
    """
    size = 0
    while piece := response.read1(_PIECE):
        size += len(piece)
        if size > stream.most:
            raise ValueError(f"it is over {stream.most:,} bytes")
        if time.monotonic() >= stream.deadline_s:
            raise TimeoutError
        yield piece
    if time.monotonic() >= stream.deadline_s:  # the end may be the daemon's, which cuts what takes too long
        raise TimeoutError
    if response.length:
        raise http.client.IncompleteRead(b"", response.length)


def joined(response: http.client.HTTPResponse) -> dict[str, str]:
    """Return the headers by name in lower case; what comes twice is joined by commas."""
    headers: dict[str, str] = {}
    for name, value in response.getheaders():
        key = name.lower()
        headers[key] = f"{headers[key]}, {value}" if key in headers else value
    return headers


def answer(status: int, headers: dict[str, str], body: bytes) -> dict[str, Any]:
    """Return a response as the house hands it on, bounded."""
    return {
        "status": status,
        "headers": {_ascii(name)[:100]: _ascii(value) for name, value in list(headers.items())[:MAX_HEADERS]},
        "body": base64.b64encode(body[:MAX_RESPONSE]).decode(),
        "truncated": len(body) > MAX_RESPONSE,
    }


def _ascii(text: str) -> str:
    return text.encode("ascii", "replace").decode()[:2_048]


def why(error: Exception) -> str:
    """Return what went wrong with a connection, in a few words."""
    if isinstance(error, TimeoutError):
        return "it took too long"
    return " ".join(str(error).split())[:200] or "the connection was closed"
