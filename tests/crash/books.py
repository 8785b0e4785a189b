"""What must hold of an estate after any number of crashes; each sentence returned is something that does not.

Read from the hashed bodies of the journal, not from the columns that the budget itself is rebuilt from.
"""

from collections import Counter
from typing import Any

import msgspec

from freehold.kernel import merkle
from freehold.kernel.budget import rebuild
from freehold.store.interface import Cost, EntryKind
from freehold.testing.estates import ThrowawayEstate


def wrongs(estate: ThrowawayEstate, run: str, *, everything: bool) -> list[str]:
    """Return what is wrong with a run that has ended, and with the books and the journal of the whole estate."""
    found = [*_actions(estate, run), *_bill(estate, run)]
    return [*found, *_books(estate), *_journal(estate)] if everything else found


def _actions(estate: ThrowawayEstate, run: str) -> list[str]:
    found = []
    done: Counter[str] = Counter()
    open_: set[tuple[str, int]] = set()
    for entry in estate.rooms.store.entries_of_run(run):
        draft = entry.draft
        if draft.kind is EntryKind.INTENT:
            open_.add((draft.action, draft.attempt))
        elif draft.kind is EntryKind.RESULT and draft.status != "unknown":
            open_.discard((draft.action, draft.attempt))
            done[draft.action] += draft.status == "done"
    found += [f"{action} was done {count} times" for action, count in done.items() if count > 1]
    found += [f"attempt {attempt} of {action} was left open" for action, attempt in open_]
    return found


def _bill(estate: ThrowawayEstate, run: str) -> list[str]:
    recorded = Cost()
    for entry in estate.rooms.store.entries_of_run(run):
        if entry.draft.kind is EntryKind.RESULT:
            recorded += _cost(msgspec.json.decode(entry.draft.body).get("cost", {}))
    bill = estate.rooms.budget.bill(run, estate.rooms.ledger.now_us())
    if bill.reserved != Cost():
        return [f"the bill still reserves {bill.reserved}"]
    return [] if bill.spent == recorded else [f"the bill says {bill.spent}, the records {recorded}"]


def _books(estate: ThrowawayEstate) -> list[str]:
    books, (again, _, _) = estate.rooms.budget._books, rebuild(estate.rooms.store)
    ours = {name: account.charged for name, account in books.named.items() if not name.startswith("run:")}
    theirs = {name: account.charged for name, account in again.named.items() if not name.startswith("run:")}
    found = [
        f"{name} holds {ours.get(name)}, rebuilt {theirs.get(name)}"
        for name in sorted(ours | theirs)
        if ours.get(name, Cost()) != theirs.get(name, Cost())
    ]
    if set(books.holds) != set(again.holds):
        found.append(f"held are {sorted(books.holds)}, rebuilt {sorted(again.holds)}")
    total = Cost()
    for entry in estate.rooms.store.entries(0, estate.rooms.store.size()):
        if entry.draft.kind is EntryKind.RESULT:
            total += _cost(msgspec.json.decode(entry.draft.body).get("cost", {}))
    spent = estate.rooms.budget.totals("owner:anna", "total", estate.rooms.ledger.now_us()).spent
    return found if spent == total else [*found, f"the owner was charged {spent}, the records say {total}"]


def _journal(estate: ThrowawayEstate) -> list[str]:
    store, tree = estate.rooms.store, estate.rooms.ledger.tree
    leaves = [merkle.leaf_hash(entry.draft.body) for entry in store.entries(0, store.size())]
    return [] if _root(leaves) == tree.root() else ["the journal's root is not that of its entries"]


def _root(leaves: list[bytes]) -> bytes:
    """Return the root of RFC 6962, by its own words (section 2.1)."""
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << ((len(leaves) - 1).bit_length() - 1)
    return merkle.node_hash(_root(leaves[:split]), _root(leaves[split:]))


def _cost(row: dict[str, Any]) -> Cost:
    return Cost(**row)
