"""`freehold tools`: tools from elsewhere. A server's process runs in a sandbox; a tool counts once you approved it."""

import os
import shutil
from pathlib import Path
from typing import Annotated, Any

import typer

from freehold.base.errors import BadInput
from freehold.cli import words
from freehold.cli.desk import Desk
from freehold.cli.signing import AsOption, sign
from freehold.cli.verbs import bare, noun, verb

app: typer.Typer = noun("Tools from elsewhere, by MCP. Each counts once you have seen and approved it.")

Server = Annotated[str, typer.Argument(help="The tool server's name.")]


@bare(app)
def list_tools(desk: Desk) -> None:
    """List tool servers and their tools, and what stands against using each."""
    desk.show(desk.call("tools.list"), _listed)


def _listed(value: list[dict[str, Any]]) -> str:
    return words.table(
        ("tool", "kind", "category", "state"),
        [
            (t["tool"], t["kind"], t["category"] or "-", _state(t))
            for server in value for t in server["tools"]
        ],
        "No tool servers yet. Add one: freehold tools add NAME -- COMMAND",
    )  # fmt: skip


def _state(tool: dict[str, Any]) -> str:
    if tool["blocked"]:
        return "blocked: " + str(tool["blocked"]).partition(".")[2].partition(" A human")[0]
    return "approved" if tool["classified"] else "approved, not classified"


@verb(app, "show")
def show(desk: Desk, name: Server) -> None:
    """Show how a tool server is reached, and what was said of its tools."""
    desk.show(desk.call("tools.show", {"name": name}), _shown)


def _shown(value: dict[str, Any]) -> str:
    rows: list[tuple[str, object]] = [
        ("server", value["name"]), ("says it is", value["says_it_is"]), ("protocol", value["protocol"]),
        ("reached by", value["url"] or " ".join(value["command"])), ("may read", ", ".join(value["reads"]) or "-"),
        ("its zone", value["zone"] or "foreign (not stated)"), ("returns data", value["data"]),
        ("approved by", value["approved_by"] or "nobody"),
        ("offers", "something else than was approved" if value["changed"] else "what was approved"),
    ]  # fmt: skip
    refused = "".join(f"\nrefused: {why}" for why in value["refused"])
    return f"{words.pairs(rows)}\n\n{_listed([value])}{refused}"


@verb(app, "add")
def add(
    desk: Desk,
    name: Annotated[str, typer.Argument(help="A name: small letters, digits, hyphens.")],
    command: Annotated[
        list[str] | None, typer.Argument(metavar="-- COMMAND...", help="What to run, in a sandbox.")
    ] = None,
    url: Annotated[str, typer.Option(help="The address of a server that is reached over HTTP.")] = "",
    read: Annotated[
        list[Path] | None, typer.Option(help="A folder that the command may read; once for each.")
    ] = None,
    zone: Annotated[
        str, typer.Option(help="Where data goes with it: device, premises, jurisdiction, foreign.")
    ] = "",
    data: Annotated[
        str, typer.Option(help="What it returns: public, internal, confidential, restricted.")
    ] = "confidential",
    who: AsOption = None,
) -> None:
    """Add a tool server and show what it offers; signed by you. Nothing of it is used before you approve it."""
    server = {
        "name": name, "command": _program(command or []), "url": url,
        "reads": [str(folder.expanduser().resolve()) for folder in read or []],
        "zone": _one_of(zone, _ZONES, "--zone"), "data": _one_of(data, _CLASSES, "--data"), "timeout_s": 60,
    }  # fmt: skip
    signed = sign(desk, who, "rules.change", name, content={"verb": "tools.add", "server": server})
    if desk.interactive:
        desk.say("Asks it what it offers; that takes a minute at most.")
    value = desk.call("tools.add", {"server": server, "signed": signed})
    desk.show(
        value, lambda v: f"{v['pages']}\n\nNone of it is used yet. Approve it: freehold tools review {name}"
    )


@verb(app, "review")
def review(
    desk: Desk,
    name: Server,
    yes: Annotated[bool, typer.Option("--yes", help="Approve what is shown, without being asked.")] = False,
    who: AsOption = None,
) -> None:
    """Ask a tool server what it offers now, see what differs from what you approved, and approve it or not."""
    value = desk.call("tools.review", {"name": name})
    if not desk.json:
        print(value["pages"])
    if value.get("problem"):
        desk.say(f"It could not be asked again: {value['problem']}")
    if not value["changed"]:
        desk.show(value, lambda v: "")
        return
    if not yes and not (desk.interactive and desk.ask_yes(f"Approve this, as {name}'s tools?")):
        desk.show(value, lambda v: f"Not approved. To approve it: freehold tools review {name} --yes")
        return
    args = {"name": name, "offer": value["digest"]}
    signed = sign(
        desk, who, "rules.change", name, digest=value["digest"], content={"verb": "tools.approve", **args}
    )
    done = desk.call("tools.approve", {**args, "signed": signed})
    desk.show(done, lambda v: f"Approved {words.plural(len(v['tools']), 'tool')} of {name}. A job may use one with\n"
              f"`tool.call: {name}.TOOL`; say what each does: freehold tools classify {name}.TOOL --help")  # fmt: skip


@verb(app, "classify")
def classify(
    desk: Desk,
    tool: Annotated[str, typer.Argument(help="SERVER.TOOL")],
    kind: Annotated[str, typer.Option(help="read, idempotent (may be done again), or once.")],
    category: Annotated[
        str, typer.Option(help="change_source, send, spend, delete, run_code, share; none for read.")
    ] = "",
    contents: Annotated[
        list[str] | None, typer.Option("--content", help="An argument that chooses nobody and nothing.")
    ] = None,
    written_by: Annotated[
        list[str] | None,
        typer.Option(metavar="[FIELD=]WHO", help="Who may have written its result: owner, estate, stranger."),
    ] = None,
    who: AsOption = None,
) -> None:
    """Say what a tool does to the world; signed by you. Unsaid, it sends to strangers and is never repeated."""
    name, dot, own = tool.partition(".")
    if not dot:
        raise BadInput(f"{tool!r} is not a tool.", remedy="Write SERVER.TOOL, as in: freehold tools")
    parts = [one.rpartition("=") for one in written_by or []]
    said = {
        "kind": _one_of(kind, _KINDS, "--kind"), "category": category, "contents": contents or [],
        "written_by": {field: whose for field, _, whose in parts},
    }  # fmt: skip
    args = {"name": name, "tool": own, "said": said}
    signed = sign(desk, who, "rules.change", name, content={"verb": "tools.classify", **args})
    desk.show(
        desk.call("tools.classify", {**args, "signed": signed}), lambda v: f"{tool} is of kind {kind} now."
    )


@verb(app, "remove")
def remove(desk: Desk, name: Server, who: AsOption = None) -> None:
    """Remove a tool server and all that was approved and said of it; signed by you."""
    signed = sign(desk, who, "rules.change", name, content={"verb": "tools.remove", "name": name})
    desk.show(desk.call("tools.remove", {"name": name, "signed": signed}), lambda v: f"Removed {v['name']}.")


def _program(command: list[str]) -> list[str]:
    """Return the command with its program's full path, as it is found here."""
    if not command:
        return []
    found = shutil.which(command[0])
    if found is None:
        raise BadInput(f"There is no program {command[0]!r}.", remedy="Install it, or name its full path.")
    return [os.path.abspath(found), *command[1:]]


def _one_of(word: str, known: tuple[str, ...], option: str) -> str:
    if word not in known:
        raise BadInput(
            f"{word!r} is nothing for {option}.", remedy=f"Use one of {', '.join(filter(None, known))}."
        )
    return word


_ZONES = ("", "device", "premises", "jurisdiction", "foreign")
_CLASSES = ("public", "internal", "confidential", "restricted")
_KINDS = ("read", "idempotent", "once")
