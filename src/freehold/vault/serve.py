"""The vault's loop: the daemon's line, the couriers' lines and the door for people, one message after another.

``python -m freehold.vault`` runs it. Nothing that comes in is trusted further than its line: the daemon may ask for
what a permit covers, a courier may hand in what it was given, a person may ask for what the daemon judges theirs.
"""

import contextlib
import selectors
import socket
import struct
from collections.abc import Callable
from typing import Any, Final

from freehold.base import BadInput, FreeholdError, ProtocolError, Refused, Unavailable
from freehold.vault import door
from freehold.vault.safe import ESTATE, JOURNAL, Safe
from freehold.wire import messages as m
from freehold.wire import permits
from freehold.wire import vault as v
from freehold.wire.blocking import BlockingChannel

Opener = Callable[[bytes | None], Safe]
_TO_VAULT: Final = m.decoder(v.ToVault)
_UP: Final = struct.Struct(">BI")
_RENEW: Final = 1
_MAX_UP: Final = 64 << 10


class Server:
    """One daemon's vault. ``opener`` opens the file, given a passphrase that a person typed, or None.

    ``listener`` is the door for people; ``stated`` what the vault says of its memory and of its walls.
    """

    def __init__(
        self,
        daemon: socket.socket,
        opener: Opener,
        listener: socket.socket,
        *,
        origin: str,
        stated: tuple[str, str],
        owner_uid: int,
    ) -> None:
        self._listener = listener
        self._channel = BlockingChannel(daemon, _TO_VAULT)
        self._opener = opener
        self._origin = origin
        self._stated = stated
        self._owner_uid = owner_uid
        self._safe: Safe | None = None
        self._lines: dict[int, _Line] = {}
        self._asked: dict[int, door.Caller] = {}
        self._number = 0
        self._callers = 0
        self._selector = selectors.DefaultSelector()

    def serve(self) -> None:
        """Serve until the daemon says goodbye or is gone."""
        listener = self._listener
        listener.setblocking(False)
        self._selector.register(listener, selectors.EVENT_READ, lambda: self._accept(listener))
        self._selector.register(self._channel, selectors.EVENT_READ, self._from_daemon)
        with contextlib.suppress(_Gone, Unavailable):
            self._open(None)
            while True:
                for key, _ in self._selector.select():
                    key.data()
        self._selector.close()
        self._channel.close()
        for line in self._lines.values():
            line.sock.close()

    def _open(self, passphrase: bytes | None) -> None:
        try:
            safe = self._safe = self._opener(passphrase)
        except FreeholdError as error:
            self._channel.send(v.Asleep(error.problem()))
            if error.code == "unavailable.locked":
                return  # a person may still come to the door with the passphrase
            if passphrase is None:
                raise _Gone from error
            raise
        self._channel.send(
            v.Awake(
                safe.boot, safe.key.hex(), _STATED[safe.unlock], *self._stated, safe.subjects_key().hex(),
                safe.public(JOURNAL).hex(), safe.public(ESTATE).hex(), safe.secrets(),
                [binding.name for binding in safe.bindings()],
            )
        )  # fmt: skip

    # ---- the daemon ----------------------------------------------------------------------------------------------

    def _from_daemon(self) -> None:
        if not self._channel.read():
            raise _Gone
        for message in self._channel.waiting():
            if isinstance(message, m.Bye):
                raise _Gone
            self._answer(message)

    def _answer(self, message: Any) -> None:
        if isinstance(message, v.Line):
            (descriptor,) = self._channel.take_descriptors(1)
            self._add_line(message, descriptor)
        elif isinstance(message, v.Use):
            self._use(message)
        elif isinstance(message, v.Judged):
            caller = self._asked.pop(message.number, None)
            if caller is not None and self._safe is not None:
                with contextlib.suppress(Unavailable):
                    caller.judged(self._safe, message)
                self._tell(self._safe)
        else:
            try:
                self._channel.send(v.Taken(message.number, self._signed(message)))
            except FreeholdError as error:
                self._channel.send(v.Taken(message.number, problem=error.problem()))
            except ValueError:
                problem = BadInput("What is to be signed is malformed.", remedy="Nothing was signed.")
                self._channel.send(v.Taken(message.number, problem=problem.problem()))

    def _signed(self, message: v.Bind | v.SignCheckpoint | v.SignLink | v.SignCard | v.SignToken) -> str:
        safe = self._safe
        if safe is None:
            raise Unavailable(
                "The vault is locked.", remedy="Unlock it: freehold secrets unlock", code="unavailable.locked"
            )
        if isinstance(message, v.Bind):
            safe.bind(message.bindings, message.new)
            return ""
        if isinstance(message, v.SignCheckpoint):
            return safe.sign_checkpoint(self._origin, message)
        if isinstance(message, v.SignToken):
            return safe.sign_token(message)
        return safe.sign_link(message) if isinstance(message, v.SignLink) else safe.sign_card(message)

    def _tell(self, safe: Safe) -> None:
        self._channel.send(v.State(safe.secrets(), _STATED[safe.unlock]))

    # ---- couriers ------------------------------------------------------------------------------------------------

    def _add_line(self, message: v.Line, descriptor: int) -> None:
        sock = socket.socket(fileno=descriptor)
        sock.settimeout(2.0)  # a courier that does not take what it asked for loses its line, not the vault
        line = self._lines[message.link] = _Line(sock, message.binding)
        self._selector.register(sock, selectors.EVENT_READ, lambda: self._from_courier(message.link, line))

    def _from_courier(self, number: int, line: "_Line") -> None:
        safe = self._safe
        try:
            told = line.read()
        except (OSError, ProtocolError):
            self._selector.unregister(line.sock)
            self._lines.pop(number, None)
            line.sock.close()
            return
        if safe is None:
            return
        for kind, value in told:
            with contextlib.suppress(FreeholdError):
                if kind == _RENEW:
                    safe.renew(line.binding, value)
                    self._tell(safe)
                else:
                    safe.remember(line.binding, value)

    def _use(self, message: v.Use) -> None:
        line, permit = self._lines.get(message.link), message.permit
        if line is None:
            return  # its courier is gone, and has said so to the daemon
        with contextlib.suppress(OSError):
            try:
                if self._safe is None:
                    raise Refused("The vault is locked.", code="unavailable.locked")
                binding, view = self._safe.judge(permit, message.mac, line.binding)
                self._safe.hand(permit, binding, view, line.send)
            except FreeholdError as error:
                why = error.message.encode()[:1_000]
                head = permits.hand_head(permit.counter % 2**64, 0, permit.request, len(why), refused=True)
                line.send([head, why])

    # ---- the door ------------------------------------------------------------------------------------------------

    def _accept(self, listener: socket.socket) -> None:
        try:
            sock, _ = listener.accept()
        except OSError:
            return
        if self._callers >= door.MAX_CALLERS or not door.admitted(sock, self._owner_uid):
            sock.close()
            return
        self._callers += 1
        caller = door.Caller(sock, self._ask_daemon, lambda typed: self._open(typed.encode()))
        self._selector.register(caller.channel, selectors.EVENT_READ, lambda: self._from_caller(caller))

    def _from_caller(self, caller: door.Caller) -> None:
        try:
            stays = caller.take()
        except (Unavailable, ProtocolError):
            stays = False
        if not stays:
            self._selector.unregister(caller.channel)
            caller.channel.close()
            self._callers -= 1
            self._asked = {number: one for number, one in self._asked.items() if one is not caller}

    def _ask_daemon(self, caller: door.Caller, ask: v.Ask) -> None:
        if self._safe is None:
            raise Unavailable(
                "The vault is locked.", remedy="Unlock it: freehold secrets unlock", code="unavailable.locked"
            )
        self._number += 1
        self._asked[self._number] = caller
        self._channel.send(v.Judge(self._number, ask.verb, ask.name, ask.content, ask.signed))


class _Line:
    """What goes down to one courier, and what comes up from it."""

    def __init__(self, sock: socket.socket, binding: str) -> None:
        self.sock = sock
        self.binding = binding
        self._rest = b""

    def send(self, parts: list[Any]) -> None:
        size = sum(len(part) for part in parts)
        sent = self.sock.sendmsg(parts)
        while sent < size:  # a line that is full: the rest goes as one
            rest = memoryview(b"".join(parts))[sent:]
            self.sock.sendall(rest)
            sent = size

    def read(self) -> list[tuple[int, bytes]]:
        """Return what the courier handed in; raises ProtocolError at the end of the line or for too much."""
        data = self.sock.recv(_MAX_UP)
        self._rest += data
        found = []
        while len(self._rest) >= _UP.size:
            kind, size = _UP.unpack_from(self._rest)
            if size > _MAX_UP:
                raise ProtocolError("A courier hands in more than it may.")
            if len(self._rest) < _UP.size + size:
                break
            found.append((kind, self._rest[_UP.size : _UP.size + size]))
            self._rest = self._rest[_UP.size + size :]
        if not data:
            raise ProtocolError("The line has ended.")
        return found


class _Gone(Exception):
    """There is no daemon any more."""


_STATED: Final = {
    "file": "a passphrase in the file keys/vault.pass: whoever can read the estate's folder can open it",
    "passphrase": "a passphrase that a person types when the daemon starts",
    "keyring": "a passphrase in this machine's keyring",
}
