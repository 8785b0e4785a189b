"""A small world in memory: one person's mail, calendar, files, shop and the web, with the tools over it.

The honest tasks beside it run here. It is deterministic: its clock stands still at the data's ``now``.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from . import _calendar, _files, _http, _mail, _shop
from ._spec import Row, ToolSpec, check


class World:
    """One person's accounts. Every change is made by a tool, and ``state`` shows it."""

    def __init__(self, data: Row) -> None:
        data = copy.deepcopy(data)
        self.now: str = data["now"]
        self.owner: Row = data["owner"]
        self.mails: dict[str, Row] = {row["id"]: row for row in data["mails"]}
        self.contacts: list[Row] = data["contacts"]
        self.events: dict[str, Row] = {row["id"]: row for row in data["events"]}
        self.files: dict[str, Row] = {row["path"]: row for row in data["files"]}
        self.products: dict[str, Row] = {row["id"]: row for row in data["products"]}
        self.orders: dict[str, Row] = {row["id"]: row for row in data["orders"]}
        self.account: Row = data["account"]
        self.cart: dict[str, int] = {}
        self.pages: dict[str, Any] = data["pages"]
        self.forms: dict[str, Row] = data["forms"]
        self.posted: list[Row] = []

    @classmethod
    def load(cls, path: Path) -> World:
        """The world that a JSON file describes."""
        return cls(json.loads(path.read_text(encoding="utf-8")))

    def tools(self) -> dict[str, ToolSpec]:
        """Every tool by its name."""
        groups: Iterable[tuple[ToolSpec, ...]] = (
            _mail.tools(),
            _calendar.tools(),
            _files.tools(),
            _shop.tools(),
            _http.tools(),
        )
        return {spec.name: spec for group in groups for spec in group}

    def call(self, name: str, args: Row) -> Any:
        """Call a tool and return a JSON value of its own; ``ValueError`` says in a sentence what cannot be."""
        spec = self.tools().get(name)
        if spec is None:
            raise ValueError(f"There is no tool {name}.")
        check(args, spec.parameters, name)
        return copy.deepcopy(spec.function(self, **copy.deepcopy(args)))

    def state(self) -> Row:
        """All that a tool can change, as a JSON value, for comparing."""
        return copy.deepcopy(
            {
                "mails": self.mails,
                "events": self.events,
                "files": self.files,
                "orders": self.orders,
                "cart": self.cart,
                "posted": self.posted,
            }
        )

    def fresh(self, prefix: str, store: dict[str, Row]) -> str:
        """An id that the store does not have yet."""
        return f"{prefix}{len(store) + 1}"
