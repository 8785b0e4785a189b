"""A real mail server for tests and the demo: takes mail on loopback, counts it, delivers it nowhere.

``aiosmtpd`` in a process of its own, so that its count is nobody's opinion but its own.
"""

import asyncio
import email
import hashlib
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session

from freehold.testing.server import Journal, Server
from freehold.wire import child


class SmtpServer(Server):
    """``taken()`` gives of each message ``message_id``, ``sender``, ``recipients``, ``digest``, ``size``."""

    module = "freehold.testing.smtp"

    def count(self, message_id: str) -> int:
        """How many times a message of this id was taken."""
        return sum(entry["message_id"] == message_id for entry in self.taken())


class Handler:
    """What aiosmtpd calls for each message."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._journal = Journal(folder)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Take or refuse one message."""
        behaviour = self._journal.behaviour()
        if behaviour.refuse:
            return "550 5.7.1 Not wanted here"
        content = envelope.content if isinstance(envelope.content, bytes) else b""
        if behaviour.drop != "before":
            self._journal.take(_entry(envelope, content), behaviour)
            name = hashlib.sha256(content).hexdigest()
            (self._folder / f"{name}.eml").write_bytes(content)
        await asyncio.sleep(behaviour.delay_ms / 1_000)
        if behaviour.drop and isinstance(server.transport, asyncio.WriteTransport):
            server.transport.abort()
        return "250 2.0.0 Taken"


def _entry(envelope: Envelope, content: bytes) -> dict[str, Any]:
    return {
        "message_id": str(email.message_from_bytes(content).get("Message-ID", "")).strip(),
        "sender": envelope.mail_from,
        "recipients": list(envelope.rcpt_tos),
        "digest": hashlib.sha256(content).hexdigest(),
        "size": len(content),
        "at_us": time.time_ns() // 1_000,
    }


async def _serve(folder: Path, port: int) -> None:
    loop = asyncio.get_running_loop()
    handler = Handler(folder)
    server = await loop.create_server(
        lambda: SMTP(handler, hostname="localhost", ident="Freehold test", loop=loop), "127.0.0.1", port
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main() -> None:
    """Serve until killed; the arguments are the folder, the port and the parent's pid."""
    child.die_with_parent(int(sys.argv[3]))
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.umask(0o077)
    asyncio.run(_serve(Path(sys.argv[1]), int(sys.argv[2])))


if __name__ == "__main__":
    main()
