"""Presence that lasts: for some minutes after a passphrase was typed, that terminal is not asked again.

Off unless the estate's settings say `presence_minutes`. A process of its own holds the opened key, in memory that is
locked against dumps and tracing, and signs for whoever stands at the same terminal: same user, same session, in the
foreground. The minutes run from the typing and are not prolonged; it ends with the session too.
"""

import contextlib
import os
import select
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from freehold.base import FreeholdError
from freehold.cli.desk import Desk
from freehold.control.address import peer_of, short_path
from freehold.kernel import people
from freehold.wire import child, frames

_LIMIT_S: Final = 5.0


class Place(NamedTuple):
    """A terminal, as the kernel tells it of a process: its session, device, and the group in its foreground."""

    session: int
    tty: int
    group: int
    foreground: int

    @property
    def at_terminal(self) -> bool:
        """Whether there is a terminal, and the process is in its foreground."""
        return self.tty != 0 and self.group == self.foreground


def place_of(pid: int) -> Place:
    """Return where a process stands (proc(5), stat); nowhere for one that is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return Place(0, 0, 0, -1)
    return Place(session=int(fields[3]), tty=int(fields[4]), group=int(fields[2]), foreground=int(fields[5]))


def ask_held(desk: Desk, human: str, statement: people.Statement) -> dict[str, Any] | None:
    """Have a statement signed by the key that this terminal holds open; None where it holds none."""
    path = _socket(desk.estate.keys, human, place_of(os.getpid()))
    if path is None or not path.exists():
        return None
    try:
        with socket.socket(socket.AF_UNIX) as sock, short_path(path) as name:
            sock.settimeout(_LIMIT_S)
            sock.connect(name)
            if peer_of(sock).uid != os.getuid():
                return None
            sock.sendall(frames.pack(statement.encoded()))
            found = frames.Unpacker().feed(sock.recv(1 << 16))
    except (OSError, FreeholdError):
        return None
    signed: dict[str, Any] | None = msgspec.json.decode(found[0]) if found else None
    return signed


def hold(desk: Desk, key: people.SigningKey, minutes: int) -> None:
    """Keep an opened key for this terminal, for ``minutes``; nothing where there is no terminal.

    The socket is there before this returns: a command that comes while the holder still starts waits for it.
    """
    place = place_of(os.getpid())
    path = _socket(desk.estate.keys, key.human, place)
    if path is None or not place.at_terminal or minutes <= 0:
        return
    listener = _listen(path)
    if listener is None:
        return
    reading, writing = os.pipe()
    told = {
        "path": str(path),
        "human": key.human,
        "session": place.session,
        "tty": place.tty,
        "minutes": minutes,
    }
    command = [
        sys.executable,
        "-P",
        "-m",
        "freehold.cli.presence",
        msgspec.json.encode(told).decode(),
        str(reading),
        str(listener.fileno()),
    ]
    process = subprocess.Popen(
        command, pass_fds=[reading, listener.fileno()], start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    process.returncode = 0  # it lives on by itself; nobody here waits for it
    os.close(reading)
    listener.close()
    with contextlib.suppress(OSError):
        os.write(writing, key.raw())
    os.close(writing)


def _listen(path: Path) -> socket.socket | None:
    """Return a socket of this user's alone that listens at ``path``; None where none can be made."""
    listener = socket.socket(socket.AF_UNIX)
    before = os.umask(0o177)
    try:
        path.unlink(missing_ok=True)
        with short_path(path) as name:
            listener.bind(name)
        listener.listen(4)
    except OSError:
        listener.close()
        return None
    finally:
        os.umask(before)
    return listener


def let_go(desk: Desk, human: str) -> int:
    """End every key that is held open for ``human``; returns how many there were."""
    found = list((desk.estate.keys / "people").glob(f".{human}.*.sock"))
    for path in found:
        path.unlink(missing_ok=True)  # its holder looks for it, and ends
    return len(found)


def _socket(keys: Path, human: str, place: Place) -> Path | None:
    return keys / "people" / f".{human}.{place.session}.{place.tty}.sock" if place.tty else None


class _Holder:
    """The process that holds the key."""

    def __init__(self, told: dict[str, Any], raw: bytes, listener: socket.socket) -> None:
        self._listener = listener
        self._path = Path(told["path"])
        self._session = int(told["session"])
        self._tty = int(told["tty"])
        self._until_s = time.monotonic() + 60 * int(told["minutes"])
        self._key = people.signing_key(raw, str(told["human"]))

    def serve(self) -> None:
        """Sign for this terminal until its time is over, its session has ended, or the socket is taken away."""
        with self._listener as listener:
            while time.monotonic() < self._until_s and self._path.exists() and place_of(self._session).tty:
                if select.select([listener], [], [], 0.5)[0]:
                    connection, _ = listener.accept()
                    with connection, contextlib.suppress(OSError, FreeholdError, ValueError):
                        self._answer(connection)
        self._path.unlink(missing_ok=True)

    def _answer(self, connection: socket.socket) -> None:
        connection.settimeout(_LIMIT_S)
        peer = peer_of(connection)
        place = place_of(peer.pid)
        if (
            peer.uid != os.getuid()
            or (place.session, place.tty) != (self._session, self._tty)
            or not place.at_terminal
        ):
            return
        (body,) = frames.Unpacker().feed(connection.recv(1 << 16))
        statement = msgspec.json.decode(body, type=people.Statement)
        connection.sendall(frames.pack(self._key.sign(statement).encoded()))


def main() -> None:
    """Become the holder; the arguments are what to hold for whom, a pipe that the key comes from, and the socket."""
    child.close_to_others()
    child.set_name("freehold-key")
    with open(int(sys.argv[2]), "rb") as pipe:
        raw = pipe.read(32)
    listener = socket.socket(fileno=int(sys.argv[3]))
    _Holder(msgspec.json.decode(sys.argv[1]), raw, listener).serve()


if __name__ == "__main__":
    main()
