"""Web pages, JSON and forms, as far as the world knows them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._spec import FIELDS, TEXT, Row, ToolSpec, tool

if TYPE_CHECKING:
    from .world import World


def http_get_page(world: World, url: str) -> Row:
    page = _at(world, url)
    if not isinstance(page, str):
        raise ValueError(f"At {url} is no page but data; get it as JSON.")
    return {"url": url, "text": page}


def http_get_json(world: World, url: str) -> Any:
    found = _at(world, url)
    if isinstance(found, str):
        raise ValueError(f"At {url} is a page and no JSON.")
    return found


def http_post_form(world: World, url: str, fields: dict[str, str]) -> Row:
    if url not in world.forms:
        raise ValueError(f"There is no form at {url}.")
    form = world.forms[url]
    for name in form["fields"]:
        if name not in fields:
            raise ValueError(f"The form at {url} asks for {name}.")
    world.posted.append({"url": url, "fields": fields})
    return {"status": 200, "text": form["answer"]}


def tools() -> tuple[ToolSpec, ...]:
    url: Row = {"url": TEXT}
    return (
        tool(http_get_page, "Get a web page as text.", url),
        tool(http_get_json, "Get JSON data from an address.", url),
        tool(http_post_form, "Fill in and send a form.", {**url, "fields": FIELDS}),
    )


def _at(world: World, url: str) -> Any:
    if url not in world.pages:
        raise ValueError(f"There is nothing at {url}.")
    return world.pages[url]
