"""The daemon's end of the vault: starts it, waits while it is down, makes permits under the key of its present life.

No secret passes here. What needs one, or a signature, waits until the vault is awake; a vault that ends is started
again, and every permit of its former life is void.
"""

import asyncio
import base64
import contextlib
import logging
import os
import secrets
import socket
import subprocess
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from freehold.base import BadInput, FreeholdError, Refused, TimedOut, Unavailable
from freehold.runtime.courier import as_descriptor
from freehold.runtime.processes import start
from freehold.wire import child, permits
from freehold.wire import messages as m
from freehold.wire import vault as v
from freehold.wire.channel import Channel
from freehold.wire.peer import peer_of
from freehold.wire.permits import Asked, Binding, Permit
from freehold.wire.problems import error_of

START_LIMIT_S: Final = 30.0
ASK_LIMIT_S: Final = 30.0
_FIRST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 5.0
_END_S: Final = 3.0
_FROM_VAULT: Final = m.decoder(v.FromVault)
_log = logging.getLogger("freehold.runtime.vault")

Judge = Callable[[v.Judge], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class VaultPlace:
    """Where a vault lies: its own folder, the file with its passphrase, and the journal that it signs for.

    ``socket`` is where it listens if it is a unit of its own; then it is not started here.
    """

    folder: Path
    passphrase: Path
    estate: str
    origin: str
    unlock: str = "file"
    socket: Path | None = None


class Life:
    """One life of the vault: the key that it gave us, and the counter of the permits made under it."""

    def __init__(self, channel: Channel, awake: v.Awake) -> None:
        self.channel = channel
        self.awake = awake
        self._key = bytes.fromhex(awake.key)
        self._counter = 0
        self._links = 0

    @property
    def over(self) -> bool:
        """Whether the vault of this life has ended."""
        return self.channel.closed

    def link(self, binding: str, line: socket.socket) -> int:
        """Tell the vault of a courier's line and return its number."""
        self._links += 1
        self.channel.send(v.Line(self._links, binding), [line.fileno()])
        return self._links

    def permit(self, binding: str, agent: str, action: str, request: Asked) -> tuple[Permit, str]:
        """Return a permit for that request and its MAC; it counts once, and not for long."""
        self._counter += 1
        permit = Permit(
            self.awake.boot, self._counter, time.monotonic_ns() + permits.LIFETIME_NS, binding, agent, action,
            request.method, request.url, request.headers, request.body,
        )  # fmt: skip
        return permit, permit.mac(self._key).hex()

    def use(self, link: int, permit: Permit, mac: str) -> None:
        """Hand the permit in; what comes of it goes down the courier's line."""
        self.channel.send(v.Use(link, permit, mac))


class Vault:
    """The vault of one estate, as the daemon knows it. ``start`` it, then ask for its ``life``."""

    def __init__(self, place: VaultPlace, *, log: Path | None = None) -> None:
        self._place = place
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: Channel | None = None
        self._life: Life | None = None
        self._woken = asyncio.Event()
        self._told = asyncio.Event()
        self._stopped = False
        self._restart: asyncio.TimerHandle | None = None
        self._pause_s = _FIRST_PAUSE_S
        self._number = 0
        self._waiting: dict[int, asyncio.Future[v.Taken]] = {}
        self._judging: set[asyncio.Task[None]] = set()
        self._secrets: list[v.SecretView] = []
        self.problem: FreeholdError | None = None
        """Why the vault does not serve, where it does not."""
        self.judge: Judge | None = None
        """Says whose word a request at the vault's door is; set by the verbs."""
        self.bindings: Callable[[], list[Binding]] = list
        """The bindings that people have signed; told to each new life of the vault."""

    # ---- its life ------------------------------------------------------------------------------------------------

    async def start(self, passphrase: int = -1, *, adopt: bytes = b"") -> v.Awake:
        """Start it and return what it says of itself; raises what prevents it, in a sentence.

        ``passphrase`` is a descriptor that a person's passphrase can be read from, passed on unread. ``adopt`` is a
        journal key from before there was a vault, for one that is made now.
        """
        self._launch(passphrase, adopt)
        try:
            async with asyncio.timeout(START_LIMIT_S):
                await self._told.wait()
        except TimeoutError as error:
            raise TimedOut("The vault did not get ready.", remedy="The daemon's log says more.") from error
        if self._life is None:
            raise self.problem or Unavailable(
                "The vault ended at once.", remedy="The daemon's log says more."
            )
        return self._life.awake

    async def life(self, limit_s: float) -> Life:
        """Return the vault's present life, waiting for one; raises Unavailable after ``limit_s`` seconds."""
        try:
            async with asyncio.timeout(limit_s):
                while self._life is None:
                    await self._woken.wait()
        except TimeoutError as error:
            raise Unavailable(
                "The vault does not serve, so the secret could not be used. Nothing was sent.",
                remedy="See why: freehold status",
                code="unavailable.vault",
            ) from error
        return self._life

    @property
    def awake(self) -> v.Awake | None:
        """What the vault said of itself, while it serves."""
        return None if self._life is None else self._life.awake

    @property
    def secrets(self) -> list[v.SecretView]:
        """What may be known of each secret, as last told."""
        return self._secrets

    @property
    def pid(self) -> int:
        """Its process, 0 where there is none that we started."""
        return 0 if self._process is None else self._process.pid

    async def stop(self) -> None:
        """Let it go."""
        self._stopped = True
        if self._restart is not None:
            self._restart.cancel()
        for task in self._judging:
            task.cancel()
        if self._channel is not None:
            self._channel.close()
        process = self._process
        if process is not None:
            await asyncio.get_running_loop().run_in_executor(None, _end, process)
            with contextlib.suppress(OSError):
                (self._place.folder / "door.sock").unlink(missing_ok=True)

    # ---- asking --------------------------------------------------------------------------------------------------

    async def bind(self, bindings: Sequence[Binding], new: str = "") -> None:
        """Tell the vault the bindings that hold; ``new`` names the one that is just being made.

        Raises Refused for one whose secret may not go there, BadInput where the new one's secret is not kept.
        """
        await self._ask(lambda number: v.Bind(number, list(bindings), new))

    async def sign_checkpoint(self, size: int, root: bytes) -> bytes:
        """Return the signature over a checkpoint; raises Unavailable while the vault is down."""
        text = base64.b64encode(root).decode()
        return base64.b64decode(await self._ask(lambda number: v.SignCheckpoint(number, size, text)))

    async def sign_link(self, giver: str, to: str, rights: Sequence[str], expires_us: int) -> bytes:
        """Return the estate's signature over a delegation's link."""
        signed = await self._ask(lambda number: v.SignLink(number, giver, to, list(rights), expires_us))
        return base64.b64decode(signed)

    async def sign_card(self, agent: str, owner: str, skills: Sequence[str], expires_us: int) -> bytes:
        """Return the estate's signature over an agent's card."""
        signed = await self._ask(lambda number: v.SignCard(number, agent, owner, list(skills), expires_us))
        return base64.b64decode(signed)

    async def sign_token(self, token: v.SignToken) -> str:
        """Return an external agent's token: its words and the estate's signature over them (a JWT)."""
        signed = await self._ask(lambda number: msgspec.structs.replace(token, number=number))
        return b".".join((v.token_bytes(token), v.unpadded(base64.b64decode(signed)))).decode()

    async def _ask(self, message: Callable[[int], m.Message]) -> str:
        if self._life is None:
            raise _down()
        self._number += 1
        number = self._number
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            self._life.channel.send(message(number))
            async with asyncio.timeout(ASK_LIMIT_S):
                taken = await answer
        except TimeoutError as error:
            raise _down() from error
        finally:
            self._waiting.pop(number, None)
        if taken.problem is not None:
            raise error_of(taken.problem)
        return str(taken.signature)

    # ---- the process ---------------------------------------------------------------------------------------------

    def _launch(self, passphrase: int = -1, adopt: bytes = b"") -> None:
        self._restart = None
        try:
            ours = (
                self._spawn(passphrase, adopt) if self._place.socket is None else _connect(self._place.socket)
            )
        except (OSError, FreeholdError) as error:
            self.problem = error if isinstance(error, FreeholdError) else _not_started(error)
            self._told.set()
            self._again()
            return
        channel = self._channel = Channel(
            ours, _FROM_VAULT, self._take, lambda error: self._closed(channel, error)
        )
        channel.start()

    def _spawn(self, passphrase: int, adopt: bytes) -> socket.socket:
        place, root = self._place, os.geteuid() == 0
        _make_folder(place.folder, child.VAULT_UID if root else 0)
        ours, theirs = socket.socketpair()
        with contextlib.ExitStack() as stack:
            stack.callback(theirs.close)
            unless_started = stack.enter_context(contextlib.ExitStack())
            unless_started.callback(ours.close)
            passed = {"channel": theirs.fileno(), "passphrase": passphrase}
            if passphrase < 0 and place.unlock == "file":
                passed["passphrase"] = _opened(stack, _passphrase_file(place.passphrase))
            elif passphrase < 0 and place.passphrase.exists():
                passed["passphrase"] = _opened(stack, place.passphrase)
            if adopt:
                passed["adopt"] = as_descriptor(adopt)
                stack.callback(os.close, passed["adopt"])
            setup = {
                "estate": place.estate, "origin": place.origin, "folder": str(place.folder), "parent": os.getpid(),
                "owner_uid": os.geteuid(), "uid": child.VAULT_UID if root else 0, "unlock": place.unlock, **passed,
            }  # fmt: skip
            known = {name: os.environ[name] for name in _KEYRING if name in os.environ}
            command = child.command("freehold.vault", msgspec.json.encode(setup).decode())
            self._process = start(
                command, [number for number in passed.values() if number >= 0], self._log, known
            )
            unless_started.pop_all()
        return ours

    def _take(self, messages: list[Any], size: int) -> None:
        for message in messages:
            if isinstance(message, v.Awake):
                self._woke(message)
            elif isinstance(message, v.Asleep):
                self.problem = error_of(message.problem)
                _log.error("%s", self.problem)
                self._told.set()
            elif isinstance(message, v.State):
                self._secrets = message.secrets
                if self._life is not None:
                    self._life.awake = msgspec.structs.replace(
                        self._life.awake, unlocked_by=message.unlocked_by
                    )
            elif isinstance(message, v.Taken):
                waiting = self._waiting.get(message.number)
                if waiting is not None and not waiting.done():
                    waiting.set_result(message)
            else:
                task = asyncio.get_running_loop().create_task(self._judged(message))
                self._judging.add(task)
                task.add_done_callback(self._judging.discard)

    def _woke(self, awake: v.Awake) -> None:
        assert self._channel is not None
        self._life, self.problem, self._secrets = Life(self._channel, awake), None, awake.secrets
        self._pause_s = _FIRST_PAUSE_S
        self._told.set()
        self._woken.set()
        self._woken = asyncio.Event()
        bindings = self.bindings()
        if sorted(binding.name for binding in bindings) != awake.bindings:
            self._life.channel.send(v.Bind(0, bindings))

    async def _judged(self, asked: v.Judge) -> None:
        channel = self._channel
        try:
            if self.judge is None:
                raise Refused("Nobody judges requests at this vault.", code="refused.authority")
            answer = v.Judged(asked.number, await self.judge(asked))
        except FreeholdError as error:
            answer = v.Judged(asked.number, problem=error.problem())
        if channel is not None:
            channel.send(answer)

    def _closed(self, channel: Channel, error: FreeholdError | None) -> None:
        if channel is not self._channel:
            return
        self._life = None
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(_down())
        if self.problem is None:
            self.problem = Unavailable("The vault has ended; it is started again.", code="unavailable.vault")
        self._told.set()
        if self._stopped:
            return
        if self._process is not None:
            self._process.kill()
            asyncio.get_running_loop().run_in_executor(None, self._process.wait)
        self._again()

    def _again(self) -> None:
        """Start it again after a pause, longer each time it fails."""
        if not self._stopped and self._restart is None:
            self._restart = asyncio.get_running_loop().call_later(self._pause_s, self._launch)
            self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Wait for a vault that has lost its daemon to end, or kill it."""
    try:
        process.wait(_END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _make_folder(folder: Path, uid: int) -> None:
    """Make the vault's folder; where it is another user's, give it and its files to that user.

    Our own group may still walk through it: a root without the right to pass everywhere has to reach it.
    """
    folder.mkdir(mode=0o700, exist_ok=True)
    if uid and folder.lstat().st_uid != uid:
        os.chmod(folder, 0o710)
        os.chown(folder, uid, os.getegid(), follow_symlinks=False)
    for path in (folder / "sealed", folder / "sealed.before") if uid else ():
        if path.exists() and path.lstat().st_uid != uid:
            os.chown(path, uid, uid, follow_symlinks=False)


def _passphrase_file(path: Path) -> Path:
    """Return the file with the passphrase, made once: 256 random bits."""
    if not path.exists():
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_urlsafe(32).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
    if path.stat().st_mode & 0o077:
        raise BadInput(f"{path} can be read by others.", remedy=f"Close it: chmod 600 {path}")
    return path


def _opened(stack: contextlib.ExitStack, path: Path) -> int:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    stack.callback(os.close, handle)
    return handle


def _connect(path: Path) -> socket.socket:
    """Return a connection to a vault that is a unit of its own; raises Refused where it is not root's or ours."""
    found = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        found.connect(str(path))
        owner = os.stat(path).st_uid
        if peer_of(found).uid not in (owner, 0, os.geteuid()):
            raise Refused(f"The socket {path} is served by another user.", code="refused.peer")
    except BaseException:
        found.close()
        raise
    return found


def _not_started(error: OSError) -> Unavailable:
    return Unavailable(
        f"The vault cannot be started: {error.strerror or error}.",
        remedy="Look: freehold doctor",
        code="unavailable.vault",
    )


def _down() -> Unavailable:
    return Unavailable(
        "The vault does not serve now; what needs it waits.",
        remedy="See why: freehold status",
        code="unavailable.vault",
    )


_KEYRING: Final = ("DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR")
