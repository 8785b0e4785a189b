"""Freehold runs AI agents as accountable employees; this module holds the version alone."""

__version__ = "0.1.0"
