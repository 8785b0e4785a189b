"""Tool servers that others wrote, by the commands: connected, used, denied; one over HTTP whose key stays sealed."""

import json
import os
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from freehold.testing.processes import alive
from tests import needs
from tests.mcp.transcripts import Desk, clock, files

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path / "estate", {})
    made.founds()
    yield made
    made.closes()


def test_the_filesystem_server_from_npm_is_connected_used_and_denied(desk: Desk) -> None:
    files(desk, needs.tool_servers())
    said = "\n".join(desk.said)
    assert "says it is secure-filesystem-server" in said
    assert "The meeting is on Tuesday." in said
    assert "Access denied - path outside allowed directories" in said
    assert "No rule lets agent audrey call tool papers.write_file." in said
    assert (desk.folder.parent / "papers" / "note.txt").read_text() == "The meeting is on Tuesday.\n"


def test_the_time_server_from_pypi_is_connected_used_and_denied(desk: Desk) -> None:
    clock(desk, needs.tool_servers())
    said = "\n".join(desk.said)
    assert "says it is mcp-time" in said
    assert "Asia/Tokyo" in said
    assert "No rule lets agent audrey call tool clock.get_current_time." in said
    assert "approved, not classified" in said


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@pytest.fixture
def weather() -> Iterator[int]:
    """The port of a tool server over HTTP that wants the key `key-of-the-weather`."""

    port = free_port()
    words = [sys.executable, "-m", "tests.mcp.http_server", str(port), "key-of-the-weather", str(os.getpid())]
    with subprocess.Popen(words, cwd=Path(__file__).parents[2]) as process:
        while alive(process.pid):
            with socket.socket() as sock:
                sock.settimeout(0.2)
                if sock.connect_ex(("127.0.0.1", port)) == 0:
                    break
        yield port
        process.kill()


def test_a_server_over_http_is_given_its_key_by_the_vault_and_nobody_else_sees_it(
    desk: Desk, weather: int
) -> None:
    url = f"http://127.0.0.1:{weather}/mcp"
    desk.types(
        "secrets", "set", "weather-key", "--host", "127.0.0.1", "--stdin", given="key-of-the-weather\n"
    )
    desk.types("secrets", "bind", "weather", "secret=weather-key", f"to=http://127.0.0.1:{weather}", "agent=audrey",
               "method=POST,DELETE", "private=yes")  # fmt: skip
    added = desk.types("tools", "add", "weather", "--url", url, "--zone", "device", "--data", "public")
    assert "Tell tomorrow's weather in a city." in added
    assert "Ask for one city at a time." in added
    assert "Approved 2 tools" in desk.types("tools", "review", "weather", "--yes")
    desk.types("tools", "classify", "weather.forecast", "--kind", "read")
    desk.types("tools", "classify", "weather.echo_key", "--kind", "read")
    assert "Rain in Rome." in desk.employs("asks", "weather.forecast", "{city: Rome}")
    leaked = desk.employs("leaks", "weather.echo_key", "{}")
    assert "Bearer [secret]" in leaked
    with urllib.request.urlopen(f"http://127.0.0.1:{weather}/seen", timeout=10) as answer:
        assert set(json.load(answer)) == {"Bearer key-of-the-weather"}
    everything = b"".join(path.read_bytes() for path in desk.folder.rglob("*") if path.is_file())
    assert b"key-of-the-weather" not in everything


def test_what_cannot_be_added_is_told_in_one_sentence_with_a_remedy(desk: Desk) -> None:
    for words, said in (
        (["add", "mail", "--", "/bin/true"], "'mail' cannot be the name of a tool server."),
        (["add", "Calc", "--", "/bin/true"], "'Calc' cannot be the name of a tool server."),
        (["add", "calc"], "needs either a command or a URL."),
        (["add", "calc", "--", "no-such-program"], "There is no program 'no-such-program'."),
        (["add", "calc", "--zone", "moon", "--", "/bin/true"], "'moon' is nothing for --zone."),
        (["add", "calc", "--read", str(desk.folder), "--", "/bin/true"], "would see the estate"),
        (["add", "calc", "--", "/bin/true"], "The tool server did not do as it should"),
        (["add", "calc", "--url", "http://127.0.0.1:1/mcp"], "The tool server did not do as it should"),
        (["show", "calc"], "There is no tool server 'calc'."),
        (["classify", "calc", "--kind", "read"], "'calc' is not a tool."),
        (["classify", "calc.add", "--kind", "sometimes"], "'sometimes' is nothing for --kind."),
        (["remove", "calc"], "There is no tool server 'calc'."),
    ):
        assert said in desk.types("tools", *words), words
