"""Two tool servers that others wrote, used by the commands as a person would: connected, used, denied; written down.

``python -m tests.mcp.transcripts SERVERS FOLDER`` writes a transcript of each into FOLDER; SERVERS is where
``tests/mcp/fetch`` put them. Tests run the same and look at what was said.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.cli import warm

PACK = '''\
"""Calls one tool with the arguments that its job names."""

from typing import Any

from freehold.sdk import Context, Job, Pack, Plan

pack = Pack("calling", version="1")


@pack.step
async def call(ctx: Context, tool: str, args: dict[str, Any]) -> Any:
    return (await ctx.act(tool, args)).value


@pack.planner
def plan(job: Job) -> Plan:
    made = Plan()
    tool = job.settings["tool"]
    made.add(call, tools=[tool], params={"tool": tool, "args": job.settings["args"]})
    return made
'''

JOB = """\
---
owner: anna
agent: audrey
pack: calling
budget:
  run: {{money: 1.00 EUR, actions: 100, cpu: 5 min, wall: 1 h}}
may:
  - tool.call: {may}
params:
  tool: {tool}
  args: {args}
---
# {name}
## Goal
Call a tool.
## Context
None.
## Source
None.
## Expectations
It answers.
"""


_LONGEST = 60
_HEAD = 50


class Desk:
    """Types commands in an estate of its own and keeps what was said, with the places of this machine taken out."""

    def __init__(self, folder: Path, hide: dict[str, str]) -> None:
        self.folder = folder
        self.said: list[str] = []
        self._hide = {str(folder.parent): "~", **hide, sys.executable: "python"}
        self._environment = {
            key: value for key, value in os.environ.items() if not key.startswith("FREEHOLD")
        }
        self._environment |= {"FREEHOLD_ESTATE": str(folder), "HOME": str(folder.parent), "COLUMNS": "110"}

    def types(self, *words: str, given: str | None = None, quiet: bool = False) -> str:
        """Run one command; returns all that it said."""
        if given is None:
            _, said, problem = warm.run(list(words), self._environment, self.folder.parent, 120)
        else:
            done = subprocess.run(
                [sys.executable, "-m", "freehold.cli.main", *words], input=given, capture_output=True, text=True,
                timeout=120, env=self._environment, cwd=self.folder.parent, check=False,
            )  # fmt: skip
            said, problem = done.stdout, done.stderr
        out = self.clean(said + problem).rstrip()
        if not quiet and len(lines := out.split("\n")) > _LONGEST:
            shown = [*lines[:_HEAD], f"[{len(lines) - _LONGEST} more lines]", *lines[_HEAD - _LONGEST :]]
        else:
            shown = [out] if out else []
        if not quiet:
            typed = " ".join(f"'{word}'" if " " in word or "(" in word else word for word in words)
            self.said += [f"$ freehold {self.clean(typed)}", *shown, ""]
        if "Traceback" in problem:
            raise RuntimeError(problem)
        return out

    def clean(self, text: str) -> str:
        """Return text without this machine's places."""
        for place, word in self._hide.items():
            text = text.replace(place, word)
        return text

    def founds(self) -> None:
        """Make the estate, an agent and the pack that calls."""
        self.types("init", str(self.folder), "--human", "anna", "--email", "anna@example.com", "--presence", "none",
                   quiet=True)  # fmt: skip
        folder = self.folder.parent / "calling"
        folder.mkdir()
        (folder / "calling.py").write_text(PACK)
        (folder / "pyproject.toml").write_text('[project]\nname = "calling"\n')
        self.types("agents", "add", "audrey", "--owner", "anna", quiet=True)
        self.types("packs", "add", str(folder), quiet=True)

    def employs(self, name: str, tool: str, args: str, may: str = "") -> str:
        """Write a job that calls a tool, accept it, run it; returns what is shown of the run."""
        path = self.folder / "jobs" / f"{name}.md"
        path.write_text(JOB.format(name=name, tool=tool, args=args, may=may or tool))
        kept = ("may:", "  - ", "params:", "  tool", "  args")
        lines = [line for line in path.read_text().split("\n") if line.startswith(kept)]
        self.said += [self.clean("\n".join([f"$ grep -A4 ^may: jobs/{name}.md", *lines])), ""]
        digest = json.loads(self.types("jobs", "check", name, "--json", quiet=True))["digest"]
        self.types("jobs", "accept", name, "--digest", digest, quiet=True)
        ran = self.types("run", name, "--json", quiet=True)
        run = json.loads(ran[ran.index("{") :])["id"][-8:]
        self.types("watch", run)
        shown = self.types("runs", "show", run)
        if (
            result := json.loads(self.types("runs", "show", run, "--json", quiet=True)).get("result")
        ) is not None:
            text = json.dumps(result, indent=1, ensure_ascii=False)
            self.said += [f"$ freehold runs show {run} --json | jq .result", text, ""]
            return text
        return shown

    def closes(self) -> None:
        """Stop the daemon."""
        self.types("down", quiet=True)


def files(desk: Desk, servers: Path) -> None:
    """The filesystem server from the npm registry."""
    data = desk.folder.parent / "papers"
    data.mkdir()
    (data / "note.txt").write_text("The meeting is on Tuesday.\n")
    code = servers / "npm" / "node_modules"
    program = code / "@modelcontextprotocol" / "server-filesystem" / "dist" / "index.js"
    node = shutil.which("node") or "node"
    desk.types("tools", "add", "papers", "--read", str(code), "--read", str(data), "--zone", "device", "--",
               node, str(program), str(data))  # fmt: skip
    desk.types("tools", "review", "papers", "--yes", quiet=True)
    desk.said += ["$ freehold tools review papers --yes", "(the same pages again)", ""]
    desk.types("tools", "classify", "papers.read_text_file", "--kind", "read")
    desk.types("tools", "classify", "papers.write_file", "--kind", "once", "--category", "change_source")
    note = f'{{path: "{data}/note.txt"}}'
    desk.employs("reads", "papers.read_text_file", note)
    desk.employs("strays", "papers.read_text_file", '{path: "/etc/passwd"}')
    written = f'{{path: "{data}/note.txt", content: "Cancelled."}}'
    desk.employs("writes", "papers.write_file", written, may="papers.read_text_file")


def clock(desk: Desk, servers: Path) -> None:
    """The time server from PyPI."""
    code = servers / "pypi"
    start = f"import sys; sys.path.insert(0, '{code}'); from mcp_server_time import main; main()"
    desk.types("tools", "add", "clock", "--read", str(code), "--zone", "device", "--data", "public", "--",
               sys.executable, "-c", start, "--local-timezone", "Europe/Berlin")  # fmt: skip
    desk.types("tools", "review", "clock", "--yes", quiet=True)
    desk.said += ["$ freehold tools review clock --yes", "(the same pages again)", ""]
    desk.types("tools", "classify", "clock.convert_time", "--kind", "read")
    noon = '{source_timezone: "Europe/Berlin", time: "12:00", target_timezone: "Asia/Tokyo"}'
    desk.employs("converts", "clock.convert_time", noon)
    desk.employs("asks", "clock.get_current_time", '{timezone: "UTC"}', may="clock.convert_time")
    desk.types("tools")


def write(servers: Path, folder: Path) -> None:
    """Write both transcripts."""
    for name, story in (("mcp-npm-filesystem", files), ("mcp-pypi-time", clock)):
        with tempfile.TemporaryDirectory(prefix="freehold-") as place:
            desk = Desk(Path(place) / "estate", {str(servers): "servers"})
            desk.founds()
            try:
                story(desk, servers)
            finally:
                desk.closes()
        title = str(story.__doc__).rstrip(".")
        text = "\n".join(desk.said)
        (folder / f"{name}.md").write_text(
            f"# {title}\n\nMade by `python -m tests.mcp.transcripts`; see `docs/mcp.md`.\n\n```text\n{text}```\n"
        )


def _main(arguments: list[str]) -> None:
    folder = Path(arguments[1])
    folder.mkdir(parents=True, exist_ok=True)
    write(Path(arguments[0]).resolve(), folder)


if __name__ == "__main__":
    _main(sys.argv[1:])
