"""One request to one HTTP host (RFC 9110), on a connected socket. Redirects are answers, never followed.

Any whole response is an answer, whatever its status says: what a 409 means is for whoever asked. Without one
nobody knows; ``sent`` tells whether a byte of the request had left.
"""

import base64
import http.client
import socket
import ssl
from typing import Any, Final

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
            connection = ssl.create_default_context().wrap_socket(connection, server_hostname=name)
        client = http.client.HTTPConnection(host)
        client.sock = connection
        body = contents.get(BODY, b"")
        _write_head(client, request, host, len(body))
        sent = True
        client.endheaders(body or None)
        response = client.getresponse()
        value = _read(response)
    except (KeyError, TypeError, ValueError, http.client.InvalidURL) as error:
        if not sent:
            return "not_done", {"sent": False}, f"The request cannot be sent as it is: {error}."
        return "unknown", {"sent": True}, f"The answer cannot be read: {error}."
    except (OSError, http.client.HTTPException) as error:
        return "unknown", {"sent": sent}, f"The host did not answer: {_why(error)}."
    return "done", value, ""


def _write_head(client: http.client.HTTPConnection, request: dict[str, Any], host: str, length: int) -> None:
    method = str(request["method"])
    client.putrequest(method, str(request["path"]), skip_host=True, skip_accept_encoding=True)
    client.putheader("Host", host)
    for name, value in request.get("headers", []):
        if str(name).lower() not in ("host", "content-length", "transfer-encoding", "connection"):
            client.putheader(str(name), str(value))
    if length or method in ("POST", "PUT", "PATCH"):
        client.putheader("Content-Length", str(length))
    client.putheader("Connection", "close")


def _read(response: http.client.HTTPResponse) -> dict[str, Any]:
    body = response.read(MAX_RESPONSE + 1)
    headers: dict[str, str] = {}
    for name, value in response.getheaders():
        key = name.lower()
        headers[key] = f"{headers[key]}, {value}" if key in headers else value
    return {
        "status": response.status,
        "headers": {_ascii(name)[:100]: _ascii(value) for name, value in list(headers.items())[:MAX_HEADERS]},
        "body": base64.b64encode(body[:MAX_RESPONSE]).decode(),
        "truncated": len(body) > MAX_RESPONSE,
    }


def _ascii(text: str) -> str:
    return text.encode("ascii", "replace").decode()[:2_048]


def _why(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "it took too long"
    return " ".join(str(error).split())[:200] or "the connection was closed"
