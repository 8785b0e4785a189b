"""Makes the one message that an action would send, byte for byte, and reads back what a person is shown of it.

The bytes depend on the action and on nothing else (no clock, no chance), so every attempt and every look at
the card sees the same message. Tools call it; nothing here sends.
"""

import datetime
import email.policy
import mimetypes
from collections.abc import Mapping
from email.message import EmailMessage
from email.parser import BytesParser
from email.utils import format_datetime
from typing import Final

import msgspec

from freehold.base import BadInput, Json
from freehold.kernel.facts import Fact, Facts, attachment, body, visible
from freehold.kernel.rights import mail_address
from freehold.kernel.tools import PrepareContext, Prepared

MAX_MESSAGE: Final = 25 << 20
_POLICY: Final = email.policy.SMTP


class Letter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The arguments of ``mail.send``: recipients, subject, text and the ids of artifacts to attach."""

    to: list[str]
    subject: str
    text: str
    attachments: list[str] = []


def read_letter(args: Mapping[str, Json]) -> Letter:
    """Return the letter that a step asked to send; raises BadInput."""
    try:
        letter = msgspec.convert(args, Letter)
    except msgspec.ValidationError as error:
        raise BadInput(
            f"The message is malformed: {error}.", remedy="Give to, subject, text, attachments."
        ) from error
    if not letter.to:
        raise BadInput("The message has no recipient.", remedy="Name at least one in `to`.")
    if any(character in letter.subject for character in "\r\n\0"):
        raise BadInput("The subject has a line break in it.", remedy="Keep it on one line.")
    return letter


def recipients(args: Mapping[str, Json]) -> list[str]:
    """Return the recipients in their one written form; raises BadInput."""
    return [mail_address(address).id for address in read_letter(args).to]


def prepare(context: PrepareContext, args: Mapping[str, Json]) -> Prepared:
    """Return the message as it would be sent, and its facts read back out of the bytes."""
    letter = read_letter(args)
    sender = str(context.settings.get("sender") or f"freehold@{context.settings.get('host') or 'localhost'}")
    message = EmailMessage(policy=_POLICY)
    message["From"] = mail_address(sender).id
    message["To"] = ", ".join(recipients(args))
    message["Subject"] = letter.subject
    started = datetime.datetime.fromtimestamp(context.started_us // 1_000_000, datetime.UTC)
    message["Date"] = format_datetime(started)
    message["Message-ID"] = f"<{context.action}@freehold.invalid>"
    message["X-Freehold-Action"] = context.action
    message.set_content(letter.text, cte="quoted-printable")
    for identifier in letter.attachments:
        found = context.artifact(identifier)
        kind = found.media_type or mimetypes.guess_type(found.name)[0] or "application/octet-stream"
        main, _, sub = kind.partition("/")
        message.add_attachment(found.data, maintype=main, subtype=sub or "octet-stream", filename=found.name)
    if letter.attachments:
        message.set_boundary(f"=_{context.action}")
    data = message.as_bytes()
    if len(data) > MAX_MESSAGE:
        raise BadInput(
            f"The message has {len(data):,} bytes; {MAX_MESSAGE:,} is the most.", remedy="Attach less."
        )
    return Prepared(data, facts_of(data))


def facts_of(data: bytes) -> Facts:
    """Return what a person is shown of a message, read out of the bytes that would be sent."""
    message = BytesParser(policy=_POLICY).parsebytes(data)
    lines = [
        Fact(name, visible(str(message[name])))
        for name in ("From", "To", "Subject")
        if message[name] is not None
    ]
    text = message.get_body(("plain",))
    bodies = (body("text", text.get_content().replace("\r\n", "\n")),) if text is not None else ()
    files = tuple(
        attachment(part.get_filename() or "attachment", _content(part)) for part in message.iter_attachments()
    )
    return Facts(f"Send mail to {visible(str(message['To']))}", tuple(lines), files, bodies)


def _content(part: object) -> bytes:
    payload = part.get_payload(decode=True)  # type: ignore[attr-defined]
    return payload if isinstance(payload, bytes) else b""
