"""What the built-in tools show of themselves: what it is, what its arguments are, who wrote its results."""

import re
from pathlib import Path

from freehold.kernel.labels import Integrity
from freehold.kernel.tools import Role, Tool
from tests.tools.conftest import Desk

SHOWN = (
    "files.list", "files.read", "files.search", "files.write", "files.append", "files.move", "files.delete",
    "page.read", "http.request", "mail.send", "calendar.list", "calendar.create", "calendar.change", "calendar.cancel",
    "sql.query", "shell.run",
)  # fmt: skip
DOCS = Path(__file__).parents[2] / "docs" / "tools.md"


def tools(desk: Desk) -> dict[str, Tool]:
    job = desk.job()
    return {name: tool for name in SHOWN if (tool := desk.estate.house.tools.tool(name, job, {})) is not None}


async def test_every_tool_that_is_shown_has_a_face_whose_schema_names_its_arguments(desk: Desk) -> None:
    found = tools(desk)
    assert set(found) == set(SHOWN)
    for name, tool in found.items():
        assert tool.face is not None, name
        properties = tool.face.parameters["properties"]
        assert set(tool.face.parameters["required"]) <= set(properties), name
        assert all(value.get("description") or value.get("enum") for value in properties.values()), name
        assert tool.face.audience in ("", *properties), name
        assert tool.face.by is Integrity.ESTATE


async def test_what_strangers_can_write_is_not_called_the_estates(desk: Desk) -> None:
    found = tools(desk)
    for name in ("page.read", "http.request", "calendar.list", "files.read", "sql.query"):
        face = found[name].face
        assert face is not None
        assert face.written_by.get("", Integrity.STRANGER) is Integrity.STRANGER
        assert not {"text", "title", "body", "rows", "events", "events.*.title"} & set(face.written_by)


async def test_what_chooses_whom_an_action_hits_is_a_target(desk: Desk) -> None:
    found = tools(desk)
    targets = {
        name: {one for one in tool.face.parameters["properties"] if tool.face.role(one) is Role.TARGET}
        for name, tool in found.items() if tool.face is not None
    }  # fmt: skip
    assert targets["mail.send"] == {"to"}
    assert targets["page.read"] == {"url"}
    assert targets["http.request"] == {"method", "url"}
    assert targets["calendar.create"] == {"start", "end", "attendees"}


def test_the_table_of_tools_names_every_one() -> None:
    named = set(re.findall(r"`([a-z]+\.[a-z]+)`", DOCS.read_text()))
    assert {*SHOWN, "mail.list", "mail.read", "mail.search", "mailbox.draft"} <= named
