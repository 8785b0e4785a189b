"""What the vault knows and judges: secrets, bindings, permits, signing keys. No sockets here.

``serve`` reads messages and asks this. A permit counts once, in the life of the vault that gave the key, within ten
seconds, for exactly the binding that a person signed, and only where the secret may go to that host at all.
"""

import base64
import hmac
import secrets
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from freehold.base import BadInput, NotFound, Refused
from freehold.vault.pages import Pages
from freehold.vault.sealed import Sealed
from freehold.wire import permits
from freehold.wire import vault as v
from freehold.wire.permits import Binding, Permit

JOURNAL: Final = "key/journal"
ESTATE: Final = "key/estate"
SUBJECTS: Final = "key/subjects"
_KEYS: Final = (JOURNAL, ESTATE, SUBJECTS)


class Safe:
    """One vault, open. ``now_us`` is the machine's clock; permits go by its monotonic one."""

    def __init__(self, sealed: Sealed, pages: Pages, now_us: Callable[[], int]) -> None:
        self.boot = secrets.token_hex(16)
        self.key = secrets.token_bytes(32)
        self._sealed = sealed
        self._pages = pages
        self._now_us = now_us
        self._counter = 0
        self._fresh: dict[str, list[bytes]] = {}
        missing = [key for key in _KEYS if not sealed.has(key)]
        for key in missing:
            sealed.put(key, secrets.token_bytes(32))
        if missing:
            sealed.write()

    # ---- what is known -------------------------------------------------------------------------------------------

    @property
    def unlock(self) -> str:
        """Where the passphrase comes from: ``file``, ``passphrase`` or ``keyring``."""
        return self._sealed.header.unlock

    def secrets(self) -> list[v.SecretView]:
        """Return what may be known of each secret."""
        return [self._sealed.index.secrets[name] for name in sorted(self._sealed.index.secrets)]

    def bindings(self) -> list[Binding]:
        """Return the bindings that hold."""
        return [self._sealed.index.bindings[name] for name in sorted(self._sealed.index.bindings)]

    def subjects_key(self) -> bytes:
        """Return the key of the subjects' keys: the one thing in here that the daemon is given."""
        return self._value(SUBJECTS)

    # ---- people's changes ----------------------------------------------------------------------------------------

    def set(self, name: str, content: dict[str, Any], value: bytes, by: str) -> v.SecretView:
        """Keep a new secret for the hosts that were signed; raises BadInput."""
        if name in self._sealed.index.secrets and not self._sealed.index.secrets[name].revoked:
            raise BadInput(
                f"There is a secret {name} already.",
                remedy=f"Put another in its place: freehold secrets rotate {name}",
            )
        hosts = tuple(str(host).lower() for host in content.get("hosts", []))
        if not hosts:
            raise BadInput(f"It is not said where {name} may go.", remedy="Add --host, once for each.")
        return self._keep(name, _checked(value), hosts, 1, by, int(content.get("expires_us", 0)), 0)

    def rotate(self, name: str, content: dict[str, Any], value: bytes, by: str) -> v.SecretView:
        """Put a new value in place of a secret's; the old one is kept (and scrubbed) for the overlap."""
        old = self._view(name)
        before = old.version
        now = self._now_us()
        overlap = now + int(content.get("overlap_us", 0))
        self._forget_versions(name, keep=before)
        expires = int(content.get("expires_us", 0))
        return self._keep(name, _checked(value), old.hosts, before + 1, by, expires, overlap)

    def revoke(self, name: str, by: str) -> v.SecretView:
        """Destroy a secret's value at once; its name stays, and its bindings lead nowhere."""
        view = msgspec.structs.replace(
            self._view(name), revoked=True, at_us=self._now_us(), by=by, overlap_us=0
        )
        self._forget_versions(name)
        self._sealed.index.secrets[name] = view
        self._write_for_good()
        return view

    def forget(self, name: str) -> v.SecretView:
        """Remove a secret, its name and its bindings."""
        view = self._view(name)
        self._forget_versions(name)
        del self._sealed.index.secrets[name]
        bindings = self._sealed.index.bindings
        self._sealed.index.bindings = {key: one for key, one in bindings.items() if one.secret != name}
        self._write_for_good()
        return view

    def seal(self, unlock: str, passphrase: bytes, by: str) -> v.SecretView:
        """Open from now on by another passphrase; raises BadInput. The file under the old one does not stay."""
        if unlock not in ("file", "passphrase", "keyring") or len(passphrase) < permits.MIN_SECRET:
            raise BadInput("That does not open a vault.", remedy="At least eight characters.")
        before = self._sealed.header
        self._sealed.rewrap(passphrase, unlock)
        try:
            self._write_for_good()
        except BaseException:
            self._sealed.header = before
            raise
        return v.SecretView("vault", (), self._sealed.index.generation, self._now_us(), by)

    def bind(self, bindings: Sequence[Binding], new: str = "") -> None:
        """Take the bindings that people signed, all; ``new`` names the one that is just being made.

        Raises Refused for one whose secret may not go there, BadInput where the new one's secret is not kept.
        """
        for binding in bindings:
            permits.check_binding(binding)
            known = self._sealed.index.secrets.get(binding.secret)
            if binding.name == new and (known is None or known.revoked):
                raise BadInput(
                    f"There is no secret {binding.secret!r}, or it was revoked.",
                    remedy=f"Set it first: freehold secrets set {binding.secret} --host {binding.host}",
                )
            if known is not None and binding.host not in known.hosts:
                raise Refused(
                    f"The secret {binding.secret} was set for {', '.join(known.hosts)}, not for {binding.host}.",
                    remedy=f"Where it may go is said when it is set: freehold secrets set NAME --host {binding.host}",
                    code="refused.binding",
                )
        wanted = {binding.name: binding for binding in bindings}
        if wanted != self._sealed.index.bindings:
            self._sealed.index.bindings = wanted
            self._sealed.write()

    def renew(self, binding: str, value: bytes) -> None:
        """Keep what a token server gave in place of a refresh token; the courier of that binding says so."""
        bound = self._sealed.index.bindings.get(binding)
        if bound is None or bound.slot != "oauth2" or bound.secret not in self._sealed.index.secrets:
            raise Refused("Only a courier of an OAuth2 binding renews its secret.", code="refused.binding")
        old = self._sealed.index.secrets[bound.secret]
        self._forget_versions(bound.secret, keep=old.version)
        self._keep(
            bound.secret, _checked(value), old.hosts, old.version + 1, "its token server", old.expires_us, 0
        )

    def remember(self, binding: str, value: bytes) -> None:
        """Keep a token that a call returned, to be scrubbed from now on; only in memory, the newest sixteen."""
        known = self._fresh.setdefault(binding, [])
        if value not in known and permits.MIN_SECRET <= len(value) <= 2_048:
            known.append(value)
            del known[:-16]

    def _keep(
        self,
        name: str,
        value: bytes,
        hosts: tuple[str, ...],
        version: int,
        by: str,
        expires_us: int,
        overlap_us: int,
    ) -> v.SecretView:
        view = v.SecretView(name, hosts, version, self._now_us(), by, expires_us, overlap_us)
        old = self._sealed.index.secrets.get(name)
        self._sealed.put(_record(name, version), value)
        self._sealed.index.secrets[name] = view
        try:
            self._sealed.write()
        except BaseException:
            self._sealed.drop(_record(name, version))
            if old is None:
                del self._sealed.index.secrets[name]
            else:
                self._sealed.index.secrets[name] = old
            raise
        return view

    def _forget_versions(self, name: str, keep: int = 0) -> None:
        view = self._sealed.index.secrets[name]
        for version in (view.version, view.version - 1):
            if version != keep:
                self._sealed.drop(_record(name, version))

    def _write_for_good(self) -> None:
        self._sealed.write()
        self._sealed.scrub_before()

    def _view(self, name: str) -> v.SecretView:
        found = self._sealed.index.secrets.get(name)
        if found is None:
            raise NotFound(f"There is no secret {name}.", remedy="List them: freehold secrets")
        return found

    # ---- permits -------------------------------------------------------------------------------------------------

    def judge(self, permit: Permit, mac: str, line: str) -> tuple[Binding, v.SecretView]:
        """Return whose secret a permit is for, and use it up; raises Refused for any that is not exactly right.

        ``line`` is the binding whose courier would be handed it.
        """
        try:
            given = bytes.fromhex(mac)
        except ValueError:
            given = b""
        if not hmac.compare_digest(given, permit.mac(self.key)):
            raise _refused("its MAC does not hold")
        if permit.boot != self.boot:
            raise _refused("it was made for another life of the vault")
        if permit.counter <= self._counter:
            raise _refused("it was used before")
        self._counter = permit.counter
        if (
            time.monotonic_ns() > permit.expires_ns
            or permit.expires_ns > time.monotonic_ns() + permits.LIFETIME_NS
        ):
            raise _refused("its time is over")
        binding = self._sealed.index.bindings.get(permit.binding)
        if binding is None or permit.binding != line:
            raise _refused(f"there is no binding {permit.binding} on this line")
        why = binding.covers(permit.agent, permit.method, permit.url)
        if why:
            raise _refused(f"the binding {binding.name} does not cover it: {why}")
        return binding, self._usable(binding)

    def _usable(self, binding: Binding) -> v.SecretView:
        view = self._sealed.index.secrets.get(binding.secret)
        if view is None or view.revoked:
            raise _refused(f"the secret {binding.secret} {'was revoked' if view else 'is not set'}")
        if binding.host not in view.hosts:
            raise _refused(f"the secret {binding.secret} may not go to {binding.host}")
        if view.expires_us and self._now_us() >= view.expires_us:
            raise _refused(f"the secret {binding.secret} has expired")
        return view

    def hand(
        self, permit: Permit, binding: Binding, view: v.SecretView, send: Callable[[list[Any]], object]
    ) -> None:
        """Give ``send`` the frame with that secret, from locked memory, which is wiped afterwards."""
        records = [_record(view.name, view.version)]
        earlier = _record(view.name, view.version - 1)
        if self._sealed.has(earlier):
            if self._now_us() < view.overlap_us:
                records.append(earlier)
            else:
                self._sealed.drop(earlier)
        fresh = self._fresh.get(binding.name, [])
        sizes = [self._sealed.size(record) for record in records] + [len(value) for value in fresh]
        total = sum(sizes) + 2 * len(sizes)
        with self._pages.slot(total) as slot:
            at = 0
            for number, size in enumerate(sizes):
                slot[at : at + 2] = size.to_bytes(2, "big")
                part = slot[at + 2 : at + 2 + size]
                if number < len(records):
                    self._sealed.unseal(records[number], part)
                else:
                    part[:] = fresh[number - len(records)]
                at += 2 + size
            send(
                [permits.hand_head(permit.counter, view.version, permit.request, total, refused=False), slot]
            )

    # ---- signing -------------------------------------------------------------------------------------------------

    def public(self, which: str) -> bytes:
        """Return the public half of a signing key."""
        return self._signer(which).public_key().public_bytes_raw()

    def sign_checkpoint(self, origin: str, request: v.SignCheckpoint) -> str:
        """Return the signature (base64) over a checkpoint of this estate's journal."""
        root = base64.b64decode(request.root, validate=True)
        if len(root) != 32 or request.size < 0:
            raise BadInput("That is no checkpoint.", remedy="A size, and a root of 32 bytes.")
        return self._sign(JOURNAL, v.checkpoint_text(origin, request.size, root).encode())

    def sign_link(self, link: v.SignLink) -> str:
        """Return the signature over a delegation's link."""
        return self._sign(ESTATE, v.link_bytes(link))

    def sign_card(self, card: v.SignCard) -> str:
        """Return the signature over an agent's card."""
        return self._sign(ESTATE, v.card_bytes(card))

    def sign_token(self, token: v.SignToken) -> str:
        """Return the signature over an external agent's token."""
        return self._sign(ESTATE, v.token_bytes(token))

    def _sign(self, which: str, data: bytes) -> str:
        return base64.b64encode(self._signer(which).sign(data)).decode()

    def _signer(self, which: str) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self._value(which))

    def _value(self, record: str) -> bytes:
        with self._pages.slot(self._sealed.size(record)) as slot:
            self._sealed.unseal(record, slot)
            return bytes(slot)


def _refused(why: str) -> Refused:
    return Refused(f"The vault refused the permit: {why}.", remedy="Nothing was sent.", code="refused.permit")


def _record(name: str, version: int) -> str:
    return f"{name}/{version}"


def _checked(value: bytes) -> bytes:
    if not permits.MIN_SECRET <= len(value) <= permits.MAX_SECRET or any(mark in value for mark in b"\r\n\0"):
        raise BadInput(
            f"A secret has {permits.MIN_SECRET} to {permits.MAX_SECRET} bytes on one line.",
            remedy="A shorter one could not be told from other text in a reply.",
        )
    return value
