"""One look into a mailbox, or one draft put into it (IMAP4rev1, RFC 3501), on a connected socket.

``FETCH`` reads a folder's newest messages without marking them as seen; ``APPEND`` puts a message there as a draft.
An explicit NO is not done; a connection lost in the middle of an APPEND leaves it unknown.
"""

import base64
import contextlib
import imaplib
import re
import socket
from typing import Any, Final

from freehold.courier.http import why
from freehold.courier.tls import context, wrapped
from freehold.wire.permits import Binding

MAX_MESSAGES: Final = 50
MAX_BYTES: Final = 8 << 20
_FOLDER: Final = re.compile(r"[A-Za-z0-9 ._/&+-]{1,200}")
_SINCE: Final = re.compile(r"[0-9]{1,2}-[A-Z][a-z]{2}-[0-9]{4}")


class Mailbox:
    """One session in a mailbox, logged in as the binding's account."""

    def __init__(self, binding: Binding, connection: socket.socket, secret: str) -> None:
        self.begun = False
        self._binding = binding
        self._client = _Client(binding, connection)
        self._secret = secret

    def carry(
        self, method: str, folder: str, headers: dict[str, str], body: bytes
    ) -> tuple[str, dict[str, Any], str]:
        """Do what the permit says and return status, value and one sentence."""
        try:
            if not _FOLDER.fullmatch(folder):
                raise ValueError("the folder's name cannot be sent")
            with contextlib.ExitStack() as leaving:
                leaving.callback(self._leave)
                self._client.login(self._binding.account, _quotable(self._secret))
                if method == "APPEND":
                    return self._append(folder, body)
                return self._fetch(folder, headers)
        except imaplib.IMAP4.abort as error:
            return "unknown" if self.begun else "not_done", {}, f"The mail server broke off: {why(error)}."
        except imaplib.IMAP4.error as error:
            return "not_done", {}, f"The mail server refused: {why(error)}."
        except ValueError as error:
            return "not_done", {}, f"The request cannot be sent as it is: {error}."
        except OSError as error:
            return (
                "unknown" if self.begun else "not_done",
                {},
                f"The mail server did not answer: {why(error)}.",
            )

    def _append(self, folder: str, body: bytes) -> tuple[str, dict[str, Any], str]:
        self.begun = True
        status, said = self._client.append(f'"{folder}"', "(\\Draft)", "", body)
        if status == "OK":
            return "done", {"folder": folder, "size": len(body)}, ""
        return "not_done", {}, f"The mail server refused the draft: {_words(said)}."

    def _fetch(self, folder: str, headers: dict[str, str]) -> tuple[str, dict[str, Any], str]:
        status, said = self._client.select(f'"{folder}"', readonly=True)
        if status != "OK":
            return "not_done", {}, f"The mail server does not open {folder}: {_words(said)}."
        wanted, limit = ["ALL"], min(int(headers.get("limit", "10")), MAX_MESSAGES)
        if "since" in headers:
            if not _SINCE.fullmatch(headers["since"]):
                raise ValueError("`since` is not a date such as 01-Jan-2026")
            wanted = ["SINCE", headers["since"]]
        _, found = self._client.uid("SEARCH", *wanted)
        numbers = (found[0] or b"").split()[-limit:] if limit else []
        messages, left = [], MAX_BYTES
        for number in numbers:
            _, parts = self._client.uid("FETCH", number.decode(), "(BODY.PEEK[])")
            data = next((part[1] for part in parts if isinstance(part, tuple)), b"")
            left -= len(data)
            if left < 0:
                break
            messages.append({"uid": int(number), "size": len(data), "data": data})
        return "done", {"folder": folder, "messages": messages, "truncated": len(messages) < len(numbers)}, ""

    def _leave(self) -> None:
        with contextlib.suppress(OSError, imaplib.IMAP4.error):
            self._client.logout()


class _Client(imaplib.IMAP4):
    """The library's client over a socket that somebody else connected."""

    def __init__(self, binding: Binding, connection: socket.socket) -> None:
        self._given = wrapped(connection, binding.host, binding.ca) if binding.tls else connection
        super().__init__(binding.host, binding.port)
        if binding.starttls:
            self.starttls(context(binding.ca))

    def _create_socket(self, timeout: float | None) -> socket.socket:
        return self._given


def plain(value: dict[str, Any]) -> dict[str, Any]:
    """Return what was fetched as JSON, its bytes in base64."""
    messages = [one | {"data": base64.b64encode(one["data"]).decode()} for one in value.get("messages", [])]
    return value | {"messages": messages} if "messages" in value else value


def _quotable(secret: str) -> str:
    if not secret.isascii():
        raise ValueError("the secret is not plain ASCII, which LOGIN needs")
    return secret


def _words(said: Any) -> str:
    first = said[0] if said else b""
    return " ".join((first if isinstance(first, bytes) else b"").decode("utf-8", "replace").split())[:200]
