"""A tool server over HTTP, by hand, of revision 2025-11-25, that speaks in the middle of a call; for tests.

On the stream of a call come progress and a question; the result waits for the answer, which comes by a request of its
own. ``breaks`` ends the stream first and gives the rest to whoever resumes it; ``stays`` leaves it open after the end.
"""

import json
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOOLS = [{"name": "add", "description": "Adds.", "inputSchema": {"type": "object", "properties": {}}}]
FORM = {"type": "object", "properties": {"sure": {"type": "boolean"}}, "required": ["sure"]}


class Live:
    """What the server does, and what came."""

    def __init__(
        self,
        *,
        asks: bool = True,
        breaks: bool = False,
        stays: bool = False,
        floods: bool = False,
        drops: bool = False,
    ) -> None:
        self.asks = asks
        self.breaks = breaks
        self.stays = stays
        self.floods = floods
        self.drops = drops
        self.answers: queue.Queue[Any] = queue.Queue()
        self.resumed: list[str] = []
        self.over = threading.Event()
        self.url = ""


class Handler(BaseHTTPRequestHandler):
    live: Live
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        method = message.get("method")
        if method == "initialize":
            self._json({
                "protocolVersion": "2025-11-25", "capabilities": {"tools": {}},
                "serverInfo": {"name": "live", "version": "1"},
            }, message)  # fmt: skip
        elif method == "tools/list":
            self._json({"tools": TOOLS}, message)
        elif method == "tools/call":
            self._call(message)
        elif method is None:
            self.live.answers.put(message.get("result"))
            self._head(202, "text/plain")
        elif "id" in message:
            self._send(
                {
                    "jsonrpc": "2.0",
                    "id": message["id"],
                    "error": {"code": -32601, "message": "no such method"},
                }
            )
        else:
            self._head(202, "text/plain")

    def do_GET(self) -> None:
        self.live.resumed.append(self.headers["Last-Event-ID"])
        self._head(200, "text/event-stream", -1)
        self._result(json.loads(self.live.resumed[-1].partition(":")[2]), "resumed")

    def _call(self, message: Any) -> None:
        self._head(200, "text/event-stream", -1)
        token = message["params"]["_meta"]["progressToken"]
        self._event({"jsonrpc": "2.0", "method": "notifications/progress", "params": {
            "progressToken": token, "progress": 1, "total": 2, "message": "half"}})  # fmt: skip
        while self.live.floods and not self.live.over.is_set():
            self._event(
                {
                    "jsonrpc": "2.0",
                    "method": "notifications/message",
                    "params": {"level": "info", "data": "x"},
                }
            )
        if self.live.drops:
            return
        if self.live.breaks:
            self.wfile.write(f"id: call:{json.dumps(message['id'])}\nretry: 10\ndata:\n\n".encode())
            return
        said = None
        if self.live.asks:
            self._event({"jsonrpc": "2.0", "id": "mine", "method": "elicitation/create", "params": {
                "message": "Are you sure?", "requestedSchema": FORM}})  # fmt: skip
            said = self.live.answers.get(timeout=30)
        self._result(message["id"], json.dumps(said))
        if self.live.stays:
            self.live.over.wait(30)

    def _result(self, number: Any, text: str) -> None:
        self._event({"jsonrpc": "2.0", "id": number, "result": {"content": [{"type": "text", "text": text}]}})

    def _event(self, message: Any) -> None:
        self.wfile.write(f"event: message\ndata: {json.dumps(message)}\n\n".encode())
        self.wfile.flush()

    def _json(self, result: Any, message: Any) -> None:
        self._send({"jsonrpc": "2.0", "id": message["id"], "result": result})

    def _send(self, value: Any) -> None:
        body = json.dumps(value).encode()
        self._head(200, "application/json", len(body))
        self.wfile.write(body)

    def _head(self, status: int, kind: str, length: int = 0) -> None:
        self.close_connection = True
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if length >= 0:
            self.send_header("Content-Length", str(length))
        self.send_header("Connection", "close")
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        pass


@contextmanager
def served(live: Live) -> Iterator[Live]:
    """Serve in a thread; ends with the block."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"live": live}))
    live.url = f"http://127.0.0.1:{server.server_address[1]}/mcp"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield live
    finally:
        live.over.set()
        server.shutdown()
        thread.join()
        server.server_close()
