"""One vault: opens its file, closes itself to other processes, and serves the daemon that started it.

The only argument says, in JSON, where everything is; nothing secret stands in it. Under systemd (``listen``) it waits
for one daemon after another at the first socket that systemd made, with the second as the door for people; each daemon
gets a new life of the vault, with a new key.
"""

import contextlib
import os
import selectors
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from freehold.base import FreeholdError, Refused, Unavailable
from freehold.vault import door, keyring, sealed, walls
from freehold.vault.pages import Pages
from freehold.vault.safe import Safe
from freehold.vault.serve import Server
from freehold.wire import child

_LISTEN_FD: Final = 3


class Setup(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How to start. Numbers of descriptors are -1 where there is none; ``uid`` is whom to become, 0 for nobody else.

    ``unlock`` says where a new vault's passphrase comes from, ``adopt`` brings a journal key to take over.
    """

    estate: str
    origin: str
    folder: str
    owner_uid: int
    channel: int = -1
    parent: int = 0
    passphrase: int = -1
    adopt: int = -1
    uid: int = 0
    unlock: str = "file"
    listen: bool = False
    passphrase_file: str = ""


def main(argument: str) -> None:
    """Become the vault."""
    setup = msgspec.json.decode(argument, type=Setup)
    adopted = b"" if setup.adopt < 0 else _read(setup.adopt)
    os.chdir(setup.folder)
    given = _given(setup)
    pages = Pages()
    stated = pages.lock()
    child.become(setup.uid)
    child.close_to_others()
    child.set_name("freehold-vault")
    child.silence(keep_stderr=True)
    people = socket.socket(fileno=_LISTEN_FD + 1) if setup.listen else door.listen()

    def open_safe(typed: bytes | None) -> Safe:
        return _open(setup, pages, given if typed is None else [typed], adopted)

    def serve(daemon: socket.socket) -> None:
        Server(
            daemon, open_safe, people, origin=setup.origin, stated=(stated, held), owner_uid=setup.owner_uid
        ).serve()

    try:
        if setup.listen:
            child.close_all_but([_LISTEN_FD, _LISTEN_FD + 1])
            held = walls.close()
            _serve_each(socket.socket(fileno=_LISTEN_FD), setup.owner_uid, serve)
        else:
            child.die_with_parent(setup.parent)
            child.close_all_but([setup.channel, people.fileno()])
            held = walls.close()
            serve(socket.socket(fileno=setup.channel))
            door.close()
    except FreeholdError as error:
        print(f"vault: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


def _serve_each(listener: socket.socket, owner_uid: int, serve: Callable[[socket.socket], None]) -> None:
    with selectors.DefaultSelector() as waiting:
        waiting.register(listener, selectors.EVENT_READ)
        while True:
            waiting.select()
            connection, _ = listener.accept()
            connection.setblocking(True)
            if door.admitted(connection, owner_uid):
                serve(connection)
            else:
                connection.close()


def _given(setup: Setup) -> "list[bytes] | FreeholdError":
    """Return what may be the passphrase, or why there is none; a keyring is asked while programs may be started."""
    if setup.passphrase_file:
        return [Path(setup.passphrase_file).read_bytes().rstrip(b"\r\n")]
    if setup.passphrase >= 0:
        return [_read(setup.passphrase).rstrip(b"\r\n")]
    try:
        if (sealed.read_header().unlock if sealed.exists() else setup.unlock) == "keyring":
            return keyring.recall(setup.estate)
    except FreeholdError as error:
        return error
    return Unavailable(
        "The vault is locked: its passphrase was not given.",
        remedy="Type it: freehold secrets unlock",
        code="unavailable.locked",
    )


def _open(setup: Setup, pages: Pages, given: "list[bytes] | FreeholdError", adopted: bytes) -> Safe:
    """Open the vault's file, or make one where there is none; raises what prevents it, in a sentence."""
    if isinstance(given, FreeholdError):
        raise given
    if sealed.exists():
        return Safe(_opened(setup.estate, given), pages, _now_us)
    if Path(sealed.MARK).exists() or Path(sealed.BEFORE).exists():
        raise Unavailable(
            "The vault's file is gone, though there was one.",
            remedy="Restore `vault/sealed` from your copy, or from `vault/sealed.before`.",
            code="unavailable.vault",
        )
    made = sealed.make(setup.estate, given[0], setup.unlock)
    if adopted:
        made.put("key/journal", adopted)
    return Safe(made, pages, _now_us)


def _opened(estate: str, given: list[bytes]) -> sealed.Sealed:
    for passphrase in given[:-1]:
        with contextlib.suppress(Refused):
            return sealed.open_sealed(estate, passphrase)
    return sealed.open_sealed(estate, given[-1])


def _now_us() -> int:
    return time.time_ns() // 1_000


def _read(descriptor: int) -> bytes:
    with open(descriptor, "rb") as file:
        if file.seekable():
            file.seek(0)
        return file.read(65_536)


if __name__ == "__main__":
    main(sys.argv[1])
