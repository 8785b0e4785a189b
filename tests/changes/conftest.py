"""The estate of the forgotten: its pack leaves copies in the outbox and in the workspace."""

from tests.forget.conftest import copying, owner

__all__ = ["copying", "owner"]
