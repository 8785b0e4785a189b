"""Agents from elsewhere at work, written down: MCP's client in both revisions, and a program of each framework.

``python -m tests.external.transcripts FOLDER`` makes an estate and writes a transcript of each into FOLDER. Tests tell
the same stories and compare what was said with what is kept in ``docs/transcripts``.
"""

import asyncio
import base64
import importlib.metadata
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import httpx2
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CallToolResult

from tests.external.conftest import EXAMPLES, JOB, Owner

REVISIONS = {"2026-07-28": "2026-07-28", "2025-11-25": "legacy"}
FRAMEWORKS = {"plain": "", "langgraph": "langgraph", "openai_agents": "openai-agents"}
LETTER = {"to": ["finance@example.com"], "subject": "Total", "text": "It is 7."}


class Pages:
    """What was said, with what differs from one telling to the next taken out."""

    def __init__(self, owner: Owner) -> None:
        self.said: list[str] = []
        self._owner = owner
        self._cards: list[str] = []

    def knows(self, card: str) -> None:
        """Write a card by its place in the story from now on."""
        if card not in self._cards:
            self._cards.append(card)

    def writes(self, line: str) -> None:
        """Keep what was said."""
        for number, card in enumerate(self._cards, 1):
            line = line.replace(card, f"CARD{number}").replace(card[-8:], f"CARD{number}")
        line = line.replace(self._owner.url, "http://127.0.0.1:7431").replace(self._owner.token, "TOKEN")
        line = line.replace(str(self._owner.folder.parent), "~").replace(str(EXAMPLES.parent), ".")
        line = re.sub(r"\b[0-9a-f]{64}\b", "DIGEST", line)
        self.said.append(re.sub(r"\b[0-9a-f]{32}\b", "ID", line).rstrip())

    @property
    def text(self) -> str:
        """All of it."""
        return "\n".join(self.said) + "\n"

    def approves(self, card: dict[str, Any]) -> None:
        """Let the owner approve a card, as it is shown to them."""
        self.knows(card["id"])
        self.writes("\nthe owner:\n$ freehold approve CARD --digest DIGEST")
        shown = self._owner.types("approve", card["id"]).out
        digest = next(line.split()[1] for line in shown.splitlines() if line.startswith("digest"))
        for line in self._owner.does("approve", card["id"], "--digest", digest).splitlines():
            if line.startswith(("what", "to ", "text", "subject", "Approved", "This", "By", "args", "job")):
                self.writes(line)
        self.writes("")


async def speak(owner: Owner, revision: str) -> str:
    """Tell how MCP's client connects, uses what it may, is refused the rest, and waits for a person."""
    pages = Pages(owner)
    headers = {"Authorization": f"Bearer {owner.token}"}
    async with httpx2.AsyncClient(headers=headers, timeout=60) as http:
        transport = streamable_http_client(f"{owner.url}/mcp", http_client=http)
        async with Client(transport, mode=REVISIONS[revision]) as client:
            pages.writes(f"connected to {owner.url}/mcp, revision {client.protocol_version}")
            listed = await client.list_tools()
            pages.writes("tools/list\n  " + ", ".join(sorted(tool.name for tool in listed.tools)))
            await _call(pages, client, "source.read", {"source": "papers", "path": "note.txt"})
            await _call(pages, client, "mail.send", LETTER | {"to": ["x@elsewhere.org"]})
            await _call(pages, client, "http.request", {"method": "GET", "url": "http://example.org/"})
            letter = LETTER | {"subject": f"Total, by {revision}"}
            state = await _call(pages, client, "mail.send", letter)
            pages.approves(owner.waits_for("mail.send"))
            await _call(pages, client, "mail.send", letter, state)
    return pages.text


async def _call(
    pages: Pages, client: Client, tool: str, args: dict[str, Any], state: str | None = None
) -> str | None:
    pages.writes(f"tools/call {tool} {args}" + (f" with its state {state}" if state else ""))
    found = await client.session.call_tool(tool, args, request_state=state, allow_input_required=True)
    if not isinstance(found, CallToolResult):
        pages.writes(f"  input_required: come back with the state {found.request_state}")
        return found.request_state
    if (card := (found.structured_content or {}).get("card")) is not None:
        pages.knows(card)
    pages.writes("  " + ("refused or waiting: " if found.is_error else "done: ") + str(found.content[0].text))  # type: ignore[union-attr]
    for part in found.content[1:]:
        pages.writes(f"  the file: {base64.b64decode(part.resource.blob)!r}")  # type: ignore[union-attr]
    return None


def employ(owner: Owner, name: str) -> str:
    """Tell how a framework's program is used and denied, and how its owner is asked."""
    pages = Pages(owner)
    program = EXAMPLES / name / "after.py"
    pages.writes("its job allows own.look_up and own.pay; money is spent without asking")
    _run(pages, owner, program)
    pages.writes("\nits job allows own.look_up alone")
    owner.writes_job("errands", JOB.replace("  - tool.call: own.pay\n", ""))
    _run(pages, owner, program)
    pages.writes("\nits job allows both again, and asks before money is spent")
    owner.writes_job("errands", JOB.replace("spend: act", "spend: ask"))
    waits = owner.starts_program(program, "tea house")
    pages.writes(f"$ python examples/{name}/after.py 'tea house'")
    card = owner.waits_for("own.pay")
    pages.writes("(it waits)")
    pages.approves(card)
    pages.writes(waits.communicate(timeout=60)[0])
    owner.writes_job("errands", JOB)
    tools = [f"{one['tool']} {one['status']}" for one in owner.run_of(card["run"])["actions"]]
    pages.writes("what its run recorded: " + ", ".join(tools))
    return pages.text


def _run(pages: Pages, owner: Owner, program: Path) -> None:
    said = owner.runs_program(program, "tea house")
    pages.writes(f"$ python examples/{program.parent.name}/after.py 'tea house'")
    pages.writes(said.out)
    if said.code:
        pages.writes(next(line for line in reversed(said.err.splitlines()) if "own.pay" in line))
    pages.writes(f"(exit {said.code})")


def kept(name: str) -> str:
    """Return the story of a transcript as it is kept in the tree."""
    text = (EXAMPLES.parent / "docs" / "transcripts" / f"{name}.md").read_text()
    return text.split("```text\n")[1].removesuffix("```\n")


def write(owner: Owner, folder: Path) -> None:
    """Write every transcript."""
    sdk = importlib.metadata.version("mcp")
    for revision in REVISIONS:
        title = f"MCP's Python SDK ({sdk}) as a client of Freehold, revision {revision}"
        _write(folder / f"external-mcp-{revision}.md", title, asyncio.run(speak(owner, revision)))
    for name, package in FRAMEWORKS.items():
        what = f"{package} {importlib.metadata.version(package)}" if package else "A plain script"
        title = f"{what} under Freehold: examples/{name}"
        _write(folder / f"external-{name.replace('_', '-')}.md", title, employ(owner, name))


def _write(path: Path, title: str, text: str) -> None:
    head = f"# {title}\n\nMade by `python -m tests.external.transcripts`; see `docs/external-agents.md`.\n\n"
    path.write_text(f"{head}```text\n{text}```\n")


def _main(arguments: list[str]) -> None:
    folder = Path(arguments[0])
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="freehold-") as place:
        owner = Owner(Path(place) / "estate")
        owner.settles_in()
        try:
            write(owner, folder)
        finally:
            owner.types("down")


if __name__ == "__main__":
    _main(sys.argv[1:])
