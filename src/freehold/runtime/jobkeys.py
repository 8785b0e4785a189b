"""The words of a job file: its headings, its keys, and what may stand under ``may``."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from freehold.kernel.labels import Integrity

HEADINGS: Final = ("Goal", "Context", "Source", "Expectations")
SHORT_WORDS: Final[Mapping[str, str]] = MappingProxyType({"read": "source.read", "change": "source.change"})
ALLOWABLE: Final = (
    "source.read",
    "source.change",
    "outbox.write",
    "mail.send",
    "http.request",
    "model.call",
    "tool.call",
    "mailbox.fetch",
    "mailbox.draft",
    "git.fetch",
    "git.push",
    "calendar.read",
    "calendar.change",
)
KEYS: Final = (
    "owner",
    "agent",
    "pack",
    "subject",
    "triggers",
    "budget",
    "grades",
    "may",
    "approvals",
    "sources",
    "policy",
    "params",
    "mail",
    "sandbox",
)
TRUST: Final[Mapping[str, Integrity]] = MappingProxyType(
    {"owner": Integrity.OWNER, "estate": Integrity.ESTATE, "stranger": Integrity.STRANGER}
)
TRUST_WORDS: Final = "`owner` (the owner alone writes there), `estate` (people of the house), or `stranger`"
