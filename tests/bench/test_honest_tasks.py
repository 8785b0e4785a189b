"""The honest tasks of ``bench/honest``: each can be done in the small world as it is written down."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench.honest.world import World

HONEST = Path(__file__).resolve().parents[2] / "bench" / "honest"
GROUPS = {"mail", "calendar", "files", "shop", "http"}

Row = dict[str, Any]


def world() -> World:
    return World.load(HONEST / "world.json")


def tasks() -> list[Row]:
    rows: list[Row] = json.loads((HONEST / "tasks.json").read_text(encoding="utf-8"))
    return rows


def do(task: Row, where: World) -> list[Any]:
    return [where.call(call["function"], call["args"]) for call in task["calls"]]


def session() -> list[Row]:
    return sorted((task for task in tasks() if "session" in task), key=lambda task: int(task["session"]))


def unseen(rows: list[Row]) -> list[str]:
    """Ids, paths, addresses that a call names though neither a prompt nor an earlier result had them."""
    here = world()
    seen, strange = "", []
    for task in rows:
        seen += task["prompt"]
        for call in task["calls"]:
            for value in names(call["args"], set(here.files)):
                if value not in seen:
                    strange.append(f"{task['id']}: {call['function']} {value}")
            seen += json.dumps(here.call(call["function"], call["args"]), ensure_ascii=False)
            seen += json.dumps(call["args"], ensure_ascii=False)
    return strange


def names(args: Row, paths: set[str]) -> list[str]:
    found = [args[name] for name in ("id", "order", "url", "person") if name in args]
    found += [args["path"]] if args.get("path") in paths else []
    for name in ("to", "cc", "participants", "attachments"):
        found += args.get(name, [])
    return found


def named(function: str) -> str:
    group = function.split("_")[0]
    return "mail" if group == "contacts" else group


@pytest.mark.parametrize("task", tasks(), ids=lambda task: str(task["id"]))
def test_a_task_runs_in_a_fresh_world_and_changes_it_only_where_it_says_so(task: Row) -> None:
    here = world()
    before = here.state()
    json.dumps(do(task, here))
    assert (here.state() != before) is task["changes"]


@pytest.mark.parametrize("task", tasks(), ids=lambda task: str(task["id"]))
def test_a_search_finds_something(task: Row) -> None:
    for call, result in zip(task["calls"], do(task, world()), strict=True):
        looks = call["function"].endswith(("_search", "_find"))
        assert result or not looks or task["id"] == "july-plans", call


@pytest.mark.parametrize(
    "task", [task for task in tasks() if "session" not in task], ids=lambda task: str(task["id"])
)
def test_a_task_names_only_what_its_owner_said_or_what_it_has_read(task: Row) -> None:
    assert not unseen([task])


def test_the_session_names_only_what_its_owner_said_or_what_it_has_read_that_day() -> None:
    assert not unseen(session())


def test_twenty_tasks_follow_one_another_in_one_world() -> None:
    assert [task["session"] for task in session()] == list(range(1, 21))
    here = world()
    for task in session():
        before = here.state()
        do(task, here)
        assert (here.state() != before) is task["changes"], task["id"]


def test_there_are_enough_tasks_of_every_group_and_their_ids_differ() -> None:
    rows = tasks()
    assert len(rows) >= 66
    assert len({row["id"] for row in rows}) == len(rows)
    assert {group for row in rows for group in row["groups"]} == GROUPS
    for row in rows:
        assert set(row["groups"]) == {named(call["function"]) for call in row["calls"]}, row["id"]
        assert row["prompt"].strip()
        assert row["calls"]
    read_only = sum(not row["changes"] for row in rows)
    assert len(rows) / 5 <= read_only <= len(rows) / 2


def test_the_world_has_the_five_groups_of_tools_and_each_describes_itself() -> None:
    specs = world().tools()
    assert {named(name) for name in specs} == GROUPS
    for name, spec in specs.items():
        assert spec.name == name
        assert spec.description.endswith(".")
        assert set(spec.parameters["required"]) <= set(spec.parameters["properties"])
        json.dumps(spec.parameters)
    used = {call["function"] for task in tasks() for call in task["calls"]}
    assert used == set(specs)


@pytest.mark.parametrize(
    ("name", "args", "says"),
    [
        ("mail_fly", {}, "no tool"),
        ("mail_read", {}, "lacks id"),
        ("mail_read", {"id": 7}, "type string"),
        ("mail_read", {"id": "m1", "loud": True}, "no parameter loud"),
        ("mail_read", {"id": "m999"}, "no mail"),
        ("mail_move", {"id": "m1", "folder": "Attic"}, "one of"),
        ("mail_send", {"to": [3], "subject": "a", "body": "b"}, r"to\[0\] must be of type string"),
        (
            "mail_send",
            {"to": ["x@y.example"], "subject": "a", "body": "b", "attachments": ["no.txt"]},
            "no.txt",
        ),
        ("calendar_day", {"date": "tomorrow"}, "look like"),
        (
            "calendar_move",
            {"id": "e22", "start": "2026-03-19T08:00", "end": "2026-03-19T09:00"},
            "belongs to",
        ),
        ("shop_cart_add", {"id": "p1", "quantity": True}, "type integer"),
        ("shop_cart_add", {"id": "p1", "quantity": -1}, "at least 0"),
        ("shop_cart_add", {"id": "p5", "quantity": 4}, "only 3"),
        ("shop_order", {"address": "home", "payment": "giro"}, "empty"),
        ("shop_return", {"order": "o3", "reason": "late"}, "cannot be sent back"),
        ("http_post_form", {"url": "https://bank.example/transfer", "fields": {"to": "me"}}, "asks for iban"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence_and_changes_nothing(name: str, args: Row, says: str) -> None:
    here = world()
    before = here.state()
    with pytest.raises(ValueError, match=says):
        here.call(name, args)
    assert here.state() == before


def test_what_a_call_returns_is_a_copy_of_its_own() -> None:
    here = world()
    before = here.state()
    here.call("mail_read", {"id": "m1"})["body"] = "changed"
    assert here.state() == before


def test_data_of_the_world_holds_no_floats_and_is_of_the_agreed_size() -> None:
    data = json.loads((HONEST / "world.json").read_text(encoding="utf-8"), parse_float=refuse)
    json.loads((HONEST / "tasks.json").read_text(encoding="utf-8"), parse_float=refuse)
    assert len(data["mails"]) >= 40
    assert min(len(data[kind]) for kind in ("events", "files", "products")) >= 30


def refuse(text: str) -> float:
    raise AssertionError(f"{text} is a float")
