"""What agents wrote while strangers had a say: remembered by value, so that reading it back makes it no trusted word.

A note, a contact or an entry in a calendar that an agent made under the influence of a mail stands in a trusted field
the next day. Kept as keyed digests, never as text, for the whole estate, each with the subject sets under whose keys
it was written. The gate writes it with the action's RESULT; forgetting a subject removes what its sets alone hold.
"""

import hashlib
import os
from collections.abc import Iterable
from typing import Final

from freehold.base.canonical import decode, encode
from freehold.store.interface import Document, Drop, Put, Store

HEARSAY: Final = "hearsay"
"""Documents: one for each value, by its digest; ``salt`` holds the key of the digests."""
_SALT: Final = "salt"
_SHORTEST: Final = 3


class Hearsay:
    """The remembered values of one estate."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._salt = b""
        self._fresh: dict[str, frozenset[str]] = {}

    def holds(self, text: str) -> bool:
        """Say whether an agent wrote exactly this (folded) text under the influence of strangers."""
        if len(text) < _SHORTEST or not self._key():
            return False
        name = self._name(text)
        return name in self._fresh or self._store.document(HEARSAY, name) is not None

    def writes(self, texts: Iterable[str], set_id: str) -> list[Put]:
        """Return what has to be committed so that ``holds`` knows these texts from now on, written under ``set_id``."""
        texts = [text for text in texts if len(text) >= _SHORTEST]
        if not texts:
            return []
        puts: list[Put] = []
        if not self._key():
            self._salt = os.urandom(32)
            puts.append(Put(HEARSAY, _SALT, self._salt.hex().encode()))
        for name in sorted({self._name(text) for text in texts}):
            known = self._sets(name)
            if set_id not in known:
                self._fresh[name] = known | {set_id}
                puts.append(Put(HEARSAY, name, _written(self._fresh[name])))
        return puts

    def without(self, sets: frozenset[str]) -> list[Put | Drop]:
        """Return what has to be committed so that nothing is known any more of what only these sets hold."""
        found: list[Put | Drop] = []
        for document in self._store.documents(HEARSAY):
            held = frozenset() if document.key == _SALT else _read(document)
            if not held.isdisjoint(sets):
                left = held - sets
                found.append(
                    Put(HEARSAY, document.key, _written(left)) if left else Drop(HEARSAY, document.key)
                )
        left_over = {name: held - sets for name, held in self._fresh.items()}
        self._fresh = {name: held for name, held in left_over.items() if held}
        return found

    def _sets(self, name: str) -> frozenset[str]:
        """Return the sets under which a value is remembered; none for one that is not."""
        if name in self._fresh:
            return self._fresh[name]
        document = self._store.document(HEARSAY, name)
        return frozenset() if document is None else _read(document)

    def _key(self) -> bytes:
        if not self._salt:
            found = self._store.document(HEARSAY, _SALT)
            self._salt = bytes.fromhex(found.body.decode()) if found is not None else b""
        return self._salt

    def _name(self, text: str) -> str:
        return hashlib.blake2b(text.encode(), key=self._salt, digest_size=20).hexdigest()


def _written(sets: frozenset[str]) -> bytes:
    return encode(sorted(sets))


def _read(document: Document) -> frozenset[str]:
    return frozenset(map(str, decode(document.body)))
