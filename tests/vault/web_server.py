"""A web server, run by its path as a process of its own, that treats secrets as badly as it can.

``python web_server.py FOLDER [CERTIFICATE KEY]`` prints its port. What it is told it writes to ``FOLDER/seen``; the
path says how it brings the secret (of the Authorization header, or ``key`` of the query) back.
"""

import base64
import gzip
import json
import ssl
import sys
import threading
import time
import urllib.parse
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

FOLDER = Path(sys.argv[1])
LOCK = threading.Lock()
GO = threading.Event()
FORMS: dict[str, Callable[[bytes], bytes]] = {
    "raw": lambda s: s,
    "reversed": lambda s: s[::-1],
    "hex": lambda s: s.hex().encode(),
    "HEX": lambda s: s.hex().upper().encode(),
    "percent": lambda s: urllib.parse.quote(s, safe="").encode(),
    "all-percent": lambda s: b"".join(b"%%%02x" % c for c in s),
    "json": lambda s: json.dumps({"said": s.decode()}).encode(),
    "unicode": lambda s: b'{"said": "' + b"".join(b"\\u%04x" % c for c in s) + b'"}',
    "html": lambda s: b"".join(b"&#%d;" % c for c in s),
    "base64-0": base64.b64encode,
    "base64-1": lambda s: base64.b64encode(b"x" + s),
    "base64-2": lambda s: base64.b64encode(b"xy" + s + b"z"),
    "urlsafe-0": base64.urlsafe_b64encode,
    "urlsafe-1": lambda s: base64.urlsafe_b64encode(b"x" + s),
    "urlsafe-2": lambda s: base64.urlsafe_b64encode(b"xy" + s + b"z"),
    "mime": lambda s: base64.encodebytes(b"x" * 50 + s),
}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.take()

    def do_POST(self) -> None:
        self.take()

    def take(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        parts = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(parts.query))
        said = self.headers.get("Authorization", "") or query.get("key", "")
        seen = {"path": self.path, "headers": self.headers.items(), "body": body.decode("latin-1")}
        with LOCK, (FOLDER / "seen").open("a") as file:
            file.write(json.dumps(seen) + "\n")
        way, _, form = parts.path.strip("/").partition("/")
        told = FORMS.get(form, FORMS["raw"])(said.removeprefix("Bearer ").encode())
        getattr(self, f"by_{way or 'body'}", self.by_body)(told)

    def by_body(self, told: bytes) -> None:
        self.answer(b"before " + told + b" after")

    def by_header(self, told: bytes) -> None:
        self.answer(b"", [("X-Told", told.decode("latin-1"))])

    def by_status(self, told: bytes) -> None:
        self.send_response(403, told.decode("latin-1"))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def by_chunks(self, told: bytes) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for at in range(len(told)):
            self.wfile.write(b"1\r\n" + told[at : at + 1] + b"\r\n")
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")

    def by_trailer(self, told: bytes) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.send_header("Trailer", "X-Told")
        self.end_headers()
        self.wfile.write(b"2\r\nok\r\n0\r\nX-Told: " + told + b"\r\n\r\n")

    def by_gzip(self, told: bytes) -> None:
        self.answer(gzip.compress(b"before " + told), [("Content-Encoding", "gzip")])

    def by_archive(self, told: bytes) -> None:
        self.answer(gzip.compress(b"before " + told))

    def by_bomb(self, told: bytes) -> None:
        self.answer(gzip.compress(bytes(200 << 20), 1), [("Content-Encoding", "gzip")])

    def by_brotli(self, told: bytes) -> None:
        self.answer(told, [("Content-Encoding", "br")])

    def by_error(self, told: bytes) -> None:
        self.wfile.write(b"HTTP/1.1 nonsense " + told + b"\r\n\r\n")
        self.close_connection = True

    def by_redirect(self, told: bytes) -> None:
        self.send_response(302)
        self.send_header("Location", f"http://127.0.0.1:{server.server_port}/elsewhere?key={told.decode()}")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def by_token(self, told: bytes) -> None:
        link = "https://files.example/a?X-Amz-Signature=signed-address-1&x=1"
        body = {
            "access_token": "made-for-you-1",
            "link": link,
            "expires_in": 3600,
            "refresh_token": "made-for-you-2",
        }
        cookies = [("Set-Cookie", "session=cookie-value-1; Path=/"), ("Set-Cookie", "b=cookie-value-2")]
        self.answer(json.dumps(body).encode(), cookies)

    # ---- replies that come slowly -------------------------------------------------------------------------------

    def begin(self, kind: str = "text/event-stream", status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def piece(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n" % len(data) + data + b"\r\n")
        self.wfile.flush()

    def by_slow(self, told: bytes) -> None:
        """The end comes only when somebody has asked for /go."""
        self.begin()
        self.piece(b"data: first\n\n" + b": filler\n" * 200)
        GO.wait(30)
        self.piece(b"data: last\n\n")
        self.piece(b"")

    def by_go(self, told: bytes) -> None:
        GO.set()
        self.answer(b"")

    def by_drip(self, told: bytes) -> None:
        self.begin()
        for at, byte in enumerate(b"data: before " + told + b" after\n\n" + told + b"\n"):
            self.piece(bytes([byte]))
            if at % 7 == 0:
                time.sleep(0.001)
        self.piece(b"")

    def by_endless(self, told: bytes) -> None:
        self.begin()
        while True:
            self.piece(b"data: more\n\n" * 1_000)

    def by_silent(self, told: bytes) -> None:
        self.begin()
        self.piece(b"data: first\n\n" + b": filler\n" * 200)
        GO.wait(30)

    def by_dies(self, told: bytes) -> None:
        self.begin()
        self.piece(b"data: first\n\n" + b": filler\n" * 200)
        self.close_connection = True

    def by_stalls(self, told: bytes) -> None:
        """A body whose end is that of the connection, which does not come."""
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(b"data: first\n\n" + b": filler\n" * 200)
        self.wfile.flush()
        GO.wait(30)

    def by_half(self, told: bytes) -> None:
        self.begin()
        self.piece(b"data: first\n\n" + told[:-1])
        self.close_connection = True

    def by_short(self, told: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Content-Length", "100000")
        self.end_headers()
        self.wfile.write(b"data: first\n\n" + b": filler\n" * 200)
        self.close_connection = True

    def by_packed(self, told: bytes) -> None:
        self.begin("text/plain")
        for byte in gzip.compress(b"before " + told):
            self.piece(bytes([byte]))
        self.piece(b"")

    def by_busy(self, told: bytes) -> None:
        self.begin("application/json", 429)
        self.piece(b'{"error": "too many requests"}')
        self.piece(b"")

    def by_tokens(self, told: bytes) -> None:
        self.begin("application/json")
        for part in (
            b'{"access_tok',
            b'en":\n "made-',
            b'for-you-1", "link": "https://a/?si',
            b"g=signed-addre",
            b'ss-1"}',
        ):
            self.piece(part)
        self.piece(b"")

    def answer(self, body: bytes, headers: list[tuple[str, str]] | None = None) -> None:
        self.send_response(200)
        for name, value in headers or []:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
if len(sys.argv) > 2:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[2], sys.argv[3])
    server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_port, flush=True)
server.serve_forever()
