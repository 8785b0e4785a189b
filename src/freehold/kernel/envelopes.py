"""Seals what a document says about people, so that forgetting one of them shreds it. For cards and grants.

An envelope names its key by opaque ids alone: a copy of the database without the keys says nothing of whom.
"""

import base64
from collections.abc import Sequence
from typing import Protocol

from freehold.base import Refused, canonical
from freehold.kernel.subjects import SubjectKeys


class Sealer(Protocol):
    """Encrypts for the subjects whom a text is about."""

    def seal(self, plain: bytes, subjects: Sequence[str]) -> bytes:
        """Return ``plain`` sealed for all of ``subjects`` together."""
        ...

    def open(self, sealed: bytes) -> bytes:
        """Return what was sealed; raises Refused when one of its subjects was forgotten."""
        ...


class Envelopes:
    """The sealer over the estate's subject keys."""

    def __init__(self, keys: SubjectKeys) -> None:
        self._keys = keys

    def seal(self, plain: bytes, subjects: Sequence[str]) -> bytes:
        """Return ``plain`` sealed for all of ``subjects`` together."""
        key = self._keys.key(tuple(subjects))
        data = base64.b64encode(key.seal(plain)).decode()
        return canonical.encode_trusted({"d": data, "m": list(key.members), "s": key.set_id})

    def open(self, sealed: bytes) -> bytes:
        """Return what was sealed; raises Refused when one of its subjects was forgotten."""
        row = canonical.decode(sealed)
        key = self._keys.open_set(row["s"], tuple(row["m"]))
        if key is None:
            raise Refused(
                "What this says was forgotten with the person it was about.", code="refused.forgotten"
            )
        return key.open(base64.b64decode(row["d"]))
