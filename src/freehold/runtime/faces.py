"""How the tools that every estate has show themselves to a model; those of a kit bring their own faces."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from freehold.kernel.labels import Integrity
from freehold.kernel.tools import Face, Role


def _object(**properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object", "properties": properties, "required": sorted(properties), "additionalProperties": False,
    }  # fmt: skip


_SOURCE: Final = {"type": "string", "description": "The source's name."}

LIST_SOURCE: Final = Face(
    "List the files of a source, with their size and digest, as they were when the run began.",
    _object(source=_SOURCE),
    words=("list", "files", "folder"),
)
READ_SOURCE: Final = Face(
    "Read one file of a source, as it was when the run began.",
    _object(source=_SOURCE, path={"type": "string", "description": "The file's path, as the list has it."}),
    words=("read", "open", "file"),
)
_LETTER: Final[Mapping[str, dict[str, Any]]] = MappingProxyType(
    {
        "to": {"type": "array", "items": {"type": "string"}, "minItems": 1, "description": "Mail addresses."},
        "subject": {"type": "string", "description": "One line."},
        "text": {"type": "string", "description": "The whole message, as plain text."},
        "attachments": {
            "type": "array",
            "items": {"type": "string"},
            "description": "Ids of artifacts of this run.",
        },
    }
)
_WRITTEN: Final = MappingProxyType(
    {"subject": Role.CONTENT, "text": Role.CONTENT, "attachments": Role.CONTENT}
)
SEND_MAIL: Final = Face(
    "Send a mail. It cannot be called back.",
    _object(**_LETTER) | {"required": ["subject", "text", "to"]},
    _WRITTEN,
    {"": Integrity.ESTATE},
    ("send", "mail", "write", "reply", "answer", "forward", "tell"),
    audience="to",
)
DRAFT_MAIL: Final = Face(
    "Put a draft into a folder of a mailbox, where its owner can look at it and send it. Nothing is sent.",
    _object(
        **_LETTER,
        server={"type": "string", "description": "The mailbox's server, such as imap.example.org."},
        folder={"type": "string", "description": "The folder for drafts, such as Drafts."},
    )
    | {"required": ["folder", "server", "subject", "text", "to"]},
    {**_WRITTEN, "server": Role.ITEM, "folder": Role.ITEM},
    {"": Integrity.ESTATE},
    ("draft", "prepare", "write", "reply", "answer"),
)
REQUEST: Final = Face(
    "Make one HTTP request. The reply's body is in base64, redirects are answers, keys and cookies are taken away.",
    _object(
        method={"type": "string", "enum": ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]},
        url={"type": "string", "description": "The whole address, with its query."},
        headers={
            "type": "object",
            "additionalProperties": {"type": "string"},
            "description": "Headers by name.",
        },
        body={"type": "string", "description": "The body, as text."},
    )
    | {"required": ["method", "url"]},
    {"body": Role.CONTENT, "headers": Role.CONTENT},
    {"status": Integrity.ESTATE, "truncated": Integrity.ESTATE, "stripped": Integrity.ESTATE},
    ("request", "call", "post", "submit", "fetch"),
)
