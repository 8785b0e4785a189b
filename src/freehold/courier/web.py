"""One authorised HTTP exchange on a connected socket: the secret goes into its slot, the reply comes back scrubbed.

Used by the broker for plain requests, for tokens and for git. A redirect is an answer like any other: it is never
followed. What comes back as a cookie, a token or a signed address is a secret too, and is withheld.
"""

import base64
import http.client
import json
import socket
from collections.abc import Callable, Iterator
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from freehold.courier import http as plain
from freehold.courier import scrub
from freehold.courier.tls import wrapped
from freehold.wire.permits import Binding

MAX_STREAM: Final = 64 << 20
_CHUNK: Final = 64 << 10
_WITHHELD: Final = (
    "set-cookie",
    "set-cookie2",
    "authorization",
    "proxy-authorization",
    "x-auth-token",
    "x-csrf-token",
)


class Request:
    """What is to be sent, as the permit has it; the secret is put in last."""

    def __init__(self, method: str, target: str, headers: list[tuple[str, str]], body: bytes) -> None:
        self.method = method
        self.target = target
        self.headers = headers
        self.body = body

    def put(self, binding: Binding, secret: str) -> None:
        """Put ``secret`` where the binding says; raises ValueError where the body has no such place."""
        whole = f"{binding.prefix}{secret}"
        if binding.slot in ("basic", "oauth2", "header"):
            name = binding.field if binding.slot == "header" else "Authorization"
            if binding.slot == "basic":
                whole = "Basic " + base64.b64encode(f"{binding.account}:{secret}".encode()).decode()
            elif binding.slot == "oauth2":
                whole = f"Bearer {secret}"
            self.headers = [pair for pair in self.headers if pair[0].lower() != name.lower()]
            self.headers.append((name, whole))
        elif binding.slot == "query":
            path, _, query = self.target.partition("?")
            kept = [part for part in query.split("&") if part and part.partition("=")[0] != binding.field]
            kept.append(f"{quote(binding.field)}={quote(whole, safe='')}")
            self.target = f"{path}?{'&'.join(kept)}"
        elif binding.slot == "body":
            self.body = _into_body(self.body, binding.field, whole, self.headers)


def _into_body(body: bytes, field: str, secret: str, headers: list[tuple[str, str]]) -> bytes:
    kind = next((value for name, value in headers if name.lower() == "content-type"), "application/json")
    if kind.startswith("application/x-www-form-urlencoded"):
        pairs = [pair for pair in parse_qsl(body.decode(), keep_blank_values=True) if pair[0] != field]
        return urlencode([*pairs, (field, secret)]).encode()
    value = json.loads(body or b"{}")
    if not isinstance(value, dict):
        raise ValueError("its body is no JSON object, where the secret would go")
    return json.dumps(value | {field: secret}).encode()


class Exchange:
    """A connection over which requests are made one after another, each reply read before the next."""

    def __init__(self, binding: Binding, connection: socket.socket, scrubber: scrub.Scrubber) -> None:
        self.sent = False
        self._binding = binding
        self._scrubber = scrubber
        if binding.tls:
            connection = wrapped(connection, binding.host, binding.ca)
        self._client = plain.opened(
            connection, f"{binding.host}:{binding.port}" if _unusual(binding) else binding.host
        )

    def ask(self, request: Request, *, close: bool = True) -> "Reply":
        """Send a request and return the reply's head; raises OSError, http.client.HTTPException, ValueError."""
        plain.write_head(
            self._client, request.method, request.target, request.headers, len(request.body), close=close
        )
        self.sent = True
        self._client.endheaders(request.body or None)
        return Reply(self._client.getresponse(), self._scrubber)


class Reply:
    """A reply, scrubbed as it is read."""

    def __init__(self, response: http.client.HTTPResponse, scrubber: scrub.Scrubber) -> None:
        self.status = response.status
        self._response = response
        self._scrubber = scrubber

    def read(self) -> bytes:
        """Return the body as it is, for the broker's own use (lines of git, a token server's answer); bounded."""
        return self._response.read(MAX_STREAM)

    def chunks(self) -> Iterator[bytes]:
        """Yield the body, scrubbed, as it comes; raises ValueError beyond the bound."""
        size = 0
        while chunk := self._response.read(_CHUNK):
            size += len(chunk)
            if size > MAX_STREAM:
                raise ValueError(f"its answer is over {MAX_STREAM >> 20} MiB")
            yield self._scrubber.feed(chunk)
        yield self._scrubber.end()

    def value(self, tell: Callable[[bytes], None], stream: plain.Stream | None = None) -> dict[str, Any]:
        """Return the whole response, without secrets; ``tell`` gets each that the server made for us.

        A body that may be handed on as it comes goes to ``stream``, where there is one.
        """
        if stream is not None and plain.streams(self._response):
            clean = self._clean_headers(plain.joined(self._response), tell)
            size = self._hand_on(stream, tell)
            return plain.answer(self.status, clean, b"") | {"streamed": size}
        headers = plain.joined(self._response)
        body = self._response.read(plain.MAX_RESPONSE + 1)
        coded = headers.pop("content-encoding", "")
        clear = scrub.inflated(body, coded)
        note = ""
        if clear is None or (len(body) > plain.MAX_RESPONSE and coded):
            clear, note = b"", f"The body is withheld: its encoding {coded[:40]!a} cannot be looked into."
        elif scrub.hides_in_archive(clear, self._scrubber):
            clear, note = b"", "The body is withheld: packed inside it was the secret."
        body = scrub.without_tokens(self._scrubber.clean(clear), tell)
        value = plain.answer(self.status, self._clean_headers(headers, tell), body)
        return value | {"note": note} if note else value

    def _hand_on(self, stream: plain.Stream, tell: Callable[[bytes], None]) -> int:
        """Hand the body on, scrubbed over the borders of pieces; what is held back when it breaks off is dropped."""
        tokens = scrub.TokenScrubber(tell)
        size, head = 0, b""
        try:
            for piece in plain.pieces(self._response, stream):
                head += piece[: 2 - len(head)]
                if head == scrub.GZIP:  # nothing of it has left: the scrubber holds more than two bytes back
                    raise ValueError("it is packed, and says that it is text")
                size += _said(stream, tokens.feed(self._scrubber.feed(piece)))
            return size + _said(stream, tokens.feed(self._scrubber.end()) + tokens.end())
        finally:
            self._scrubber.end()

    def _clean_headers(self, headers: dict[str, str], tell: Callable[[bytes], None]) -> dict[str, str]:
        for name in list(headers):
            if name in _WITHHELD:
                for cookie in headers[name].split(", "):
                    tell(cookie.partition("=")[2].partition(";")[0].encode() or cookie.encode())
                headers[name] = scrub.FOUND.decode()
        return self._headers(headers, tell)

    def _headers(self, headers: dict[str, str], tell: Callable[[bytes], None]) -> dict[str, str]:
        """Return headers without secrets; one look at all of them tells whether any has to be looked at alone."""
        whole = "\n".join(f"{name}: {text}" for name, text in headers.items()).encode("utf-8", "replace")
        if self._scrubber.pattern.search(whole) is None and scrub.without_tokens(whole, tell) == whole:
            return headers
        return {
            self._scrubber.text(name): scrub.without_tokens(
                self._scrubber.text(text).encode("utf-8", "replace"), tell
            ).decode("utf-8", "replace")
            for name, text in headers.items()
        }


def _said(stream: plain.Stream, data: bytes) -> int:
    if data:
        stream.say(data)
    return len(data)


def refreshed(binding: Binding, connection: socket.socket, secret: str) -> tuple[str, float, str]:
    """Return a new access token, for how many seconds it holds, and the secret to keep from now on.

    ``secret`` is JSON: ``client_id``, ``client_secret`` and ``refresh_token`` (RFC 6749, section 6; without one,
    section 4.4). Raises ValueError where the token server gives none.
    """
    known = json.loads(secret)
    form = {"grant_type": "refresh_token" if known.get("refresh_token") else "client_credentials"}
    form |= {
        name: str(known[name])
        for name in ("client_id", "client_secret", "refresh_token", "scope")
        if known.get(name)
    }
    parts = urlsplit(binding.token_url)
    if parts.scheme == "https":
        connection = wrapped(connection, parts.hostname or "", binding.ca)
    client = plain.opened(connection, parts.netloc)
    body = urlencode(form).encode()
    headers = [("Content-Type", "application/x-www-form-urlencoded"), ("Accept", "application/json")]
    plain.write_head(client, "POST", parts.path or "/", headers, len(body))
    client.endheaders(body)
    response = client.getresponse()
    data = response.read(64 << 10)
    try:
        said = json.loads(data)
        token = str(said["access_token"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"the token server answered {response.status} and gave no token") from error
    renewed = said.get("refresh_token")
    if renewed and renewed != known.get("refresh_token"):
        secret = json.dumps(known | {"refresh_token": renewed})
    return token, float(said.get("expires_in", 300)), secret


def _unusual(binding: Binding) -> bool:
    return binding.port != (443 if binding.tls else 80)
