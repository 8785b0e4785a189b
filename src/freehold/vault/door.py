"""The vault's door for people: a local socket of mode 0600 that takes secrets in and never gives one out.

A caller must be the estate's own user, and what they ask must be signed over this connection's challenge; the daemon,
which knows whose word counts, judges the signature and journals it, and never sees the secret.
"""

import os
import secrets
import socket
from collections.abc import Callable
from typing import Any, Final

from freehold.base import BadInput, FreeholdError, Refused
from freehold.vault.safe import Safe
from freehold.wire import messages as m
from freehold.wire import vault as v
from freehold.wire.blocking import BlockingChannel
from freehold.wire.peer import peer_of

DOOR: Final = "door.sock"
MAX_CALLERS: Final = 16
_TO_DOOR: Final = m.decoder(v.ToDoor)
_NAME_CHARS: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789._-")
VERBS: Final = ("secrets.set", "secrets.rotate", "secrets.revoke", "secrets.forget", "secrets.seal")


def listen() -> socket.socket:
    """Return the listening socket in the vault's own folder, which is the working folder."""
    if os.path.lexists(DOOR):
        os.unlink(DOOR)
    door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        door.bind(DOOR)
    finally:
        os.umask(before)
    door.listen(MAX_CALLERS)
    door.setblocking(False)
    return door


def close() -> None:
    """Take the door away."""
    if os.path.lexists(DOOR):
        os.unlink(DOOR)


class Caller:
    """One person's connection; ``judge`` sends the daemon what is to be judged."""

    def __init__(
        self, sock: socket.socket, judge: Callable[["Caller", v.Ask], None], unlock: Callable[[str], None]
    ):
        sock.settimeout(2.0)
        self.channel = BlockingChannel(sock, _TO_DOOR)
        self._judge = judge
        self._unlock = unlock
        self._session = ""
        self._waiting: v.Ask | None = None

    def take(self) -> bool:
        """Read what came and act on it; False once the caller is to be let go."""
        if not self.channel.read():
            return False
        for message in self.channel.waiting():
            try:
                self._act(message)
            except FreeholdError as error:
                self.channel.send(v.Told(problem=error.problem()))
        return True

    def _act(self, message: v.Knock | v.Ask | v.Unlock) -> None:
        if isinstance(message, v.Knock):
            self._session = secrets.token_hex(16)
            self.channel.send(v.Challenge(self._session))
        elif isinstance(message, v.Unlock):
            self._unlock(message.passphrase)
            self.channel.send(v.Told())
        else:
            session, self._session = self._session, ""
            _check(message, session)
            self._waiting = message
            self._judge(self, message)

    def judged(self, safe: Safe, judged: v.Judged) -> None:
        """Do what was asked for, now that the daemon has said whose word it is; tell the caller."""
        ask, self._waiting = self._waiting, None
        if ask is None:
            return
        if judged.problem is not None:
            self.channel.send(v.Told(problem=judged.problem))
            return
        try:
            self.channel.send(v.Told(_do(safe, ask, judged.by)))
        except FreeholdError as error:
            self.channel.send(v.Told(problem=error.problem()))


def admitted(sock: socket.socket, owner_uid: int) -> bool:
    """Whether the peer is the estate's own user."""
    try:
        return peer_of(sock).uid == owner_uid
    except Refused:
        return False


def _check(ask: v.Ask, session: str) -> None:
    said = ask.content
    if not session or said.get("session") != session:
        raise Refused(
            "The request was not made for this connection.", remedy="Ask again.", code="refused.session"
        )
    if ask.verb not in VERBS or said.get("verb") != ask.verb or said.get("name") != ask.name:
        raise BadInput("The request does not say one thing.", remedy="Ask again: freehold secrets --help")
    if not 0 < len(ask.name) <= 63 or not _NAME_CHARS.issuperset(ask.name) or not ask.name[0].isalpha():
        raise BadInput(
            f"{ask.name[:40]!a} cannot be a secret's name.",
            remedy="Use small letters, digits, `.`, `-` and `_`.",
        )


def _do(safe: Safe, ask: v.Ask, by: str) -> v.SecretView:
    content: dict[str, Any] = ask.content
    value = ask.value.encode()
    if ask.verb == "secrets.set":
        return safe.set(ask.name, content, value, by)
    if ask.verb == "secrets.rotate":
        return safe.rotate(ask.name, content, value, by)
    if ask.verb == "secrets.seal":
        return safe.seal(str(content.get("opens_by", "")), value, by)
    if ask.verb == "secrets.revoke":
        return safe.revoke(ask.name, by)
    return safe.forget(ask.name)
