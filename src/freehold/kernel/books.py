"""The budget's books: accounts, runs and holds in memory, and how entries move them. Only `budget` calls.

An account has one running sum of all that was charged to it (settled, reserved or pending), so a limit on a
window is a ceiling on that sum: what was charged before the window began, plus the limit. Charging is then
four additions an account, however many windows there are. The sum does not depend on the order of charges,
which is why a rebuild from the journal equals the state that lived.
"""

from collections.abc import Callable
from typing import Final

import msgspec

from freehold.base import Corrupt
from freehold.kernel.limits import (
    DAY_US,
    DIMENSIONS,
    NEVER_US,
    NOTHING,
    Limit,
    amounts,
    day_start,
    month_start,
)
from freehold.store.interface import UNKNOWN, Cost, Entry, EntryKind

_NO_CEILING: Final = 2**63
_NOT_SETTLED: Final = (None, NOTHING)


class Account:
    """Everything charged to one run, job, agent or owner; ``*_max`` is the lowest ceiling of any window."""

    __slots__ = (
        "actions", "actions_max", "cpu", "cpu_max", "day_base", "limits", "money", "money_max", "month_base",
        "name", "tokens", "tokens_max",
    )  # fmt: skip

    def __init__(self, name: str, limits: tuple[Limit, ...] = ()) -> None:
        self.name = name
        self.limits = limits
        self.money = self.tokens = self.actions = self.cpu = 0
        self.day_base = self.month_base = NOTHING
        self.bound()

    @property
    def charged(self) -> Cost:
        """All that was ever charged: spent, reserved and pending."""
        return Cost(self.money, self.tokens, self.actions, self.cpu)

    def base(self, window: str) -> Cost:
        """What was charged before the window began."""
        return self.day_base if window == "day" else self.month_base if window == "month" else NOTHING

    def add(self, cost: Cost) -> None:
        """Charge, or give back where negative."""
        self.money += cost.money_micro
        self.tokens += cost.tokens
        self.actions += cost.actions
        self.cpu += cost.cpu_us

    def bound(self) -> None:
        """Compute the ceilings anew, after a window began or a limit changed."""
        ceilings = dict.fromkeys(DIMENSIONS, _NO_CEILING)
        for limit in self.limits:
            before = amounts(self.base(limit.window))[limit.dimension]
            ceilings[limit.dimension] = min(ceilings[limit.dimension], before + limit.amount)
        self.money_max, self.tokens_max = ceilings["money_micro"], ceilings["tokens"]
        self.actions_max, self.cpu_max = ceilings["actions"], ceilings["cpu_us"]


class Accounts(msgspec.Struct, eq=False, kw_only=True):
    """A run in the books: who pays for it, pinned when it opened, and its clock."""

    run: str
    job: str
    agent: str
    owner: str
    limits: tuple[Limit, ...] = ()
    wall_us: int | None = None
    wall_where: str = ""
    opened_us: int = 0
    paused_us: int = 0
    waited_us: int = 0
    ended_us: int = 0
    each: tuple[Account, ...] = ()
    deadline_us: int = NEVER_US

    def names(self) -> tuple[str, str, str, str]:
        """The four accounts, narrowest first."""
        return f"run:{self.run}", f"job:{self.job}", f"agent:{self.agent}", f"owner:{self.owner}"

    def set_deadline(self) -> None:
        """Compute the deadline; the clock stands while the run is paused."""
        stands = self.wall_us is None or self.paused_us
        self.deadline_us = NEVER_US if stands else self.opened_us + (self.wall_us or 0) + self.waited_us


class Hold(msgspec.Struct, eq=False):
    """The most that one attempt of an action can cost, held on its four accounts until it is settled."""

    accounts: Accounts
    cost: Cost
    at_us: int
    action: str
    attempt: int
    committed: bool = False


class _At(msgspec.Struct):
    at: int


_at_decoder: Final = msgspec.json.Decoder(_At)


class Books:
    """Accounts, runs and open holds; moved by the budget when it lives and by entries when it is rebuilt."""

    def __init__(self) -> None:
        self.named: dict[str, Account] = {}
        self.runs: dict[str, Accounts] = {}
        self.holds: dict[tuple[str, int], Hold] = {}
        self.day_us = 0
        self.month_us = 0
        self.wake_us = 0

    def account(self, name: str) -> Account:
        """Return the account, new where it has none."""
        found = self.named.get(name)
        if found is None:
            found = self.named[name] = Account(name)
        return found

    def open(self, accounts: Accounts) -> None:
        """Take a run in."""
        accounts.each = tuple(self.account(name) for name in accounts.names())
        accounts.each[0].limits = accounts.limits
        accounts.each[0].bound()
        accounts.set_deadline()
        self.runs[accounts.run] = accounts

    def forget(self, accounts: Accounts) -> None:
        """Let a finished run go; its sums stay with job, agent and owner."""
        self.runs.pop(accounts.run, None)
        self.named.pop(f"run:{accounts.run}", None)

    def roll(self, now_us: int) -> None:
        """Begin the day and month of ``now_us``, unless a later one has begun."""
        day = day_start(now_us)
        if day <= self.day_us and self.wake_us:
            return
        month = month_start(now_us)
        new_month = month > self.month_us
        self.day_us, self.month_us, self.wake_us = day, month, day + DAY_US
        for account in self.named.values():
            account.day_base = account.charged
            if new_month:
                account.month_base = account.day_base
            account.bound()

    def charge(self, accounts: Accounts, cost: Cost, at_us: int) -> None:
        """Charge to the windows of ``at_us``, which may have ended."""
        late_day, late_month = at_us < self.day_us, at_us < self.month_us
        for account in accounts.each:
            account.add(cost)
            if late_day:
                account.day_base += cost
                if late_month:
                    account.month_base += cost
                account.bound()

    def replay(self, entry: Entry, accounts_of: Callable[[str], Accounts]) -> None:
        """Move by one committed entry: INTENT opens a hold, a RESULT that settles closes it."""
        draft = entry.draft
        if draft.reserved is None and draft.spent is None:
            return
        key = draft.action, draft.attempt
        if draft.kind is EntryKind.INTENT:
            at_us = _at_decoder.decode(draft.body).at
            self.roll(at_us)
            accounts, cost = self.runs.get(draft.run) or accounts_of(draft.run), draft.reserved or NOTHING
            self.charge(accounts, cost, at_us)
            self.holds[key] = Hold(accounts, cost, at_us, draft.action, draft.attempt, committed=True)
            return
        if draft.status == UNKNOWN and draft.reserved in _NOT_SETTLED and draft.spent in _NOT_SETTLED:
            return
        hold = self.holds.pop(key, None)
        if hold is None:
            raise Corrupt(f"Entry {entry.index} settles a reservation that nobody made.")
        self.charge(hold.accounts, (draft.spent or NOTHING) - hold.cost, hold.at_us)
