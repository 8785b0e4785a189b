"""The people, agents and services of an estate as plain values, and who must be allowed when one acts.

The registry makes and changes them; anyone in the trusted tower may read them.
"""

import re
from typing import Final, Literal, Protocol

import msgspec

from freehold.base import BadInput
from freehold.kernel.delegations import Delegation
from freehold.kernel.labels import Confidentiality

_SLUG: Final = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")

Presence = Literal["none", "passphrase"]
Status = Literal["active", "retired"]
Kind = Literal["human", "agent", "service"]


class Key(Protocol):
    """The key of a subject, as far as this room uses it."""

    def seal(self, plain: bytes, aad: bytes = b"") -> bytes:
        """Encrypt."""
        ...

    def open(self, ciphertext: bytes, aad: bytes = b"") -> bytes:
        """Decrypt."""
        ...


class Keys(Protocol):
    """Where subjects' keys come from; raises Refused for one that was forgotten."""

    def key(self, subjects: tuple[str, ...]) -> Key:
        """Return the key of these subjects together."""
        ...


class Human(msgspec.Struct, frozen=True):
    """A person. ``public_key`` is Ed25519 in hex; ``clearance`` the most confidential data they may see."""

    slug: str
    name: str
    email: str
    public_key: str
    manager: str | None = None
    presence: Presence = "passphrase"
    clearance: Confidentiality = Confidentiality.RESTRICTED
    status: Status = "active"


class Agent(msgspec.Struct, frozen=True):
    """What acts. ``owner`` is the human who answers for it."""

    slug: str
    owner: str
    clearance: Confidentiality = Confidentiality.CONFIDENTIAL
    status: Status = "active"


class Service(msgspec.Struct, frozen=True):
    """Something that delegates by itself, such as a watched folder or a schedule."""

    slug: str
    clearance: Confidentiality = Confidentiality.CONFIDENTIAL
    status: Status = "active"


Principal = Human | Agent | Service


class Principals(msgspec.Struct, frozen=True):
    """Who acts and who must all be allowed: the agent, each delegator upwards, and the human owner.

    ``owners`` are the owners of every agent in the chain, ``owner`` the acting agent's own. ``clearance`` is
    the lowest of them all and of the links. True only under ``epoch``; rules look again under another one.
    """

    agent: str
    owner: str
    delegators: tuple[str, ...] = ()
    job: str = ""
    link_ids: tuple[str, ...] = ()
    links: tuple[Delegation, ...] = ()
    owners: tuple[str, ...] = ()
    clearance: Confidentiality = Confidentiality.PUBLIC
    epoch: int = -1


def subject_of(human: str) -> str:
    """Return the subject under whose key a human's own data lies."""
    return f"human:{human}"


def check_slug(text: str, what: str) -> str:
    """Return ``text`` if it can be a name in the estate; raises BadInput."""
    if len(text) > 63 or not _SLUG.fullmatch(text):
        raise BadInput(
            f"{text[:80]!a} cannot be the name of {what}.",
            remedy="Use lower-case letters, digits and single hyphens, beginning with a letter, at most 63.",
        )
    return text
