"""100 callers at once on one budget, against a real store on both engines: nothing is overspent, ever."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest

from freehold.base import Refused, SystemClock
from freehold.kernel.budget import Accounts, Budget, Hold
from freehold.kernel.change import Change
from freehold.kernel.limits import Limit
from freehold.kernel.tree import Tree
from freehold.store.interface import Batch, Cost, Store
from freehold.store.open import open_store
from tests.kernel.budget.entries import intent, result

CALLERS = 100
EACH = 5
PRICE = Cost(money_micro=7, tokens=3, actions=1)
ROOM = 1_000
MIDDLE = 120
NOW = 1_795_000_000_000_000


@dataclass
class Count:
    """What the world saw."""

    paid: int = 0
    refused: int = 0
    highest: int = 0
    enough: asyncio.Event = field(default_factory=asyncio.Event)


@pytest.fixture(params=("sqlite", "postgres"))
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield str(tmp_path / "estate")
        return
    url = str(request.getfixturevalue("postgres_url"))
    schema = f"budget_{tmp_path.name[-20:].replace('-', '_')}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f'CREATE SCHEMA "{schema}"')
        yield f"{url}&options=-csearch_path%3D{schema}"
        connection.execute(f'DROP SCHEMA "{schema}" CASCADE')


@asynccontextmanager
async def opened(address: str) -> AsyncIterator[tuple[Store, Budget]]:
    tree = Tree()
    store = open_store(address, SystemClock(), tree)
    tree.load(store)
    budget = Budget(snapshot_every=150)
    budget.load(store)
    yield store, budget
    await store.close()


async def make(store: Store, change: Change) -> None:
    await store.commit(Batch((), change.writes))
    for move in change.after:
        move()


async def caller(store: Store, budget: Budget, number: int, count: Count) -> None:
    """What the gate does with the budget, for one agent's run of actions."""
    dice = random.Random(number)
    accounts = budget.accounts(f"{number % 4:032x}")
    for step in range(EACH):
        try:
            hold = budget.reserve(accounts, PRICE, NOW, f"{number:016x}{step:016x}")
        except Refused:
            count.refused += 1
            continue
        watch(budget, count)
        snapshot = budget.snapshot() if budget.snapshot_due(store.size()) else Change()
        await store.commit(Batch((intent(hold),), snapshot.writes))
        for move in snapshot.after:
            move()
        budget.committed(hold)
        if store.size() > MIDDLE:
            count.enough.set()
        await asyncio.sleep(0)
        await finish(store, budget, hold, dice, count)


async def finish(store: Store, budget: Budget, hold: Hold, dice: random.Random, count: Count) -> None:
    """Settle, give back, or leave unknown."""
    fate = dice.random()
    charge = PRICE if fate < 0.6 else Cost(money_micro=2, actions=1) if fate < 0.8 else Cost()
    if fate > 0.9:
        await store.commit(Batch((result(hold, None),), ()))
        return
    await store.commit(Batch((result(hold, charge),), ()))
    budget.settle(hold, charge)
    count.paid += charge.money_micro
    watch(budget, count)


def watch(budget: Budget, count: Count) -> None:
    totals = budget.totals("owner:anna", "total", NOW)
    count.highest = max(count.highest, (totals.spent + totals.reserved).money_micro)


async def open_runs(store: Store, budget: Budget) -> None:
    limits = (Limit("total", "money_micro", ROOM), Limit("day", "tokens", 100_000))
    await make(store, budget.set_limits("owner:anna", limits))
    for run in range(4):
        accounts = Accounts(
            run=f"{run:032x}", job=f"job{run % 2}", agent="clerk", owner="anna", opened_us=NOW
        )
        await make(store, budget.open_run(accounts))


async def test_a_hundred_callers_at_once_overspend_nothing_and_a_restart_agrees(address: str) -> None:
    count = Count()
    async with opened(address) as (store, budget):
        await open_runs(store, budget)
        await asyncio.gather(*(caller(store, budget, number, count) for number in range(CALLERS)))
        lived = budget.totals("owner:anna", "total", NOW)
    assert count.refused > 0
    assert count.highest <= ROOM
    assert lived.spent.money_micro == count.paid
    assert (lived.spent + lived.reserved).money_micro <= ROOM
    # whoever was refused was refused rightly: less than one price is left
    assert ROOM - (lived.spent + lived.reserved).money_micro < PRICE.money_micro
    async with opened(address) as (_, again):
        assert again.totals("owner:anna", "total", NOW) == lived
        for kind in ("job:job0", "job:job1", "agent:clerk"):
            assert again.totals(kind, "total", NOW) == budget.totals(kind, "total", NOW)


async def test_callers_cut_off_in_the_middle_overspend_nothing_after_a_restart(address: str) -> None:
    count = Count()
    async with opened(address) as (store, budget):
        await open_runs(store, budget)
        callers = [asyncio.create_task(caller(store, budget, number, count)) for number in range(CALLERS)]
        await count.enough.wait()
        for task in callers:
            task.cancel()
        await asyncio.gather(*callers, return_exceptions=True)
    async with opened(address) as (store, budget):
        begun = budget.totals("owner:anna", "total", NOW)
        assert count.paid <= (begun.spent + begun.reserved).money_micro <= ROOM
        later = [caller(store, budget, CALLERS + number, count) for number in range(CALLERS)]
        await asyncio.gather(*later)
        watch(budget, count)
    assert count.refused > 0
    assert count.highest <= ROOM
