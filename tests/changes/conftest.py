"""The estate of the forgotten, whose pack leaves copies in the outbox and in the workspace; and a throw-away one."""

from tests.forget.conftest import copying, owner
from tests.runtime.conftest import estate

__all__ = ["copying", "estate", "owner"]
