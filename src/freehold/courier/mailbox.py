"""One look into a mailbox, or one draft put into it (IMAP4rev1, RFC 3501), on a connected socket.

``FETCH`` reads a folder's newest messages without marking them as seen, whole or their heads alone, those that hold a
text, or the one with a number; ``APPEND`` puts a message there as a draft.
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
_PLAIN: Final = re.compile(r"[A-Za-z0-9 ._@+-]{1,200}")
_HEAD: Final = "BODY.PEEK[HEADER.FIELDS (FROM TO CC REPLY-TO SUBJECT DATE MESSAGE-ID)]"
_RECEIVED: Final = re.compile(rb'INTERNALDATE "([^"]{1,40})"')
_SIZE: Final = re.compile(rb"RFC822\.SIZE ([0-9]{1,12})")
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
        limit = min(int(headers.get("limit", "10")), MAX_MESSAGES)
        found = [headers["uid"].encode()] if "uid" in headers else self._search(headers)
        numbers = found[-limit:] if limit else []
        what = _HEAD if headers.get("part") == "head" else "BODY.PEEK[]"
        messages, left = [], MAX_BYTES
        for number in numbers:
            if not number.isdigit():
                raise ValueError("a message is known by a number")
            _, parts = self._client.uid("FETCH", number.decode(), f"(FLAGS INTERNALDATE RFC822.SIZE {what})")
            data = next((part[1] for part in parts if isinstance(part, tuple)), None)
            if data is None:  # it is not there, or not any more
                continue
            left -= len(data)
            if left < 0:
                break
            messages.append({"uid": int(number), "data": data, **_facts(parts, len(data))})
        more = left < 0 or len(found) > len(numbers)
        return "done", {"folder": folder, "messages": messages, "truncated": more}, ""

    def _search(self, headers: dict[str, str]) -> list[bytes]:
        """Return the numbers of the messages that are asked for, the oldest first."""
        wanted: list[str] = []
        if "since" in headers:
            if not _SINCE.fullmatch(headers["since"]):
                raise ValueError("`since` is not a date such as 01-Jan-2026")
            wanted += ["SINCE", headers["since"]]
        if "from" in headers:
            if not _PLAIN.fullmatch(headers["from"]):
                raise ValueError("a sender is looked for by plain letters, such as of an address")
            wanted += ["FROM", f'"{headers["from"]}"']
        if "text" in headers:
            self._client.literal = headers["text"].encode()  # type: ignore[assignment]
            wanted = ["CHARSET", "UTF-8", *wanted, "TEXT"]
        status, found = self._client.uid("SEARCH", *(wanted or ["ALL"]))
        if status != "OK":
            raise imaplib.IMAP4.error(_words(found))
        return (found[0] or b"").split()

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


def _facts(parts: list[Any], size: int) -> dict[str, Any]:
    """Return what the server itself says of a message."""
    said = b" ".join(part[0] if isinstance(part, tuple) else part for part in parts if part)
    received, stated = _RECEIVED.search(said), _SIZE.search(said)
    return {
        "size": int(stated[1]) if stated else size,
        "received": received[1].decode("ascii", "replace").strip() if received else "",
        "seen": b"\\Seen" in said,
    }


def _quotable(secret: str) -> str:
    if not secret.isascii():
        raise ValueError("the secret is not plain ASCII, which LOGIN needs")
    return secret


def _words(said: Any) -> str:
    first = said[0] if said else b""
    return " ".join((first if isinstance(first, bytes) else b"").decode("utf-8", "replace").split())[:200]
