"""SIGKILL at every durable boundary, then another process: nothing lost, nothing doubled, no wrong bill.

Effects are counted where they arrive. The short form kills the small plan (one effect of each of the five
kinds) once between any two durable things; the long one kills before and after each, and longer plans.
"""

import random
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from freehold.packs.expense_audit.samples import make_samples
from tests.crash.child import Ended
from tests.crash.harness import Harness, boundaries, distinct, walk

IN_BETWEEN = ("handed over mail.send #1", "delivered mail.send #1", "before commit result once/0/3 done #1")


def must_name(seen: Sequence[str]) -> None:
    """The boundaries that must not go missing because something was renamed."""
    for name in (
        "after commit note:run.started + note:budget.opened #1",
        "after fsync artifacts #1",
        "after replace artifacts #1",
        "after fsync artifacts/ #1",
        "after replace outbox #1",
        "delivered /keyed #1",
        "delivered /asked #1",
        "after commit note:run.ended #1",
        *IN_BETWEEN,
    ):
        assert name in seen


def killed_everywhere(harness: Harness, job: str, seen: Sequence[str]) -> None:
    found = walk(harness, job, seen)
    # what happens at the same time may happen, and be committed, in another order than in the clean run
    assert len(found) >= 0.7 * len(seen), set(seen) - set(found)
    for name in IN_BETWEEN:
        if name in found:
            assert "outcome unknown" in found[name].cards


@pytest.mark.timeout(300)
def test_the_small_plan_survives_a_kill_between_any_two_durable_things(harness: Harness) -> None:
    seen = boundaries(harness, "small")
    must_name(seen)
    killed_everywhere(harness, "small", distinct(seen))


@pytest.mark.timeout(300)
def test_the_small_plan_survives_a_kill_around_its_effects_on_postgresql(postgres_harness: Harness) -> None:
    seen = boundaries(postgres_harness, "small")
    must_name(seen)
    killed_everywhere(postgres_harness, "small", [name for name in distinct(seen) if "once/0/3" in name])


@pytest.mark.long
@pytest.mark.parametrize("job", ["small", "whole"])
def test_a_plan_survives_a_kill_at_every_boundary(harness: Harness, job: str) -> None:
    killed_everywhere(harness, job, boundaries(harness, job))


@pytest.mark.long
def test_the_small_plan_survives_a_kill_at_every_boundary_on_postgresql(postgres_harness: Harness) -> None:
    killed_everywhere(postgres_harness, "small", boundaries(postgres_harness, "small"))


@pytest.mark.long
def test_the_expense_audit_survives_a_kill_between_any_two_durable_things(
    harness: Harness, tmp_path: Path
) -> None:
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    harness.receipts.mkdir()
    make_samples(shelf)
    for name in ("08-bistro.jpg", "12-torn.jpg"):  # one that is asked about, one that cannot be read
        (shelf / name).rename(harness.receipts / name)
    seen = boundaries(harness, "expense")
    found = walk(harness, "expense", distinct(seen))
    assert len(found) >= 0.7 * len(distinct(seen)), set(seen) - set(found)
    assert {"question", "approval"} <= {card for report in found.values() for card in report.cards}
    unknown = [name for name in found if name.startswith(("handed over mail", "delivered mail"))]
    assert unknown
    assert all("outcome unknown" in found[name].cards for name in unknown)


@pytest.mark.long
def test_two_hundred_kills_at_random_moments_lose_and_double_nothing(harness: Harness) -> None:
    boundaries(harness, "whole")
    began = time.monotonic()
    harness.life("whole")
    whole_ms = (time.monotonic() - began) * 1_000
    chance = random.Random(20260)
    killed = 0
    while killed < 200:
        ended, reports = harness.life("whole", kill_ms=round(chance.uniform(0.02, 1.2) * whole_ms))
        assert ended.orphans == 0
        killed += ended.status != 0
        for report in reports:
            harness.check(report)
    ended, reports = harness.life("whole")
    assert ended == Ended(0, 0)
    for report in reports:
        harness.check(report)
