"""The kits that every estate has, put together; the daemon and the estates of tests call it."""

from freehold.kernel.rooms import Rooms
from freehold.runtime.bound import Bound
from freehold.runtime.cells import Cells
from freehold.runtime.kits import Kit
from freehold.runtime.pins import Pins
from freehold.runtime.tools.calendars import Calendars
from freehold.runtime.tools.files import Files
from freehold.runtime.tools.mailboxes import Mailboxes
from freehold.runtime.tools.pages import Pages
from freehold.runtime.tools.shell import Shell
from freehold.runtime.tools.sql import Databases


def built_in(rooms: Rooms, pins: Pins, cells: Cells, bound: Bound | None = None) -> list[Kit]:
    """Return the kits of one estate; mail is read where secrets can be bound."""
    kits: list[Kit] = [
        Files(rooms, pins), Pages(rooms, cells), Databases(rooms, pins, cells), Calendars(rooms, pins, cells),
        Shell(rooms, cells),
    ]  # fmt: skip
    return kits if bound is None else [*kits, Mailboxes(bound, cells)]
