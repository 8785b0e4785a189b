"""One message to one mail server (RFC 5321), on a connected socket.

Only a server's explicit refusal counts as not done. Once the end of the message has been sent and no reply
came, nobody knows; ``body_sent`` in the answer says whether it had come to that.
"""

import re
import smtplib
import socket
from typing import Any, Final

from freehold.courier.tls import context, wrapped

MESSAGE: Final = "message"
_OK: Final = 250
_ADDRESS: Final = re.compile(r"[!-;=?-~]+@[!-;=?-~]+")
"""Printable ASCII without angle brackets: it goes to the server as it is or not at all."""


def deliver_mail(
    connection: socket.socket, request: dict[str, Any], contents: dict[str, bytes]
) -> tuple[str, dict[str, Any], str]:
    """Send ``contents["message"]`` to every recipient or to none; return status, facts and one sentence.

    ``request`` holds ``sender``, ``recipients``, ``hello`` (the name to greet with) and, where the connection
    is to be encrypted, ``starttls`` or ``tls`` with the server's name in ``host`` (and ``ca``, PEM). ``login`` is
    account and secret; it is only said over an encrypted connection, or to a server that ``private`` was said of.
    """
    session = _Session(request)
    try:
        session.open(connection)
        session.envelope(str(request["sender"]), [str(one) for one in request["recipients"]])
        reply = session.message(contents[MESSAGE])
    except _Said as refusal:
        return "not_done", session.facts(), f"The mail server refused: {refusal}."
    except (KeyError, TypeError, ValueError) as error:  # such as a line break in an address
        status = "unknown" if session.body_sent else "not_done"
        return status, session.facts(), f"The message cannot be sent as it is: {error}."
    except (OSError, smtplib.SMTPException) as error:
        return "unknown", session.facts(), f"The mail server did not answer ({session.phase}): {_why(error)}."
    session.close()
    return "done", session.facts() | {"reply": reply}, ""


class _Said(Exception):
    """The server's explicit refusal."""

    def __init__(self, code: int, text: bytes) -> None:
        super().__init__(f"{code} {_line(text)}")


class _Session:
    """The conversation, and how far it has come."""

    def __init__(self, request: dict[str, Any]) -> None:
        self.phase = "greeting"
        self.body_sent = False
        self._request = request
        self._ca = str(request.get("ca", ""))
        self._client = smtplib.SMTP(local_hostname=str(request.get("hello", "localhost")))

    def facts(self) -> dict[str, Any]:
        return {"phase": self.phase, "body_sent": self.body_sent}

    def open(self, connection: socket.socket) -> None:
        client = self._client
        host = str(self._request.get("host", ""))
        if self._request.get("tls"):
            connection = wrapped(connection, host, self._ca)
        client.sock = connection
        self._expect(client.getreply(), 220)
        self.phase = "hello"
        self._hello()
        if self._request.get("starttls"):
            client._host = host  # type: ignore[attr-defined]
            self._expect(client.starttls(context=context(self._ca)), 220)
            self._hello()
        if "login" in self._request:
            self.phase = "login"
            self._login(*self._request["login"])

    def _login(self, account: str, secret: str) -> None:
        try:
            self._client.login(account, secret)
        except smtplib.SMTPAuthenticationError as error:
            text = error.smtp_error
            raise _Said(error.smtp_code, text if isinstance(text, bytes) else str(text).encode()) from error
        except smtplib.SMTPNotSupportedError as error:
            raise _Said(500, b"it offers no login") from error

    def _hello(self) -> None:
        reply = self._client.ehlo()
        if reply[0] != _OK:
            self._expect(self._client.helo(), _OK)

    def envelope(self, sender: str, recipients: list[str]) -> None:
        client = self._client
        if not recipients:
            raise ValueError("it names no recipient")
        for address in (sender, *recipients):
            if not _ADDRESS.fullmatch(address):
                raise ValueError(f"{address[:100]!r} is no address")
        self.phase = "sender"
        self._expect(client.docmd(f"MAIL FROM:<{sender}>"), _OK)
        self.phase = "recipients"
        for recipient in recipients:
            self._expect(client.docmd(f"RCPT TO:<{recipient}>"), _OK, 251)

    def message(self, message: bytes) -> str:
        """Send the message's bytes, dot-stuffed, and return the server's reply."""
        client = self._client
        stuffed = _stuffed(message)
        self.phase = "data"
        client.putcmd("data")
        self._expect(client.getreply(), 354)
        self.phase = "message"
        self.body_sent = True
        client.send(stuffed)
        code, text = client.getreply()
        if code == -1:
            raise smtplib.SMTPServerDisconnected("the connection was closed")
        self._expect((code, text), _OK)
        return f"{code} {_line(text)}"

    def close(self) -> None:
        """Say goodbye; what the server makes of it changes nothing any more."""
        self.phase = "done"
        try:
            self._client.quit()
        except (OSError, smtplib.SMTPException):
            return

    def _expect(self, reply: tuple[int, bytes], *wanted: int) -> None:
        code, text = reply
        if code in wanted:
            return
        if 400 <= code < 600:
            raise _Said(code, text)
        raise smtplib.SMTPServerDisconnected(f"it said {code} {_line(text)}")


def _stuffed(message: bytes) -> bytes:
    """Return the message with leading dots doubled and the final dot (RFC 5321, 4.5.2); raises ValueError."""
    lines = message.split(b"\r\n")
    if any(b"\r" in line or b"\n" in line for line in lines):
        raise ValueError("a line of it does not end as mail's lines do")
    if not lines[-1]:
        lines.pop()
    return b"".join((b"." if line.startswith(b".") else b"") + line + b"\r\n" for line in lines) + b".\r\n"


def _line(text: bytes) -> str:
    return " ".join(text.decode("utf-8", "replace").split())[:200]


def _why(error: Exception) -> str:
    return "it took too long" if isinstance(error, TimeoutError) else " ".join(str(error).split())[:200]
