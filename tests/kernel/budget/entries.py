"""Journal entries with the deltas that the gate writes, for tests of the budget."""

from freehold.base import canonical
from freehold.kernel.budget import Hold
from freehold.kernel.merkle import leaf_hash
from freehold.store.interface import UNKNOWN, Cost, EntryDraft, EntryKind

NOTHING = Cost()


def intent(hold: Hold) -> EntryDraft:
    """The INTENT of a reservation."""
    body = canonical.encode({"t": "intent", "id": hold.action, "try": hold.attempt, "at": hold.at_us})
    return EntryDraft(
        EntryKind.INTENT,
        body,
        leaf_hash(body),
        action=hold.action,
        run=hold.accounts.run,
        attempt=hold.attempt,
        reserved=hold.cost,
    )


def result(hold: Hold, charge: Cost | None) -> EntryDraft:
    """The RESULT that settles it, or leaves it unknown when ``charge`` is None."""
    status = UNKNOWN if charge is None else "done"
    body = canonical.encode({"t": "result", "id": hold.action, "try": hold.attempt, "status": status})
    return EntryDraft(
        EntryKind.RESULT,
        body,
        leaf_hash(body),
        action=hold.action,
        run=hold.accounts.run,
        attempt=hold.attempt,
        status=status,
        reserved=NOTHING if charge is None else NOTHING - hold.cost,
        spent=NOTHING if charge is None else charge,
    )
