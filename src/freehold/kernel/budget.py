"""The budget: what an action can cost is held before it and settled after it. The gate calls; the bill reads.

    hold = budget.reserve(accounts, maximum, now_us, action, attempt)   before INTENT; Refused says why
    budget.committed(hold) or budget.rollback(hold)                     after its commit, or its failure
    budget.settle(hold, charge)                                         after RESULT's commit; unknown: never

Roll back only what surely was not committed: a caller that was cancelled while it waited does not know.

Spent, reserved and pending together never pass a limit. Both entries carry the deltas, so after a crash the
books are a snapshot and the entries after it; an INTENT without a settled RESULT keeps its reservation.
Before an action is done again, the gate settles the attempt before (``charge_of(hold, None)`` where nothing
is known). A limit that is absent does not bind: the job's reader sees to it that a job has some.
"""

from collections.abc import Callable, Container, Iterator
from typing import Any, Final, Protocol

import msgspec

from freehold.base import BadInput, Corrupt, Internal, NotFound, Refused, canonical
from freehold.kernel import limits as words
from freehold.kernel.books import Account, Accounts, Books, Hold
from freehold.kernel.change import Change, Note
from freehold.kernel.limits import DAY_US, NOTHING, Limit, amount_text, amounts, cost_row
from freehold.store.interface import Cost, Document, Entry, Put

BUDGET: Final = "budget"
SHORT: Final = "refused.budget"
"""The code of a refusal because too little is left of a limit."""
SNAPSHOT_EVERY: Final = 10_000
_RUN_FIELDS: Final = (
    "run", "job", "agent", "owner", "wall_us", "wall_where", "opened_us", "paused_us", "waited_us",
    "ended_us",
)  # fmt: skip


class Records(Protocol):
    """The part of a store that the budget is rebuilt from."""

    def size(self) -> int: ...

    def entries(self, start: int, stop: int) -> Iterator[Entry]: ...

    def document(self, collection: str, key: str) -> Document | None: ...

    def documents(
        self, collection: str, *, state: str | None = None, prefix: str = "", limit: int = 1_000_000
    ) -> list[Document]: ...


class Bill(msgspec.Struct, frozen=True):
    """What one run cost: ``spent`` is settled, ``reserved`` is held for what is in flight or unknown."""

    run: str
    job: str
    agent: str
    owner: str
    spent: Cost
    reserved: Cost
    elapsed_us: int
    currency: str
    closed: bool


class Totals(msgspec.Struct, frozen=True):
    """What one account was charged in one window; ``limits`` are those of the account."""

    account: str
    window: words.Window
    spent: Cost
    reserved: Cost
    limits: tuple[Limit, ...]


def charge_of(hold: Hold, spent: Cost | None, *, cpu_measured: bool = True) -> Cost:
    """Return what RESULT charges: as reserved where nothing is known, and CPU where it was not measured."""
    if spent is None:
        return hold.cost
    return spent if cpu_measured else msgspec.structs.replace(spent, cpu_us=hold.cost.cpu_us)


class Budget:
    """The estate's accounts, in memory; every method is synchronous and called from the daemon's loop."""

    def __init__(self, currency: str = "EUR", *, snapshot_every: int = SNAPSHOT_EVERY) -> None:
        self.currency = currency
        self._every = snapshot_every
        self._books = Books()
        self._store: Records | None = None
        self._snapshot_at = 0

    # ---- the hot path ------------------------------------------------------------------------------------

    def reserve(self, accounts: Accounts, maximum: Cost, now_us: int, action: str, attempt: int = 1) -> Hold:
        """Hold ``maximum`` on the run's four accounts at once, or on none.

        ``now_us`` is the house's time, not later than INTENT's. Raises Refused naming the account, the limit,
        what is left and the line to change; Internal when this attempt holds something already.
        """
        books = self._books
        if now_us >= books.wake_us:
            books.roll(now_us)
        if now_us >= accounts.deadline_us or accounts.ended_us:
            raise self._too_late(accounts, now_us)
        if books.runs.get(accounts.run) is not accounts:  # the books were read again since the run began
            accounts = self.accounts(accounts.run)
        money, tokens, actions, cpu = maximum.money_micro, maximum.tokens, maximum.actions, maximum.cpu_us
        key = (action, attempt)
        if money < 0 or tokens < 0 or actions < 0 or cpu < 0 or key in books.holds:
            raise Internal(f"Attempt {attempt} of an action cannot reserve {maximum}, or reserves twice.")
        each = accounts.each
        for account in each:
            if (
                account.actions + actions > account.actions_max
                or account.cpu + cpu > account.cpu_max
                or account.money + money > account.money_max
                or account.tokens + tokens > account.tokens_max
            ):
                # a limit lowered below what was used must not refuse what uses none of it
                self._refuse_beyond(account, maximum, now_us)
        for account in each:
            account.actions += actions
            account.cpu += cpu
            if money:
                account.money += money
            if tokens:
                account.tokens += tokens
        at_us = now_us if now_us > books.day_us else books.day_us
        hold = books.holds[key] = Hold(accounts, maximum, at_us, action, attempt)
        return hold

    def fits(self, accounts: Accounts, maximum: Cost, now_us: int) -> bool:
        """Whether a reservation of ``maximum`` would be made now; nothing is held."""
        try:
            hold = self.reserve(accounts, maximum, now_us, "", 0)
        except Refused:
            return False
        self.rollback(hold)
        return True

    def comes_back(self, accounts: Accounts, under_way: Container[str]) -> bool:
        """Whether an action under way holds money or tokens of the run: what it does not use is given back.

        A step, which holds CPU for as long as its actions take, is none of these, so none waits for itself.
        """
        return any(
            hold.action in under_way and hold.accounts.run == accounts.run
            for hold in self._books.holds.values()
            if hold.cost.money_micro > 0 or hold.cost.tokens > 0
        )

    def committed(self, hold: Hold) -> None:
        """INTENT is durable: the reservation stands until it is settled."""
        hold.committed = True

    def rollback(self, hold: Hold) -> None:
        """INTENT's commit failed, nothing was done: give everything back."""
        if hold.committed:
            raise Internal("A reservation whose INTENT is durable can only be settled.")
        self._close(hold, NOTHING)

    def settle(self, hold: Hold, charge: Cost) -> bool:
        """RESULT is durable and charged ``charge`` (``charge_of``; nothing if not done); the rest comes back.

        Returns whether the charge was more than had been reserved. The truth is charged even so, and later
        reservations meet the limit; the gate journals it.
        """
        if not hold.committed:
            raise Internal("A reservation is settled only after its INTENT is durable.")
        self._close(hold, charge)
        held = hold.cost
        return (
            charge.cpu_us > held.cpu_us
            or charge.money_micro > held.money_micro
            or charge.tokens > held.tokens
            or charge.actions > held.actions
        )

    def _close(self, hold: Hold, charge: Cost) -> None:
        books, held = self._books, hold.cost
        if books.holds.pop((hold.action, hold.attempt), None) is not hold:
            raise Internal("A reservation was settled twice.")
        if hold.at_us < books.day_us:
            books.charge(hold.accounts, charge - held, hold.at_us)
            return
        money, tokens = charge.money_micro - held.money_micro, charge.tokens - held.tokens
        actions, cpu = charge.actions - held.actions, charge.cpu_us - held.cpu_us
        for account in hold.accounts.each:
            account.cpu += cpu
            if actions:
                account.actions += actions
            if money:
                account.money += money
            if tokens:
                account.tokens += tokens

    # ---- refusals ----------------------------------------------------------------------------------------

    def _too_late(self, accounts: Accounts, now_us: int) -> Refused:
        if accounts.ended_us:
            return Refused("The run has ended; it can start nothing.", remedy="Run the job again.")
        return Refused(
            f"The run has used its {words.span_text(accounts.wall_us or 0)} of wall-clock time "
            f"(it began at {words.utc(accounts.opened_us)}; time paused does not count).",
            remedy=f"Raise {accounts.wall_where or 'the limit'} and run the job again.",
            code="refused.budget.wall",
        )

    def _refuse_beyond(self, account: Account, maximum: Cost, now_us: int) -> None:
        asked, charged = amounts(maximum), amounts(account.charged)
        for limit in account.limits:
            of, before = limit.dimension, amounts(account.base(limit.window))
            left = limit.amount - (charged[of] - before[of])
            if 0 < asked[of] > left:
                raise self._refused(account.name, limit, max(0, left), asked[of], now_us)

    def _refused(self, account: str, limit: Limit, left: int, asked: int, now_us: int) -> Refused:
        amount, rest, most = (
            amount_text(limit.dimension, number, self.currency) for number in (limit.amount, left, asked)
        )
        ends = {"day": words.day_start(now_us) + DAY_US, "month": words.next_month(now_us)}.get(limit.window)
        wait = f", or wait until {words.utc(ends)}" if ends else ""
        return Refused(
            f"The budget of {account.replace(':', ' ', 1)} is {amount} {words.period_text(limit.window)}; "
            f"{rest} is left and this can cost up to {most}.",
            remedy=f"Raise {limit.where or 'the limit'}{wait}.",
            code=SHORT,
        )

    # ---- runs and limits ---------------------------------------------------------------------------------

    def open_run(self, accounts: Accounts) -> Change:
        """Open a run's accounts (``Accounts(run=…, job=…, agent=…, owner=…, limits=…, opened_us=…, …)``).

        Who pays is pinned here: a change of the agent's owner moves the right to act at once, the bill not.
        """
        words.check_limits(accounts.limits, ("run",))
        if accounts.wall_us is not None and accounts.wall_us < 0:
            raise BadInput(
                "The wall-clock limit is negative.", remedy=f"Change {accounts.wall_where or 'it'}."
            )
        if accounts.run in self._books.runs:
            raise Internal("A run's accounts was opened twice.")
        limits = words.limits_row(accounts.limits)
        head = {"run": accounts.run, "job": accounts.job, "limits": limits, "wall": accounts.wall_us}
        note = Note("budget.opened", head, run=accounts.run)
        put = self._run_put(accounts, expect=0)
        return Change([note], [put], [lambda: self._books.open(accounts)], accounts)

    def accounts(self, run: str) -> Accounts:
        """Return an open run's accounts; raises NotFound."""
        found = self._books.runs.get(run)
        if found is None:
            raise NotFound("There is no open run of this id.", remedy="Look it up with `freehold runs`.")
        return found

    def pause(self, run: str, now_us: int) -> Change:
        """Stop the run's clock: it is paused by a person, or waits for nothing but people."""
        return self._clock(run, paused_us=self.accounts(run).paused_us or now_us)

    def resume(self, run: str, now_us: int) -> Change:
        """Let the run's clock go on."""
        accounts = self.accounts(run)
        waited = accounts.waited_us + (max(0, now_us - accounts.paused_us) if accounts.paused_us else 0)
        return self._clock(run, paused_us=0, waited_us=waited)

    def close_run(self, run: str, now_us: int) -> Change:
        """End a run; its accounts stay open for what is still unknown, until a later ``snapshot``."""
        accounts = self.accounts(run)
        ended = msgspec.structs.replace(accounts, ended_us=now_us)
        final = not self._holds_of(accounts)

        def after() -> None:
            accounts.ended_us = now_us
            if not self._holds_of(accounts):
                self._books.forget(accounts)

        return Change(writes=[self._run_put(ended, final=final)], after=[after], value=self.bill(run, now_us))

    def left_us(self, run: str, now_us: int) -> int | None:
        """Return the wall-clock time that a run has left; None without limit, or while its clock stands."""
        accounts = self.accounts(run)
        return None if accounts.deadline_us == words.NEVER_US else max(0, accounts.deadline_us - now_us)

    def set_limits(self, account: str, limits: tuple[Limit, ...]) -> Change:
        """Set the limits of ``job:…``, ``agent:…`` or ``owner:…``; they bind from the next reservation on."""
        kind, _, slug = account.partition(":")
        if kind not in ("job", "agent", "owner") or not slug:
            raise BadInput(f"{account!r} has no limits of its own.", remedy="Name job:…, agent:… or owner:….")
        words.check_limits(limits, ("day", "month", "total"))
        rows = words.limits_row(limits)

        def after() -> None:
            found = self._books.account(account)
            found.limits = limits
            found.bound()

        put = Put(BUDGET, f"limits:{account}", canonical.encode(rows), state="limits")
        return Change([Note("budget.limits", {"account": account, "limits": rows})], [put], [after])

    def _clock(self, run: str, **changes: int) -> Change:
        accounts = self.accounts(run)
        put = self._run_put(msgspec.structs.replace(accounts, **changes))

        def after() -> None:
            for name, value in changes.items():
                setattr(accounts, name, value)
            accounts.set_deadline()

        return Change(writes=[put], after=[after], value=accounts)

    def _run_put(self, accounts: Accounts, *, final: bool = False, expect: int | None = None) -> Put:
        row = {name: getattr(accounts, name) for name in _RUN_FIELDS}
        row["limits"] = words.limits_row(accounts.limits)
        if final:
            row["final"] = cost_row(self._books.account(f"run:{accounts.run}").charged)
        return Put(
            BUDGET, f"run:{accounts.run}", canonical.encode(row), "closed" if final else "open", expect
        )

    # ---- the bill ----------------------------------------------------------------------------------------

    def hold(self, action: str, attempt: int) -> Hold | None:
        """Return what an attempt still holds, after a restart too."""
        return self._books.holds.get((action, attempt))

    def bill(self, run: str, now_us: int) -> Bill:
        """Return what a run cost so far, or in all; raises NotFound."""
        accounts = self._books.runs.get(run)
        if accounts is None:
            return self._closed_bill(run)
        reserved = sum((hold.cost for hold in self._holds_of(accounts)), NOTHING)
        until = accounts.paused_us or accounts.ended_us or now_us
        spent = accounts.each[0].charged - reserved
        elapsed = max(0, until - accounts.opened_us - accounts.waited_us)
        return Bill(
            accounts.run,
            accounts.job,
            accounts.agent,
            accounts.owner,
            spent,
            reserved,
            elapsed,
            self.currency,
            False,
        )

    def totals(self, account: str, window: words.Window, now_us: int) -> Totals:
        """Return what ``job:…``, ``agent:…`` or ``owner:…`` was charged in the window of ``now_us``."""
        self._books.roll(now_us)
        found = self._books.named.get(account, Account(account))
        start = {"day": self._books.day_us, "month": self._books.month_us}.get(window, 0)
        every = self._books.holds.values()
        holds = (hold for hold in every if hold.at_us >= start and found in hold.accounts.each)
        reserved = sum((hold.cost for hold in holds), NOTHING)
        return Totals(account, window, found.charged - found.base(window) - reserved, reserved, found.limits)

    def _holds_of(self, accounts: Accounts) -> list[Hold]:
        return [hold for hold in self._books.holds.values() if hold.accounts is accounts]

    def _closed_bill(self, run: str) -> Bill:
        document = self._store.document(BUDGET, f"run:{run}") if self._store else None
        if document is None:
            raise NotFound("There is no run of this id.", remedy="Look it up with `freehold runs`.")
        row = canonical.decode(document.body)
        elapsed = (row["paused_us"] or row["ended_us"]) - row["opened_us"] - row["waited_us"]
        spent = Cost(*row.get("final", ()))
        who = row["run"], row["job"], row["agent"], row["owner"]
        return Bill(*who, spent, NOTHING, max(0, elapsed), self.currency, True)

    # ---- start, and snapshots ----------------------------------------------------------------------------

    def load(self, store: Records) -> None:
        """Rebuild the books: limits, open runs, the last snapshot, and every entry after it."""
        self._store = store
        self._books, self._snapshot_at, _ = rebuild(store)
        for accounts in [accounts for accounts in self._books.runs.values() if accounts.ended_us]:
            if not self._holds_of(accounts) and _run_state(store, accounts.run) == "closed":
                self._books.forget(accounts)

    def snapshot_due(self, size: int) -> bool:
        """Whether enough was committed since the last snapshot; an idle house writes none."""
        return size - self._snapshot_at >= self._every

    def snapshot(self) -> Change:
        """Return the change that writes a snapshot and closes the accounts of ended runs.

        It is folded from what is committed, not copied from memory: effects in flight cannot blur it.
        """
        if self._store is None:
            raise Internal("The budget was not loaded.")
        ended = [
            accounts
            for accounts in self._books.runs.values()
            if accounts.ended_us and not self._holds_of(accounts)
        ]
        books, _, size = rebuild(self._store)
        self._snapshot_at = size  # already now, so that one snapshot is under way at a time
        put = Put(BUDGET, "snapshot", _encode(books, size), state="snapshot")

        def after() -> None:
            for accounts in ended:
                self._books.forget(accounts)

        return Change(
            writes=[put, *(self._run_put(accounts, final=True) for accounts in ended)], after=[after]
        )


def rebuild(store: Records) -> tuple[Books, int, int]:
    """Return the books as the committed entries say, and from where to where they were read."""
    books, start, end = Books(), 0, store.size()
    document = store.document(BUDGET, "snapshot")
    snapshot = canonical.decode(document.body) if document else None
    for found in store.documents(BUDGET, state="limits"):
        account = books.account(found.key.removeprefix("limits:"))
        account.limits = tuple(msgspec.convert(canonical.decode(found.body), list[Limit]))
    for found in store.documents(BUDGET, state="open"):
        books.open(_decode_run(found.body))

    def accounts_of(run: str) -> Accounts:
        closed = store.document(BUDGET, f"run:{run}")
        if closed is None:
            raise Corrupt("The journal charges a run that the budget does not know.")
        accounts = _decode_run(closed.body)
        books.open(accounts)
        return accounts

    if snapshot is not None:
        start = snapshot["next"]
        _restore(books, snapshot, accounts_of)
    for entry in store.entries(start, end):
        books.replay(entry, accounts_of)
    for account in books.named.values():
        account.bound()
    return books, start, end


def _restore(books: Books, snapshot: dict[str, Any], accounts_of: Callable[[str], Accounts]) -> None:
    books.day_us, books.month_us, books.wake_us = snapshot["day"], snapshot["month"], snapshot["day"] + DAY_US
    for name, charged, day, month in snapshot["accounts"]:
        account = books.account(name)
        account.add(Cost(*charged))
        account.day_base, account.month_base = Cost(*day), Cost(*month)
    for action, attempt, run, at_us, cost in snapshot["holds"]:
        accounts = books.runs.get(run) or accounts_of(run)
        books.holds[action, attempt] = Hold(accounts, Cost(*cost), at_us, action, attempt, committed=True)


def _encode(books: Books, size: int) -> bytes:
    accounts = [
        [account.name, cost_row(account.charged), cost_row(account.day_base), cost_row(account.month_base)]
        for account in books.named.values()
        if account.charged != NOTHING and (":" not in account.name or not _finished(books, account.name))
    ]
    holds = [
        [hold.action, hold.attempt, hold.accounts.run, hold.at_us, cost_row(hold.cost)]
        for hold in books.holds.values()
    ]
    row = {
        "v": 1,
        "next": size,
        "day": books.day_us,
        "month": books.month_us,
        "accounts": accounts,
        "holds": holds,
    }
    return canonical.encode_trusted(row)


def _finished(books: Books, account: str) -> bool:
    kind, _, run = account.partition(":")
    return kind == "run" and run not in books.runs


def _decode_run(body: bytes) -> Accounts:
    row = canonical.decode(body)
    row.pop("final", None)
    row["limits"] = tuple(msgspec.convert(row["limits"], list[Limit]))
    return Accounts(**row)


def _run_state(store: Records, run: str) -> str:
    document = store.document(BUDGET, f"run:{run}")
    return document.state if document else ""


__all__ = ["Accounts", "Bill", "Budget", "Hold", "Records", "Totals", "charge_of", "rebuild"]
