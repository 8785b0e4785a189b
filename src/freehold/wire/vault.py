"""The vocabulary between the daemon and the vault, and between the vault and a person at its door.

Signing is by type: there is a message for each kind of thing that a long-lived key signs, and none for bytes.
Secrets cross neither of these lines towards the daemon; a person's door takes them in and never gives one out.
"""

import base64
import hashlib
from typing import Any, Final

import msgspec

from freehold.wire import messages as m
from freehold.wire.messages import Line as Words
from freehold.wire.messages import Message, Short, Text
from freehold.wire.permits import Binding, Permit

LINK_DOMAIN: Final = b"freehold/delegation-link/v1\0"
CARD_DOMAIN: Final = b"freehold/agent-card/v1\0"
TOKEN_TYPE: Final = "at+jwt"
_DASH: Final = "\u2014 "


class SecretView(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What may be known of a secret. Times in microseconds; ``expires_us`` 0 for never.

    ``overlap_us`` is until when the value before this one is still scrubbed and could be gone back to.
    """

    name: str
    hosts: tuple[str, ...]
    version: int
    at_us: int
    by: str
    expires_us: int = 0
    overlap_us: int = 0
    revoked: bool = False


# ---- daemon to vault ---------------------------------------------------------------------------------------------


class Line(Message, frozen=True, tag="line"):
    """A courier's line comes along as a descriptor: what the vault hands for ``binding`` goes down ``link``."""

    link: int
    binding: str


class Use(Message, frozen=True, tag="use"):
    """Hand the secret of this permit down that link."""

    link: int
    permit: Permit
    mac: str


class Bind(Message, frozen=True, tag="bind"):
    """The bindings that people have signed, all of them. The one that is ``new`` must name a secret that is kept."""

    number: int
    bindings: list[Binding]
    new: str = ""


class SignCheckpoint(Message, frozen=True, tag="sign_checkpoint"):
    """Sign that the journal has ``size`` entries and this root (base64)."""

    number: int
    size: int
    root: str


class SignLink(Message, frozen=True, tag="sign_link"):
    """Sign a link of a delegation: who gives what part of their rights to whom, until when."""

    number: int
    giver: Short
    to: Short
    rights: list[Short]
    expires_us: int


class SignCard(Message, frozen=True, tag="sign_card"):
    """Sign an agent's card: its name, who answers for it, and what it offers."""

    number: int
    agent: Short
    owner: Short
    skills: list[Short]
    expires_us: int


class SignToken(Message, frozen=True, tag="sign_token"):
    """Sign the token by which a program from elsewhere shows which agent it is; times in seconds since 1970."""

    number: int
    agent: Short
    issuer: Words
    audience: Words
    id: Short
    issued_s: int
    expires_s: int


class Judged(Message, frozen=True, tag="judged"):
    """The gate's word on what a person asked for at the door: who it was, or the problem."""

    number: int
    by: str = ""
    problem: dict[str, Any] | None = None


# ---- vault to daemon ---------------------------------------------------------------------------------------------


class Awake(Message, frozen=True, tag="awake"):
    """The vault serves: its life's name and permit key, and what is stated of it.

    ``unlocked_by``, ``pages`` and ``walls`` are sentences for people. ``subjects`` is the key of the subjects' keys,
    ``journal`` and ``estate`` are public keys; all in hexadecimal digits.
    """

    boot: str
    key: str
    unlocked_by: str
    pages: str
    walls: str
    subjects: str
    journal: str
    estate: str
    secrets: list[SecretView]
    bindings: list[str]


class Asleep(Message, frozen=True, tag="asleep"):
    """The vault cannot serve: the problem, as an error of our tree. It ends after that, or waits at its door."""

    problem: dict[str, Any]


class State(Message, frozen=True, tag="state"):
    """What the vault holds, or what opens it, has changed."""

    secrets: list[SecretView]
    unlocked_by: str


class Taken(Message, frozen=True, tag="taken"):
    """What was asked for is done: ``signature`` in base64, where it was to be signed; or the problem."""

    number: int
    signature: str = ""
    problem: dict[str, Any] | None = None


class Judge(Message, frozen=True, tag="judge"):
    """A person at the door asks for something: is this their word, and may they?"""

    number: int
    verb: Short
    name: Short
    content: dict[str, Any]
    signed: dict[str, Any]


# ---- the door for people -----------------------------------------------------------------------------------------


class Ask(Message, frozen=True, tag="ask"):
    """``secrets.set``, ``rotate``, ``revoke`` or ``forget``, signed. ``content`` is what the signature covers."""

    verb: Short
    name: Short
    content: dict[str, Any]
    signed: dict[str, Any]
    value: Text = ""


class Knock(Message, frozen=True, tag="knock"):
    """Ask for the session's challenge, which the signature must cover."""


class Unlock(Message, frozen=True, tag="unlock"):
    """The passphrase of a vault that waits for it."""

    passphrase: Text


class Challenge(Message, frozen=True, tag="challenge"):
    """Random digits, good for this connection and one request."""

    session: str


class Told(Message, frozen=True, tag="told"):
    """How it went."""

    secret: SecretView | None = None
    problem: dict[str, Any] | None = None


ToVault = Line | Use | Bind | SignCheckpoint | SignLink | SignCard | SignToken | Judged | m.Bye
FromVault = Awake | Asleep | State | Taken | Judge
ToDoor = Knock | Ask | Unlock
FromDoor = Challenge | Told


def checkpoint_text(origin: str, size: int, root: bytes) -> str:
    """Return the text of a checkpoint that is signed (C2SP tlog-checkpoint)."""
    return f"{origin}\n{size}\n{base64.b64encode(root).decode()}\n"


def key_id(origin: str, public: bytes) -> bytes:
    """Return the four bytes that name an Ed25519 key in a signed note (C2SP signed-note)."""
    return hashlib.sha256(origin.encode() + b"\n\x01" + public).digest()[:4]


def note(origin: str, size: int, root: bytes, signature: bytes, public: bytes) -> str:
    """Return the signed note around a checkpoint's signature."""
    line = base64.b64encode(key_id(origin, public) + signature).decode()
    return f"{checkpoint_text(origin, size, root)}\n{_DASH}{origin} {line}\n"


def link_bytes(link: SignLink) -> bytes:
    """Return what is signed of a delegation's link."""
    return LINK_DOMAIN + msgspec.json.encode((link.giver, link.to, link.rights, link.expires_us))


def card_bytes(card: SignCard) -> bytes:
    """Return what is signed of an agent's card."""
    return CARD_DOMAIN + msgspec.json.encode((card.agent, card.owner, card.skills, card.expires_us))


def token_bytes(token: SignToken) -> bytes:
    """Return what is signed of a token: header and claims of a JWT (RFC 9068), as a JWS joins them (RFC 7515).

    It begins with `eyJ`, as nothing else does that the estate's key signs.
    """
    head = {"alg": "EdDSA", "typ": TOKEN_TYPE}
    claims = {
        "iss": token.issuer, "aud": token.audience, "sub": token.agent, "client_id": token.agent, "jti": token.id,
        "iat": token.issued_s, "exp": token.expires_s,
    }  # fmt: skip
    return b".".join(unpadded(msgspec.json.encode(part)) for part in (head, claims))


def unpadded(data: bytes) -> bytes:
    """Return bytes in base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=")
