"""What PostgreSQL says, in our words, by SQLSTATE (its manual, appendix A). Only ``postgres.py`` calls it."""

from typing import Final

import psycopg

from freehold.base import BadInput, Corrupt, FreeholdError, StoreFailed, Unavailable
from freehold.store.engine import conflict

_ONCE: Final = "entry_once"

_REMEDIES: Final = {
    "53100": ("has no disk space left.", "Free some space on the server, then resume.", "full"),
    "53200": ("has no memory left.", "Give the server memory, then resume.", ""),
    "53300": ("has no connection left.", "Raise max_connections or stop other clients.", ""),
    "57P01": ("was shut down by its administrator.", "Start the server, then resume.", ""),
    "57P02": ("crashed and restarts.", "Wait until the server is up, then resume.", ""),
    "57P03": ("is starting up or shutting down.", "Wait until the server is up, then try again.", ""),
    "25006": ("is read-only: a standby, or set so.", "Use the primary server's address.", ""),
    "55P03": ("is locked by another client.", "End that client's transaction, then resume.", "locked"),
    "42501": ("refuses this role the right to do that.", "Grant the role the rights on the database.", ""),
    "28P01": ("refuses the password.", "Correct the user or the password.", ""),
    "28000": ("refuses this user.", "Correct the user or the server's pg_hba.conf.", ""),
    "3D000": ("does not exist.", "Create it, or correct the name.", ""),
}
_BY_MESSAGE: Final = (
    ("starting up", "57P03"),
    ("shutting down", "57P03"),
    ("too many clients", "53300"),
    ("remaining connection slots", "53300"),
    ("password authentication failed", "28P01"),
    ("no password supplied", "28P01"),
    ("no pg_hba.conf entry", "28000"),
    ("does not exist", "3D000"),
)
"""libpq gives no SQLSTATE for what fails while connecting, only the server's English words."""


def in_words(error: Exception, what: str, kind: type[Unavailable]) -> FreeholdError:
    """Return the library's error as ours: BadInput for refused content, Corrupt, else ``kind``."""
    state = getattr(error, "sqlstate", None) or ""
    if state == "23505":
        if isinstance(error, psycopg.Error) and error.diag.constraint_name == _ONCE:
            return conflict("The journal already holds an INTENT or RESULT of this action's attempt.")
        return StoreFailed(
            "Something else has written to the journal.", remedy="Stop the other writer, reopen."
        )
    if state[:2] in ("22", "23", "54") or isinstance(
        error, (UnicodeEncodeError, OverflowError, psycopg.DataError)
    ):
        return BadInput(
            f"PostgreSQL refuses the content: {_first_line(error)}.", remedy="Correct the values."
        )
    if state in ("XX001", "XX002"):
        return Corrupt(f"{what} is damaged.", remedy="Restore the newest backup; then verify the journal.")
    message = str(error)
    if not state:
        state = next((code for words, code in _BY_MESSAGE if words in message), "")
    if state in _REMEDIES:
        says, remedy, code = _REMEDIES[state]
        return kind(f"{what} {says}", remedy=remedy, code=f"unavailable.store.{code}" if code else "")
    if not state or state.startswith("08"):
        return kind(
            f"{what} is not reachable: {_first_line(error)}.",
            remedy="Start the server or correct the address, then resume.",
            code="unavailable.store.unreachable",
        )
    return kind(f"{what} cannot go on: {_first_line(error)}.", remedy="Look at the server's log.")


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__).rstrip(".")
