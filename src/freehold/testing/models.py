"""Model endpoints for tests: a real HTTP server on 127.0.0.1 in OpenAI's and Anthropic's form, with a brain behind it.

    with ModelServer(Scripted(["Hello."])) as server:      in a thread of the test
        ... server.url ... server.calls ... server.repeated
    with ModelProcess(folder, {"brain": "obeys"}) as server: ...           a process that can be killed

It looks at each request strictly, as the real ones do, counts the calls, and answers one that comes again under an
idempotency key from memory, counted apart. ``python -m freehold.testing.models FOLDER [PORT]`` serves by hand.
"""

import contextlib
import json
import os
import signal
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from freehold.testing import chatforms
from freehold.testing.brains import Brain, Reply, Seen, brain_of
from freehold.testing.server import Behaviour, Journal, Server
from freehold.wire import child

KEY_HEADER: Final = "Idempotency-Key"


class Served:
    """What a server has been asked. ``calls`` are the bodies of requests that were answered anew, in order."""

    def __init__(
        self, brain: Brain, *, keyed: bool = True, key: str = "", journal: Journal | None = None
    ) -> None:
        self.brain = brain
        self.keyed = keyed
        self.key = key
        self.calls: list[dict[str, Any]] = []
        self.refused: list[str] = []
        self.repeated = 0
        self.tokens = [0, 0]
        self.lock = threading.Lock()
        self._memory: dict[str, Reply] = {}
        self._journal = journal
        for entry in journal.taken() if journal is not None else ():
            if entry["repeated"]:
                self.repeated += 1
            else:
                self._note(entry["body"], entry["key"], chatforms.stored(entry["reply"]))

    def behaviour(self) -> Behaviour:
        """Return how to treat the next call, where the server is a process."""
        return Behaviour() if self._journal is None else self._journal.behaviour()

    def answer(self, api: str, body: dict[str, Any], key: str) -> Reply:
        """Return the answer to a call, and count it."""
        with self.lock:
            known = self._memory.get(key) if key and self.keyed else None
            if known is not None:
                self.repeated += 1
                self._take(body, key, known, repeated=True)
                return known
            seen = chatforms.seen(api, body, len(self.calls))
            reply = chatforms.with_tokens(self.brain.reply(seen), seen)
            self._take(body, key, reply, repeated=False)
            self._note(body, key, reply)
            return reply

    def _note(self, body: dict[str, Any], key: str, reply: Reply) -> None:
        self.calls.append(body)
        if reply.status == 200:
            self._memory[key] = reply
            if reply.tokens is not None and reply.raw is None:
                self.tokens = [self.tokens[0] + reply.tokens[0], self.tokens[1] + reply.tokens[1]]

    def _take(self, body: dict[str, Any], key: str, reply: Reply, *, repeated: bool) -> None:
        if self._journal is not None:
            entry = {"key": key, "body": body, "reply": chatforms.written(reply), "repeated": repeated}
            self._journal.take({"id": key, **entry}, self._journal.behaviour())


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, port: int, served: Served) -> None:
        self.served = served
        super().__init__(("127.0.0.1", port), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that goes away is part of many tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        if self.path.rstrip("/") in ("/v1/models", "/models"):
            self._send(
                200, {"object": "list", "data": [{"id": "tiny", "object": "model", "owned_by": "tests"}]}
            )
        else:
            self._send(404, {"error": {"message": "There is nothing here.", "type": "not_found_error"}})

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        api = "anthropic" if self.path.endswith("/messages") else "openai"
        served = self.server.served
        wrong, body = chatforms.check(api, self.path, dict(self.headers.items()), raw, served.key)
        if wrong is not None:
            with served.lock:
                served.refused.append(wrong[1])
            self._send(wrong[0], chatforms.error(api, wrong[0], wrong[1]))
            return
        behaviour = served.behaviour()
        if behaviour.refuse:
            self._send(429, chatforms.error(api, 429, "Not now."), {"Retry-After": "0"})
            return
        if behaviour.drop == "before":
            self._cut()
            return
        reply = served.answer(api, body, self.headers.get(KEY_HEADER, ""))
        time.sleep(behaviour.delay_ms / 1_000)
        if behaviour.drop:
            self._cut()
        else:
            self._reply(api, body, reply)

    def _reply(self, api: str, body: dict[str, Any], reply: Reply) -> None:
        if reply.drop == "before":
            self._cut()
        elif reply.status != 200:
            self._send(reply.status, chatforms.error(api, reply.status, reply.text), dict(reply.headers))
        elif reply.raw is not None:
            self._bytes(200, "application/json", reply.raw.encode("utf-8", "surrogateescape"), {})
        elif body.get("stream"):
            self._stream(list(chatforms.events(api, body, reply)), reply)
        else:
            data = json.dumps(chatforms.whole(api, body, reply)).encode()
            self._bytes(200, "application/json", data, {}, half=bool(reply.drop))

    def _stream(self, events: list[bytes], reply: Reply) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for event in events[: len(events) // 2] if reply.drop else events:
            self.wfile.write(f"{len(event):x}\r\n".encode() + event + b"\r\n")
            self.wfile.flush()
        if reply.drop:
            self._cut()
        else:
            self.wfile.write(b"0\r\n\r\n")

    def _cut(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def _send(self, status: int, value: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        self._bytes(status, "application/json", json.dumps(value).encode(), headers or {})

    def _bytes(
        self, status: int, kind: str, data: bytes, headers: dict[str, str], *, half: bool = False
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if half else data)
        if half:
            self._cut()


class ModelServer(Served):
    """A server in a thread of this process; a context manager. ``url`` is the base address of its calls."""

    url: str = ""

    def __init__(self, brain: Brain, *, keyed: bool = True, key: str = "", port: int = 0) -> None:
        super().__init__(brain, keyed=keyed, key=key)
        self.port = port

    def __enter__(self) -> Self:
        self._server = _Server(self.port, self)
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/v1"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


class ModelProcess(Server):
    """A server as a process of its own, whose count survives it; ``brain`` is as ``brains.brain_of`` reads it.

    ``Behaviour.keyed`` has it honour an idempotency key; without that every call counts anew.
    """

    module = "freehold.testing.models"

    def __init__(
        self, folder: Path, brain: dict[str, Any], *, port: int = 0, behaviour: Behaviour | None = None
    ) -> None:
        super().__init__(folder, port=port, behaviour=behaviour)
        (folder / "brain.json").write_text(json.dumps(brain))

    @property
    def url(self) -> str:
        """The base address of its calls."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def paid(self) -> int:
        """How many calls it has answered anew."""
        return sum(not entry["repeated"] for entry in self.taken())

    @property
    def repeated(self) -> int:
        """How many it has answered from memory."""
        return sum(entry["repeated"] for entry in self.taken())


def main() -> None:
    """Serve until killed; the arguments are the folder, and the port and the parent's pid where a test started it."""
    folder = Path(sys.argv[1])
    if len(sys.argv) > 3:
        child.die_with_parent(int(sys.argv[3]))
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.umask(0o077)
    folder.mkdir(parents=True, exist_ok=True)
    written = folder / "brain.json"
    brain = brain_of(
        json.loads(written.read_text()) if written.exists() else {"brain": "scripted", "replies": ["Hello."]}
    )
    journal = Journal(folder)
    served = Served(brain, keyed=journal.behaviour().keyed, journal=journal)
    server = _Server(int(sys.argv[2]) if len(sys.argv) > 2 else 0, served)
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()

__all__ = ["ModelProcess", "ModelServer", "Seen", "Served"]
