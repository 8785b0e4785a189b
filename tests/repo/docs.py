"""Runs what a page of documentation shows as a reader would: in order, in an empty folder, an empty home.

A fence is one of:
- `console`: each line that starts with `$ ` is a command, `> ` continues it, the lines below are what it
  prints. They are looked for in order; `...` stands for anything and a run of blanks for any other;
- `python`: a program;
- any of `DATA`: shown only, or written to a file for the commands below it, see `file`.

A comment right above a fence says what is special about it: `<!-- file: NAME -->`, `<!-- exit: 3 -->`, or
`<!-- not run: REASON -->`.
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

DATA = {"cedar", "csv", "html", "json", "markdown", "mermaid", "text", "toml"}
PROGRAMS = {"console", "python"}
DIRECTIVES = {"file", "exit", "not run"}
REASON_CHARACTERS = 15
COMMAND_S = 120
END_S = 10
MARK = "FREEHOLD_DOCS_RUN"

_FENCE = re.compile(
    r"(?:^[ \t]*<!-- (?P<directive>[a-z ]+): (?P<value>.*?) -->\n)?"
    r"^(?P<indent>[ \t]*)```(?P<language>\S*)[^\n]*\n(?P<body>.*?)^(?P=indent)```[ \t]*$",
    re.MULTILINE | re.DOTALL,
)


class Block(NamedTuple):
    """One fence of a page."""

    line: int
    language: str
    directive: str
    value: str
    body: str


class Command(NamedTuple):
    """One command of a `console` fence and what it is shown to print."""

    text: str
    prints: list[str]


class DocsError(AssertionError):
    """A page shows something that is not so; the message names the page's line."""


def blocks(text: str) -> list[Block]:
    """The fences of a page, in order."""
    found = []
    for match in _FENCE.finditer(text):
        body = re.sub(f"^{match['indent']}", "", match["body"], flags=re.MULTILINE)
        line = text.count("\n", 0, match.start("language")) + 1
        found.append(Block(line, match["language"], match["directive"] or "", match["value"] or "", body))
    if len(found) * 2 != len(re.findall(r"^[ \t]*```", text, flags=re.MULTILINE)):
        raise DocsError("a fence is not closed, or not indented as it was opened")
    return found


def check(block: Block) -> None:
    """Refuse a fence that says neither how it runs nor why it does not."""
    if block.language not in DATA | PROGRAMS:
        known = ", ".join(sorted(DATA | PROGRAMS))
        raise DocsError(
            f"line {block.line}: a fence is one of {known}; this is {block.language or 'unnamed'}"
        )
    if block.directive and block.directive not in DIRECTIVES:
        raise DocsError(f"line {block.line}: no such directive: {block.directive}")
    if block.directive == "not run" and len(block.value) < REASON_CHARACTERS:
        raise DocsError(f"line {block.line}: say why this is not run")
    if block.directive == "file" and not re.fullmatch(r"[\w-][\w.-]*(/[\w-][\w.-]*)*", block.value):
        raise DocsError(f"line {block.line}: a file's name is relative and plain")


def commands(block: Block) -> list[Command]:
    """The commands of a `console` fence."""
    found: list[Command] = []
    for line in block.body.splitlines():
        if line.startswith("$ "):
            found.append(Command(line[2:], []))
        elif not found:
            raise DocsError(f"line {block.line}: a console fence starts with a command")
        elif line.startswith("> ") and not found[-1].prints:
            found[-1] = Command(f"{found[-1].text}\n{line[2:]}", [])
        elif line.strip():
            found[-1].prints.append(line)
    return found


def run(page: str, folder: Path) -> int:
    """Run a page in `folder`; returns how many programs ran, raises DocsError at the first surprise."""
    reader = _Reader(folder)
    try:
        for block in blocks(page):
            check(block)
            reader.follow(block)
    finally:
        reader.leave()
    return reader.ran


class _Reader:
    """Somebody who does what the page says: has a home, is in a folder, leaves nothing running."""

    def __init__(self, folder: Path) -> None:
        self.ran = 0
        self._home = folder / "home"
        self._cwd = folder / "here"
        self._pwd = folder / "pwd"
        self._home.mkdir()
        self._cwd.mkdir()
        self._environment = {
            "HOME": str(self._home), "LANG": "C.UTF-8", "COLUMNS": "120", "NO_COLOR": "1", MARK: str(folder),
            "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}",
            "XDG_RUNTIME_DIR": str(self._home), "TMPDIR": str(folder),
        }  # fmt: skip

    def follow(self, block: Block) -> None:
        if block.directive == "not run":
            return
        if block.directive == "file":
            path = self._cwd / block.value
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.body)
        if block.language == "console":
            self._console(block)
        if block.language == "python":
            self._call(block, [sys.executable, "-W", "error", "-c", block.body], expected=0)

    def leave(self) -> None:
        """End what the page has started and left behind: a daemon, for one."""
        until = time.monotonic() + END_S
        while left := list(self._left_behind()):
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if time.monotonic() > until:
                raise DocsError(f"processes do not end: {left}")
            time.sleep(0.01)

    def _console(self, block: Block) -> None:
        all_commands = commands(block)
        for number, command in enumerate(all_commands, 1):
            last = number == len(all_commands)
            expected = int(block.value) if block.directive == "exit" and last else 0
            script = f"trap 'pwd > {self._pwd}' EXIT\n{command.text}\n"
            printed = self._call(block, ["bash", "-c", script], expected, shown=command.text)
            self._cwd = Path(self._pwd.read_text().strip())
            missing = first_missing(command.prints, printed)
            if missing is not None:
                raise DocsError(
                    f"line {block.line}: `{command.text}` does not print: {missing}\nbut:\n{printed}"
                )

    def _call(self, block: Block, command: list[str], expected: int, shown: str = "the program") -> str:
        self.ran += 1
        with (self._home / ".printed").open("w+b") as printed:
            done = subprocess.run(
                command, cwd=self._cwd, env=self._environment, timeout=COMMAND_S,
                stdin=subprocess.DEVNULL, stdout=printed, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
            printed.seek(0)
            text = printed.read().decode("utf-8", errors="replace")
        if done.returncode != expected:
            raise DocsError(
                f"line {block.line}: `{shown}` ended with {done.returncode}, not {expected}:\n{text}"
            )
        return text

    def _left_behind(self) -> Iterator[int]:
        mark = f"{MARK}={self._environment[MARK]}".encode()
        for process in Path("/proc").glob("[0-9]*"):
            try:
                environment = (process / "environ").read_bytes().split(b"\0")
            except OSError:
                continue
            if mark in environment:
                yield int(process.name)


def first_missing(shown: list[str], printed: str) -> str | None:
    """The first line shown that is not printed after the ones before it; None when all are."""
    lines = iter(printed.splitlines())
    for line in shown:
        pattern = re.compile(r"\s+".join(_loose(word) for word in line.split()))
        if line.strip() != "..." and not any(pattern.search(candidate) for candidate in lines):
            return line
    return None


def _loose(word: str) -> str:
    return ".*".join(re.escape(part) for part in word.split("..."))
