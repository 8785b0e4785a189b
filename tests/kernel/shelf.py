"""What a room of the kernel sees of a store, in memory: fast enough for hypothesis, crashed at will."""

from collections.abc import Iterator

from freehold.base import BadInput
from freehold.kernel.change import Change
from freehold.store.interface import CONFLICT, Document, Drop, Entry, EntryDraft, Put


class Shelf:
    """What is durable. A crash is: forget the rooms, load new ones from here."""

    def __init__(self) -> None:
        self.journal: list[EntryDraft] = []
        self.kept: dict[tuple[str, str], Document] = {}

    def commit(self, entries: list[EntryDraft], writes: list[Put | Drop]) -> int:
        kept = dict(self.kept)
        for write in writes:
            place = write.collection, write.key
            if isinstance(write, Drop):
                kept.pop(place, None)
                continue
            version = kept[place].version if place in kept else 0
            if write.expect is not None and write.expect != version:
                raise BadInput("The version does not hold.", code=CONFLICT)
            kept[place] = Document(*place, write.body, write.state, version + 1)
        self.kept = kept
        self.journal.extend(entries)
        return len(self.journal) - len(entries)

    def make(self, change: Change) -> object:
        """Commit a change the way the ledger does; its notes have no place here."""
        try:
            self.commit([], change.writes)
        except BadInput:
            for move in change.undo:
                move()
            raise
        for move in change.after:
            move()
        return change.value

    def size(self) -> int:
        return len(self.journal)

    def entries(self, start: int, stop: int) -> Iterator[Entry]:
        for index in range(start, stop):
            yield Entry(index, self.journal[index])

    def document(self, collection: str, key: str) -> Document | None:
        return self.kept.get((collection, key))

    def documents(
        self, collection: str, *, state: str | None = None, prefix: str = "", limit: int = 1_000_000
    ) -> list[Document]:
        found = [
            document
            for (kind, key), document in sorted(self.kept.items())
            if kind == collection and key.startswith(prefix) and state in (None, document.state)
        ]
        return found[:limit]
