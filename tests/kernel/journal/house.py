"""A small estate on a real store: journal, keys, artifacts, checkpoints; the journal's tests stand on it."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from freehold.base import FreeholdError, action_id
from freehold.kernel.artifacts import Artifacts
from freehold.kernel.checkpoint import JournalSigner
from freehold.kernel.forget import Forgetter
from freehold.kernel.journal import Ledger
from freehold.kernel.keeper import CheckpointKeeper
from freehold.kernel.subjects import SubjectKeys
from freehold.kernel.tree import Tree
from freehold.store.interface import Cost, EntryDraft, EntryKind, Store
from freehold.store.open import open_store

ORIGIN = "estate.example/books"
SEED = bytes(range(32))
RUN = f"{7:032x}"


@dataclass
class HandClock:
    """A clock that stands still until it is moved."""

    now: int = 1_800_000_000_000_000
    seconds: float = 0.0

    def now_us(self) -> int:
        return self.now

    def monotonic_s(self) -> float:
        return self.seconds


@dataclass
class House:
    """Everything that a test needs of an estate, opened."""

    folder: Path
    clock: HandClock
    store: Store
    tree: Tree
    keys: SubjectKeys
    keeper: CheckpointKeeper
    ledger: Ledger
    artifacts: Artifacts
    forgetter: Forgetter
    swept: list[frozenset[str]] = field(default_factory=list)

    @property
    def public_key(self) -> str:
        return self.keeper.signer.key.text

    async def close(self) -> None:
        await self.ledger.close()
        await self.store.close()


async def open_house(
    folder: Path,
    clock: HandClock | None = None,
    seed: bytes = SEED,
    wrap: Callable[[Store], Store] = lambda store: store,
) -> House:
    """Open the estate in ``folder``, making it when new; ``wrap`` may stand between ledger and store."""
    clock = clock or HandClock()
    tree = Tree()
    store = wrap(open_store(folder / "store", clock, tree))
    keys = SubjectKeys(folder / "keys" / "subjects")
    keeper = CheckpointKeeper(folder / "checkpoints", JournalSigner(ORIGIN, seed))
    ledger = Ledger(store, keys, tree, keeper, clock)
    artifacts = Artifacts(folder / "artifacts", ledger.key_of)
    artifacts.load()
    swept: list[frozenset[str]] = []

    async def sweep(sets: frozenset[str]) -> list[str]:
        swept.append(sets)
        return ["a card"]

    house = House(
        folder,
        clock,
        store,
        tree,
        keys,
        keeper,
        ledger,
        artifacts,
        Forgetter(ledger, artifacts, [sweep]),
        swept,
    )
    try:
        ledger.open()
    except FreeholdError:
        await store.close()
        raise
    return house


def intent(
    house: House, number: int, subjects: tuple[str, ...] = ("employee:anna",), attempt: int = 1
) -> EntryDraft:
    """Return the INTENT of action ``number``."""
    action = action_id(RUN, "read", number, 1)
    key = house.keys.key(subjects)
    private = json.dumps({"args": {"path": f"receipt-{number}.jpg", "who": subjects[0]}}).encode()
    head: dict[str, Any] = {
        "id": action,
        "run": RUN,
        "node": "read",
        "item": number,
        "ord": 1,
        "try": attempt,
        "who": {"agent": "auditor", "owner": "olivia", "chain": ["auditor", "olivia"]},
        "tool": "source.read",
        "kind": "read",
        "rules": ["may:1"],
        "label": {"i": 2, "c": 1},
        "digest": key.digest(private),
        "cost": {"actions": 1},
    }
    return house.ledger.draft(
        EntryKind.INTENT,
        "intent",
        head,
        private,
        key,
        action=action,
        run=RUN,
        node="read",
        item=number,
        ordinal=1,
        attempt=attempt,
        reserved=Cost(actions=1),
        digest=bytes.fromhex(head["digest"]),
    )


def result(
    house: House,
    opened: EntryDraft,
    value: bytes,
    subjects: tuple[str, ...] = ("employee:anna",),
    status: str = "done",
) -> EntryDraft:
    """Return the RESULT that closes ``opened``."""
    head = {"id": opened.action, "try": opened.attempt, "intent": opened.leaf.hex(), "status": status}
    return house.ledger.draft(
        EntryKind.RESULT,
        "result",
        head,
        value,
        house.keys.key(subjects),
        action=opened.action,
        run=RUN,
        node="read",
        item=opened.item,
        ordinal=1,
        attempt=opened.attempt,
        status=status,
    )


async def fill(
    house: House, entries: int, subjects: tuple[str, ...] = ("employee:anna",), first: int = 0
) -> None:
    """Write pairs of INTENT and RESULT, ``entries`` in all."""
    for number in range(first, first + entries // 2):
        house.clock.now += 1_000
        opened = intent(house, number, subjects)
        await house.ledger.write([opened])
        await house.ledger.write([result(house, opened, b'{"total":%d}' % number, subjects)])
