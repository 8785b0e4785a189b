"""Judges signed statements: the right person and presence, fresh, once. For the kernel's rooms.

What must be signed: approving, denying and answering a card, adding and revoking a grant, thawing, and every
change of rules or people. A nonce is remembered as a document for as long as a statement stays fresh, and the
store itself takes it only once, so neither a replay nor a race passes.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from freehold.base import Refused, canonical
from freehold.kernel import people
from freehold.kernel.change import Change
from freehold.kernel.people import Presence, Signed, What
from freehold.store.interface import Document, Drop, Put

NONCES: Final = "nonce"
FRESH_US: Final = 10 * 60 * 1_000_000
AHEAD_US: Final = 60 * 1_000_000


class Approvers(Protocol):
    """What these rooms ask of the registry; every answer is about now."""

    def is_active_human(self, slug: str) -> bool:
        """Whether ``slug`` is a human who is not retired; False for an agent, a service, nobody."""
        ...

    def public_key(self, slug: str) -> bytes | None:
        """The human's Ed25519 public key, 32 raw bytes."""
        ...

    def presence(self, slug: str) -> Presence:
        """What the use of that key takes."""
        ...

    def owner_of(self, agent: str) -> str | None:
        """The human who owns the agent now; None when nobody active does."""
        ...


class Documents(Protocol):
    """The part of a store that a room reads at start."""

    def documents(
        self, collection: str, *, state: str | None = None, prefix: str = "", limit: int = 1_000_000
    ) -> list[Document]:
        """Return documents of a collection by key order."""
        ...


class Witness:
    """Says whether a signed statement counts. ``presence`` is what the estate asks for."""

    def __init__(
        self,
        approvers: Approvers,
        estate: str,
        *,
        presence: Callable[[], Presence] = lambda: "none",
        fresh_us: int = FRESH_US,
    ) -> None:
        self._approvers = approvers
        self._estate = estate
        self._presence = presence
        self._fresh_us = fresh_us
        self._nonces: dict[str, int] = {}

    def load(self, store: Documents) -> None:
        """Read which nonces were used."""
        documents = store.documents(NONCES)
        self._nonces = {document.key: int(canonical.decode(document.body)) for document in documents}

    def check(
        self,
        signed: Signed,
        *,
        what: Sequence[What],
        about: str,
        digest: str,
        content: dict[str, Any],
        now_us: int,
    ) -> Change:
        """Return the change that uses the nonce up (value: who signed), to join to what the statement does.

        Raises Refused when the statement is not by an active human's registered key, says something else, is
        not fresh by the house's time, or was used before.
        """
        statement = signed.statement
        who = statement.by
        if not self._approvers.is_active_human(who):
            raise Refused(
                f"{who} is not an active human of this estate; only a human can decide.",
                remedy="Ask a person who is (`freehold humans`).",
                code="refused.approver",
            )
        key = self._approvers.public_key(who)
        if key is None:
            raise Refused(f"{who} has no key.", remedy=f"Register one for {who}.", code="refused.signature")
        people.verify(signed, key)
        self._check_presence(who)
        self._check_words(signed, what, about, digest, people.content_digest(content))
        self._check_time(statement.at, now_us)
        if len(statement.nonce) != 2 * people.NONCE_BYTES or statement.nonce in self._nonces:
            raise Refused("This statement was used before.", remedy="Sign a new one.", code="refused.replay")
        return self._use(statement.nonce, statement.at, now_us, who)

    def _check_presence(self, who: str) -> None:
        if self._presence() == "passphrase" and self._approvers.presence(who) != "passphrase":
            raise Refused(
                f"This estate asks for a passphrase, and the key of {who} has none.",
                remedy=f"Give {who} a key with a passphrase; scripts decide only where none is asked for.",
                code="refused.presence",
            )

    def _check_words(self, signed: Signed, what: Sequence[What], about: str, digest: str, args: str) -> None:
        said = signed.statement
        wrong = ""
        if said.estate != self._estate:
            wrong = "was signed for another estate"
        elif said.what not in what or said.decision != said.what.rpartition(".")[2]:
            wrong = f"says {said.what}, which is not what is asked here"
        elif said.about != about:
            wrong = "is about something else"
        elif said.digest != digest:
            wrong = "was signed for another version of this; it has changed since it was shown"
        elif said.args != args:
            wrong = "does not cover what came with it (the edit, reason, answer or scope)"
        if wrong:
            raise Refused(
                f"The statement {wrong}.",
                remedy="Look at it again and decide anew.",
                code="refused.statement",
            )

    def _check_time(self, at_us: int, now_us: int) -> None:
        if at_us < now_us - self._fresh_us:
            raise Refused(
                f"The statement is {(now_us - at_us) // 60_000_000} minutes old by the house's time.",
                remedy=f"Decide again; a statement counts for {self._fresh_us // 60_000_000} minutes.",
                code="refused.not-fresh",
            )
        if at_us > now_us + AHEAD_US:
            raise Refused(
                "The statement is dated in the future.",
                remedy="Take the time that the daemon tells with the card.",
                code="refused.not-fresh",
            )

    def _use(self, nonce: str, at_us: int, now_us: int, who: str) -> Change:
        gone = [old for old, at in self._nonces.items() if at < now_us - 2 * self._fresh_us][:64]
        put = Put(NONCES, nonce, canonical.encode(at_us), expect=0)

        def after() -> None:
            self._nonces[nonce] = at_us
            for old in gone:
                self._nonces.pop(old, None)

        return Change(writes=[put, *(Drop(NONCES, old) for old in gone)], after=[after], value=who)
