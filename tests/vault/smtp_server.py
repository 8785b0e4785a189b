"""A mail server that wants a login over TLS, run by its path: ``python smtp_server.py FOLDER CERTIFICATE KEY``.

Prints its port; what it takes, with the login that was used, it writes to ``FOLDER/seen``.
"""

import asyncio
import json
import ssl
import sys
from pathlib import Path

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

FOLDER = Path(sys.argv[1])


class Taker:
    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        content = envelope.content if isinstance(envelope.content, bytes) else b""
        seen = {"login": session.auth_data, "to": envelope.rcpt_tos, "data": content.decode("latin-1")}
        with (FOLDER / "seen").open("a") as file:
            file.write(json.dumps(seen) + "\n")
        return "250 taken"


def login(
    server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: LoginPassword
) -> AuthResult:
    user, password = data.login.decode(), data.password.decode()
    good = password == (FOLDER / "password").read_text()
    return AuthResult(success=good, handled=False, auth_data=[user, password], message=f"535 not {password}")


async def main() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[2], sys.argv[3])

    def make() -> SMTP:
        return SMTP(
            Taker(), hostname="mail.test", authenticator=login, auth_required=True, auth_require_tls=False
        )

    server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0, ssl=context)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
