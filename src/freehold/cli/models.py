"""`freehold models`: which models agents may be given. A key goes from the terminal straight to the vault.

Adding asks three things of nobody's memory: where it answers, in which zone that is, and what it costs.
"""

import inspect
import os
from collections.abc import Callable
from typing import Annotated, Any, Final

import typer

from freehold.base import BadInput
from freehold.cli import words
from freehold.cli.desk import Desk
from freehold.cli.signing import AsOption, sign
from freehold.cli.verbs import bare, noun, verb

app: typer.Typer = noun("Models that agents may be given, each with its zone and its prices.")

Name = Annotated[str, typer.Argument(help="The model's short name in this estate.")]
DEFAULT_CONTEXT: Final = 32_768
DEFAULT_OUTPUT: Final = 4_096


@bare(app)
def list_models(desk: Desk) -> None:
    """List the models: where each answers, its zone, its prices per million tokens, what it may be shown."""
    desk.show(
        desk.call("models.list"),
        lambda models: words.table(
            ("model", "answers at", "as", "zone", "may be shown", "in", "out", "context", "key", "jobs"),
            [
                (m["name"], m["url"], m["id"], m["zone"], m["may_be_shown"], _price(m["price_in"]),
                 _price(m["price_out"]), f"{m['context']:,}", m["secret"] or "none", ", ".join(m["jobs"]))
                for m in models
            ],
            "No models yet. What runs here already: freehold models add --found",
        ),
    )  # fmt: skip


@verb(app, "show")
def show(desk: Desk, name: Name) -> None:
    """Show a model: all that is known of it."""
    desk.show(desk.call("models.show", {"name": name}), _shown)


def _shown(model: dict[str, Any]) -> str:
    currency = f"{model['currency']} per million tokens"
    cached = model["price_cached"]
    repeats = f"paid once, by the header {model['key_header']}" if model["key_header"] else "billed again"
    return words.pairs(
        [
            ("model", model["name"]),
            ("answers at", f"{model['url']} ({model['kind']}), as {model['id']}"),
            ("zone", model["zone"]),
            ("may be shown", f"{model['may_be_shown']} data, and what is lower"),
            ("price in", f"{_price(model['price_in'])} {currency}"),
            ("price cached", "as any in" if cached is None else f"{_price(cached)} {currency}"),
            ("price out", f"{_price(model['price_out'])} {currency}"),
            ("context", f"{model['context']:,} tokens, of which {model['max_output']:,} out"),
            ("a lost call", repeats),
            ("key", model["secret"] or "none"),
            ("jobs", ", ".join(model["jobs"])),
        ]
    )


def _price(amount: int) -> str:
    from freehold.gateway.prices import price_text

    return price_text(amount)


# ---- adding ------------------------------------------------------------------------------------------------------

_OPTIONS: Final[tuple[tuple[str, Any, Any, str], ...]] = (
    ("url", str, "", "Its base address, such as http://127.0.0.1:11434/v1."),
    ("kind", str, "openai", "How it is spoken to: openai (and all that is compatible), or anthropic."),
    ("model", str, "", "The name that the endpoint knows it by."),
    ("zone", str, "", "How far away it is: device, premises, jurisdiction or foreign."),
    ("price_in", str, "", "Price of a million tokens in, in the estate's currency; 0 if it costs nothing."),
    ("price_out", str, "", "Price of a million tokens out."),
    ("price_cached", str, "", "Price of a million tokens in that were cached; as any in without it."),
    ("context", int, DEFAULT_CONTEXT, "How many tokens it takes in all."),
    ("max_output", int, DEFAULT_OUTPUT, "How many tokens an answer has at most."),
    ("shown", str, "", "Let it be shown data up to this class, beyond what its zone allows."),
    ("idempotency_header", str, "", "The header in which it honours an idempotency key."),
    ("key", bool, False, "It wants a key; asked for, and kept in the vault."),
    ("stdin", bool, False, "Read the key from standard input, not the terminal."),
    ("secret", str, "", "Use this secret of the vault, which is there already, as its key."),
    ("found", bool, False, "Offer what answers on this machine: Ollama, llama.cpp, LM Studio."),
)


def _with_options(function: Callable[..., None]) -> Callable[..., None]:
    """Give a verb the options of the table above, and its own last."""
    own = list(inspect.signature(function).parameters.values())
    more = [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=default,
            annotation=Annotated[kind, typer.Option(f"--{name.replace('_', '-')}", help=text)],
        )
        for name, kind, default, text in _OPTIONS
    ]  # fmt: skip
    shape = [one for one in own if one.kind is not inspect.Parameter.VAR_KEYWORD]
    function.__signature__ = inspect.Signature([*shape, *more])  # type: ignore[attr-defined]
    return function


@verb(app, "add")
@_with_options
def add(
    desk: Desk,
    name: Annotated[str, typer.Argument(help="A short name for it.", metavar="[NAME]")] = "",
    who: AsOption = None,
    **said: Any,
) -> None:
    """Take a model in. Signed by you; a key is asked for and goes to the vault alone."""
    if said.pop("found"):
        _add_found(desk, name, who)
        return
    key, stdin = said.pop("key"), said.pop("stdin")
    plain = desk.call("models.check", {"model": _plain(name, said)})
    if key or stdin:
        if plain["secret"]:
            raise BadInput("--key and --secret are two ways to say one thing.", remedy="Use one of them.")
        from freehold.cli.secrets import keep_new

        plain["secret"] = keep_new(desk, who, f"model-{name}", _host(plain["url"]), stdin)["name"]
    desk.show(_added(desk, who, plain), _told)


def _plain(name: str, said: dict[str, Any]) -> dict[str, Any]:
    """Return a model as the daemon takes it, from what was typed; raises BadInput for what is missing."""
    from freehold.gateway.models import ZONES
    from freehold.gateway.prices import price

    for needed, value in (
        ("NAME", name),
        ("--url", said["url"]),
        ("--model", said["model"]),
        ("--zone", said["zone"]),
    ):
        if not value:
            raise BadInput(f"{needed} is missing.", remedy="See: freehold models add --help")
    if said["zone"] not in ZONES:
        raise BadInput(f"{said['zone'][:40]!r} is no zone.", remedy=f"Use one of {', '.join(ZONES)}.")
    own = said["zone"] in ("device", "premises")
    for option in ("price_in", "price_out"):
        if not said[option] and not own:
            raise BadInput(
                f"--{option.replace('_', '-')} is missing.",
                remedy="Write the price of a million tokens, 0 if it costs nothing.",
            )
    return {
        "name": name, "url": said["url"], "id": said["model"], "zone": said["zone"], "kind": said["kind"],
        "price_in": price(said["price_in"] or "0"), "price_out": price(said["price_out"] or "0"),
        "price_cached": price(said["price_cached"]) if said["price_cached"] else None,
        "context": said["context"], "max_output": min(said["max_output"], said["context"])
        if said["max_output"] == DEFAULT_OUTPUT else said["max_output"],
        "key_header": said["idempotency_header"], "secret": said["secret"], "shown": said["shown"],
    }  # fmt: skip


def _host(url: str) -> str:
    from urllib.parse import urlsplit

    return urlsplit(url).hostname or ""


_FIELDS: Final = (
    "name", "url", "id", "zone", "kind", "price_in", "price_out", "price_cached", "context", "max_output",
    "key_header", "secret", "shown",
)  # fmt: skip


def _added(desk: Desk, who: str | None, view: dict[str, Any]) -> dict[str, Any]:
    plain = {field: view[field] for field in _FIELDS}
    signed = sign(desk, who, "rules.change", plain["name"], content={"verb": "models.add", "model": plain})
    value: dict[str, Any] = desk.call("models.add", {"model": plain, "signed": signed})
    return value


def _told(model: dict[str, Any]) -> str:
    lines = [
        f"Added {model['name']}: {model['id']} at {model['url']}, zone {model['zone']}; "
        f"it may be shown {model['may_be_shown']} data.",
    ]
    if model["may_be_shown"] == "public":
        lines.append(
            "  A job's own words are internal: let it be shown those with --shown internal, or it serves none."
        )
    lines.append(f"Next: freehold models test {model['name']}")
    return "\n".join(lines)


def _add_found(desk: Desk, name: str, who: str | None) -> None:
    """Offer what answers on this machine: each at a terminal, else the one that was named."""
    from freehold.cli.found_models import look, places

    found = [one for one in look() if name in ("", one.name)]
    if not found:
        wanted = f"a model {name}" if name else "a model"
        ports = ", ".join(str(place.port) for place in places(os.environ))
        raise BadInput(
            f"Nothing on this machine offers {wanted} (looked at ports {ports}).",
            remedy="Start Ollama, llama.cpp or LM Studio, or say where it answers: freehold models add --help",
        )
    offer(desk, who, found, name)


def offer(desk: Desk, who: str | None, found: list[Any], name: str) -> None:
    """Take in what is wanted of ``found``: the one that was named, or what a person at the terminal says yes to."""
    added = []
    asks = bool(name) or desk.interactive
    known = {model["name"] for model in desk.call("models.list")} if asks else set()
    for one in found:
        if one.name in known:
            continue
        if name or (desk.interactive and desk.ask_yes(f"Add {one.id} ({one.server}) as {one.name}?")):
            plain = desk.call("models.check", {"model": one.plain(DEFAULT_CONTEXT, DEFAULT_OUTPUT)})
            added.append(_added(desk, who, plain))
    value = {"found": [one._asdict() for one in found], "added": added}
    desk.show(value, lambda v: "\n".join(_told(model) for model in v["added"]) or _how([*found]))


def _how(found: list[Any]) -> str:
    return "\n".join(
        [
            *(f"{one.id} answers at {one.url} ({one.server})." for one in found),
            f"Add one: freehold models add {found[0].name} --found",
        ]
    )


# ---- the rest ----------------------------------------------------------------------------------------------------


@verb(app, "test")
def try_out(desk: Desk, name: Name, who: AsOption = None) -> None:
    """Make one tiny call through the gate and say how long it took, in time, tokens and money."""
    model = desk.call("models.show", {"name": name})
    signed = sign(desk, who, "rules.change", name, content={"verb": "models.test", "name": name})

    def waits(event: dict[str, Any]) -> None:
        desk.say(f"No answer of {model['url']} after {event['waited_s']} s; Ctrl-C ends the trial.")

    desk.show(
        desk.client().call("models.test", {"name": name, "signed": signed}, waits, wait_s=None),
        lambda v: words.pairs(
            [
                ("model", v["model"]),
                ("says", ascii(v["text"][:200])),
                ("took", f"{v['latency_ms']:,} ms"),
                ("tokens", f"{v['usage']['input_tokens']:,} in, {v['usage']['output_tokens']:,} out"),
                ("cost", words.amount(v["cost_micro"], v["currency"])),
                ("record", f"freehold runs show {v['run'][-8:]}"),
            ]
        ),
    )


@verb(app, "remove")
def remove(
    desk: Desk,
    name: Name,
    force: Annotated[bool, typer.Option("--force", help="Also where jobs name it.")] = False,
    who: AsOption = None,
) -> None:
    """Take a model away. Its key stays in the vault until you forget it."""
    content = {"verb": "models.remove", "name": name, "force": force}
    signed = sign(desk, who, "rules.change", name, content=content)
    value = desk.call("models.remove", {"name": name, "force": force, "signed": signed})
    desk.show(
        value,
        lambda v: (
            f"Took away {v['name']}."
            + (f" Its key is still kept: freehold secrets forget {v['secret']}" if v["secret"] else "")
        ),
    )
