"""The daemon's end of the control socket: lets in its own user only, and answers verbs from a table.

The daemon builds one with the table of ``control.verbs``. A caller that goes away ends what was only being
watched; a verb that changes something is always carried to its end.
"""

import asyncio
import contextlib
import logging
import os
import socket
import stat
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from freehold.base import BadInput, FreeholdError, Internal, ProtocolError, Refused, Unavailable
from freehold.control import protocol
from freehold.control.address import Peer, check_private, peer_of, short_path
from freehold.wire.frames import Unpacker

MAX_CALLERS: Final = 64
MAX_OPEN_CALLS: Final = 32
BACKLOG: Final = 64

_log = logging.getLogger("freehold.control")
_T = TypeVar("_T")


@dataclass(slots=True)
class Call:
    """One request: its verb and arguments, who asks, and a way to send events before the value."""

    verb: str
    args: dict[str, Any]
    peer: Peer
    emit: Callable[[Any], Awaitable[None]]

    def read(self, shape: type[_T]) -> _T:
        """Return the arguments as ``shape`` (a msgspec Struct); raises BadInput naming what does not fit."""
        try:
            return msgspec.convert(self.args, shape, strict=True)
        except msgspec.ValidationError as error:
            raise BadInput(
                f"The arguments of {self.verb} are not what it takes: {error}.",
                remedy="See what it takes: freehold --help",
                code="input.arguments",
            ) from error


Handler = Callable[[Call], Awaitable[Any]]


@dataclass(slots=True)
class Handlers:
    """The table of verbs. ``streams`` are those that end when their caller goes away."""

    verbs: dict[str, Handler] = field(default_factory=dict)
    streams: set[str] = field(default_factory=set)

    def add(self, verb: str, handler: Handler, *, stream: bool = False) -> None:
        """Add a verb; raises Internal when it is there already."""
        if verb in self.verbs:
            raise Internal(f"The verb {verb} is in the table twice.")
        self.verbs[verb] = handler
        if stream:
            self.streams.add(verb)

    def add_all(self, verbs: Mapping[str, Handler]) -> None:
        """Add several verbs."""
        for verb, handler in verbs.items():
            self.add(verb, handler)

    def find(self, verb: str) -> Handler:
        """Return a verb's handler; raises BadInput for one that is not in the table."""
        handler = self.verbs.get(verb)
        if handler is None:
            raise BadInput(
                f"The daemon knows no verb {verb!r}.",
                remedy="The daemon may be of another version: freehold down, then try again.",
                code="input.verb",
            )
        return handler


class ControlServer:
    """Serves a table of verbs on one socket. ``start``, then ``close``."""

    def __init__(
        self,
        path: Path,
        handlers: Handlers,
        *,
        who: Callable[[socket.socket], Peer] = peer_of,
        uid: int | None = None,
    ) -> None:
        self._path = path
        self._handlers = handlers
        self._who = who
        self._uid = os.getuid() if uid is None else uid
        self._server: asyncio.Server | None = None
        self._callers: set[asyncio.Task[None]] = set()
        self._working: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen. The caller holds the estate's lock, so a socket that lies there is nobody's.

        Raises Refused for a folder open to others, Unavailable when the socket cannot be made.
        """
        check_private(self._path.parent)
        listener = _listen(self._path)
        self._server = await asyncio.start_unix_server(self._accept, sock=listener)

    async def close(self, grace_s: float = 5.0) -> None:
        """Stop listening, end what is only watched, let the rest finish for ``grace_s`` seconds."""
        if self._server is not None:
            self._server.close()
            self._server = None
        with contextlib.suppress(OSError):
            self._path.unlink()
        working = set(self._working)
        if working:
            await asyncio.wait(working, timeout=grace_s)
        callers = set(self._callers)
        for caller in callers:
            caller.cancel()
        if callers:
            await asyncio.wait(callers, timeout=grace_s)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._callers.add(task)
        try:
            peer = self._admit(writer)
            if peer is not None:
                await _Caller(self._handlers, self._working, peer, writer).serve(reader)
        except (ConnectionError, asyncio.CancelledError):
            pass  # gone, or the daemon stops: there is nobody to tell
        except ProtocolError as error:
            _log.warning("control socket: %s", error)
        finally:
            self._callers.discard(task)
            writer.close()

    def _admit(self, writer: asyncio.StreamWriter) -> Peer | None:
        try:
            peer = self._who(writer.get_extra_info("socket"))
        except Refused as error:
            _log.warning("control socket: %s", error)
            return None
        if peer.uid != self._uid:
            _log.warning("control socket: refused process %d of user %d", peer.pid, peer.uid)
            return None
        if len(self._callers) > MAX_CALLERS:
            problem = Unavailable(
                f"{MAX_CALLERS} callers are connected already.", remedy="Close some and try again."
            )
            writer.write(protocol.pack({"id": 0, "problem": problem.problem()}))
            return None
        return peer


class _Caller:
    """One connection: reads requests, runs their handlers beside each other, writes answers."""

    def __init__(
        self, handlers: Handlers, working: set[asyncio.Task[None]], peer: Peer, writer: asyncio.StreamWriter
    ) -> None:
        self._handlers = handlers
        self._working = working
        self._peer = peer
        self._writer = writer
        self._watching: set[asyncio.Task[None]] = set()
        self._open = 0
        self._gone = False

    async def serve(self, reader: asyncio.StreamReader) -> None:
        unpacker = Unpacker()
        try:
            while data := await reader.read(protocol.CHUNK):
                for body in unpacker.feed(data):
                    self._begin(protocol.unpack(body))
        finally:
            self._gone = True
            for task in self._watching:
                task.cancel()

    def _begin(self, message: dict[str, Any]) -> None:
        number, verb, args = message.get("id"), message.get("verb"), message.get("args", {})
        if type(number) is not int or type(verb) is not str or not isinstance(args, dict):
            raise ProtocolError("A request needs a number as id, a verb, and an object as args.")
        if self._open >= MAX_OPEN_CALLS:
            raise ProtocolError(f"A caller has more than {MAX_OPEN_CALLS} open requests.")
        self._open += 1
        task = asyncio.create_task(self._answer(number, verb, args))
        group = self._watching if verb in self._handlers.streams else self._working
        group.add(task)
        task.add_done_callback(group.discard)

    async def _answer(self, number: int, verb: str, args: dict[str, Any]) -> None:
        async def emit(event: Any) -> None:
            await self._send({"id": number, "event": event})

        try:
            answer: dict[str, Any] = {
                "id": number,
                "value": await self._value(Call(verb, args, self._peer, emit)),
            }
        except FreeholdError as error:
            answer = {"id": number, "problem": error.problem()}
        finally:
            self._open -= 1
        with contextlib.suppress(ConnectionError):
            await self._send(answer)

    async def _value(self, call: Call) -> Any:
        try:
            return await self._handlers.find(call.verb)(call)
        except (FreeholdError, ConnectionError):
            raise
        except Exception as error:  # the outermost door of the daemon
            _log.exception("control socket: %s failed", call.verb)
            raise Internal(
                f"Freehold made a mistake in {call.verb} ({type(error).__name__}).",
                remedy="The daemon's log says more: logs/daemon.log in the estate's folder.",
            ) from error

    async def _send(self, answer: dict[str, Any]) -> None:
        if self._gone:
            raise ConnectionResetError
        try:
            frame = protocol.pack(answer)
        except ProtocolError as error:
            problem = Internal(
                f"The answer is too large for one message. {error.message}", remedy="Ask for less."
            )
            frame = protocol.pack({"id": answer["id"], "problem": problem.problem()})
        except (TypeError, ValueError) as error:
            problem = Internal(f"The answer cannot be written as JSON: {error}.")
            frame = protocol.pack({"id": answer["id"], "problem": problem.problem()})
        self._writer.write(frame)
        await self._writer.drain()


def _listen(path: Path) -> socket.socket:
    try:
        if stat.S_ISSOCK(path.lstat().st_mode):
            path.unlink()
        else:
            raise BadInput(
                f"{path} is in the way: the control socket belongs there, and this is none.",
                remedy="Move that file away.",
                code="input.socket-in-use",
            )
    except FileNotFoundError:
        pass
    except OSError as error:
        raise Unavailable(f"The old control socket {path} cannot be removed: {error.strerror}.") from error
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        with short_path(path) as name:
            listener.bind(name)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise Unavailable(
            f"The control socket {path} cannot be made: {error.strerror}.",
            remedy="Put the estate on a local disk that allows sockets.",
            code="unavailable.socket",
        ) from error
    except FreeholdError:
        listener.close()
        raise
    finally:
        os.umask(before)
    listener.setblocking(False)
    return listener
