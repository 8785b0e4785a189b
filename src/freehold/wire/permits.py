"""What the daemon, the vault and the couriers agree on about one use of one secret: bindings and permits.

A binding says where a secret may go and how; people sign it. A permit says that the gate let one exact request
through; the daemon makes it under a key that the vault gave it for this life, and the vault takes it once.
"""

import hashlib
import hmac
import struct
from typing import Final, Literal
from urllib.parse import urlsplit

import msgspec

from freehold.base import BadInput, ProtocolError

Scheme = Literal["http", "https", "smtp", "smtps", "imap", "imaps", "git+http", "git+https"]
Slot = Literal["header", "query", "body", "basic", "login", "oauth2"]
PORTS: Final[dict[str, int]] = {
    "http": 80, "https": 443, "smtp": 587, "smtps": 465, "imap": 143, "imaps": 993, "git+http": 80, "git+https": 443,
}  # fmt: skip
LIFETIME_NS: Final = 10 * 1_000_000_000
MAX_SECRET: Final = 16_384
MIN_SECRET: Final = 8
"""Anything shorter could not be told from other text in a reply, so it could not be scrubbed."""
_DOMAIN: Final = b"freehold/permit/v1\0"
_UNCLEAR: Final = ("//", "\\", "%2f", "%5c", "%00", "%2e", "#", " ")
_HAND: Final = struct.Struct(">QBH32sI")


class Binding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where one secret may go, for whom, and in which place of a request it is put.

    ``paths`` are exact, or begin so where they end with ``*``: of a URL; of a repository; senders of mail; folders
    of a mailbox. ``field`` names the header, parameter or JSON field, ``prefix`` stands before the secret there.
    ``private`` allows loopback and private addresses. ``token_url`` is where OAuth2 tokens are refreshed;
    ``ca`` (PEM) is trusted instead of the machine's authorities. ``agents`` may be ``*`` alone: every agent that the
    rules let call the model whose key it is.
    """

    name: str
    secret: str
    scheme: Scheme
    host: str
    port: int
    methods: tuple[str, ...]
    paths: tuple[str, ...]
    slot: Slot
    agents: tuple[str, ...]
    field: str = ""
    prefix: str = ""
    account: str = ""
    starttls: bool = False
    private: bool = False
    token_url: str = ""
    ca: str = ""

    @property
    def tls(self) -> bool:
        """Whether the connection is encrypted from its first byte."""
        return self.scheme in ("https", "smtps", "imaps", "git+https")

    @property
    def origin(self) -> str:
        """Scheme, host and port, as permits write them."""
        return f"{self.scheme}://{self.host}:{self.port}"

    def covers(self, agent: str, method: str, url: str) -> str:
        """Return why the binding does not cover a request, or nothing where it does."""
        origin, path = split(url)
        if agent not in self.agents and self.agents != ("*",):
            return f"it is not for agent {agent}"
        if origin != self.origin:
            return f"it is for {self.origin}, not {origin}"
        if method not in self.methods:
            return f"it allows {', '.join(self.methods)}, not {method}"
        if not any(
            path.startswith(one[:-1]) if one.endswith("*") else path == one for one in self.paths
        ) or any(mark in path.lower() for mark in _UNCLEAR):
            return f"it does not reach {path[:100]!a}"
        return ""


class Asked(msgspec.Struct, frozen=True):
    """One request as it would be sent, but for the secret. ``body`` is the SHA-256 of its body."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: str


class Permit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One request that the gate let through, whole. ``body`` is the SHA-256 of its body.

    ``boot`` names the vault's life, ``counter`` the permit in it; ``expires_ns`` is on the machine's monotonic clock.
    """

    boot: str
    counter: int
    expires_ns: int
    binding: str
    agent: str
    action: str
    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: str

    def encoded(self) -> bytes:
        """Return the bytes that the MAC is over; fields in their order, so there is one form."""
        return _DOMAIN + msgspec.json.encode(self)

    def mac(self, key: bytes) -> bytes:
        """Return the permit's MAC: HMAC-SHA256 (RFC 2104)."""
        return hmac.digest(key, self.encoded(), "sha256")

    @property
    def request(self) -> bytes:
        """The digest of what is asked, by which a courier knows the request that a secret was handed for."""
        return request_digest(self.method, self.url, self.headers, self.body)


def request_digest(method: str, url: str, headers: tuple[tuple[str, str], ...], body: str) -> bytes:
    """Return the SHA-256 of a request as permits write it."""
    return hashlib.sha256(msgspec.json.encode((method, url, headers, body))).digest()


def split(url: str) -> tuple[str, str]:
    """Return the origin of a permit's URL (always with its port) and its path without the query."""
    try:
        parts = urlsplit(url)
        port = parts.port or PORTS.get(parts.scheme, 0)
    except ValueError:
        return "", ""
    if parts.username is not None or not parts.hostname:
        return "", ""
    return f"{parts.scheme}://{parts.hostname}:{port}", parts.path or "/"


def check_binding(binding: Binding) -> Binding:
    """Return the binding where it says one thing; raises BadInput that names what does not fit."""
    web, git = binding.scheme in ("http", "https"), binding.scheme.startswith("git+")
    mail = not web and not git
    slots: dict[bool, tuple[str, ...]] = {
        True: ("login",),
        False: ("basic",) if git else ("header", "query", "body", "basic", "oauth2"),
    }
    known = {"imap": ("FETCH", "APPEND"), "smtp": ("SEND",), "git+": ("FETCH", "PUSH")}.get(
        binding.scheme[:4], ()
    )
    wrong = ""
    if binding.slot not in slots[mail]:
        wrong = f"a secret for {binding.scheme} goes into {' or '.join(slots[mail])}, not {binding.slot}"
    elif binding.slot in ("header", "query", "body") and not binding.field:
        wrong = f"the {binding.slot}'s name is missing (--field)"
    elif binding.slot in ("basic", "login") and not binding.account:
        wrong = "the account is missing (--account)"
    elif binding.slot == "oauth2" and not binding.token_url.startswith(("https://", "http://")):
        wrong = "the address that tokens come from is missing (--token-url)"
    elif not binding.methods or (known and not set(binding.methods) <= set(known)):
        wrong = f"the methods must be of {', '.join(known) or 'HTTP'}"
    elif not binding.paths or not binding.agents or not binding.host or not 0 < binding.port < 65_536:
        wrong = "host, port, paths and agents must be named"
    elif (
        any(c <= " " or c > "~" for c in f"{binding.field}{binding.account}{binding.host}")
        or "\n" in binding.prefix
    ):
        wrong = "field, account and host must be plain ASCII without spaces"
    elif binding.scheme in ("http", "smtp", "imap", "git+http") and not (binding.starttls or binding.private):
        wrong = (
            "a secret goes over an encrypted connection, or to a private address that is named so (--private)"
        )
    if wrong:
        raise BadInput(
            f"The binding {binding.name} cannot be: {wrong}.", remedy="See freehold secrets bind --help"
        )
    return binding


# ---- the line between the vault and one courier --------------------------------------------------------------------


class Handed(msgspec.Struct, frozen=True):
    """What the vault says to a courier of one permit: secrets (the first is used, all are scrubbed), or why not."""

    counter: int
    version: int
    request: bytes
    secrets: tuple[bytes, ...] = ()
    refused: str = ""


def hand_head(counter: int, version: int, request: bytes, size: int, *, refused: bool) -> bytes:
    """Return the header before ``size`` bytes of secrets or of a refusal."""
    return _HAND.pack(counter, int(not refused), version, request, size)


class HandReader:
    """Collects what the vault hands over; the courier's end of the line."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[Handed]:
        """Return what ``data`` completes; raises ProtocolError for what the vault would not say."""
        self._rest += data
        found = []
        while len(self._rest) >= _HAND.size:
            counter, good, version, request, size = _HAND.unpack_from(self._rest)
            if size > 8 * MAX_SECRET:
                raise ProtocolError("The vault hands over more than it can.")
            if len(self._rest) < _HAND.size + size:
                break
            body = bytes(self._rest[_HAND.size : _HAND.size + size])
            self._rest[: _HAND.size + size] = bytes(_HAND.size + size)
            del self._rest[: _HAND.size + size]
            if good:
                found.append(Handed(counter, version, request, _parts(body)))
            else:
                found.append(Handed(counter, version, request, refused=body.decode("utf-8", "replace")))
        return found


def _parts(body: bytes) -> tuple[bytes, ...]:
    """Return the secrets in ``body``: each behind its length in two bytes."""
    found, at = [], 0
    while at < len(body):
        size = int.from_bytes(body[at : at + 2], "big")
        found.append(body[at + 2 : at + 2 + size])
        at += 2 + size
    return tuple(found)
