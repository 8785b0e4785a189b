"""Events of a calendar as plain data, and back: what a CalDAV server (RFC 4791) or an ICS file (RFC 5545) holds.

Repeating events are not spread out; ``repeats`` says how they repeat. What strangers wrote stays what they wrote.
"""

import datetime
from typing import Any, Final

from icalendar import Calendar, Event, vCalAddress
from lxml import etree

from freehold.base import BadInput
from freehold.reader import hidden

MAX_EVENTS: Final = 500
ACTION: Final = "X-FREEHOLD-ACTION"
_DAV: Final = "{DAV:}"
_CALDAV: Final = "{urn:ietf:params:xml:ns:caldav}"
_LINE: Final = 1_000
_TEXT: Final = 16_000
_BROKEN: Final = (ValueError, KeyError, IndexError, TypeError, AttributeError)


def read(data: bytes, options: dict[str, Any]) -> dict[str, Any]:
    """Do what ``options["do"]`` says: ``list`` events, ``build`` one, or ``change`` the one that is given."""
    if options["do"] == "list":
        return _list(data, options)
    if options["do"] == "build":
        return {"ics": _built(options)}
    return _changed(data, options)


def _list(data: bytes, options: dict[str, Any]) -> dict[str, Any]:
    stored = _answers(data) if options.get("form") == "multistatus" else [("", "", data)]
    events: list[dict[str, Any]] = []
    unreadable = 0
    for href, etag, text in stored:
        try:
            calendar = Calendar.from_ical(text)
            events += [_event(event, href, etag) for event in calendar.walk("VEVENT")]
        except _BROKEN:
            unreadable += 1
    first, last = str(options.get("first", "")), str(options.get("last", ""))
    events = [one for one in events if _within(one, first, last)]
    events.sort(key=lambda one: (str(one["start"]), str(one["uid"])))
    return {"events": events[:MAX_EVENTS], "more": max(0, len(events) - MAX_EVENTS), "unreadable": unreadable}


def _answers(data: bytes) -> list[tuple[str, str, bytes]]:
    """Return address, version and contents of each object in a server's answer to a REPORT."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        raise BadInput(
            "The server's answer is no calendar.", remedy="Name the calendar's own address."
        ) from error
    found = []
    for response in root.iter(f"{_DAV}response"):
        text = response.findtext(f".//{_CALDAV}calendar-data")
        if text:
            href = response.findtext(f"{_DAV}href") or ""
            found.append(
                (href, response.findtext(f".//{_DAV}getetag") or "", text.encode("utf-8", "replace"))
            )
    return found


def _event(event: Any, href: str, etag: str) -> dict[str, Any]:
    start, end = _moment(event, "DTSTART"), _moment(event, "DTEND")
    people = event.get("ATTENDEE", [])
    people = people if isinstance(people, list) else [people]
    repeats = event.get("RRULE")
    return {
        "id": href.rstrip("/").rpartition("/")[2][:_LINE],
        "version": etag[:_LINE],
        "uid": _line(event.get("UID", "")),
        "title": _line(event.get("SUMMARY", "")),
        "start": start,
        "end": end,
        "location": _line(event.get("LOCATION", "")),
        "description": hidden.clean(str(event.get("DESCRIPTION", "")))[0][:_TEXT],
        "organiser": _address(event.get("ORGANIZER", "")),
        "attendees": [_address(one) for one in people[:100]],
        "status": _line(event.get("STATUS", "")),
        "repeats": _line(repeats.to_ical().decode("utf-8", "replace")) if repeats is not None else "",
    }


def _moment(event: Any, name: str) -> str:
    if name not in event:
        return ""
    value = event.decoded(name)
    return str(value.isoformat()) if isinstance(value, datetime.date) else ""


def _within(event: dict[str, Any], first: str, last: str) -> bool:
    """Whether an event touches the days from ``first`` to ``last``; one that repeats is not left out."""
    start, end = str(event["start"])[:10], str(event["end"] or event["start"])[:10]
    return bool(event["repeats"]) or ((not last or start <= last) and (not first or end >= first))


def _built(options: dict[str, Any]) -> str:
    calendar = Calendar()
    calendar.add("prodid", "-//Freehold//EN")
    calendar.add("version", "2.0")
    event = Event()
    event.add("uid", options["uid"])
    _fill(event, options)
    calendar.add_component(event)
    return str(calendar.to_ical().decode())


def _changed(data: bytes, options: dict[str, Any]) -> dict[str, Any]:
    """Return the calendar with the event changed, and which action had changed it before."""
    try:
        calendar = Calendar.from_ical(data)
        masters = [event for event in calendar.walk("VEVENT") if "RECURRENCE-ID" not in event]
        event = masters[0]
        before = str(event.get(ACTION, ""))
        sequence = int(event.get("SEQUENCE", 0)) + 1
        event.pop("SEQUENCE", None)
        event.add("sequence", sequence)
        _fill(event, options)
        return {"ics": calendar.to_ical().decode("utf-8", "replace"), "action": before}
    except _BROKEN as error:
        raise BadInput("The event cannot be read.", remedy="Change it in a calendar program.") from error


def _fill(event: Any, options: dict[str, Any]) -> None:
    values: dict[str, Any] = {"dtstamp": _time(options["stamp"])}
    values |= {
        name: _time(options[key])
        for key, name in (("start", "dtstart"), ("end", "dtend"))
        if options.get(key)
    }
    names = (("title", "summary"), ("location", "location"), ("description", "description"))
    values |= {name: options[key] for key, name in names if options.get(key) is not None}
    if options.get("attendees") is not None:
        values["attendee"] = [vCalAddress(f"mailto:{one}") for one in options["attendees"]]
    if options.get("organiser"):
        values["organizer"] = vCalAddress(f"mailto:{options['organiser']}")
    values[ACTION.lower()] = options["action"]
    for name, value in values.items():
        event.pop(name.upper(), None)
        for one in value if isinstance(value, list) else [value]:
            event.add(name, one)


def _time(text: str) -> datetime.date:
    try:
        return datetime.date.fromisoformat(text) if len(text) == 10 else datetime.datetime.fromisoformat(text)
    except ValueError as error:
        raise BadInput(
            f"{text[:40]!a} is no time.",
            remedy="Write 2026-03-31T10:00:00+02:00, or 2026-03-31 for a whole day.",
        ) from error


def _address(value: Any) -> str:
    return _line(str(value)).removeprefix("mailto:").removeprefix("MAILTO:")


def _line(value: Any) -> str:
    return " ".join(hidden.clean(str(value))[0].split())[:_LINE]
