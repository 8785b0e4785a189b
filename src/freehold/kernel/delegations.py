"""Delegation as data that can only narrow: who lets whom act for them, with which rights, until when.

A link gives nothing by itself: it is one more judge that must agree, beside whoever it comes from and the
owner of whoever acts. The registry owns this room; rules read the links' rights, when a decision is made.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from freehold.base import BadInput, Corrupt, NotFound, Refused
from freehold.base.canonical import decode, encode
from freehold.kernel.change import Change, Note
from freehold.kernel.documents import Documents
from freehold.kernel.epoch import Epoch
from freehold.kernel.labels import Confidentiality, parse_confidentiality
from freehold.kernel.rights import Right, right_from_json, right_to_json
from freehold.store.interface import Put

MAX_LINKS: Final = 8
MAX_RIGHTS: Final = 200


class Delegation(msgspec.Struct, frozen=True):
    """One link: ``giver`` lets ``to`` use ``rights``, as far as ``giver`` has them when they are used.

    ``job`` is the job whose ``may`` counts for an agent that gives, "" for none. ``until_us`` is UTC.
    """

    id: str
    giver: str
    to: str
    rights: tuple[Right, ...]
    until_us: int
    job: str = ""
    clearance: Confidentiality = Confidentiality.RESTRICTED
    revoked: bool = False


class Delegations:
    """All links of the estate. ``now_us`` is house time, which never goes behind the journal."""

    def __init__(self, epoch: Epoch, now_us: Callable[[], int]) -> None:
        self._epoch = epoch
        self._now_us = now_us
        self._all: dict[str, Delegation] = {}
        self._versions: dict[str, int] = {}

    def load(self, store: Documents) -> None:
        """Read every link again; raises Corrupt for a document that is not one."""
        found: dict[str, Delegation] = {}
        versions: dict[str, int] = {}
        for document in store.documents("delegation"):
            try:
                found[document.key] = _read(decode(document.body))
            except (AttributeError, KeyError, TypeError, ValueError, BadInput):
                raise Corrupt(
                    f"The stored delegation {document.key} cannot be read.", remedy="Restore a backup."
                ) from None
            versions[document.key] = document.version
        self._all, self._versions = found, versions
        self._epoch.bump()

    def all(self) -> list[Delegation]:
        """Return every link, revoked and expired ones too, by id."""
        return [self._all[key] for key in sorted(self._all)]

    def get(self, link: str) -> Delegation:
        """Return one link; raises NotFound."""
        found = self._all.get(link)
        if found is None:
            raise NotFound(f"There is no delegation {link[:80]!a}.", remedy="Ask for a new one.")
        return found

    def alive(self, links: Sequence[Delegation]) -> None:
        """Raise Refused unless every link holds at this moment."""
        now = self._now_us() if links else 0
        for link in links:
            current = self._all.get(link.id)
            if current is None or current.revoked:
                raise _refused(f"The delegation {link.id} from {link.giver} to {link.to} was revoked.")
            if now >= current.until_us:
                raise _refused(f"The delegation {link.id} from {link.giver} to {link.to} has expired.")

    def path(self, agent: str, links: Sequence[str]) -> tuple[Delegation, ...]:
        """Return the links from ``agent`` upwards, in order; Refused unless they are an unbroken line."""
        if len(links) > MAX_LINKS:
            raise _refused(f"A chain of {len(links)} delegations is longer than {MAX_LINKS}.")
        found: list[Delegation] = []
        seen, below = {agent}, agent
        for name in links:
            link = self._all.get(name)
            if link is None:
                raise _refused(f"The delegation {name[:80]!a} is not known.")
            if link.to != below:
                raise _refused(f"The delegation {name} is not for {below} but for {link.to}.")
            if link.giver in seen:
                raise _refused(f"The chain of delegations goes in a circle at {link.giver}.")
            seen.add(link.giver)
            below = link.giver
            found.append(link)
        self.alive(found)
        return tuple(found)

    def give(self, link: Delegation, *, by: str) -> Change:
        """Store a new link; value is it. The registry has checked who it names. Raises BadInput."""
        if link.id in self._all:
            raise BadInput(f"There is a delegation {link.id} already.", remedy="Use a new id.")
        if link.giver == link.to:
            raise BadInput("Nobody delegates to themselves.", remedy="Name another principal.")
        if not link.rights or len(link.rights) > MAX_RIGHTS:
            raise BadInput(f"A delegation names 1 to {MAX_RIGHTS} rights.", remedy="Name what is delegated.")
        if any(right.effect != "permit" for right in link.rights):
            raise BadInput("A delegation only says what may be done.", remedy="Leave out what may not.")
        if link.until_us <= self._now_us():
            raise BadInput("The delegation would have expired already.", remedy="Give a time to come.")
        new = msgspec.structs.replace(link, revoked=False)
        head = {"delegation": new.id, "giver": new.giver, "to": new.to, "until": new.until_us, "by": by}
        return self._put(new, 0, Note("delegation.given", head))

    def revoke(self, link: str, *, by: str) -> Change:
        """Revoke a link for good; value is it. Raises NotFound."""
        new = msgspec.structs.replace(self.get(link), revoked=True)
        return self._put(
            new, self._versions[link], Note("delegation.revoked", {"delegation": link, "by": by})
        )

    def _put(self, link: Delegation, version: int, note: Note) -> Change:
        def after() -> None:
            self._all[link.id] = link
            self._versions[link.id] = version + 1
            self._epoch.bump()

        state = "revoked" if link.revoked else "given"
        return Change([note], [Put("delegation", link.id, _body(link), state, version)], [after], link)


def _body(link: Delegation) -> bytes:
    return encode(
        {
            "id": link.id,
            "giver": link.giver,
            "to": link.to,
            "rights": [right_to_json(right) for right in link.rights],
            "until_us": link.until_us,
            "job": link.job,
            "clearance": link.clearance.name.lower(),
            "revoked": link.revoked,
        }
    )


def _read(stored: dict[str, Any]) -> Delegation:
    stored["rights"] = [right_from_json(right) for right in stored["rights"]]
    stored["clearance"] = parse_confidentiality(stored["clearance"])
    return msgspec.convert(stored, Delegation, from_attributes=True)


def _refused(message: str) -> Refused:
    return Refused(message, remedy="Ask whoever delegates for a new one.", code="refused.authority")
