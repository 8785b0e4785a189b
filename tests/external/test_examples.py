"""The examples, before and after: at most ten changed lines; used, denied, asked, approved, killed."""

import difflib
from pathlib import Path

import pytest

from tests.external.conftest import JOB, Owner

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
NAMES = ["plain", "langgraph", "openai_agents"]


@pytest.mark.parametrize("name", NAMES)
def test_an_example_differs_in_at_most_ten_lines(name: str) -> None:
    before, after = (
        (EXAMPLES / name / f"{when}.py").read_text().splitlines() for when in ("before", "after")
    )
    changed = [line for line in difflib.ndiff(before, after) if line[:1] in "+-"]
    assert 0 < len(changed) <= 10


@pytest.mark.parametrize("name", NAMES)
def test_an_example_works_through_the_gate_and_is_denied_what_its_job_does_not_allow(
    owner: Owner, name: str
) -> None:
    used = owner.runs_program(EXAMPLES / name / "after.py", "tea house")
    assert (used.code, used.out) == (0, "paying 250 for tea house\npaid\n"), used.err
    owner.writes_job("errands", JOB.replace("  - tool.call: own.pay\n", ""))
    denied = owner.runs_program(EXAMPLES / name / "after.py", "tea house")
    owner.writes_job("errands", JOB)
    assert denied.code != 0
    assert "paying" not in denied.out
    assert "own.pay" in denied.err


@pytest.mark.parametrize("name", NAMES)
def test_an_example_waits_for_a_person_and_one_that_is_killed_meanwhile_pays_nothing(
    owner: Owner, name: str
) -> None:
    owner.writes_job("errands", JOB.replace("spend: act", "spend: ask"))
    waits = owner.starts_program(EXAMPLES / name / "after.py", "tea house")
    owner.approves(owner.waits_for("own.pay"))
    out, err = waits.communicate(timeout=60)
    assert out == "paying 250 for tea house\npaid\n", err
    killed = owner.starts_program(EXAMPLES / name / "after.py", "tea house")
    card = owner.waits_for("own.pay")
    killed.kill()
    assert killed.communicate()[0] == ""
    owner.approves(card)
    owner.writes_job("errands", JOB)
    tools = [action["tool"] for action in owner.run_of(card["run"])["actions"]]
    assert tools == ["own.look_up"]
