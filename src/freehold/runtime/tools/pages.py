"""The tool ``page.read``: a page of the web as text with its links, read behind walls, without what nobody sees.

A redirect within the same host is followed where the rights and the flow of data allow that address too; one to
another host is an answer, and asking for it is an action of its own.
"""

import base64
from collections.abc import Mapping
from typing import Final
from urllib.parse import urljoin, urlsplit

import msgspec

from freehold.base import BadInput, FreeholdError, Json
from freehold.base.canonical import encode
from freehold.kernel.labels import Confidentiality, Integrity, Label, flows
from freehold.kernel.rights import http_target
from freehold.kernel.rooms import Rooms
from freehold.kernel.tools import EffectKind, Face, Intent, Outcome, Role, Tool
from freehold.runtime import web
from freehold.runtime.asker import Asker, Effect
from freehold.runtime.cells import Cells
from freehold.runtime.kits import Shelf
from freehold.runtime.tools.args import ONE, number, read, schema, text
from freehold.wire.messages import Delivered

MAX_SHOWN: Final = 32 << 10
MAX_HOPS: Final = 5
_MOVED: Final = (301, 302, 303, 307, 308)
_HEADERS: Final = {
    "Accept": "text/html, application/xhtml+xml, text/plain, */*;q=0.5",
    "User-Agent": "Freehold",
}


class Ask(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The arguments of ``page.read``."""

    url: str
    offset: int = 0


class Pages:
    """The kit of pages."""

    def __init__(self, rooms: Rooms, cells: Cells) -> None:
        self._rooms = rooms
        self._cells = cells

    def tools(self) -> list[Tool]:
        """Return the tool."""
        return [
            Tool(
                "page.read", EffectKind.READ, lambda args: (http_target("GET", str(args.get("url", ""))),),
                sink=lambda args: self._rooms.settings.http_sink("GET", str(args.get("url", ""))),
                control=lambda args: (("http.request", str(args.get("url", ""))),),
                right="http.request", timeout_s=None, face=FACE,
            )
        ]  # fmt: skip

    def effects(self, shelf: Shelf) -> dict[str, Effect]:
        """Return how its effect is made."""

        async def fetch(asker: Asker, intent: Intent) -> Outcome:
            return await self._fetch(shelf, asker, intent)

        return {"page.read": fetch}

    async def _fetch(self, shelf: Shelf, asker: Asker, intent: Intent) -> Outcome:
        asked = read(intent.args, Ask)
        url, label = asked.url, asker.label
        for _ in range(MAX_HOPS):
            one = _get(intent, url)
            found = await shelf.send(
                asker.job, intent.action, web.clean(one, shelf.field_for(asker.job, one.args))
            )
            label = label.join(_label(url, found))
            if found.status != "done":
                return Outcome(found.status, b"null", label, ONE, found.message)
            target = _target(url, found)
            if not target:
                return await self._shown(asker, asked, url, found, label)
            if not self._may(asker, url, target):
                value: Json = {"url": url, "status": int(found.value["status"]), "redirect": target[:2_000]}
                return Outcome("done", encode(value), label, ONE)
            url = target
        raise BadInput(f"The page sends on more than {MAX_HOPS} times.", remedy="Name another address.")

    async def _shown(self, asker: Asker, asked: Ask, url: str, found: Delivered, label: Label) -> Outcome:
        headers = found.value.get("headers", {})
        options = {"type": str(headers.get("content-type", "")), "base": url}
        page = await self._cells.read(asker.job, "page", base64.b64decode(found.value["body"]), options)
        whole, start = str(page["text"]), max(0, asked.offset)
        shown = whole[start : start + MAX_SHOWN]
        end = start + len(shown)
        value: Json = {
            "url": url, "status": int(found.value["status"]), "title": str(page["title"]), "text": shown,
            "next_offset": end if end < len(whole) else None, "truncated": bool(found.value.get("truncated")),
            "hidden": {"elements": int(page["hidden_elements"]), "characters": int(page["hidden_characters"])},
        }  # fmt: skip
        return Outcome("done", encode(value), label, ONE)

    def _may(self, asker: Asker, url: str, target: str) -> bool:
        """Whether a redirect stays with the host that gave it, and the rights and the flow of data allow it."""
        here, there = urlsplit(url), urlsplit(target)
        upgraded = (here.scheme, there.scheme) == ("http", "https") and here.hostname == there.hostname
        if (here.scheme, here.netloc) != (there.scheme, there.netloc) and not (
            upgraded and there.port is None
        ):
            return False
        try:
            chain = self._rooms.registry.chain_of(asker.job.agent, asker.job.name, asker.job.links)
            decision = self._rooms.rules.decide_for(chain, "http.request", http_target("GET", target))
            return (
                decision.allowed
                and flows(asker.label, self._rooms.settings.http_sink("GET", target), True).ok
            )
        except FreeholdError:
            return False


def _get(intent: Intent, url: str) -> Intent:
    """Return the intent of a GET at ``url``."""
    args: Mapping[str, Json] = {"method": "GET", "url": url, "headers": dict(_HEADERS)}
    return msgspec.structs.replace(intent, args=args)


def _target(url: str, found: Delivered) -> str:
    """Return where a reply sends on to, "" where it does not."""
    if found.value.get("status") not in _MOVED:
        return ""
    location = str(found.value.get("headers", {}).get("location", ""))
    try:
        return urljoin(url, location).partition("#")[0] if location else ""
    except ValueError:
        return ""


def _label(url: str, found: Delivered) -> Label:
    """Return the label of what a host says: behind a login it is not public."""
    seen = Confidentiality.CONFIDENTIAL if "binding" in found.value else Confidentiality.PUBLIC
    return Label(Integrity.STRANGER, seen, (f"web:{urlsplit(url).hostname or ''}",))


FACE: Final = Face(
    "Read a page of the web as text; links stand behind their words in brackets. What a page hides is left out. A long "
    "page comes in parts: go on at next_offset. `redirect` names where the page has moved to; ask for that yourself.",
    schema("url", url=text("the address, http:// or https://"),
           offset=number("the character to begin at; 0 at first", 0, 1 << 31)),
    {"offset": Role.INNER},
    {"status": Integrity.ESTATE, "next_offset": Integrity.ESTATE, "hidden": Integrity.ESTATE,
     "truncated": Integrity.ESTATE},
    ("read", "open", "page", "website", "link"),
)  # fmt: skip
