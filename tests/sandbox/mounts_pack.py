"""A pack whose steps look at a source as a folder, and try what they may not."""

import os
from pathlib import Path
from typing import Any, Final

from freehold.base import FreeholdError
from freehold.sdk import BlockingContext, Context, Job, Pack, Plan

pack: Final = Pack("mounts", version="1.0")


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


@pack.step
def see(ctx: BlockingContext, early: list[str], ask: str = "") -> dict[str, Any]:
    """Return the texts below the source, through links too, and what the planner could list."""
    place = ctx.workspace / "sources" / "in"
    texts = {
        os.path.relpath(os.path.join(folder, name), place): _read(Path(folder, name))
        for folder, _, names in os.walk(place, followlinks=True)
        for name in names
    }
    return {"early": early, "texts": texts}


@pack.step
def change(ctx: BlockingContext) -> list[str]:
    """Try to change the source; return what got through."""
    place = ctx.workspace / "sources" / "in"
    tries: dict[str, Any] = {
        "write": lambda: (place / "a.txt").write_text("mine"),
        "make": lambda: (place / "made").write_text("mine"),
        "remove": lambda: (place / "a.txt").unlink(),
        "rename": lambda: (place / "a.txt").rename(place / "b.txt"),
        "mode": lambda: (place / "a.txt").chmod(0o777),
        "link": lambda: (place / "link").symlink_to("/etc/passwd"),
        "behind a link": lambda: (place / "receipts" / "r.txt").write_text("mine"),
    }
    through = []
    for name, attempt in tries.items():
        try:
            attempt()
        except OSError:
            continue
        through.append(name)
    return through


@pack.step
async def lead_out(ctx: Context, outside: str) -> dict[str, str]:
    """Make links in the workspace to a file outside; return what they bring, here and by the daemon's hand."""
    folder, file = os.path.split(outside)
    (ctx.workspace / "sources").mkdir(exist_ok=True)
    links = {
        "soft": (outside, Path("soft")),
        "among the sources": (folder, Path("sources/evil", file)),
        "through the source": (f"sources/in/../{Path(folder).name}", Path("around", file)),
        "through the process": (f"/proc/self/root{outside}", Path("root")),
    }
    found = {}
    for name, (target, path) in links.items():
        place = ctx.workspace / (path if len(path.parts) == 1 else path.parent)
        place.symlink_to(target)
        found[name] = _read(ctx.workspace / path)
        try:
            await ctx.act("artifact.put", {"path": str(path), "digest": "0" * 64, "name": name})
        except FreeholdError as error:
            found[f"{name}, put"] = error.message
    return found


@pack.step
async def ask(ctx: Context) -> str:
    """Wait for a person."""
    return str(await ctx.ask("Go on?"))


@pack.planner
def plan(job: Job) -> Plan:
    """The steps that the job's settings name, one after the other; the first is told what the planner could see."""
    said = job.settings
    try:
        early = sorted(os.listdir(str(said["folder"])))
    except OSError:
        early = []
    made = Plan(mounts=["in"])
    given = {"see": {"early": early}, "lead_out": {"outside": said.get("outside", "")}}
    before: list[Any] = []
    for name in said["steps"]:
        tools = ["question.ask"] if name == "ask" else []
        before = [made.add(name, params=given.get(name, {}), needs=before, tools=tools)]
    return made
