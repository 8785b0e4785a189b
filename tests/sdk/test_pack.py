"""Packs, plans and steps, run by the harness that pack authors use."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from freehold.sdk import (
    Artifact,
    BadInput,
    BlockingContext,
    Context,
    Job,
    Pack,
    Plan,
    Question,
    Refused,
    SourceFile,
    StepFailed,
)
from freehold.sdk.scaffold import write_pack
from freehold.sdk.testing import Harness
from freehold.wire import child


class Total(msgspec.Struct):
    """A typed result."""

    name: str
    cents: int


def a_pack() -> Pack:
    pack = Pack("sums", version="1.0")

    @pack.step
    async def read(ctx: Context, item: SourceFile) -> Total:
        data = await ctx.read_source(item)
        if not data:
            raise StepFailed(f"{item.path} is empty.")
        return Total(item.path, int(data))

    @pack.step
    def add(ctx: BlockingContext, read: list[Total | None], bonus: int = 0) -> Artifact:
        whole = [total for total in read if total is not None]
        extra: int = ctx.ask(Question("How much more?", type="number"))
        text = str(sum(total.cents for total in whole) + bonus + extra)
        kept = ctx.put_artifact(text, "text/plain", "sum.txt")
        assert ctx.get_artifact(kept) == text.encode()
        return kept

    @pack.planner
    def plan(job: Job) -> Plan:
        made = Plan()
        totals = made.add(read, each="source:receipts", tools=["source.read"], concurrency=2)
        tools = ["question.ask", "artifact.put", "artifact.get"]
        made.add(add, needs=[totals], tools=tools, params={"bonus": job.settings.get("bonus", 0)})
        return made

    return pack


FILES = {"receipts": {"a": b"100", "b": b"", "c": b"23"}}


def test_a_pack_runs_from_plan_to_result_and_a_failed_item_does_not_stop_the_rest() -> None:
    harness = Harness(a_pack(), sources=FILES, answers={"How much more?": 7})
    result = harness.run({"settings": {"bonus": 1000}})
    assert harness.artifacts[result["id"]] == b"1130"
    assert harness.failures == [("read", 1, "b is empty.")]


def test_requests_are_numbered_in_the_order_of_the_calls() -> None:
    harness = Harness(a_pack(), sources=FILES, answers={"How much more?": 7})
    harness.run()
    numbered = [(asked.ordinal, asked.tool) for asked in harness.asked if asked.node == "add"]
    assert numbered == [(1, "question.ask"), (2, "artifact.put"), (3, "artifact.get")]


def test_a_request_is_made_by_the_call_not_by_the_await() -> None:
    pack = one_step(backwards)
    harness = Harness(pack)
    harness.run()
    assert [(asked.ordinal, asked.args["n"]) for asked in harness.asked] == [(1, 1), (2, 2)]


async def backwards(ctx: Context) -> None:
    first = ctx.act("noop", {"n": 1})
    second = ctx.act("noop", {"n": 2})
    await second
    await first


def test_a_tool_that_the_plan_does_not_name_is_refused() -> None:
    async def stray(ctx: Context) -> None:
        await ctx.act("noop")

    with pytest.raises(Refused, match="may not use 'noop'"):
        Harness(one_step(stray, tools=[])).run()


@pytest.mark.parametrize(
    ("value", "words"),
    [(1.5, "float"), (2**60, "too large"), ({"ä": 1}, "ASCII"), (object(), "cannot be written")],
)
def test_what_has_no_one_form_in_json_is_refused_with_the_step_named(value: object, words: str) -> None:
    async def give(ctx: Context) -> Any:
        return value

    with pytest.raises(BadInput, match=words) as raised:
        Harness(one_step(give)).run()
    assert "The result of the step 'give'" in raised.value.message


def test_a_result_too_large_for_a_message_says_to_keep_it_as_an_artifact() -> None:
    async def much(ctx: Context) -> str:
        return "x" * (1 << 20)

    with pytest.raises(BadInput, match=r"ctx\.put_artifact") as raised:
        Harness(one_step(much)).run()
    assert raised.value.code == "input.too-large"


def test_sets_come_out_in_one_order() -> None:
    async def give(ctx: Context) -> set[str]:
        return {"b", "a", "c"}

    assert Harness(one_step(give)).run() == ["a", "b", "c"]


def test_a_large_artifact_goes_through_the_workspace_and_asks_the_same_twice() -> None:
    content = bytes(range(256)) * 4096

    async def keep(ctx: Context) -> None:
        await ctx.put_artifact(content, "application/octet-stream", "big")
        await ctx.put_artifact(content, "application/octet-stream", "big")

    harness = Harness(one_step(keep, tools=["artifact.put"]))
    harness.run()
    first, second = harness.asked
    assert first.args == second.args
    assert first.blob is None
    assert list(harness.artifacts.values()) == [content]


def test_an_input_of_another_type_is_named() -> None:
    async def take(ctx: Context, count: int) -> int:
        return count

    with pytest.raises(BadInput, match="The argument 'count' of the step 'take' is not what was declared"):
        Harness(one_step(take, params={"count": "many"})).run()


def test_a_missing_argument_is_named() -> None:
    async def take(ctx: Context, count: int) -> int:
        return count

    with pytest.raises(BadInput, match="The argument 'count' of the step 'take' is missing"):
        Harness(one_step(take)).run()


def test_a_step_is_tried_again_when_it_says_so() -> None:
    async def shy(ctx: Context) -> int:
        if ctx.attempt < 3:
            raise StepFailed("Not yet.", retry=True)
        return ctx.attempt

    assert Harness(one_step(shy, retries=2)).run() == 3
    with pytest.raises(StepFailed):
        Harness(one_step(shy, retries=1)).run()


def test_nothing_can_be_asked_for_once_a_step_is_over() -> None:
    held: list[Context] = []

    async def leak(ctx: Context) -> None:
        held.append(ctx)

    Harness(one_step(leak)).run()
    with pytest.raises(Exception, match="The step is over"):
        _ = held[0].act("noop")


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda plan: None, "no step"),
        (lambda plan: plan.add("gone"), "'gone', which the pack does not have"),
        (lambda plan: plan.add("take", id="Näme"), "is no id"),
        (lambda plan: [plan.add("take"), plan.add("take")], "Two steps are called 'take'"),
        (lambda plan: plan.add("take", needs=["later"]), "needs 'later', which does not come before it"),
        (lambda plan: plan.add("take", params={"x": 0.5}), "The parameters of 'take'"),
        (lambda plan: plan.add("take", patience=3), "no limit called patience"),
    ],
)
def test_a_plan_that_cannot_be_walked_names_what_is_wrong(build: Any, words: str) -> None:
    pack = Pack("p", version="1")

    @pack.step
    async def take(ctx: Context) -> None: ...

    @pack.planner
    def planner(job: Job) -> Plan:
        plan = Plan()
        build(plan)
        return plan

    with pytest.raises(BadInput, match=words):
        pack.plan({})


def test_a_new_pack_works_and_its_test_passes(tmp_path: Path) -> None:
    written = write_pack(tmp_path, "word-count")
    assert [path.name for path in written] == ["word_count.py", "test_word_count.py", "pyproject.toml"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path / "word-count")],
        cwd=tmp_path,
        env=child.clean_environment({"PYTHONPATH": ":".join(sys.path)}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "1 passed" in done.stdout, done.stdout


@pytest.mark.parametrize("name", ["", "Big", "a--b", "../x", "json", "a" * 41])
def test_a_pack_cannot_be_called_anything(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInput):
        write_pack(tmp_path, name)
    assert list(tmp_path.iterdir()) == []


def test_a_pack_is_never_overwritten(tmp_path: Path) -> None:
    write_pack(tmp_path, "mine")
    with pytest.raises(BadInput, match="is there already"):
        write_pack(tmp_path, "mine")


def test_a_step_that_does_not_fan_out_keeps_the_default_of_its_item() -> None:
    async def count(ctx: Context, item: int = 7) -> int:
        return item

    assert Harness(one_step(count)).run() == 7


def one_step(function: Any, tools: tuple[str, ...] | list[str] = ("noop",), **more: Any) -> Pack:
    pack = Pack("one", version="1")
    pack.step(function)

    @pack.planner
    def planner(job: Job) -> Plan:
        plan = Plan()
        plan.add(function, tools=tools, **more)
        return plan

    return pack


def test_a_mounted_source_lies_in_the_workspace() -> None:
    pack = Pack("looks", version="1.0")

    @pack.step
    def look(ctx: BlockingContext) -> str:
        return (ctx.workspace / "sources" / "in" / "deep" / "a.txt").read_text()

    @pack.planner
    def plan(job: Job) -> Plan:
        made = Plan(mounts=["in"])
        made.add(look)
        assert made.data()["mounts"] == ["in"]
        return made

    assert Harness(pack, sources={"in": {"deep/a.txt": b"a"}}).run() == "a"
