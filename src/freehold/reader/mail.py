"""Mails as they come from a mailbox: who wrote when about what, the text, and what is attached, by name and size.

Of several texts the plain one is taken; HTML becomes text as a page does. What hides is dropped and counted.
"""

import base64
import json
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import getaddresses, parsedate_to_datetime
from typing import Any, Final

from freehold.base import BadInput
from freehold.reader import hidden

MAX_TEXT: Final = 1 << 20
MAX_PARTS: Final = 200
MAX_NAMED: Final = 100
_LINE: Final = 1_000


def read(data: bytes, options: dict[str, Any]) -> dict[str, Any]:
    """Return what the courier fetched as ``messages``: envelopes, with ``text`` and ``attachments`` where whole."""
    fetched = json.loads(data)["messages"]
    whole = bool(options.get("whole"))
    return {"messages": [_message(one, whole) for one in fetched]}


def _message(one: dict[str, Any], whole: bool) -> dict[str, Any]:
    message = message_from_bytes(base64.b64decode(one["data"]), policy=policy.default)
    assert isinstance(message, EmailMessage)
    found: dict[str, Any] = {
        "id": int(one["uid"]),
        "size": int(one["size"]),
        "received": str(one.get("received", ""))[:64],
        "seen": bool(one.get("seen")),
        "from": _addresses(message, "From"),
        "to": _addresses(message, "To"),
        "cc": _addresses(message, "Cc"),
        "reply_to": _addresses(message, "Reply-To"),
        "subject": _line(_header(message, "Subject")),
        "sent": _date(message),
        "message_id": _line(_header(message, "Message-ID")),
    }
    if whole:
        found |= _contents(message)
    return found


def _contents(message: EmailMessage) -> dict[str, Any]:
    texts: list[str] = []
    pages: list[str] = []
    attachments: list[dict[str, Any]] = []
    elements = characters = 0
    for count, part in enumerate(_leaves(message)):
        if count >= MAX_PARTS:
            raise BadInput("The message has too many parts to be read.", remedy="Open it in a mail program.")
        data = _payload(part)
        name, kind = _file_name(part), part.get_content_type()
        if name or part.get_content_disposition() == "attachment" or kind not in ("text/plain", "text/html"):
            attachments.append({"name": name or kind, "type": kind[:100], "size": len(data)})
        elif kind == "text/plain":
            text, count_ = hidden.clean(_decoded(data, part.get_content_charset())[:MAX_TEXT])
            texts.append(text)
            characters += count_
        elif not texts:
            from freehold.reader.page import from_html

            page = from_html(data, _known(part.get_content_charset()))
            pages.append(page["text"])
            elements += page["hidden_elements"]
            characters += page["hidden_characters"]
    text = "\n".join(texts or pages).replace("\r\n", "\n")[:MAX_TEXT]
    return {
        "text": text, "attachments": attachments[:MAX_NAMED], "hidden_elements": elements,
        "hidden_characters": characters,
    }  # fmt: skip


def _leaves(message: EmailMessage) -> list[EmailMessage]:
    """Return the parts that hold something; a message inside a message is one part."""
    found: list[EmailMessage] = []
    waiting = [(message, 0)]
    while waiting and len(found) <= MAX_PARTS:
        part, depth = waiting.pop(0)
        if part.is_multipart() and part.get_content_maintype() == "multipart" and depth < 20:
            waiting = [
                (one, depth + 1) for one in part.iter_parts() if isinstance(one, EmailMessage)
            ] + waiting
        else:
            found.append(part)
    return found


def _payload(part: EmailMessage) -> bytes:
    data = part.get_payload(decode=True)
    if isinstance(data, bytes):
        return data
    return part.as_bytes() if part.is_multipart() else b""


def _decoded(data: bytes, charset: str | None) -> str:
    return data.decode(_known(charset) or "utf-8", "replace")


def _known(charset: str | None) -> str:
    try:
        b"x".decode(charset or "utf-8", "replace")
    except (LookupError, ValueError):
        return "utf-8"
    return charset or ""


def _file_name(part: EmailMessage) -> str:
    try:
        return _line(part.get_filename() or "")[:200]
    except (LookupError, ValueError):
        return "attachment"


def _header(message: EmailMessage, name: str) -> str:
    """Return a header as text; one that cannot be read as it stands."""
    try:
        return str(message.get(name, ""))
    except (
        AttributeError,
        LookupError,
        TypeError,
        ValueError,
    ):  # what the library makes of headers that are broken
        return ""


def _addresses(message: EmailMessage, name: str) -> list[str]:
    pairs = getaddresses([_header(message, name)])[:MAX_NAMED]
    return [_line(f"{person} <{address}>" if person else address) for person, address in pairs if address]


def _date(message: EmailMessage) -> str:
    try:
        return parsedate_to_datetime(_header(message, "Date")).isoformat()
    except (TypeError, ValueError, IndexError, OverflowError):
        return ""


def _line(text: str) -> str:
    return " ".join(hidden.clean(text)[0].split())[:_LINE]
