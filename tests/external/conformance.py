"""The conformance tests of MCP's own project, run against the way in for agents. It prints a score, and why
what fails does; no test runs it.

``python -m tests.external.conformance PACKAGE NODE``: PACKAGE is where the npm registry's
`@modelcontextprotocol/conformance@0.1.16` lies, NODE a Node 22 or later. It knows no tokens, so what it sends passes a
relay on this machine that adds the agent's.
"""

import asyncio
import json
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.external.conftest import Owner
from tests.external.stated import SERVER, compared, summed

PROGRAM = Path("node_modules", "@modelcontextprotocol", "conformance", "dist", "index.js")


class Relay:
    """Passes requests on with a token; one request a connection, so that only heads have to be read."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self.port = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> asyncio.Server:
        """Listen; returns the server."""
        server = await asyncio.start_server(self._begin, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        return server

    async def stop(self) -> None:
        """End what is still open."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.add(asyncio.get_running_loop().create_task(self._serve(reader, writer)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            there, back = await asyncio.open_connection("127.0.0.1", self._owner.port)
            back.write(self._with_token(head))
            sending = asyncio.create_task(_pass(reader, back))
            await _pass(there, writer)
            sending.cancel()
            back.close()
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            writer.close()

    def _with_token(self, head: bytes) -> bytes:
        lines = [line for line in head.rstrip().split(b"\r\n") if not line.lower().startswith(b"connection:")]
        lines = [line.replace(f":{self.port}".encode(), f":{self._owner.port}".encode()) for line in lines]
        lines += [f"Authorization: Bearer {self._owner.token}".encode(), b"Connection: close"]
        return b"\r\n".join(lines) + b"\r\n\r\n"


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass


async def score(owner: Owner, package: Path, node: str, out: Path) -> dict[str, tuple[int, int]]:
    """Run the active suite; returns for each scenario how many of its checks passed and failed."""
    relay = Relay(owner)
    server = await relay.start()
    words = [
        node,
        str(package / PROGRAM),
        "server",
        "--url",
        f"http://localhost:{relay.port}/mcp",
        "-o",
        str(out),
    ]
    quiet = asyncio.subprocess.DEVNULL
    running = await asyncio.create_subprocess_exec(*words, stdin=quiet, stdout=quiet, stderr=quiet)
    async with asyncio.timeout(400):
        await running.wait()
    server.close()
    await relay.stop()
    found: dict[str, tuple[int, int]] = {}
    for path in sorted(out.rglob("checks.json")):
        checks = json.loads(path.read_text())
        scenario = path.parent.name.partition("-20")[0].removeprefix("server-")
        counts = Counter(str(check["status"]) for check in checks)
        found[scenario] = (counts["SUCCESS"], counts["FAILURE"] + counts["WARNING"])
    return found


def _main(arguments: list[str]) -> None:
    with tempfile.TemporaryDirectory(prefix="freehold-") as place:
        owner = Owner(Path(place) / "estate")
        owner.settles_in()
        try:
            found = asyncio.run(score(owner, Path(arguments[0]), arguments[1], Path(place) / "out"))
        finally:
            owner.types("down")
    lines, wrong = compared(found, SERVER)
    passed, failed = summed(found)
    print("\n".join([*lines, f"{len(found)} scenarios: {passed} checks passed, {failed} failed"]))
    if wrong:
        raise SystemExit("The table of reasons is wrong:\n" + "\n".join(wrong))


if __name__ == "__main__":
    _main(sys.argv[1:])
