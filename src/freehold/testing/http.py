"""A real HTTP server for tests: every POST is an effect that it counts; told so, it honours Idempotency-Key.

``GET /effects/ID`` tells whether an effect of that id was taken (``id`` in the JSON body, else the
Idempotency-Key, else the header X-Effect-Id), which is how a reconcilable effect is asked about.
"""

import contextlib
import hashlib
import json
import os
import signal
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from freehold.testing.server import Journal, Server
from freehold.wire import child


class HttpServer(Server):
    """``taken()`` gives one object an effect: ``id``, ``key``, ``path``, ``digest``, ``size``."""

    module = "freehold.testing.http"

    def count(self, effect: str) -> int:
        """How many times an effect of this id was taken."""
        return sum(entry["id"] == effect for entry in self.taken())


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, folder: Path, port: int) -> None:
        self.journal = Journal(folder)
        self.lock = threading.Lock()
        super().__init__(("127.0.0.1", port), _Handler)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        wanted = self.path.removeprefix("/effects/")
        with self.server.lock:
            found = [entry for entry in self.server.journal.taken() if entry["id"] == wanted]
        self._answer(200 if found else 404, {"id": wanted, "count": len(found)})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        with self.server.lock:
            behaviour = self.server.journal.behaviour()
            entry = self._entry(body)
            known = behaviour.keyed and any(
                entry["key"] and former["key"] == entry["key"] for former in self.server.journal.taken()
            )
            if not (behaviour.refuse or known or behaviour.drop == "before"):
                self.server.journal.take(entry, behaviour)
        time.sleep(behaviour.delay_ms / 1_000)
        if behaviour.drop:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
        elif behaviour.refuse:
            self._answer(409, {"error": "Not wanted here."})
        else:
            self._answer(200, {"id": entry["id"], "repeated": known})

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def _entry(self, body: bytes) -> dict[str, Any]:
        key = self.headers.get("Idempotency-Key", "")
        named: object = None
        with contextlib.suppress(ValueError):
            named = json.loads(body)
        effect = named.get("id") if isinstance(named, dict) else None
        return {
            "id": str(effect or key or self.headers.get("X-Effect-Id", "")),
            "key": key,
            "path": self.path,
            "digest": hashlib.sha256(body).hexdigest(),
            "size": len(body),
            "at_us": time.time_ns() // 1_000,
        }

    def _answer(self, status: int, value: dict[str, Any]) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def main() -> None:
    """Serve until killed; the arguments are the folder, the port and the parent's pid."""
    child.die_with_parent(int(sys.argv[3]))
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.umask(0o077)
    server = _Server(Path(sys.argv[1]), int(sys.argv[2]))
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
