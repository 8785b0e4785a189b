"""A token server and the service that takes its tokens, run by its path: ``python token_server.py FOLDER``."""

import json
import sys
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

FOLDER = Path(sys.argv[1])


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        form = dict(urllib.parse.parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
        number = int(form["refresh_token"].rpartition("-")[2]) + 1
        self.note({"refresh": form["refresh_token"]})
        given = {
            "access_token": f"access-token-{number}",
            "refresh_token": f"refresh-token-{number}",
            "expires_in": 3600,
        }
        self.answer(json.dumps(given).encode())

    def do_GET(self) -> None:
        said = self.headers.get("Authorization", "")
        self.note({"authorization": said})
        self.answer(said.encode() if self.path == "/echo" else b"data")

    def note(self, seen: dict[str, str]) -> None:
        with (FOLDER / "seen").open("a") as file:
            file.write(json.dumps({"path": self.path, **seen}) + "\n")

    def answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
print(server.server_port, flush=True)
server.serve_forever()
