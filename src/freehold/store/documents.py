"""The statements that write documents, the same on both engines, which call it; ``?`` is a parameter."""

from typing import Any, Final

from freehold.store.interface import Drop, Put

VERSION_OF: Final = "SELECT version FROM document WHERE collection = ? AND key = ?"

_DROP: Final = "DELETE FROM document WHERE collection = ? AND key = ?"
_INSERT: Final = (
    "INSERT INTO document (collection, key, state, body, version) VALUES (?, ?, ?, ?, 1) "
    "ON CONFLICT (collection, key) DO "
)
_NEW: Final = _INSERT + "NOTHING"
_ANY: Final = _INSERT + (
    "UPDATE SET state = excluded.state, body = excluded.body, version = document.version + 1"
)
_UPDATE: Final = (
    "UPDATE document SET state = ?, body = ?, version = version + 1 "
    "WHERE collection = ? AND key = ? AND version = ?"
)


def statement(change: Put | Drop) -> tuple[str, tuple[Any, ...]]:
    """Return a change's statement and its parameters; a Put that does not write one row is a conflict."""
    if isinstance(change, Drop):
        return _DROP, (change.collection, change.key)
    if change.expect is None:
        return _ANY, (change.collection, change.key, change.state, change.body)
    if change.expect == 0:
        return _NEW, (change.collection, change.key, change.state, change.body)
    return _UPDATE, (change.state, change.body, change.collection, change.key, change.expect)
