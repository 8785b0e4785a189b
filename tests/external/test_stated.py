"""The tables of what the conformance suite does not find: checked both ways, and the same on the pages."""

import re

import pytest

from tests.external.stated import CLIENT, SERVER, compared, summed
from tests.repo import tree

FAMILIES = ("prompts-", "resources-", "tools-call-", "elicitation-", "logging-", "completion-")


@pytest.mark.parametrize(
    ("found", "stated", "wrong"),
    [
        ({"ping": (1, 0)}, {}, []),
        ({"prompts-list": (0, 1)}, {"prompts-list": "no prompts"}, []),
        ({"ping": (0, 1)}, {}, ["ping fails, and no reason is given for it"]),
        (
            {"ping": (1, 0)},
            {"ping": "none"},
            ["ping passes, though a reason is given why it would not: none"],
        ),
        ({}, {"ping": "none"}, ["ping has a reason and was not run"]),
        ({"two": (1, 1)}, {"two": "half of it"}, []),
    ],
)
def test_a_reason_is_held_against_what_the_suite_found(
    found: dict[str, tuple[int, int]], stated: dict[str, str], wrong: list[str]
) -> None:
    lines, mistakes = compared(found, stated)
    assert mistakes == wrong
    assert len(lines) == len(found)


def test_a_reason_stands_beside_its_failures_alone() -> None:
    (line,), _ = compared({"prompts-list": (0, 1)}, {"prompts-list": "no prompts"})
    assert line.split() == ["prompts-list", "0", "passed", "1", "failed", "no", "prompts"]
    assert summed({"a": (2, 1), "b": (0, 3)}) == (2, 4)


@pytest.mark.parametrize(("page", "stated"), [("external-agents.md", SERVER), ("mcp.md", CLIENT)])
def test_the_page_gives_each_scenario_the_reason_of_the_table(page: str, stated: dict[str, str]) -> None:
    text = (tree.ROOT / "docs" / page).read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`[^|]*`) \| ([^|]+) \|$", text, flags=re.MULTILINE)
    shown = {name: why for names, why in rows for name in re.findall(r"`([^`]+)`", names)}
    assert {name: why for name, why in shown.items() if name in stated} == dict(stated)
    assert [name for name in shown if name.startswith(FAMILIES) and name not in stated] == []
