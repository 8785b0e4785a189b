"""One request to one HTTP host (RFC 9110), on a connected socket. Redirects are answers, never followed.

Any whole response is an answer, whatever its status says: what a 409 means is for whoever asked. Without one
nobody knows; ``sent`` tells whether a byte of the request had left.
"""

import base64
import http.client
import socket
from typing import Any, Final

from freehold.courier.tls import wrapped

BODY: Final = "body"
MAX_RESPONSE: Final = 512 << 10
MAX_HEADERS: Final = 64


def deliver_http(
    connection: socket.socket, request: dict[str, Any], contents: dict[str, bytes]
) -> tuple[str, dict[str, Any], str]:
    """Send the request and return status, the response and one sentence.

    ``request`` holds ``method``, ``host`` (as the Host header has it), ``path`` (with the query), ``headers``
    as a list of pairs and ``tls``; the body is ``contents["body"]``. The response is ``status``, ``headers``
    (names in lower case, at most 64), ``body`` in base64 up to 512 KiB, and ``truncated``.
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
        value = _read(response)
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
