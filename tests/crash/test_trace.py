"""The order of the system calls themselves: SIGKILL keeps the page cache, a power cut does not.

Shown from ``strace`` over the whole tree of processes: the INTENT is synced, and so are an artifact's contents
and name, before the first byte of the effect that depends on them leaves.
"""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from freehold.testing.http import HttpServer
from freehold.testing.server import Behaviour
from freehold.testing.smtp import SmtpServer
from tests.crash import traced
from tests.needs import leave_out, program

_LINE: Final = re.compile(r"^\d+\s+(?P<at>[\d.]+) (?P<name>\w+)\((?P<rest>.*)$")
CALLS: Final = "fsync,fdatasync,rename,renameat,renameat2,sendto,sendmsg,write,pwrite64,connect"


class Call(NamedTuple):
    """One system call: when it was entered, when it had returned, and how strace writes it."""

    at: float
    back: float
    name: str
    rest: str


def read_trace(path: Path) -> list[Call]:
    """Return the calls in order of entry; one that strace shows in two halves ends with the second."""
    found: list[Call] = []
    begun: dict[tuple[str, str], int] = {}
    for line in path.read_text(errors="replace").splitlines():
        pid, at, text = line.split(maxsplit=2)
        resumed = re.match(r"<\.\.\. (\w+) resumed>(.*)", text)
        if resumed is not None:
            number = begun.pop((pid, resumed[1]), None)
            if number is not None:
                first = found[number]
                found[number] = first._replace(back=float(at), rest=first.rest + resumed[2])
        elif (call := _LINE.match(line)) is not None:
            if text.endswith("<unfinished ...>"):
                begun[pid, call["name"]] = len(found)
            found.append(Call(float(at), float(at) + _took(text), call["name"], call["rest"]))
    return found


def _took(text: str) -> float:
    """Return how long a call took, as ``strace -T`` says at the end of its line."""
    found = re.search(r"<([\d.]+)>$", text)
    return float(found[1]) if found is not None else 0.0


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> list[Call]:
    tmp_path = tmp_path_factory.mktemp("traced")
    strace = program("strace", package="strace")
    keyed = HttpServer(tmp_path / "keyed", behaviour=Behaviour(keyed=True))
    with keyed, HttpServer(tmp_path / "asked") as asked, SmtpServer(tmp_path / "mail") as mail:
        (tmp_path / "estate").mkdir()
        ports = [str(server.port) for server in (keyed, asked, mail)]
        out = tmp_path / "trace"
        done = subprocess.run(
            [
                *(strace, "-f", "-ttt", "-T", "-y", "-s", "65536", "-e", f"trace={CALLS}", "-o", str(out)),
                *(sys.executable, "-m", traced.__name__, str(tmp_path / "estate"), *ports),
            ],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            capture_output=True,
            text=True,
            timeout=100,
        )
        if "ptrace" in done.stderr and done.returncode:
            leave_out("no tracing of system calls (this machine refuses ptrace)")
        assert done.stdout == "done\n", done.stderr
        assert len(mail.taken()) == 1
    return read_trace(out)


def first(trace: list[Call], names: str, pattern: str, after: float = 0.0) -> Call:
    """Return the first call of such a name whose line has ``pattern``, entered after a moment."""
    for call in trace:
        if call.at >= after and call.name in names.split() and re.search(pattern, call.rest):
            return call
    raise AssertionError(f"no {names} with {pattern!r} after {after}")


def last_before(trace: list[Call], names: str, pattern: str, before: float) -> Call:
    """Return the last call of such a name whose line has ``pattern`` and that had returned by a moment."""
    found = [
        call
        for call in trace
        if call.back <= before and call.name in names.split() and re.search(pattern, call.rest)
    ]
    assert found, f"no {names} with {pattern!r} before {before}"
    return found[-1]


@pytest.mark.timeout(120)
def test_intent_and_artifact_are_synced_before_the_effect_leaves(trace: list[Call]) -> None:
    connect = first(trace, "connect", r"127\.0\.0\.1")
    assert connect.at > 0
    sent = first(trace, "sendto sendmsg write", r"(?i)mail from:")
    body = first(trace, "sendto sendmsg write", r"X-Freehold-Action|Message-ID", sent.at)

    # the artifact: contents, then its name, then the folder that holds the name
    contents = first(trace, "fsync fdatasync", r"estate/artifacts/\.[0-9a-f]+\.tmp")
    name = first(trace, "rename renameat renameat2", r"estate/artifacts/", contents.back)
    folder = first(trace, "fsync", r"estate/artifacts>", name.back)
    assert contents.back <= name.at <= name.back <= folder.at <= folder.back < sent.at < body.at

    # the intent of the mail: written to the store's log after the artifact, and synced before a byte leaves
    written, synced = intent_of(trace, "mail.send", folder.back)
    handed = last_before(trace, "sendmsg", r"deliver.*mail\.send", sent.at)
    assert folder.back < written.at < synced.at <= synced.back <= handed.at < sent.at


@pytest.mark.timeout(120)
@pytest.mark.parametrize("path", ["keyed", "asked", "effects/nothing"])
def test_the_intent_of_a_request_is_synced_before_it_leaves(trace: list[Call], path: str) -> None:
    sent = first(trace, "sendto sendmsg write", rf"(POST|GET) /{path} HTTP")
    node = path.replace("effects/nothing", "read")
    written, synced = intent_of(trace, "http.request", 0.0, node)
    assert written.back <= synced.at <= synced.back < sent.at


def intent_of(trace: list[Call], tool: str, after: float, node: str = "") -> tuple[Call, Call]:
    """Return the first write of an INTENT of a tool to the store's log, and the sync that made it durable."""
    where = rf'\\"node\\":\\"{node}\\".*' if node else ""
    written = first(trace, "pwrite64 write", rf'-wal>.*{where}\\"tool\\":\\"{re.escape(tool)}\\"', after)
    return written, first(trace, "fsync fdatasync", r"-wal>", written.back)
