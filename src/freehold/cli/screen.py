"""How the demo speaks: numbered scenes, the commands it runs, bars while it waits. Plain where there is no terminal."""

import sys
import textwrap
from collections.abc import Callable
from typing import IO, Any, Final

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

INDENT: Final = "   "
MAX_WIDTH: Final = 96
BAR: Final = 24
_STATES: Final = {"parked": "waiting for you", "failed": "failed", "skipped": "skipped"}


class Screen:
    """Where the demo's words go; ``quiet`` lets none of them out."""

    def __init__(self, file: IO[str], *, quiet: bool = False) -> None:
        self._console = Console(file=file, highlight=False, soft_wrap=True, quiet=quiet)
        self.live = self._console.is_terminal and not quiet
        self._width = min(self._console.width, MAX_WIDTH) if self.live else MAX_WIDTH
        self._scene = 0
        self._told: set[str] = set()

    def print(self, text: Text | str = "") -> None:
        """Print a line as it is."""
        self._console.print(text, markup=False)

    def title(self, text: str, below: str) -> None:
        """Print the demo's first lines."""
        self.print()
        self.print(Text(text, "bold"))
        for line in textwrap.wrap(below, self._width):
            self.print(line)

    def scene(self, text: str) -> None:
        """Begin the next scene."""
        self._scene += 1
        self.print()
        self.print(Text.assemble((f"{self._scene}  ", "bold cyan"), (text, "bold")))

    def say(self, text: str, style: str = "") -> None:
        """Say something in the current scene."""
        for line in textwrap.wrap(text, self._width - len(INDENT)):
            self.print(Text(INDENT + line, style))

    def command(self, words: str) -> None:
        """Show a command that is run."""
        lines = textwrap.wrap(
            words, self._width - len(INDENT) - 4, break_on_hyphens=False, break_long_words=False
        )
        for number, line in enumerate(lines):
            mark, end = ("$ " if number == 0 else "  "), (" \\" if number < len(lines) - 1 else "")
            self.print(Text.assemble(INDENT, (mark, "cyan"), line + end))

    def output(self, text: str) -> None:
        """Show what a command printed."""
        for line in text.rstrip("\n").split("\n"):
            self.print(Text((INDENT + line).rstrip(), "dim"))

    def follow(self, board: "Board", watch: Callable[[Callable[[], None]], Any]) -> Any:
        """Run ``watch``, which calls what it is given whenever the board has changed, and show the board."""
        if not self.live:

            def tell() -> None:
                for line in board.milestones():
                    if line not in self._told:
                        self._told.add(line)
                        self.print(INDENT + line)

            return watch(tell)
        with Live(board.bars(), console=self._console, refresh_per_second=10) as live:
            return watch(lambda: live.update(board.bars()))


class Board:
    """How far each step of the watched run is, and what is being read right now."""

    def __init__(self) -> None:
        self.nodes: dict[str, dict[str, Any]] = {}
        self.cards: set[str] = set()
        self.state = ""
        self._text: dict[str, str] = {}
        self._old: set[str] = set()

    def take(self, event: dict[str, Any]) -> None:
        """Take in an event of `runs.watch`."""
        kind = event.get("event")
        if kind == "run":
            self.nodes = {node["node"]: node for node in event["nodes"]}
            self.cards, self.state = set(event["cards"]), event["state"]
            self._old = {name for name, node, total in self._known() if node.get("done") == total}
        elif kind == "node":
            self.nodes.setdefault(event["node"], {}).update(event)
        elif kind == "progress":
            self._text[event["node"]] = event["text"]
        elif kind == "card":
            self.cards.add(event["card"])
        elif kind in ("waiting", "ended"):
            self.state = event.get("state") or "waiting"

    def done(self, node: str) -> int:
        """Return how many items of a node are done."""
        return int(self.nodes.get(node, {}).get("done", 0))

    def rests(self) -> bool:
        """Whether nothing can go on without a person."""
        settled = ("done", "parked", "failed", "skipped")
        begun = [node for _, node, total in self._known() if total > 0]
        still = all(sum(node.get(state, 0) for state in settled) == node["total"] for node in begun)
        return bool(self.cards) and self.state == "waiting" and still

    def _known(self) -> list[tuple[str, dict[str, Any], int]]:
        return [(name, node, int(node.get("total", -1))) for name, node in self.nodes.items()]

    def bars(self) -> Group:
        """Return a bar for every step that has begun, but those that were over before."""
        lines = []
        for name, node, total in self._known():
            if total < 1 or name in self._old:
                continue
            done = int(node.get("done", 0))
            filled = BAR * done // total
            style = "green" if done == total else "yellow" if node.get("parked") else "default"
            busy = self._text.get(name, "") if node.get("running") else ""
            lines.append(
                Text.assemble(
                    f"{INDENT}{name:<8}",
                    ("━" * filled, style), ("╌" * (BAR - filled), "dim"),
                    f" {done:>2} of {total}", (_others(node), "yellow"), (f"  {busy}" if busy else "", "dim"),
                )
            )  # fmt: skip
        return Group(*(lines or [Text(f"{INDENT}planning …", "dim")]))

    def milestones(self) -> list[str]:
        """Return what is worth a line of its own where there are no bars."""
        lines = []
        for name, node, total in self._known():
            done = int(node.get("done", 0))
            if total > 0 and (done == total or (done and done % 4 == 0) or node.get("parked")):
                if node.get("parked") and (node.get("running") or node.get("pending")):
                    continue
                lines.append(f"{name:<8}{done:>2} of {total}{_others(node)}")
        return lines


def _others(node: dict[str, Any]) -> str:
    said = [f"{node[state]} {word}" for state, word in _STATES.items() if node.get(state)]
    return f", {', '.join(said)}" if said else ""


def standard(*, quiet: bool) -> Screen:
    """Return the screen on standard output."""
    return Screen(sys.stdout, quiet=quiet)
