"""How the tools of calendars show themselves to a model."""

from freehold.kernel.labels import Integrity
from freehold.kernel.tools import Face, Role
from freehold.runtime.tools.args import schema, text, texts


def calendar_faces() -> dict[str, Face]:
    """Return the faces by name."""
    content, inner, estate = Role.CONTENT, Role.INNER, Integrity.ESTATE
    calendar = text("the calendar's address, such as https://dav.example.org/anna/work/")
    identifier = text("the id that calendar.list gave")
    version = text("the version that calendar.list gave")
    title, place, words = text("what it is called"), text("where it is"), text("what else there is to say")
    start = text("when it begins: 2026-03-31T10:00:00+02:00, or 2026-03-31 for a whole day")
    end = text("when it ends, written like its beginning; the day after the last for whole days")
    guests = texts("mail addresses of those who are invited; they get a message")
    which = dict.fromkeys(("calendar", "id", "source", "path"), Role.ITEM)
    said = {**which, "title": content, "location": content, "description": content, "version": inner}
    given = {"id": estate, "uid": estate, "version": estate}
    return {
        "calendar.list": Face(
            "List the events of a calendar, or of an ICS file in one of the job's folders, from one day to another.",
            schema("", calendar=calendar, source=text("instead: the name of one of the job's folders"),
                   path=text("with `source`: the ICS file inside it"),
                   first=text("the first day, such as 2026-03-01"), last=text("the last day")),
            {**which, "first": inner, "last": inner},
            {"more": estate, "unreadable": estate, "events.*.version": estate},
            ("calendar", "appointment", "meeting", "event", "schedule", "free", "list"),
        ),
        "calendar.create": Face(
            "Put an event into a calendar. With attendees it is an invitation that is sent to them.",
            schema("calendar title start end", calendar=calendar, title=title, start=start, end=end, location=place,
                   description=words, attendees=guests),
            said, given, ("create", "add", "schedule", "book", "plan", "invite", "meeting", "appointment", "event"),
            audience="attendees",
        ),
        "calendar.change": Face(
            "Change an event; what is left out stays as it is.",
            schema("calendar id version", calendar=calendar, id=identifier, version=version, title=title, start=start,
                   end=end, location=place, description=words, attendees=guests),
            said, given, ("change", "move", "reschedule", "update", "invite"), audience="attendees",
        ),
        "calendar.cancel": Face(
            "Take an event out of a calendar. Servers tell those who were invited.",
            schema("calendar id version", calendar=calendar, id=identifier, version=version),
            said, given, ("cancel", "delete", "remove"),
        ),
    }  # fmt: skip
