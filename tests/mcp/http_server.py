"""A tool server over streamable HTTP, made with the official SDK, that wants a key; a process of its own.

The arguments are a port and the key. ``GET /seen`` tells which Authorization headers have come.
"""

import json
import sys
from typing import Any

import uvicorn
from mcp.server.mcpserver import MCPServer

from freehold.wire import child

server = MCPServer("weather", instructions="Ask for one city at a time.")
seen: list[str] = []


@server.tool()
def forecast(city: str) -> str:
    """Tell tomorrow's weather in a city."""
    return f"Rain in {city}."


@server.tool()
def echo_key() -> str:
    """Tell the last key that came, as a server does that leaks."""
    return seen[-1]


def guarded(app: Any, key: str) -> Any:
    """Return the app behind a key."""

    async def asked(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        if scope["path"] == "/seen":
            body, status = json.dumps(seen).encode(), 200
        else:
            seen.append(headers.get("authorization", ""))
            if seen[-1] == f"Bearer {key}":
                await app(scope, receive, send)
                return
            body, status = b'{"error": "no key"}', 401
        head = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": head})
        await send({"type": "http.response.body", "body": body})

    return asked


if __name__ == "__main__":
    child.die_with_parent(int(sys.argv[3]))
    app = guarded(server.streamable_http_app(), sys.argv[2])
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="error")
