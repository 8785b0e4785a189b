"""What agents wrote while strangers had a say: remembered by value, so that reading it back makes it no trusted word.

A note, a contact or an entry in a calendar that an agent made under the influence of a mail stands in a trusted field
the next day. Kept as keyed digests, never as text, for the whole estate. The gate writes it with the action's RESULT.
"""

import hashlib
import os
from collections.abc import Iterable
from typing import Final

from freehold.store.interface import Put, Store

HEARSAY: Final = "hearsay"
"""Documents: one for each value, by its digest; ``salt`` holds the key of the digests."""
_SALT: Final = "salt"
_SHORTEST: Final = 3


class Hearsay:
    """The remembered values of one estate."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._salt = b""
        self._fresh: set[str] = set()

    def holds(self, text: str) -> bool:
        """Say whether an agent wrote exactly this (folded) text under the influence of strangers."""
        if len(text) < _SHORTEST or not self._key():
            return False
        name = self._name(text)
        return name in self._fresh or self._store.document(HEARSAY, name) is not None

    def writes(self, texts: Iterable[str]) -> list[Put]:
        """Return what has to be committed so that ``holds`` knows these texts from now on."""
        texts = [text for text in texts if len(text) >= _SHORTEST]
        if not texts:
            return []
        puts: list[Put] = []
        if not self._key():
            self._salt = os.urandom(32)
            puts.append(Put(HEARSAY, _SALT, self._salt.hex().encode()))
        names = {self._name(text) for text in texts} - self._fresh
        self._fresh |= names
        return [*puts, *(Put(HEARSAY, name, b"{}") for name in sorted(names))]

    def _key(self) -> bytes:
        if not self._salt:
            found = self._store.document(HEARSAY, _SALT)
            self._salt = bytes.fromhex(found.body.decode()) if found is not None else b""
        return self._salt

    def _name(self, text: str) -> str:
        return hashlib.blake2b(text.encode(), key=self._salt, digest_size=20).hexdigest()
