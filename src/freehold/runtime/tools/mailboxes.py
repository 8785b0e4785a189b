"""Mail as a model reads it: what came, one message as text, and a search, from a mailbox that a secret is bound for.

The courier fetches, a reader behind walls makes text of it. Nothing is marked as seen.
"""

import datetime
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from freehold.base import BadInput, Json
from freehold.base.canonical import encode
from freehold.kernel.labels import Confidentiality, Integrity, Label, Sink
from freehold.kernel.rights import named
from freehold.kernel.tools import EffectKind, Face, Intent, Outcome, Role, Tool
from freehold.runtime.asker import Asker, Effect
from freehold.runtime.bound import Bound
from freehold.runtime.cells import Cells
from freehold.runtime.job import Job
from freehold.runtime.kits import Shelf
from freehold.runtime.tools.args import ONE, number, read, schema, text

MAX_SHOWN: Final = 32 << 10
MAX_LISTED: Final = 50
_NAMES: Final = ("mail.list", "mail.read", "mail.search")


class Look(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The arguments of ``mail.list`` and ``mail.search``."""

    server: str = ""
    folder: str = "INBOX"
    since: str = ""
    limit: int = 20
    text: str = ""
    sender: str = ""


class One(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The arguments of ``mail.read``."""

    id: int
    server: str = ""
    folder: str = "INBOX"
    offset: int = 0


class Mailboxes:
    """The kit of mailboxes."""

    def __init__(self, bound: Bound, cells: Cells) -> None:
        self._bound = bound
        self._cells = cells

    def tools(self) -> list[Tool]:
        """Return the tools for one who names the server."""
        return [self._made(name, "") for name in _NAMES]

    def tool(self, name: str, job: Job, args: Mapping[str, Any]) -> Tool | None:
        """Return a tool for which the server need not be named where the job's agent has only one mailbox."""
        return self._made(name, self._bound.only_mailbox(job))

    def effects(self, shelf: Shelf) -> dict[str, Effect]:
        """Return how the effects are made."""

        async def several(asker: Asker, intent: Intent) -> Outcome:
            return await self._several(shelf, asker, intent)

        async def one(asker: Asker, intent: Intent) -> Outcome:
            return await self._one(shelf, asker, intent)

        return {"mail.list": several, "mail.search": several, "mail.read": one}

    def _made(self, name: str, server: str) -> Tool:
        def place(args: Mapping[str, Json]) -> str:
            host, folder = str(args.get("server") or server), str(args.get("folder") or "INBOX")
            if not host or "/" in host:
                raise BadInput(
                    "It is not said which mailbox is meant.",
                    remedy="Give `server`, such as imap.example.org.",
                )
            return f"{host.lower()}/{folder}"

        def looked_for(args: Mapping[str, Json]) -> Sink:
            found = self._bound.mailbox_sink(place(args).partition("/")[0])
            return msgspec.structs.replace(found, consequential=False)

        return Tool(
            name, EffectKind.READ, lambda args: (named("mailbox", place(args)),), right="mailbox.fetch",
            sink=looked_for if name == "mail.search" else None,
            control=lambda args: (("mailbox.fetch", place(args)),), timeout_s=None, face=_faces(server)[name],
        )  # fmt: skip

    async def _several(self, shelf: Shelf, asker: Asker, intent: Intent) -> Outcome:
        asked = read(intent.args, Look)
        headers = [("part", "head"), ("limit", str(max(1, min(asked.limit, MAX_LISTED))))]
        if asked.since:
            headers.append(("since", _day(asked.since)))
        headers += [(name, value) for name, value in (("from", asked.sender), ("text", asked.text)) if value]
        return await self._fetched(shelf, asker, intent, tuple(headers), asked.server, asked.folder)

    async def _one(self, shelf: Shelf, asker: Asker, intent: Intent) -> Outcome:
        asked = read(intent.args, One)
        return await self._fetched(
            shelf, asker, intent, (("uid", str(asked.id)),), asked.server, asked.folder, max(0, asked.offset)
        )

    async def _fetched(
        self, shelf: Shelf, asker: Asker, intent: Intent, headers: tuple[tuple[str, str], ...], server: str,
        folder: str, offset: int = -1,
    ) -> Outcome:  # fmt: skip
        host = (server or self._bound.only_mailbox(asker.job)).lower()
        held = shelf.held(asker.job, "mail.read")
        found, data = await self._bound.look(asker.job, intent.action, (host, folder), headers, held)
        label = asker.label.join(Label(Integrity.STRANGER, Confidentiality.CONFIDENTIAL, (f"imap:{host}",)))
        if found.status != "done":
            return Outcome(found.status, encode(found.value), label, ONE, found.message)
        given = (
            await self._cells.read(asker.job, "mail", data, {"whole": offset >= 0})
            if data
            else {"messages": []}
        )
        if offset < 0:
            value: Json = {
                "folder": folder, "messages": list(reversed(given["messages"])),
                "more": bool(found.value.get("truncated")),
            }  # fmt: skip
            return Outcome("done", encode(value), label, ONE)
        if not given["messages"]:
            raise BadInput("There is no such message in that folder.", remedy="List the folder: mail.list")
        (message,) = given["messages"]
        whole = str(message["text"])
        shown = whole[offset : offset + MAX_SHOWN]
        end = offset + len(shown)
        value = {**message, "text": shown, "next_offset": end if end < len(whole) else None}
        return Outcome("done", encode(value), label, ONE)


def _day(written: str) -> str:
    """Return a day as IMAP writes it; raises BadInput."""
    try:
        day = datetime.date.fromisoformat(written)
    except ValueError:
        raise BadInput(f"{written[:40]!r} is not a day.", remedy="Write one such as 2026-03-31.") from None
    months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    return f"{day.day:02}-{months[day.month - 1]}-{day.year:04}"


def _faces(server: str) -> dict[str, Face]:
    inner, estate = Role.INNER, Integrity.ESTATE
    which = {"server": Role.ITEM, "folder": Role.ITEM, "id": Role.ITEM}
    where = {
        "server": text(f"the mailbox's server{f'; {server} where it is left out' if server else ''}"),
        "folder": text("the folder of the mailbox; INBOX where it is left out"),
    }
    needed = "" if server else "server "
    since = text("only what came on this day or later, such as 2026-03-31")
    limit = number("how many at most, the newest", 1, MAX_LISTED)
    facts = dict.fromkeys(("id", "size", "received", "seen"), estate)
    listed = {"folder": estate, "more": estate, **{f"messages.*.{name}": who for name, who in facts.items()}}
    return {
        "mail.list": Face(
            "List the newest mails of a folder: from whom, about what, when. Read one with mail.read.",
            schema(needed.strip(), **where, since=since, limit=limit),
            {**which, "since": inner, "limit": inner}, listed, ("read", "check", "mail", "inbox", "list"),
        ),
        "mail.search": Face(
            "Find mails of a folder that hold a text, or are from somebody, the newest first.",
            schema(needed.strip(), **where, text=text("what the mail must hold"), sender=text("whom it must be from"),
                   since=since, limit=limit),
            {**which, "since": inner, "limit": inner, "text": inner, "sender": inner}, listed,
            ("search", "find", "mail"),
        ),
        "mail.read": Face(
            "Read one mail as text, with the names of what is attached. What a mail hides is left out. A long "
            "one comes in parts: go on at next_offset.",
            schema(f"{needed}id", **where, id=number("the id that mail.list or mail.search gave", 1, 1 << 32),
                   offset=number("the character to begin at; 0 at first", 0, 1 << 31)),
            {**which, "offset": inner},
            {**facts, "next_offset": estate, "attachments.*.size": estate, "hidden_elements": estate,
             "hidden_characters": estate},
            ("read", "open", "mail"),
        ),
    }  # fmt: skip
