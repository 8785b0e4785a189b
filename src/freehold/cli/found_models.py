"""What serves models on this machine already: asked on loopback, all places at once, a third of a second each.

Used by `freehold init` and `freehold models add --found`. Nothing but names is taken from what answers. Where a
server was told another port by its own variable (`OLLAMA_HOST`, `LLAMA_ARG_PORT`), it is looked for there.
"""

import http.client
import json
import os
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, NamedTuple

LIMIT_S: Final = 0.3
MAX_REPLY: Final = 1 << 20
MAX_MODELS: Final = 50


class Place(NamedTuple):
    """Where to look: what serves there, its port, the path that lists models."""

    server: str
    port: int
    path: str


class FoundModel(NamedTuple):
    """A model that answers here. ``name`` is one that it can have in an estate."""

    name: str
    id: str
    server: str
    url: str

    def plain(self, context: int, max_output: int) -> dict[str, Any]:
        """Return it as the daemon takes a model in: on this device, for nothing."""
        return {
            "name": self.name, "url": self.url, "id": self.id, "zone": "device", "context": context,
            "max_output": max_output,
        }  # fmt: skip


PLACES: Final = (
    Place("Ollama", 11434, "/api/tags"),
    Place("llama.cpp", 8080, "/v1/models"),
    Place("LM Studio", 1234, "/v1/models"),
)


def places(environment: Mapping[str, str]) -> tuple[Place, ...]:
    """Return where to look, with the ports that the servers' own variables in ``environment`` name."""
    told = {"Ollama": environment.get("OLLAMA_HOST", ""), "llama.cpp": environment.get("LLAMA_ARG_PORT", "")}
    ports = {server: re.search(r"(?:^|:)(\d{1,5})/?$", text) for server, text in told.items()}
    return tuple(
        place._replace(port=int(port[1]))
        if (port := ports.get(place.server)) and 0 < int(port[1]) < 65_536
        else place
        for place in PLACES
    )


def look() -> list[FoundModel]:
    """Return the models that answer on this machine, in the order of `PLACES`."""
    wanted = places(os.environ)
    with ThreadPoolExecutor(len(wanted)) as pool:
        found = [model for models in pool.map(_ask, wanted) for model in models]
    return list({model.name: model for model in reversed(found)}.values())[::-1]


def _ask(place: Place) -> list[FoundModel]:
    connection = http.client.HTTPConnection("127.0.0.1", place.port, timeout=LIMIT_S)
    try:
        connection.request("GET", place.path)
        reply = connection.getresponse()
        value = json.loads(reply.read(MAX_REPLY)) if reply.status == 200 else None
    except (OSError, http.client.HTTPException, ValueError, RecursionError):
        return []
    finally:
        connection.close()
    listed = (value.get("models") or value.get("data")) if isinstance(value, dict) else None
    found = []
    for one in listed[:MAX_MODELS] if isinstance(listed, list) else []:
        name = next((one[key] for key in ("id", "name", "model") if isinstance(one.get(key), str)), "") \
            if isinstance(one, dict) else ""  # fmt: skip
        if name and len(name) <= 200 and name.isprintable():
            slug = re.sub(r"[^a-z0-9._-]+", "-", name.rsplit("/", 1)[-1].removesuffix(".gguf").lower()).strip(
                "-._"
            )
            found.append(
                FoundModel(slug[:63] or "local", name, place.server, f"http://127.0.0.1:{place.port}/v1")
            )
    return found
