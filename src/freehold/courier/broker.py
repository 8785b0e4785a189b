"""The courier of one binding: takes requests from the daemon and, for each, one secret from the vault.

Both must say the same of the request, or nothing is sent. It has no network of its own: the daemon resolves, connects
and passes the socket. Many requests are under way at once, a thread each; what comes back is scrubbed here.
"""

import functools
import http.client
import imaplib
import os
import selectors
import socket
import struct
import sys
import threading
import time
from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from freehold.base import ProtocolError, Unavailable
from freehold.base.canonical import digest
from freehold.courier import git
from freehold.courier.chat import Reader
from freehold.courier.http import Stream, why
from freehold.courier.mailbox import Mailbox, plain
from freehold.courier.scrub import Scrubber
from freehold.courier.smtp import MESSAGE, deliver_mail
from freehold.courier.web import Exchange, Reply, Request, refreshed
from freehold.wire import messages as m
from freehold.wire.blocking import BlockingChannel
from freehold.wire.permits import Binding, Handed, HandReader, request_digest

THREADS: Final = 64
_UP: Final = struct.Struct(">BI")
_RENEW: Final = 1
_KEEP: Final = 2
_EARLY_S: Final = 30.0
_MOST_HANDED: Final = 256
Result = tuple[str, dict[str, Any], str]


class Parcel:
    """One request with everything that came with it; its descriptors are closed when it is done."""

    def __init__(self, message: m.Deliver, descriptors: list[int]) -> None:
        self.seq = message.seq
        self.request = message.request
        self.counter = int(message.request["counter"])
        self.method = str(message.request["method"])
        self.url = str(message.request["url"])
        self.headers = tuple((str(name), str(value)) for name, value in message.request["headers"])
        self._descriptors = dict(zip(["connection", *message.files], descriptors, strict=True))
        self.deadline_s = time.monotonic() + message.timeout_ms / 1_000
        self.stream = message.stream
        self.body = self._contents("body")
        self.reply = self._descriptors.get("reply", -1)

    def sock(self, name: str) -> socket.socket | None:
        """Return a connected socket that came along, once."""
        descriptor = self._descriptors.pop(name, -1)
        if descriptor < 0:
            return None
        sock = socket.socket(fileno=descriptor)
        sock.settimeout(max(0.1, self.deadline_s - time.monotonic()))
        return sock

    @property
    def digest(self) -> bytes:
        """The request as a permit writes it."""
        return request_digest(self.method, self.url, self.headers, digest(self.body))

    @property
    def target(self) -> str:
        """Path and query."""
        parts = urlsplit(self.url)
        return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")

    def close(self) -> None:
        """Let go of what was not used."""
        while self._descriptors:
            os.close(self._descriptors.popitem()[1])

    def _contents(self, name: str) -> bytes:
        descriptor = self._descriptors.pop(name, -1)
        if descriptor < 0:
            return b""
        with open(descriptor, "rb") as file:
            file.seek(0)
            return file.read()


class Broker:
    """One binding's courier, between the daemon's channel and the vault's line."""

    def __init__(self, channel: BlockingChannel, line: socket.socket, binding: Binding) -> None:
        self._channel = channel
        self._line = line
        self._binding = binding
        self._reader = HandReader()
        self._parcels: dict[int, Parcel] = {}
        self._handed: OrderedDict[int, Handed] = OrderedDict()
        self._sending = threading.Lock()
        self._reporting = threading.Lock()
        self._pool = ThreadPoolExecutor(THREADS, "call")
        self._tokens = _Tokens(binding)
        self._vault_gone = False

    def serve(self) -> None:
        """Deliver until the daemon says goodbye or is gone."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._channel, selectors.EVENT_READ, True)
            selector.register(self._line, selectors.EVENT_READ, False)
            self._say(m.Hello("courier", os.getpid()))
            while True:
                for key, _ in selector.select():
                    if key.data:
                        if not self._from_daemon():
                            os._exit(0)  # threads in the middle of something are not waited for
                    elif not self._from_vault():
                        selector.unregister(self._line)
                        self._line.close()

    def _from_daemon(self) -> bool:
        if not self._channel.read():
            return False
        for message in self._channel.waiting():
            if not isinstance(message, m.Deliver):
                return False
            parcel = Parcel(message, self._channel.take_descriptors(1 + len(message.files)))
            handed = self._handed.pop(parcel.counter, None)
            if handed is not None:
                self._begin(parcel, handed)
            elif self._vault_gone:
                self._without_vault(parcel)
            else:
                self._parcels[parcel.counter] = parcel
        return True

    def _from_vault(self) -> bool:
        try:
            data = self._line.recv(1 << 16)
            found = self._reader.feed(data)
        except (OSError, ProtocolError):
            data, found = b"", []
        for handed in found:
            parcel = self._parcels.pop(handed.counter, None)
            if parcel is not None:
                self._begin(parcel, handed)
            else:
                self._handed[handed.counter] = handed
                if len(self._handed) > _MOST_HANDED:
                    self._handed.popitem(last=False)
        if not data:
            self._vault_gone = True
            for parcel in self._parcels.values():
                self._without_vault(parcel)
            self._parcels.clear()
        return bool(data)

    def _without_vault(self, parcel: Parcel) -> None:
        parcel.close()
        self._finish(parcel, ("not_done", {"phase": "vault"}, "The vault was gone. Nothing was sent."))

    def _begin(self, parcel: Parcel, handed: Handed) -> None:
        if handed.refused or handed.request != parcel.digest:
            parcel.close()
            why_not = (
                handed.refused or "The vault refused the permit: it is for another request. Nothing was sent."
            )
            self._finish(parcel, ("not_done", {"phase": "permit"}, why_not))
        else:
            self._pool.submit(self._carry, parcel, handed).add_done_callback(
                functools.partial(self._broke, parcel)
            )

    def _broke(self, parcel: Parcel, done: "Future[None]") -> None:
        """Answer for a request that a mistake of ours broke off: nobody knows what became of it."""
        error = done.exception()
        if error is not None:
            print(f"courier of {self._binding.name}: {type(error).__name__}", file=sys.stderr, flush=True)
            self._finish(parcel, ("unknown", {}, "The courier broke off by a mistake of its own."))

    def _carry(self, parcel: Parcel, handed: Handed) -> None:
        scrubber = _Scrubbers.of(handed.secrets)
        connection = parcel.sock("connection")
        assert connection is not None
        secret = handed.secrets[0].decode("utf-8", "replace")
        try:
            with connection:
                status, value, text = self._deliver(parcel, connection, secret, scrubber)
        finally:
            parcel.close()
        clean = _scrubbed(value, scrubber)
        used = {"binding": self._binding.name, "secret": f"{self._binding.secret}/{handed.version}"}
        self._finish(parcel, (status, {**clean, **used}, scrubber.text(text)))

    def _deliver(self, parcel: Parcel, connection: socket.socket, secret: str, scrubber: Scrubber) -> Result:
        scheme = self._binding.scheme
        if scheme.startswith("smtp"):
            return self._mail(parcel, connection, secret)
        if scheme.startswith("imap"):
            folder = parcel.target.removeprefix("/")
            try:
                box = Mailbox(self._binding, connection, secret)
            except (OSError, imaplib.IMAP4.error) as error:
                return "not_done", {}, f"The mail server did not answer: {why(error)}."
            status, value, text = box.carry(parcel.method, folder, dict(parcel.headers), parcel.body)
            if "messages" in value and parcel.reply >= 0:
                data = msgspec.json.encode(plain(value))
                with open(parcel.reply, "wb", closefd=False) as reply:
                    reply.write(scrubber.clean(data))
                value = {
                    "folder": folder,
                    "messages": len(value["messages"]),
                    "truncated": value["truncated"],
                }
            return status, value, text
        stream, api = self.stream(parcel), parcel.request.get("chat")
        if stream is not None and api:
            reader = Reader(api, stream.say)
            web = _Web(self, parcel, connection, scrubber, reader.through(stream))
            return reader.result(*web.carry(secret))
        return _Web(self, parcel, connection, scrubber, stream).carry(secret)

    def _mail(self, parcel: Parcel, connection: socket.socket, secret: str) -> Result:
        pairs = parcel.headers
        request = {
            "sender": next((value for name, value in pairs if name == "sender"), ""),
            "recipients": [value for name, value in pairs if name == "to"],
            "hello": "localhost", "host": self._binding.host, "tls": self._binding.tls, "ca": self._binding.ca,
            "starttls": self._binding.starttls, "login": (self._binding.account, secret),
        }  # fmt: skip
        return deliver_mail(connection, request, {MESSAGE: parcel.body})

    # ---- saying --------------------------------------------------------------------------------------------------

    @property
    def binding(self) -> Binding:
        """The binding that this courier is for."""
        return self._binding

    @property
    def tokens(self) -> "_Tokens":
        """The access token in use, where the binding asks for one."""
        return self._tokens

    def stream(self, parcel: Parcel) -> Stream | None:
        """Return where a reply goes as it comes; None where it is asked for whole."""
        if not parcel.stream:
            return None
        return Stream(lambda data: self._say(m.Chunk(parcel.seq, data)), parcel.stream, parcel.deadline_s)

    def report(self, value: bytes, *, renew: bool = False) -> None:
        """Hand a secret that came with a reply to the vault; dropped where the vault is gone."""
        try:
            with self._reporting:
                self._line.sendall(_UP.pack(_RENEW if renew else _KEEP, len(value)) + value)
        except OSError:
            return

    def _finish(self, parcel: Parcel, result: Result) -> None:
        status, value, text = result
        self._say(m.Delivered(parcel.seq, status, value, text[:1_000]))  # type: ignore[arg-type]

    def _say(self, message: m.Message) -> None:
        try:
            with self._sending:
                self._channel.send(message)
        except Unavailable:
            os._exit(0)


class _Web:
    """One request over HTTP, or the few that a fetch or push of git takes."""

    def __init__(
        self,
        broker: Broker,
        parcel: Parcel,
        connection: socket.socket,
        scrubber: Scrubber,
        stream: Stream | None,
    ) -> None:
        self._broker = broker
        self._stream = stream
        self._binding = broker.binding
        self._parcel = parcel
        self._connection = connection
        self._scrubber = scrubber
        self._exchange: Exchange | None = None

    def carry(self, secret: str) -> Result:
        """Do it and return status, value and one sentence."""
        value: dict[str, Any] = {}
        try:
            if self._binding.slot == "oauth2":
                token = self._broker.tokens.current(self._parcel.sock("token"), secret, self._broker)
                self._scrubber, secret = _Scrubbers.of((token.encode(), secret.encode())), token
                value["token_for_s"] = self._broker.tokens.left_s()
            self._exchange = Exchange(self._binding, self._connection, self._scrubber)
            if self._binding.scheme.startswith("git+"):
                return "done", self._git(secret), ""
            parcel = self._parcel
            request = Request(parcel.method, parcel.target, list(parcel.headers), parcel.body)
            request.put(self._binding, secret)
            value |= self._exchange.ask(request).value(self._broker.report, self._stream)
            if value["status"] == 401:
                self._broker.tokens.drop()
        except git.Said as error:
            return "not_done", value, f"The repository refused: {error}."
        except (ValueError, http.client.InvalidURL) as error:
            return self._lost(), value, f"The request cannot be made as it is: {error}."
        except (OSError, http.client.HTTPException) as error:
            return self._lost(), value | {"sent": self._sent}, f"The host did not answer: {why(error)}."
        if self._binding.slot == "oauth2":  # the token is no less a secret
            value = _scrubbed(value, self._scrubber)
        return "done", value, ""

    @property
    def _sent(self) -> bool:
        return self._exchange is not None and self._exchange.sent

    def _lost(self) -> str:
        return "unknown" if self._sent else "not_done"

    def _git(self, secret: str) -> dict[str, Any]:
        parcel, said = self._parcel, dict(self._parcel.headers)
        repository = parcel.target.partition("?")[0].rstrip("/")

        def ask(method: str, path: str, headers: list[tuple[str, str]], body: bytes) -> Reply:
            assert self._exchange is not None
            request = Request(method, repository + path, headers, body)
            request.put(self._binding, secret)
            return self._exchange.ask(request, close=method == "POST")

        if parcel.method == "PUSH":
            return git.push(ask, said, parcel.body)
        size = 0

        def keep(data: bytes) -> None:
            nonlocal size
            size += len(data)
            with open(parcel.reply, "ab", closefd=False) as reply:
                reply.write(data)

        haves = [value for name, value in parcel.headers if name == "have"]
        value = git.fetch(ask, said, haves, keep)
        return value | {"size": size}


class _Tokens:
    """The access token of an OAuth2 binding, fetched anew before it ends; one thread fetches, others wait."""

    def __init__(self, binding: Binding) -> None:
        self._binding = binding
        self._lock = threading.Lock()
        self._token = ""
        self._until_s = 0.0

    def left_s(self) -> int:
        """For how many seconds more the token needs no new connection."""
        return max(0, int(self._until_s - _EARLY_S - time.monotonic()))

    def drop(self) -> None:
        """The token was refused: fetch another next time."""
        self._until_s = 0.0

    def current(self, connection: socket.socket | None, secret: str, broker: Broker) -> str:
        """Return a token; raises ValueError, OSError where none is to be had. Nothing was sent to the host then."""
        with self._lock:
            if not self._token or self.left_s() <= 0:
                if connection is None:
                    raise ValueError("it needs a new token, and no connection to the token server came along")
                self._token, holds_s, renewed = refreshed(self._binding, connection, secret)
                self._until_s = time.monotonic() + holds_s
                if renewed != secret:
                    broker.report(renewed.encode(), renew=True)
                broker.report(self._token.encode())
        if connection is not None:
            connection.close()
        return self._token


class _Scrubbers:
    """Patterns are worked out once for the same secrets; each reply has a stream of its own."""

    @staticmethod
    @functools.lru_cache(maxsize=8)
    def _pattern(secrets: tuple[bytes, ...]) -> Any:
        return Scrubber(secrets).pattern

    @classmethod
    def of(cls, secrets: tuple[bytes, ...]) -> Scrubber:
        """Return a scrubber for these secrets."""
        return Scrubber(secrets, cls._pattern(secrets))


def _scrubbed(value: Any, scrubber: Scrubber) -> Any:
    if isinstance(value, str):
        return scrubber.text(value)
    if isinstance(value, dict):
        return {
            scrubber.text(str(name)): one
            if name == "body"
            else _scrubbed(one, scrubber)  # bodies are scrubbed already
            for name, one in value.items()
        }
    return [_scrubbed(one, scrubber) for one in value] if isinstance(value, list) else value
