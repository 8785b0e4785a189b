"""`freehold settings`: what holds for the whole estate."""

import json
from typing import Annotated, Any

import typer

from freehold.cli import words
from freehold.cli.desk import Desk
from freehold.cli.signing import AsOption, sign
from freehold.cli.verbs import bare, noun, verb

app: typer.Typer = noun("What holds for the whole estate: presence, domains, ceilings, limits of time.")


@bare(app)
def list_settings(desk: Desk) -> None:
    """Show every setting with its value."""
    desk.show(desk.call("settings.list"), lambda v: words.pairs((k, _text(value)) for k, value in v.items()))


@verb(app, "set")
def set_one(
    desk: Desk,
    name: Annotated[str, typer.Argument(help="The setting.")],
    value: Annotated[str, typer.Argument(help="Its value: text, a number, or JSON for lists and tables.")],
    who: AsOption = None,
) -> None:
    """Change a setting; signed by you."""
    args = {"values": {name: _value(value)}}
    signed = sign(desk, who, "rules.change", "settings", content={"verb": "settings.set", **args})
    desk.show(desk.call("settings.set", {**args, "signed": signed}), lambda v: f"{name}: {_text(v[name])}")


def _text(value: Any) -> str:
    if isinstance(value, str | int):
        return str(value) or "(none)"
    return json.dumps(value, ensure_ascii=False) if value else "(none)"


def _value(text: str) -> Any:
    if text[:1] in "[{" or text.isdigit():
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text
