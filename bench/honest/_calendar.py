"""The calendar: own entries and the invitations of others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._spec import DAY, MOMENT, TEXT, TEXTS, Row, ToolSpec, tool

if TYPE_CHECKING:
    from .world import World


def calendar_day(world: World, date: str) -> list[Row]:
    rows = [row for row in world.events.values() if row["start"][:10] <= date <= row["end"][:10]]
    return sorted((row for row in rows if row["status"] != "cancelled"), key=_start)


def calendar_search(world: World, query: str) -> list[Row]:
    words = query.lower().split()
    rows = [row for row in world.events.values() if all(word in _text(row) for word in words)]
    return sorted(rows, key=_start)


def calendar_create(
    world: World,
    title: str,
    start: str,
    end: str,
    location: str = "",
    participants: list[str] | None = None,
    notes: str = "",
) -> Row:
    _in_order(start, end)
    id = world.fresh("e", world.events)
    world.events[id] = {
        "id": id,
        "title": title,
        "start": start,
        "end": end,
        "location": location,
        "participants": participants or [],
        "organizer": world.owner["mail"],
        "notes": notes,
        "status": "confirmed",
    }
    return world.events[id]


def calendar_move(world: World, id: str, start: str, end: str) -> Row:
    _in_order(start, end)
    event = _own(world, id)
    event.update(start=start, end=end)
    return event


def calendar_cancel(world: World, id: str) -> Row:
    event = _own(world, id)
    event["status"] = "cancelled"
    return event


def calendar_invite(world: World, id: str, participants: list[str]) -> Row:
    event = _own(world, id)
    event["participants"] += [who for who in participants if who not in event["participants"]]
    return event


def tools() -> tuple[ToolSpec, ...]:
    return (
        tool(calendar_day, "List the entries of a day.", {"date": DAY}),
        tool(calendar_search, "Find entries that contain every word.", {"query": TEXT}),
        tool(
            calendar_create,
            "Make an entry; the participants, given as mail addresses, get an invitation.",
            {"title": TEXT, "start": MOMENT, "end": MOMENT},
            {"location": TEXT, "participants": TEXTS, "notes": TEXT},
        ),
        tool(
            calendar_move,
            "Move an own entry; its participants are told.",
            {"id": TEXT, "start": MOMENT, "end": MOMENT},
        ),
        tool(calendar_cancel, "Cancel an own entry; its participants are told.", {"id": TEXT}),
        tool(calendar_invite, "Invite more people to an own entry.", {"id": TEXT, "participants": TEXTS}),
    )


def _own(world: World, id: str) -> Row:
    if id not in world.events:
        raise ValueError(f"There is no entry {id}.")
    event = world.events[id]
    if event["organizer"] != world.owner["mail"]:
        raise ValueError(f"The entry {id} belongs to {event['organizer']}; ask them to change it.")
    return event


def _in_order(start: str, end: str) -> None:
    if end <= start:
        raise ValueError(f"An entry cannot end at {end} when it begins at {start}.")


def _start(row: Row) -> str:
    return str(row["start"])


def _text(row: Row) -> str:
    people = " ".join([row["organizer"], *row["participants"]])
    return f"{row['title']} {row['location']} {row['notes']} {people}".lower()
