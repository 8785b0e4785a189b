"""Turns a function into a verb: adds the options that every verb has, and hands it a desk.

The command modules use it; typer does the parsing.
"""

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from freehold.cli.desk import Desk

_F = TypeVar("_F", bound=Callable[..., None])

EstateOption = Annotated[
    Path | None,
    typer.Option(
        "--estate",
        help="Folder of the estate (or FREEHOLD_ESTATE; else here, else ~/freehold).",
        metavar="DIR",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Answer as JSON.")]
NoStartOption = Annotated[
    bool, typer.Option("--no-start", help="Refuse where the daemon does not run; never start it.")
]

_COMMON = {
    "estate": (EstateOption, None),
    "json": (JsonOption, False),
    "no_start": (NoStartOption, False),
}


def noun(help_text: str) -> typer.Typer:
    """Return the app of a plural noun; add verbs with ``verb`` and what the bare noun does with ``bare``."""
    return typer.Typer(
        help=help_text,
        rich_markup_mode=None,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )


def verb(app: typer.Typer, name: str) -> Callable[[_F], _F]:
    """Make a function a verb of ``app``; its first parameter is the desk, its docstring the help."""

    def register(function: _F) -> _F:
        app.command(name)(_with_desk(function))
        return function

    return register


def bare(app: typer.Typer) -> Callable[[_F], _F]:
    """Make a function what the bare noun does, and its verb `list` as well."""

    def register(function: _F) -> _F:
        wrapped = _with_desk(function)

        @functools.wraps(wrapped)
        def only_when_bare(**given: Any) -> None:
            if given["ctx"].invoked_subcommand is None:
                wrapped(**given)
            else:
                given["ctx"].obj = _merge(given["ctx"].obj, given)

        only_when_bare.__signature__ = inspect.signature(wrapped)  # type: ignore[attr-defined]
        app.callback(invoke_without_command=True, help=app.info.help)(only_when_bare)
        app.command("list")(wrapped)
        return function

    return register


def common(given: dict[str, Any], context: typer.Context) -> None:
    """Keep the options that were written before a verb, for the verb."""
    context.obj = _merge(context.obj, given)


def _with_desk(function: Callable[..., None]) -> Callable[..., None]:
    parameters = list(inspect.signature(function).parameters.values())[1:]

    def run(**given: Any) -> None:
        context = given.pop("ctx")
        options = {key: given.pop(key) for key in _COMMON}
        context.obj = _merge(context.obj, options)
        function(_desk(context.obj), **given)

    kind = inspect.Parameter.KEYWORD_ONLY
    shape = [parameter.replace(kind=kind) for parameter in parameters]
    shape += [
        inspect.Parameter(key, kind, default=default, annotation=annotation)
        for key, (annotation, default) in _COMMON.items()
    ]
    shape.append(inspect.Parameter("ctx", kind, annotation=typer.Context))
    run.__signature__ = inspect.Signature(shape)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in shape}
    run.__name__, run.__doc__, run.__module__ = function.__name__, function.__doc__, function.__module__
    return run


def _merge(known: Any, given: dict[str, Any]) -> dict[str, Any]:
    merged = dict(known) if isinstance(known, dict) else {}
    for key in _COMMON:
        if given.get(key):
            merged[key] = given[key]
    return merged


def _desk(options: dict[str, Any]) -> Desk:
    return Desk(options.get("estate"), bool(options.get("json")), bool(options.get("no_start")))
