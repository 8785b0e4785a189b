"""In whatever order, crashes included: nothing is overspent, and a rebuild equals what lived."""

import itertools
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    precondition,
    rule,
)

from freehold.base import Refused
from freehold.kernel.budget import Accounts, Budget, Hold, charge_of
from freehold.kernel.limits import DAY_US, Limit, Window, amounts, day_start, month_start
from freehold.store.interface import Cost
from tests.kernel.budget.entries import intent, result
from tests.kernel.shelf import Shelf

MAXIMA = st.builds(Cost, st.integers(0, 40), st.integers(0, 40), st.integers(0, 1), st.integers(0, 40))
SHARES = st.tuples(*[st.integers(0, 4)] * 4)
WINDOWS: tuple[Window, ...] = ("day", "month", "total")
START = 1_795_000_000_000_000
LIMITS = {
    "job:audit": (
        Limit("day", "money_micro", 100),
        Limit("month", "tokens", 45),
        Limit("total", "actions", 20),
    ),
    "agent:clerk": (Limit("day", "cpu_us", 90), Limit("month", "money_micro", 160)),
    "owner:anna": (Limit("total", "money_micro", 220), Limit("day", "actions", 8)),
}
RUN_LIMITS = (Limit("run", "money_micro", 80), Limit("run", "cpu_us", 120))


def part(cost: Cost, quarters: tuple[int, ...]) -> Cost:
    """Some of a cost, each dimension by its own share."""
    return Cost(
        *(amount * share // 4 for amount, share in zip(amounts(cost).values(), quarters, strict=True))
    )


class BudgetMachine(RuleBasedStateMachine):
    """The oracle is a list of charges: (accounts, when reserved, what is charged now)."""

    reserved = Bundle("reserved")
    written = Bundle("written")

    def __init__(self) -> None:
        super().__init__()
        self.shelf = Shelf()
        self.now = START
        self.ids = itertools.count()
        self.budget = self.fresh()
        self.charges: dict[tuple[str, int], tuple[tuple[str, ...], int, Cost]] = {}
        self.pending: set[str] = set()

    def fresh(self) -> Budget:
        budget = Budget(snapshot_every=7)
        budget.load(self.shelf)
        return budget

    @initialize()
    def open_two_runs(self) -> None:
        for account, limits in LIMITS.items():
            self.shelf.make(self.budget.set_limits(account, limits))
        for run, job in (("run1", "audit"), ("run2", "other")):
            accounts = Accounts(
                run=run, job=job, agent="clerk", owner="anna", limits=RUN_LIMITS, opened_us=self.now
            )
            self.shelf.make(self.budget.open_run(accounts))

    @rule(target=reserved, run=st.sampled_from(["run1", "run2"]), maximum=MAXIMA)
    def reserve(self, run: str, maximum: Cost) -> Any:
        action = f"{next(self.ids):032x}"
        accounts = self.budget.accounts(run)
        try:
            hold = self.budget.reserve(accounts, maximum, self.now, action)
        except Refused:
            assert self.would_pass_a_limit(accounts.names(), maximum)
            return None
        assert not self.would_pass_a_limit(accounts.names(), maximum)
        self.charges[action, 1] = accounts.names(), self.now, maximum
        self.pending.add(action)
        return hold

    @rule(target=written, hold=consumes(reserved))
    def write_intent(self, hold: Hold | None) -> Any:
        if hold is None or hold.action not in self.pending:
            return None
        self.shelf.commit([intent(hold)], [])
        self.budget.committed(hold)
        self.pending.discard(hold.action)
        return hold.action

    @rule(hold=consumes(reserved))
    def lose_intent(self, hold: Hold | None) -> None:
        if hold is None or hold.action not in self.pending:
            return
        self.budget.rollback(hold)
        self.pending.discard(hold.action)
        del self.charges[hold.action, 1]

    @rule(action=consumes(written), quarters=SHARES, measured=st.booleans(), known=st.booleans())
    def settle(self, action: str | None, quarters: tuple[int, ...], measured: bool, known: bool) -> None:
        hold = self.budget.hold(action or "", 1)
        if hold is None:
            return
        charge = charge_of(hold, part(hold.cost, quarters) if known else None, cpu_measured=measured)
        self.shelf.commit([result(hold, charge)], [])
        assert self.budget.settle(hold, charge) is False
        names, at, _ = self.charges[hold.action, 1]
        self.charges[hold.action, 1] = names, at, charge

    @rule(action=written)
    def leave_unknown(self, action: str | None) -> None:
        hold = self.budget.hold(action or "", 1)
        if hold is not None:
            self.shelf.commit([result(hold, None)], [])

    @rule(step=st.sampled_from([1, 3_600_000_000, DAY_US, 31 * DAY_US, -3_600_000_000]))
    def time_passes(self, step: int) -> None:
        # the house's time is the later of now and the journal's last entry: it never goes back
        self.now = max(self.now, self.now + step)

    @precondition(lambda self: self.budget.snapshot_due(self.shelf.size()))
    @rule()
    def snapshot(self) -> None:
        self.shelf.make(self.budget.snapshot())

    @rule()
    def crash(self) -> None:
        for action in self.pending:
            del self.charges[action, 1]
        self.pending.clear()
        self.budget = self.fresh()

    def charged(self, name: str, since: int) -> Cost:
        found = [cost for names, at, cost in self.charges.values() if name in names and at >= since]
        return sum(found, Cost())

    def would_pass_a_limit(self, names: tuple[str, ...], maximum: Cost) -> bool:
        asked = amounts(maximum)
        return any(
            asked[limit.dimension] and self.over(name, limit, asked[limit.dimension])
            for name in names
            for limit in (RUN_LIMITS if name.startswith("run:") else LIMITS.get(name, ()))
        )

    def over(self, name: str, limit: Limit, more: int = 0) -> bool:
        since = {"day": day_start(self.now), "month": month_start(self.now)}.get(limit.window, 0)
        return amounts(self.charged(name, since))[limit.dimension] + more > limit.amount

    @invariant()
    def nothing_is_overspent(self) -> None:
        for name, limits in {**LIMITS, "run:run1": RUN_LIMITS, "run:run2": RUN_LIMITS}.items():
            assert not any(self.over(name, limit) for limit in limits)

    @invariant()
    def the_books_say_what_was_charged(self) -> None:
        for name in LIMITS:
            starts = day_start(self.now), month_start(self.now), 0
            for window, since in zip(WINDOWS, starts, strict=True):
                totals = self.budget.totals(name, window, self.now)
                assert totals.spent + totals.reserved == self.charged(name, since)

    @invariant()
    def a_rebuild_equals_what_lived(self) -> None:
        again = self.fresh()
        lost = [self.charges[action, 1] for action in self.pending]
        for name in LIMITS:
            pending = sum((cost for names, _, cost in lost if name in names), Cost())
            lived = self.budget.totals(name, "total", self.now)
            rebuilt = again.totals(name, "total", self.now)
            assert rebuilt.spent == lived.spent
            assert rebuilt.reserved == lived.reserved - pending
            for window in WINDOWS:
                late = self.budget.totals(name, window, self.now)
                assert again.totals(name, window, self.now).spent == late.spent


BudgetMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
test_nothing_is_overspent_and_a_rebuild_equals_what_lived = BudgetMachine.TestCase
