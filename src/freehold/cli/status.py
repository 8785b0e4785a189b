"""`freehold status`: whether the daemon runs and what it does; asked most often, so it loads little."""

from typing import Any, Final

import typer

from freehold.cli import words
from freehold.cli.desk import Desk
from freehold.cli.verbs import noun, verb

app: typer.Typer = noun("Status")
WIDEST: Final = 100


@verb(app, "status")
def status(desk: Desk) -> None:
    """Say whether the daemon runs, what it does, and what waits for you. Starts nothing."""
    estate = desk.estate
    client = desk.running()
    if client is None:
        value: dict[str, Any] = {"running": False, "estate": estate.name, "folder": str(estate.folder)}
    else:
        value = {"running": True, **client.call("estate.status")}
    desk.show(value, _words)


def _vault(state: dict[str, Any]) -> str:
    if not state.get("serves"):
        return "does not serve"
    secrets = words.plural(state["secrets"], "secret")
    return f"{secrets}; opened by {state['unlocked_by']};\n{state['pages']};\nbehind: {state['walls']}"


def _outside(state: dict[str, Any] | None) -> str:
    if not state:
        return ""
    where = f"at {state['url']}" if state["open"] else state["problem"] or "not open"
    agents = words.plural(len(state["agents"]), "agent")
    return f"{agents} from elsewhere, {where};\n{state['ungoverned']}"


def _words(value: dict[str, Any]) -> str:
    if not value["running"]:
        return f"The daemon of {value['estate']} ({value['folder']}) does not run. Start it: freehold up"
    runs = value.get("runs", {})
    said = [
        ("estate", f"{value['estate']} in {value['folder']}"),
        ("daemon", f"version {value['version']}, process {value['pid']}, up for {words.ago(value['up_us'])}"),
        ("presence", value.get("presence")),
        ("sandbox", value.get("sandbox")),
        ("couriers", value.get("couriers")),
        ("people", words.plural(value.get("humans", 0), "human")),
        ("agents", words.plural(value.get("agents", 0), "agent")),
        ("thinking", ", ".join(value.get("thinking", []))),
        ("standing", words.plural(value["standing"], "standing rule") if value.get("standing") else ""),
        ("runs", ", ".join(f"{count:,} {state}" for state, count in runs.items()) or "none yet"),
        (
            "waiting",
            words.plural(value.get("cards", 0), "card") + (": freehold inbox" if value.get("cards") else ""),
        ),
        ("frozen", "\n".join(f"{item['scope']}: {item['why']}" for item in value.get("frozen", []))),
        ("models", words.plural(value["models"], "model") if value.get("models") else ""),
        ("vault", _vault(value.get("vault", {}))),
        ("elsewhere", _outside(value.get("outside"))),
        ("journal", f"{value.get('journal', 0):,} entries"),
    ]
    said += [("warning", text) for text in value.get("warnings", [])]
    return words.pairs(said, min(words.screen() or WIDEST, WIDEST))
