"""What one step of the audit hands to the next: JSON without floats, and pictures as the names of artifacts.

Confidences cross as thousandths, since a float has no single form in a record.
"""

from __future__ import annotations

from typing import Any

import msgspec

from freehold.packs.expense_audit.report.model import Summary
from freehold.packs.expense_audit.settle import Receipt, Unreadable
from freehold.packs.expense_audit.values import FIELD_NAMES, ReceiptReading
from freehold.sdk import Artifact

__all__ = ["Checked", "Read", "Reported", "Settled", "pack_reading", "unpack_reading"]


class Read(msgspec.Struct, frozen=True):
    """One file as it was read: its reading, packed, and its cut-outs by field, or why it cannot be read."""

    source: str
    reading: dict[str, Any] | None = None
    cut_outs: dict[str, str] = {}
    unreadable: Unreadable | None = None


class Settled(msgspec.Struct, frozen=True):
    """One file after people answered: a receipt that may be checked, or why there is none."""

    source: str
    receipt: Receipt | None = None
    cut_outs: dict[str, str] = {}
    unreadable: Unreadable | None = None


class Checked(msgspec.Struct, frozen=True):
    """All findings, kept as an artifact, since they may be many, and the files that gave no receipt."""

    findings: Artifact
    unreadable: tuple[Unreadable, ...] = ()


class Reported(msgspec.Struct, frozen=True):
    """The report's files, and what it says in short."""

    files: tuple[Artifact, ...]
    files_read: int
    in_order: int
    refused: int
    to_decide: int
    claimed: str
    held_back: str

    @staticmethod
    def of(files: tuple[Artifact, ...], summary: Summary) -> Reported:
        """Return the result of the step that wrote ``files``."""
        return Reported(
            files,
            summary.files,
            summary.in_order,
            summary.refused,
            summary.to_decide,
            " + ".join(summary.claimed) or "nothing",
            " + ".join(summary.held_back) or "nothing",
        )


def pack_reading(reading: ReceiptReading) -> dict[str, Any]:
    """Return a reading as JSON data without floats."""
    return _rescaled(msgspec.to_builtins(reading), lambda share: round(share * 1000))


def unpack_reading(data: dict[str, Any]) -> ReceiptReading:
    """Return the reading that was packed; its confidences are exact to a thousandth."""
    return msgspec.convert(_rescaled(data, lambda permille: permille / 1000), ReceiptReading)


def _rescaled(reading: dict[str, Any], scale: Any) -> dict[str, Any]:
    changed = dict(reading)
    for name in FIELD_NAMES:
        field = reading[name]
        readings = [{**one, "confidence": scale(one["confidence"])} for one in field["readings"]]
        changed[name] = {**field, "confidence": scale(field["confidence"]), "readings": readings}
    return changed
