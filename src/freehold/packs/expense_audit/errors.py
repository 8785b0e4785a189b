"""What this pack may complain about: always one clear sentence, and what to do about it."""

from __future__ import annotations

from freehold.base.errors import BadInput

__all__ = ["PolicyError", "ReceiptError"]


class _PackError(BadInput):
    """A user's mistake or a stranger's bad file; `code` is stable, `message` and `remedy` are for people."""

    def __init__(self, code: str, message: str, remedy: str) -> None:
        super().__init__(message, remedy=remedy, code=code)


class ReceiptError(_PackError):
    """A file that cannot be read as a receipt; the rest of the folder goes on without it."""


class PolicyError(_PackError):
    """A policy file that does not say what it means; the message names the line."""
