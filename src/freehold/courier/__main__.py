"""One courier: takes one delivery after another from its socket and says what became of each.

It has no network of its own and no file: each delivery brings a connected socket and its contents as descriptors. The
courier of a binding gets one secret for each from the vault. It ends when the daemon is gone.
"""

import os
import socket
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import msgspec

from freehold.base import FreeholdError
from freehold.courier.chat import Reader
from freehold.courier.http import Stream, deliver_http
from freehold.courier.smtp import deliver_mail
from freehold.wire import child
from freehold.wire import messages as m
from freehold.wire.blocking import BlockingChannel
from freehold.wire.permits import Binding

if TYPE_CHECKING:
    from freehold.courier.broker import Broker
    from freehold.courier.tools import Speaker

Contents = dict[str, bytes]
Result = tuple[str, dict[str, Any], str]
Deliverer = Callable[[socket.socket, dict[str, Any], Contents, Stream | None], Result]
_TO_COURIER: Final = m.decoder(m.ToCourier)


def serve(channel: BlockingChannel, deliver: Deliverer) -> None:
    """Deliver until the daemon says goodbye or is gone."""
    channel.send(m.Hello("courier", os.getpid()))
    while isinstance(message := channel.receive(), m.Deliver):
        descriptors = channel.take_descriptors(1 + len(message.files))
        with socket.socket(fileno=descriptors[0]) as connection:
            connection.settimeout(message.timeout_ms / 1_000)
            contents = dict(zip(message.files, map(_read_and_close, descriptors[1:]), strict=True))
            stream = _stream(channel, message)
            if stream is not None and (api := message.request.get("chat")):
                reader = Reader(api, stream.say)
                status, value, text = reader.result(
                    *deliver(connection, message.request, contents, reader.through(stream))
                )
            else:
                status, value, text = deliver(connection, message.request, contents, stream)
        channel.send(m.Delivered(message.seq, status, value, text[:500]))  # type: ignore[arg-type]


def _stream(channel: BlockingChannel, message: m.Deliver) -> Stream | None:
    if not message.stream:
        return None
    deadline_s = time.monotonic() + message.timeout_ms / 1_000
    return Stream(lambda data: channel.send(m.Chunk(message.seq, data)), message.stream, deadline_s)


def _mail(
    connection: socket.socket, request: dict[str, Any], contents: Contents, stream: Stream | None
) -> Result:
    return deliver_mail(connection, request, contents)


def _read_and_close(descriptor: int) -> bytes:
    with open(descriptor, "rb") as file:
        file.seek(0)
        return file.read()


def _loaded(kind: str) -> "tuple[type[Speaker] | None, type[Broker] | None]":
    """Load what only one kind of courier needs: each starts often, and the others are not to pay for it."""
    if kind == "mcp":
        from freehold.courier.tools import Speaker

        return Speaker, None
    if kind == "broker":
        from freehold.courier.broker import Broker

        return None, Broker
    return None, None


def _speak(speaker: "Speaker") -> None:
    import asyncio

    asyncio.run(speaker.serve())


def main() -> None:
    """Become a courier.

    The arguments are its kind, the socket's descriptor, the daemon's pid (0 behind walls, which end with it) and whom
    to become (0 for nobody else); for one that uses a secret also the descriptor of the vault's line and the binding,
    in JSON.
    """
    kind, descriptor, parent, uid = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    speaker, broker = _loaded(kind)  # while its files can still be read
    kept = [descriptor, *([int(sys.argv[5])] if kind == "broker" else [])]
    if parent:
        child.leave_network()
        child.become(uid)
        child.die_with_parent(parent)
    child.close_all_but(kept)
    child.silence(keep_stderr=True)
    child.set_name(f"freehold-{kind}")
    child.close_to_others()
    channel = BlockingChannel(socket.socket(fileno=descriptor), _TO_COURIER)
    try:
        if speaker is not None:
            _speak(speaker(channel))
        elif broker is not None:
            binding = msgspec.json.decode(sys.argv[6], type=Binding)
            broker(channel, socket.socket(fileno=kept[1]), binding).serve()
        else:
            serve(channel, {"smtp": _mail, "http": deliver_http}[kind])
    except FreeholdError:
        sys.exit(1)


if __name__ == "__main__":
    main()
