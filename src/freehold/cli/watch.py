"""`freehold watch`: runs as they go. A live tree at a terminal, a line an event where there is none."""

import sys
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from freehold.base.ids import short
from freehold.cli.desk import Desk
from freehold.cli.verbs import noun, verb

if TYPE_CHECKING:
    from rich.tree import Tree

app: typer.Typer = noun("Watch")

_WORDS: Final = {"parked": "waiting for you", "pending": "to come"}
_SHOWN: Final = 400
"""How much of what a model says stays on the board."""
_STATES: Final = ("done", "running", "parked", "failed", "skipped", "pending")


@verb(app, "watch")
def watch(
    desk: Desk,
    run: Annotated[str, typer.Argument(help="A run's short id; all that go on without.")] = "",
) -> None:
    """See runs as they go, until they end or you press Ctrl-C. Watching changes nothing."""
    try:
        last = follow(desk, run)
    except KeyboardInterrupt:
        return
    if last and not desk.json:
        from freehold.cli.runs import ended_words

        print(ended_words(last))


def follow(desk: Desk, run: str) -> dict[str, Any]:
    """Show events until the run ends; returns its line."""
    client, args = desk.client(), {"run": run}
    if desk.json:
        import json

        return dict(
            client.call("runs.watch", args, lambda e: print(json.dumps(e), flush=True), wait_s=None) or {}
        )
    if not sys.stdout.isatty():
        spoken = Spoken()

        def take(event: dict[str, Any]) -> None:
            for text in [*spoken.take(event), line(event)]:
                if text:
                    print(text, flush=True)

        return dict(client.call("runs.watch", args, take, wait_s=None) or {})
    return _live(client, args)


class Spoken:
    """What models are saying, put together line by line out of the pieces in which it comes."""

    def __init__(self) -> None:
        self._said: dict[tuple[str, str, int], str] = {}

    def take(self, event: dict[str, Any]) -> list[str]:
        """Return the lines that an event completes: whole ones of a text, the rest once something else happens."""
        place = (str(event.get("run", "")), str(event.get("node", "")), int(event.get("item") or 0))
        if event.get("event") == "text":
            whole, _, rest = f"{self._said.get(place, '')}{event['text']}".rpartition("\n")
            self._said[place] = rest
            return [_said_line(place, text) for text in whole.split("\n") if text.strip()]
        ended = event.get("event") in ("ended", "halted")
        done = [at for at in self._said if (at[0] == place[0] if ended else at == place)]
        left = [(at, self._said.pop(at)) for at in done]
        return [_said_line(at, text) for at, text in left if text.strip()]


def _said_line(place: tuple[str, str, int], text: str) -> str:
    return f"{short(place[0])}  {place[1]} says: {visible(text).strip()}"


def visible(text: str) -> str:
    """Return a model's words as a line that cannot move the cursor or turn its direction."""
    return "".join(one if one.isprintable() else f"⟨U+{ord(one):04X}⟩" for one in text)


def line(event: dict[str, Any]) -> str:
    """Return an event as one line; nothing for those that say nothing new."""
    kind = event.get("event")
    if kind == "run":
        return f"{short(event['id'])}  {event['job']}: {event['state']}"
    name = short(str(event.get("run", "")))
    if kind == "node":
        return f"{name}  {event['node']}: {_counts(event)}"
    if kind == "progress":
        return f"{name}  {event['node']}: {event['done']} of {event['total']} {event['text']}".rstrip()
    if kind == "card":
        return f"{name}  waits for you: freehold inbox (card {short(event['card'])})"
    if kind == "ended":
        return f"{name}  ended: {event['state']}" + (f". {event['message']}" if event.get("message") else "")
    if kind == "halted":
        return f"{name}  stands still: {event['why']}"
    return ""


def _counts(node: dict[str, Any]) -> str:
    total = node.get("total", -1)
    if isinstance(total, int) and total < 0:
        return "waits for its inputs"
    said = [f"{node[state]} {_WORDS.get(state, state)}" for state in _STATES if node.get(state)]
    return f"{', '.join(said) or '0 done'} of {total}"


class Board:
    """What is known of the watched runs, drawn anew when something happens."""

    def __init__(self) -> None:
        self.runs: dict[str, dict[str, Any]] = {}

    def take(self, event: dict[str, Any]) -> None:
        """Take in an event of `runs.watch`."""
        if event.get("event") == "run":
            nodes = {node["node"]: node for node in event.get("nodes", [])}
            self.runs[event["id"]] = {
                **event,
                "nodes": nodes,
                "text": {},
                "said": {},
                "cards": set(event.get("cards", [])),
            }
            return
        run = self.runs.setdefault(
            event["run"],
            {
                "id": event["run"],
                "job": "",
                "state": "running",
                "nodes": {},
                "text": {},
                "said": {},
                "cards": set(),
            },
        )
        kind = event.get("event")
        if kind == "node":
            run["nodes"][event["node"]] = {**run["nodes"].get(event["node"], {}), **event}
        elif kind == "progress":
            run["text"][event["node"]] = f"{event['done']}/{event['total']} {event['text']}"
            run["said"].pop(event["node"], None)
        elif kind == "text":
            node = event["node"]
            run["said"][node] = f"{run['said'].get(node, '')}{event['text']}"[-_SHOWN:]
        elif kind == "card":
            run["cards"].add(event["card"])
        if kind in ("ended", "halted"):
            run["state"] = event.get("state") or event["why"]
        elif kind == "waiting":
            run["state"] = kind
        elif run["state"] == "waiting" and kind in ("text", "progress"):
            run["state"] = "running"

    def tree(self) -> "Tree":
        """Return what is known, for the screen."""
        from rich.text import Text
        from rich.tree import Tree

        root = Tree("[bold]Runs[/bold]" if self.runs else "Nothing runs. Start a job: freehold run JOB")
        for run in self.runs.values():
            branch = root.add(
                Text.assemble((short(run["id"]), "cyan"), f"  {run['job']}  ", (run["state"], "bold"))
            )
            for name, node in run["nodes"].items():
                branch.add(_node_line(name, node, run["text"].get(name, "")))
            for name, said in run["said"].items():
                branch.add(Text(f"{name} says: {visible(' '.join(said.split()))}", style="italic dim"))
            for card in sorted(run["cards"]) if run["state"] not in ("done", "failed", "cancelled") else ():
                branch.add(Text(f"waits for you: freehold inbox  (card {short(card)})", style="yellow"))
        return root


def _node_line(name: str, node: dict[str, Any], text: str) -> Any:
    from rich.text import Text

    total, done = node.get("total", -1), node.get("done", 0)
    width = 20
    filled = width * done // total if isinstance(total, int) and total > 0 else 0
    bar = "━" * filled + "╌" * (width - filled)
    style = "red" if node.get("failed") else "green" if done == total else "white"
    return Text.assemble(
        f"{name:<24.24} ", (bar, style), f" {_counts(node)}", (f"  {text}" if text else "", "dim")
    )


def _live(client: Any, args: dict[str, Any]) -> dict[str, Any]:
    from rich.live import Live

    board = Board()
    with Live(board.tree(), refresh_per_second=8, transient=False) as live:

        def take(event: dict[str, Any]) -> None:
            board.take(event)
            live.update(board.tree())

        return dict(client.call("runs.watch", args, take, wait_s=None) or {})
