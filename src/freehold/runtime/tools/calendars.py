"""Calendars: listed over CalDAV (RFC 4791) or out of an ICS file of a source; events made, changed and cancelled there.

Built and parsed behind walls, never in the daemon. An event that the agent made lies under its action's id, and each
change names its action, so that doing it again after a crash finds what was done.
"""

import asyncio
import base64
import datetime
import os
import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from freehold.base import BadInput, Json, Refused
from freehold.base.canonical import encode
from freehold.kernel.grades import Category
from freehold.kernel.labels import Confidentiality, Integrity, Label, Sink
from freehold.kernel.rights import Resource, http_target, mail_address, named
from freehold.kernel.rooms import Rooms
from freehold.kernel.tools import EffectKind, Intent, Outcome, Tool
from freehold.runtime import web
from freehold.runtime.asker import Asker, Effect
from freehold.runtime.cells import Cells
from freehold.runtime.folders import plain_path
from freehold.runtime.job import Job
from freehold.runtime.kits import Shelf
from freehold.runtime.pins import Pins, source_label
from freehold.runtime.tools.args import ONE, read, source_of
from freehold.runtime.tools.calendar_faces import calendar_faces
from freehold.runtime.workspace import read_inside
from freehold.wire.messages import Delivered

MAX_FILE: Final = 8 << 20
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9@%+=_.~-]{0,250}")
_QUERY: Final = (
    '<?xml version="1.0"?><c:calendar-query xmlns:d="DAV:" xmlns:c="urn:ietf:params:xml:ns:caldav"><d:prop><d:getetag/>'
    '<c:calendar-data/></d:prop><c:filter><c:comp-filter name="VCALENDAR"><c:comp-filter name="VEVENT">{times}'
    "</c:comp-filter></c:comp-filter></c:filter></c:calendar-query>"
)


class Days(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The arguments of ``calendar.list``: an address, or a file in a source."""

    calendar: str = ""
    source: str = ""
    path: str = ""
    first: str = ""
    last: str = ""


class New(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The arguments of ``calendar.create``."""

    calendar: str
    title: str
    start: str
    end: str
    location: str = ""
    description: str = ""
    attendees: list[str] = []


class Changed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The arguments of ``calendar.change``; what is left out stays."""

    calendar: str
    id: str
    version: str
    title: str | None = None
    start: str | None = None
    end: str | None = None
    location: str | None = None
    description: str | None = None
    attendees: list[str] | None = None


class Cancelled(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The arguments of ``calendar.cancel``."""

    calendar: str
    id: str
    version: str


class Calendars:
    """The kit of calendars."""

    def __init__(self, rooms: Rooms, pins: Pins, cells: Cells) -> None:
        self._rooms = rooms
        self._pins = pins
        self._cells = cells

    def tools(self) -> list[Tool]:
        """Return the tools, for calendars at an address."""
        return [self._made(name, {}) for name in calendar_faces()]

    def tool(self, name: str, job: Job, args: Mapping[str, Any]) -> Tool | None:
        """Return a tool as it is for what is asked: a file is a source's, guests make a change a message to them."""
        return self._made(name, args)

    def effects(self, shelf: Shelf) -> dict[str, Effect]:
        """Return how the effects are made."""
        return {
            f"calendar.{name}": _bind(effect, shelf)
            for name, effect in (
                ("list", self._list), ("create", self._create), ("change", self._change), ("cancel", self._cancel)
            )
        }  # fmt: skip

    def _made(self, name: str, args: Mapping[str, Any]) -> Tool:
        face = calendar_faces()[name]
        if name == "calendar.list" and args.get("source"):
            return Tool(name, EffectKind.READ, source_of, right="source.read", face=face)
        if name == "calendar.list":
            return Tool(name, EffectKind.READ, _place, right="calendar.read", timeout_s=None, face=face)
        category = Category.DELETE if name == "calendar.cancel" else Category.CHANGE_SOURCE
        return Tool(
            name, EffectKind.IDEMPOTENT, lambda given: (*_place(given), *_guests(given)),
            Category.SEND if args.get("attendees") else category, sink=self._sink, right="calendar.change",
            control=lambda given: tuple(
                ("calendar.change", one.id) for one in (*_place(given), *_guests(given))
            ) + ((("calendar.id", str(given["id"])),) if "id" in given else ()),
            timeout_s=None, face=face,
        )  # fmt: skip

    def _sink(self, args: Mapping[str, Json]) -> Sink:
        settings = self._rooms.settings
        sink = settings.http_sink("PUT", str(args.get("calendar", "")))
        guests = [one.id.removeprefix("mailto:") for one in _guests(args)]
        return sink.join(settings.mail_sink(guests)) if guests else sink

    # ---- effects -------------------------------------------------------------------------------------------------

    async def _list(self, shelf: Shelf, asker: Asker, intent: Intent) -> Outcome:
        asked = read(intent.args, Days)
        first, last = _day(asked.first), _day(asked.last)
        options = {"do": "list", "first": asked.first, "last": asked.last}
        if asked.source:
            data, label = await self._file(asker, asked)
            return await self._shown(asker, data, options, label)
        times = ""
        if first or last:
            start = f' start="{first:%Y%m%dT000000Z}"' if first else ""
            end = f' end="{last + datetime.timedelta(days=1):%Y%m%dT000000Z}"' if last else ""
            times = f"<c:time-range{start}{end}/>"
        headers = (("Depth", "1"), ("Content-Type", "application/xml; charset=utf-8"))
        body = _QUERY.format(times=times).encode()
        found = await shelf.send(
            asker.job, intent.action, web.Clean("REPORT", asked.calendar, headers, body, ())
        )
        label = asker.label.join(_label(asked.calendar))
        if _status(found) != 207:
            return _refusal(found, label)
        if found.value.get("truncated"):
            raise BadInput(
                "There is more in the calendar than can be read at once.", remedy="Name fewer days."
            )
        return await self._shown(asker, _body(found), options | {"form": "multistatus"}, label)

    async def _shown(self, asker: Asker, data: bytes, options: dict[str, Any], label: Label) -> Outcome:
        value: dict[str, Json] = await self._cells.read(asker.job, "calendar", data, options)
        return Outcome("done", encode(value), label, ONE)

    async def _file(self, asker: Asker, asked: Days) -> tuple[bytes, Label]:
        folder = os.open(
            self._pins.folder(asker.run, asked.source), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
        )
        try:
            data = await asyncio.to_thread(read_inside, folder, plain_path(asked.path), MAX_FILE)
        finally:
            os.close(folder)
        trust = asker.job.sources[asked.source].trust
        return data, asker.label.join(source_label(asked.source, asker.job.subject, trust))

    async def _create(self, shelf: Shelf, asker: Asker, intent: Intent) -> Outcome:
        asked = read(intent.args, New)
        uid = f"{intent.action}@freehold.invalid"
        options = {"do": "build", "uid": uid, **_given(asker, intent, asked)}
        made = await self._cells.read(asker.job, "calendar", b"", options)
        name = f"{intent.action}.ics"
        url = _inside(asked.calendar, name)
        found = await shelf.send(
            asker.job, intent.action, _put(url, str(made["ics"]), ("If-None-Match", "*"))
        )
        if _status(found) == 412:  # it can only be the one that this very action made before a crash
            found = await shelf.send(asker.job, intent.action, web.Clean("GET", url, (), b"", ()))
        if _status(found) not in (200, 201, 204):
            return _refusal(found, asker.label)
        value: Json = {"id": name, "uid": uid, "version": _etag(found)}
        return Outcome("done", encode(value), spent=ONE)

    async def _change(self, shelf: Shelf, asker: Asker, intent: Intent) -> Outcome:
        asked = read(intent.args, Changed)
        url = _inside(asked.calendar, asked.id)
        there = await shelf.send(asker.job, intent.action, web.Clean("GET", url, (), b"", ()))
        if _status(there) != 200:
            return _refusal(there, asker.label)
        options = {"do": "change", **_given(asker, intent, asked)}
        made = await self._cells.read(asker.job, "calendar", _body(there), options)
        label = asker.label.join(_label(asked.calendar))
        if made["action"] != intent.action:  # else it was done before a crash
            if _etag(there) != asked.version:
                raise _changed_since()
            there = await shelf.send(
                asker.job, intent.action, _put(url, str(made["ics"]), ("If-Match", asked.version))
            )
            if _status(there) == 412:
                raise _changed_since()
            if _status(there) not in (200, 201, 204):
                return _refusal(there, label)
        return Outcome("done", encode({"id": asked.id, "version": _etag(there)}), label, ONE)

    async def _cancel(self, shelf: Shelf, asker: Asker, intent: Intent) -> Outcome:
        asked = read(intent.args, Cancelled)
        request = web.Clean(
            "DELETE", _inside(asked.calendar, asked.id), (("If-Match", asked.version),), b"", ()
        )
        found = await shelf.send(asker.job, intent.action, request)
        if _status(found) == 412:
            raise _changed_since()
        if _status(found) not in (200, 204, 404):
            return _refusal(found, asker.label)
        return Outcome("done", encode({"id": asked.id}), spent=ONE)


def _bind(effect: Any, shelf: Shelf) -> Effect:
    async def run(asker: Asker, intent: Intent) -> Outcome:
        outcome: Outcome = await effect(shelf, asker, intent)
        return outcome

    return run


def _place(args: Mapping[str, Json]) -> tuple[Resource, ...]:
    """Return the calendar that is meant; raises BadInput for what is no address of one."""
    target = http_target("GET", str(args.get("calendar", "")))
    if "?" in str(args.get("calendar")):
        raise BadInput("A calendar's address has no query.", remedy="Name the calendar's own address.")
    return (named("calendar", f"{target.a}{target.c}"),)


def _guests(args: Mapping[str, Json]) -> tuple[Resource, ...]:
    guests = args.get("attendees") or []
    if not isinstance(guests, list):
        raise BadInput("The attendees are no list.", remedy="Give a list of mail addresses.")
    return tuple(named("calendar", f"mailto:{mail_address(str(one)).id}") for one in guests)


def _given(asker: Asker, intent: Intent, asked: New | Changed) -> dict[str, Any]:
    moment = datetime.datetime.fromtimestamp(intent.at_us // 1_000_000, datetime.UTC)
    guests = asked.attendees
    return {
        "title": asked.title, "start": asked.start, "end": asked.end, "location": asked.location,
        "description": asked.description, "action": intent.action, "stamp": moment.isoformat(),
        "attendees": None if guests is None else [mail_address(one).id for one in guests],
        "organiser": asker.job.mail.sender if guests and asker.job.mail is not None else "",
    }  # fmt: skip


def _put(url: str, text: str, condition: tuple[str, str]) -> web.Clean:
    return web.Clean(
        "PUT", url, (("Content-Type", "text/calendar; charset=utf-8"), condition), text.encode(), ()
    )


def _inside(calendar: str, name: str) -> str:
    if not _ID.fullmatch(name):
        raise BadInput("That is no event's id.", remedy="Give the `id` that calendar.list gave.")
    return f"{calendar.rstrip('/')}/{name}"


def _day(text: str) -> datetime.date | None:
    try:
        return datetime.date.fromisoformat(text) if text else None
    except ValueError:
        raise BadInput(f"{text[:40]!r} is not a day.", remedy="Write one such as 2026-03-31.") from None


def _label(calendar: str) -> Label:
    host = http_target("GET", calendar).a.partition("://")[2]
    return Label(Integrity.STRANGER, Confidentiality.CONFIDENTIAL, (f"calendar:{host}",))


def _status(found: Delivered) -> int:
    return int(found.value.get("status", 0)) if found.status == "done" else 0


def _body(found: Delivered) -> bytes:
    return base64.b64decode(str(found.value.get("body", "")))


def _etag(found: Delivered) -> str:
    return str(found.value.get("headers", {}).get("etag", ""))


def _refusal(found: Delivered, label: Label) -> Outcome:
    """Return the outcome of a request that the server did not fulfil."""
    if found.status != "done":
        return Outcome(found.status, b"null", label, ONE, found.message)
    return Outcome("not_done", b"null", label, ONE, f"The calendar's server answered {_status(found)}.")


def _changed_since() -> Refused:
    return Refused(
        "The event is not as it was when it was read.",
        remedy="List the calendar again.",
        code="refused.changed",
    )
