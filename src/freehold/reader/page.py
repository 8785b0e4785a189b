"""A page as text with its links, without what nobody sees; bounded in size and nesting."""

import codecs
import re
from types import MappingProxyType
from typing import Any, Final

from inscriptis import Inscriptis
from inscriptis.model.config import ParserConfig
from lxml import etree, html

from freehold.base import BadInput
from freehold.reader import hidden

MAX_TEXT: Final = 1 << 20
_MAX_LINK: Final = 500
_SAFE: Final = MappingProxyType(
    {"no_network": True, "remove_comments": True, "remove_pis": True, "huge_tree": False}
)
_DEEPEST: Final = 200
_WIDE: Final = re.compile(r"[ \t]{12,}")
_EMPTY: Final = re.compile(r"\n{3,}")


def read(data: bytes, options: dict[str, Any]) -> dict[str, Any]:
    """Return ``title``, ``text`` and what was hidden; ``type`` and ``base`` are of the reply."""
    kind, charset = _kind(str(options.get("type", "")))
    if kind in ("text/html", "application/xhtml+xml", ""):
        return from_html(data, charset, str(options.get("base", "")))
    if kind.startswith("text/") or kind.endswith(("json", "xml")):
        text, count = hidden.clean(data.decode(charset or "utf-8", "replace")[:MAX_TEXT])
        return {"title": "", "text": text, "hidden_elements": 0, "hidden_characters": count}
    raise BadInput(f"What is there is {kind[:80]}, which is no page of text.", remedy="Name a page.")


def from_html(data: bytes, charset: str, base: str = "") -> dict[str, Any]:
    """Return a page's title and text; links stand behind their words, in brackets."""
    try:
        parser = _parser(charset)
        tree = html.document_fromstring(data, parser=parser, ensure_head_body=True)
    except (etree.LxmlError, ValueError, AssertionError):
        return {"title": "", "text": "", "hidden_elements": 0, "hidden_characters": 0}
    title = " ".join((tree.findtext(".//title") or "").split())[:300]
    _flatten(tree)
    elements = hidden.take_out(tree)
    _tidy_links(tree, base)
    text = Inscriptis(tree, ParserConfig(display_links=True)).get_text()
    text, characters = hidden.clean(text)
    text = _EMPTY.sub("\n\n", _WIDE.sub("    ", text)).strip()
    title, more = hidden.clean(title)
    return {
        "title": title, "text": text[:MAX_TEXT], "hidden_elements": elements, "hidden_characters": characters + more
    }  # fmt: skip


def _parser(charset: str) -> Any:
    try:
        return html.HTMLParser(encoding=charset or None, **_SAFE)
    except LookupError:  # a character set that the library does not know
        return html.HTMLParser(encoding="utf-8", **_SAFE)


def _flatten(tree: Any) -> None:
    """Take out what lies deeper than any page does; the library that makes the text would run out of room."""
    waiting = [(tree, 0)]
    while waiting:
        element, depth = waiting.pop()
        for child in list(element):
            if depth >= _DEEPEST:
                element.remove(child)
            else:
                waiting.append((child, depth + 1))


def _tidy_links(tree: Any, base: str) -> None:
    if base:
        try:
            tree.make_links_absolute(base, resolve_base_href=False)
        except ValueError:
            return
    for anchor in tree.iter("a"):
        target = anchor.get("href") or ""
        if len(target) > _MAX_LINK or not target.startswith(("http://", "https://", "mailto:")):
            anchor.attrib.pop("href", None)


def _kind(content_type: str) -> tuple[str, str]:
    """Return the media type and the character set of a Content-Type, "" for one that nobody knows."""
    kind, _, rest = content_type.lower().partition(";")
    match = re.search(r"charset\s*=\s*\"?([\w.:-]+)", rest)
    name = match[1] if match else ""
    try:
        codecs.lookup(name)
        b"x".decode(name, "replace")
    except (LookupError, ValueError):
        name = ""
    return kind.strip(), name
