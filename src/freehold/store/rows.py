"""Between drafts and columns: the one place that knows the journal table's shape, for both engines.

Only the store room calls it. Ids are kept as 16 bytes. ``form`` says what an entry is, more finely than its
kind, because the unique index must tell a RESULT that is unknown from the final one.
"""

from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import msgspec

from freehold.base import BadInput
from freehold.store.interface import UNKNOWN, Cost, Entry, EntryDraft, EntryKind

Row: TypeAlias = list[Any]
"""An entry's columns in the order of COLUMNS; the first, its index, is set by the sequencer."""

COLUMNS: Final = (
    "idx", "form", "attempt", "item", "ordinal", "run", "action", "node", "status", "digest", "leaf",
    "deltas", "body", "payload",
)  # fmt: skip
"""The journal table's columns in order."""

INDEX: Final = 0
FORM: Final = 1
ATTEMPT: Final = 2
ACTION: Final = 6
LEAF: Final = 10
"""Places in a row."""

INTENT: Final = 1
RESULT_UNKNOWN: Final = 2
RESULT_FINAL: Final = 3
REFUSAL: Final = 4
NOTE: Final = 5
"""Forms; stored, never reused. Those up to RESULT_FINAL are unique for an action's attempt."""

_KIND_OF_FORM: Final = (
    EntryKind.NOTE,
    EntryKind.INTENT,
    EntryKind.RESULT,
    EntryKind.RESULT,
    EntryKind.REFUSAL,
    EntryKind.NOTE,
)
_FORM_OF_KIND: Final = (0, INTENT, RESULT_FINAL, REFUSAL, NOTE)
_LARGEST: Final = 2**63 - 1
_ID_BYTES: Final = 16


class _Deltas(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Budget deltas as they are stored: JSON arrays [money_micro, tokens, actions, cpu_us], or null."""

    reserved: tuple[int, int, int, int] | None
    spent: tuple[int, int, int, int] | None


def row_of(draft: EntryDraft) -> Row:
    """Return the draft's row, still without an index; raises BadInput for what no engine can keep."""
    # Every entry passes here: the checks are written out because calls are what costs.
    form, status, node = _FORM_OF_KIND[draft.kind], draft.status, draft.node
    attempt, item, ordinal = draft.attempt, draft.item, draft.ordinal
    try:
        run, action = bytes.fromhex(draft.run), bytes.fromhex(draft.action)
    except ValueError:
        run, action = id_bytes(draft.run), id_bytes(draft.action)
    if (run and len(run) != _ID_BYTES) or (action and len(action) != _ID_BYTES):
        raise _no_id(draft.run if len(run) != _ID_BYTES else draft.action)
    if form <= RESULT_FINAL:
        if not action:
            raise BadInput(
                "An INTENT or a RESULT without an action cannot be kept.", remedy="Name its action."
            )
        if form == RESULT_FINAL and status == UNKNOWN:
            form = RESULT_UNKNOWN
    if not (0 <= attempt <= _LARGEST and 0 <= item <= _LARGEST and 0 <= ordinal <= _LARGEST):
        raise BadInput("A number of the entry does not fit its column.", remedy="Send whole numbers from 0.")
    if not (node.isascii() and status.isascii()) or "\0" in node or "\0" in status:
        text(node), text(status)
    reserved, spent = draft.reserved, draft.spent
    deltas = None
    if reserved is not None or spent is not None:
        deltas = msgspec.json.encode((
            reserved and (reserved.money_micro, reserved.tokens, reserved.actions, reserved.cpu_us),
            spent and (spent.money_micro, spent.tokens, spent.actions, spent.cpu_us),
        )).decode()  # fmt: skip
    return [
        -1, form, attempt, item, ordinal, run, action, node, status, draft.digest, draft.leaf, deltas,
        draft.body, draft.payload,
    ]  # fmt: skip


def entry_of(row: Sequence[Any]) -> Entry:
    """Return the entry that a whole row, index first, holds."""
    index, form, attempt, item, ordinal, run, action, node, status, digest, leaf, deltas, body, payload = row
    reserved, spent = costs_of(deltas)
    return Entry(
        index,
        EntryDraft(
            _KIND_OF_FORM[form],
            body,
            leaf,
            payload,
            action.hex(),
            run.hex(),
            node,
            item,
            ordinal,
            attempt,
            status,
            reserved,
            spent,
            digest,
        ),
    )


def costs_of(deltas: str | None) -> tuple[Cost | None, Cost | None]:
    """Return (reserved, spent) of a stored ``deltas`` column."""
    if deltas is None:
        return None, None
    found = msgspec.json.decode(deltas, type=_Deltas)
    return (
        None if found.reserved is None else Cost(*found.reserved),
        None if found.spent is None else Cost(*found.spent),
    )


def id_bytes(identifier: str) -> bytes:
    """Return the 16 bytes of an id, none for no id; raises BadInput when it is not one."""
    try:
        found = bytes.fromhex(identifier)
    except ValueError as error:
        raise _no_id(identifier) from error
    if found and len(found) != _ID_BYTES:
        raise _no_id(identifier)
    return found


def text(value: str) -> str:
    """Return ``value`` if every engine can keep it; raises BadInput for a zero character or half a pair."""
    if value.isascii() and "\0" not in value:
        return value
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise BadInput("The text holds half of a character pair.", remedy="Send valid Unicode.") from error
    if "\0" in value:
        raise BadInput("The text holds a zero character.", remedy="Remove it.")
    return value


def _no_id(identifier: str) -> BadInput:
    return BadInput(f"{identifier!r} is not an id.", remedy="An id has 32 hexadecimal digits.")
