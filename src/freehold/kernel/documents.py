"""The part of a store that a room of the kernel reads at start, so that a room needs no more than that."""

from typing import Protocol

from freehold.store.interface import Document


class Documents(Protocol):
    """Committed documents, read synchronously."""

    def documents(
        self, collection: str, *, state: str | None = None, prefix: str = "", limit: int = 1_000_000
    ) -> list[Document]:
        """Return documents of a collection by key order."""
        ...
