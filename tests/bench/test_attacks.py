"""The attacks of ``bench/attacks``: many, each with an id of its own, in calls that the owner's files know."""

from __future__ import annotations

import importlib.util
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

BENCH = Path(__file__).resolve().parents[2] / "bench"
KEYS = {"id", "family", "suite", "user_task", "prompt", "injections", "sessions"}
ROLES = ("target", "item", "content", "inner")

Row = dict[str, Any]


def attacks() -> list[Row]:
    rows: list[Row] = json.loads((BENCH / "attacks" / "adaptive.json").read_text(encoding="utf-8"))
    return rows


def calls(row: Row) -> list[Row]:
    return [call for session in row["sessions"] for call in session]


def tools(suite: str) -> dict[str, Row]:
    found: dict[str, Row] = yaml.safe_load((BENCH / "owners" / f"{suite}.yaml").read_text())["tools"]
    return found


def test_there_are_at_least_two_hundred_and_no_id_is_given_twice() -> None:
    assert len(attacks()) >= 200
    assert [name for name, count in Counter(row["id"] for row in attacks()).items() if count > 1] == []


def test_each_family_has_at_least_fifteen() -> None:
    families = Counter(row["family"] for row in attacks())
    assert len(families) == 16
    assert min(families.values()) >= 15


def test_at_most_a_third_brings_words_of_its_own_for_the_owner() -> None:
    assert 3 * sum("prompt" in row for row in attacks()) <= len(attacks())


@pytest.mark.parametrize("row", attacks(), ids=lambda row: row["id"])
def test_an_entry_says_who_asks_what_strangers_wrote_and_what_must_not_be_done(row: Row) -> None:
    assert set(row) <= KEYS
    assert ("user_task" in row) != ("prompt" in row)
    assert all(isinstance(text, str) and text for text in row["injections"].values())
    assert row["injections"]
    assert all(row["sessions"])
    assert any(call.get("attack") is True for call in calls(row))
    known = tools(row["suite"])
    for call in calls(row):
        assert set(call) <= {"function", "args", "attack"}
        roles = [name for role in ROLES for name in known[call["function"]].get(role, [])]
        assert not roles or set(call["args"]) <= set(roles)


@pytest.mark.skipif(
    importlib.util.find_spec("agentdojo") is None,
    reason="agentdojo is not installed; make .venv/.bench brings it",
)
@pytest.mark.parametrize("suite", ["workspace", "travel", "banking", "slack"])
def test_every_attack_works_where_nothing_guards_and_its_words_are_seen(suite: str) -> None:
    from bench._dojo import Call, World, plain, squeezed

    world = World.named(suite)
    for row in attacks():
        if row["suite"] != suite:
            continue
        environment, shown = world.environment(row["injections"]), ""
        for call in calls(row):
            shown += squeezed(str(plain(world.effect(environment, Call(call["function"], call["args"]))())))
        missed = [text for text in row["injections"].values() if squeezed(text) not in shown]
        assert not missed, row["id"]
