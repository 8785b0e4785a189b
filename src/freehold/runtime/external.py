"""Agents from elsewhere: which programs have an identity here, and the one token by which each shows it.

A token is kept as its digest; a new one takes the place of the one before. The verbs issue and revoke, the way in for
programs (``control.http``) asks whose a token is. Nothing here decides what such an agent may do: its job file does.
"""

import hashlib
import secrets
from typing import Final

import msgspec

from freehold.base import BadInput, NotFound, Refused
from freehold.base.canonical import decode, encode
from freehold.kernel.change import Change, Note
from freehold.kernel.rooms import Rooms
from freehold.runtime.job import EXTERNAL
from freehold.runtime.vault import Vault
from freehold.store.interface import Drop, Put
from freehold.wire.vault import SignToken

LAST_USE: Final = "external-use"
MAX_DAYS: Final = 366
_USE_EVERY_US: Final = 60_000_000
_DAY_S: Final = 86_400


class External(msgspec.Struct, frozen=True):
    """An agent from elsewhere. ``token`` is the digest of the only token that counts, "" for none."""

    agent: str
    token: str = ""
    token_id: str = ""
    audience: str = ""
    issued_us: int = 0
    expires_us: int = 0
    by: str = ""


class Issued(msgspec.Struct, frozen=True):
    """A new token, to be shown once."""

    token: str
    external: External


class Externals:
    """The external agents of one estate."""

    def __init__(self, rooms: Rooms, estate: str) -> None:
        self._rooms = rooms
        self._estate = estate
        self._all: dict[str, External] = {}
        self._used_us: dict[str, int] = {}
        self._kept_us: dict[str, int] = {}

    def load(self) -> None:
        """Read them from the store."""
        store = self._rooms.store
        self._all = {d.key: msgspec.convert(decode(d.body), External) for d in store.documents(EXTERNAL)}
        self._used_us = {d.key: int(decode(d.body)) for d in store.documents(LAST_USE)}

    @property
    def issuer(self) -> str:
        """Who issues the tokens: this estate."""
        return f"urn:freehold:estate:{self._estate}"

    @property
    def audience(self) -> str:
        """For what they are good: this estate's way in."""
        return f"http://127.0.0.1:{self._rooms.settings.now.agents_port}"

    def active(self) -> list[External]:
        """Return those whose agent is not retired, by name."""
        agents = {agent.slug for agent in self._rooms.registry.agents() if agent.status == "active"}
        return [self._all[slug] for slug in sorted(self._all) if slug in agents]

    def get(self, agent: str) -> External | None:
        """Return an external agent; None for one that is none."""
        return self._all.get(agent)

    def last_use_us(self, agent: str) -> int:
        """Return when its token was used last; 0 for never."""
        return self._used_us.get(agent, 0)

    # ---- changing ----------------------------------------------------------------------------------------

    def add(self, agent: str, *, by: str) -> Change:
        """Return the change that makes a new agent an external one; value is the External."""
        return self._put(External(agent, by=by), Note("agent.external", {"agent": agent, "by": by}))

    async def issue(self, vault: Vault, agent: str, days: int, *, by: str) -> Change:
        """Return the change that gives an agent a new token, in place of the one before; value is an Issued.

        Raises NotFound for an agent that is none from elsewhere, Unavailable while the vault is down.
        """
        if agent not in self._all:
            raise NotFound(
                f"{agent[:80]!a} is no agent from elsewhere.",
                remedy="Add one: freehold agents add NAME --owner HUMAN --external",
            )
        if not 1 <= days <= MAX_DAYS:
            raise BadInput(f"A token cannot last {days} days.", remedy=f"Write 1 to {MAX_DAYS}.")
        issued_s = self._rooms.ledger.now_us() // 1_000_000
        claims = SignToken(
            0, agent, self.issuer, self.audience, secrets.token_hex(16), issued_s, issued_s + days * _DAY_S
        )
        token = await vault.sign_token(claims)
        external = External(
            agent, digest_of(token), claims.id, self.audience, issued_s * 1_000_000, claims.expires_s * 1_000_000, by
        )  # fmt: skip
        head = {"agent": agent, "by": by, "token": claims.id, "expires_us": external.expires_us}
        change = self._put(external, Note("agent.token", head))
        return Change(change.notes, change.writes, change.after, Issued(token, external))

    def revoke(self, agent: str, *, by: str) -> Change:
        """Return the change after which no token of an agent counts; value is the External."""
        old = self._all.get(agent)
        if old is None or not old.token:
            raise NotFound(f"{agent[:80]!a} has no token.", remedy="See: freehold agents")
        note = Note("agent.token-revoked", {"agent": agent, "by": by, "token": old.token_id})
        return self._put(External(agent, by=by), note)

    def _put(self, external: External, note: Note) -> Change:
        def after() -> None:
            self._all[external.agent] = external

        row = encode(msgspec.to_builtins(external))
        writes: list[Put | Drop] = [Put(EXTERNAL, external.agent, row, "token" if external.token else "bare")]
        return Change([note], writes, [after], external)

    # ---- use ---------------------------------------------------------------------------------------------

    def whose(self, token: str, agent: str, now_us: int) -> External:
        """Return whose token this is, where it is the one that counts now; raises Refused.

        Its signature, issuer and audience were checked before; ``agent`` is the subject that it names.
        """
        found = self._all.get(agent)
        if found is None or not secrets.compare_digest(found.token, digest_of(token)):
            raise Refused(
                "This token does not count: it was revoked, or another has taken its place.",
                remedy="Its owner issues a new one: freehold agents token NAME",
                code="refused.token",
            )
        if now_us >= found.expires_us:
            raise Refused(
                "This token has expired.",
                remedy=f"Its owner issues a new one: freehold agents token {agent}",
                code="refused.token",
            )
        return found

    async def used(self, agent: str, now_us: int) -> None:
        """Write down that a token was used; on disk at most once a minute."""
        self._used_us[agent] = now_us
        if now_us - self._kept_us.get(agent, 0) >= _USE_EVERY_US:
            self._kept_us[agent] = now_us
            await self._rooms.ledger.write([], [Put(LAST_USE, agent, encode(now_us), "")])


def digest_of(token: str) -> str:
    """Return what is kept of a token."""
    return hashlib.sha256(token.encode()).hexdigest()
