"""Mail and contacts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._spec import NUMBER, TEXT, TEXTS, YES_NO, Row, ToolSpec, one_of, tool

if TYPE_CHECKING:
    from .world import World

FOLDERS = (
    "Inbox",
    "Sent",
    "Drafts",
    "Archive",
    "Invoices",
    "Travel",
    "Family",
    "Newsletters",
    "Spam",
    "Trash",
)


def mail_list(world: World, folder: str = "Inbox", unread_only: bool = False, limit: int = 20) -> list[Row]:
    rows = [row for row in world.mails.values() if row["folder"] == folder]
    rows = [row for row in rows if row["unread"]] if unread_only else rows
    return [_head(row) for row in sorted(rows, key=_newest, reverse=True)[:limit]]


def mail_search(world: World, query: str) -> list[Row]:
    words = query.lower().split()
    rows = [row for row in world.mails.values() if all(word in _text(row) for word in words)]
    return [_head(row) for row in sorted(rows, key=_newest, reverse=True)]


def mail_read(world: World, id: str) -> Row:
    return _mail(world, id)


def mail_send(
    world: World,
    to: list[str],
    subject: str,
    body: str,
    cc: list[str] | None = None,
    attachments: list[str] | None = None,
) -> Row:
    return _put(world, "Sent", _letter(world, to, subject, body, cc, attachments))


def mail_draft(
    world: World,
    to: list[str],
    subject: str,
    body: str,
    cc: list[str] | None = None,
    attachments: list[str] | None = None,
) -> Row:
    return _put(world, "Drafts", _letter(world, to, subject, body, cc, attachments))


def mail_reply(
    world: World, id: str, body: str, to_all: bool = False, attachments: list[str] | None = None
) -> Row:
    mail = _mail(world, id)
    others = [address for address in [*mail["to"], *mail["cc"]] if address != world.owner["mail"]]
    subject = mail["subject"] if mail["subject"].startswith("Re: ") else f"Re: {mail['subject']}"
    letter = _letter(world, [mail["from"]], subject, body, others if to_all else [], attachments)
    return _put(world, "Sent", letter)


def mail_move(world: World, id: str, folder: str) -> Row:
    mail = _mail(world, id)
    mail["folder"] = folder
    return _head(mail)


def mail_delete(world: World, id: str) -> Row:
    return mail_move(world, id, "Trash")


def contacts_find(world: World, name: str) -> list[Row]:
    return [row for row in world.contacts if name.lower() in f"{row['name']} {row['note']}".lower()]


def tools() -> tuple[ToolSpec, ...]:
    letter: Row = {"to": TEXTS, "subject": TEXT, "body": TEXT}
    more: Row = {"cc": TEXTS, "attachments": TEXTS}
    folder = one_of(*FOLDERS)
    return (
        tool(
            mail_list,
            "List the mails of a folder, newest first, without their text.",
            {},
            {"folder": folder, "unread_only": YES_NO, "limit": NUMBER},
        ),
        tool(mail_search, "Find mails in all folders that contain every word.", {"query": TEXT}),
        tool(mail_read, "Read one mail.", {"id": TEXT}),
        tool(mail_send, "Send a mail; attachments are paths of files.", letter, more),
        tool(
            mail_reply,
            "Answer a mail to its sender, or to all who got it.",
            {"id": TEXT, "body": TEXT},
            {"to_all": YES_NO, "attachments": TEXTS},
        ),
        tool(mail_draft, "Put a mail into the folder Drafts without sending it.", letter, more),
        tool(mail_move, "Move a mail to a folder.", {"id": TEXT, "folder": folder}),
        tool(mail_delete, "Put a mail into the trash.", {"id": TEXT}),
        tool(contacts_find, "Find people in the address book by a part of name or note.", {"name": TEXT}),
    )


def _mail(world: World, id: str) -> Row:
    if id not in world.mails:
        raise ValueError(f"There is no mail {id}.")
    return world.mails[id]


def _letter(
    world: World, to: list[str], subject: str, body: str, cc: list[str] | None, attachments: list[str] | None
) -> Row:
    for address in [*to, *(cc or [])]:
        if "@" not in address:
            raise ValueError(f"{address!r} is no mail address.")
    for path in attachments or []:
        if path not in world.files:
            raise ValueError(f"There is no file {path} to attach.")
    return {
        "from": world.owner["mail"],
        "to": to,
        "cc": cc or [],
        "date": world.now,
        "subject": subject,
        "body": body,
        "attachments": attachments or [],
    }


def _put(world: World, folder: str, letter: Row) -> Row:
    id = world.fresh("m", world.mails)
    world.mails[id] = {"id": id, **letter, "folder": folder, "unread": False}
    return _head(world.mails[id])


def _head(row: Row) -> Row:
    return {name: row[name] for name in ("id", "from", "to", "date", "subject", "folder", "unread")}


def _newest(row: Row) -> str:
    return str(row["date"])


def _text(row: Row) -> str:
    return f"{row['from']} {' '.join(row['to'])} {row['subject']} {row['body']}".lower()
