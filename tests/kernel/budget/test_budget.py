"""The budget by example: what refusals say, how the unknown and unmeasured count, what survives a restart."""

import pytest

from freehold.base import BadInput, Internal, NotFound, Refused
from freehold.kernel.budget import Accounts, Budget, Hold, charge_of
from freehold.kernel.limits import DAY_US, Limit, amount_text, month_start, next_month, utc
from freehold.store.interface import Cost
from tests.kernel.budget.entries import intent, result
from tests.kernel.shelf import Shelf

NOON = 1_795_000_000_000_000 // DAY_US * DAY_US + DAY_US // 2
EURO = 1_000_000


class House:
    """One budget over one shelf, with one run open."""

    def __init__(self, *limits: Limit, wall_us: int | None = None) -> None:
        self.shelf = Shelf()
        self.budget = self.again()
        accounts = Accounts(
            run="r1", job="audit", agent="clerk", owner="anna", limits=limits, opened_us=NOON,
            wall_us=wall_us, wall_where="`budget.run.wall_clock` (line 6 of audit.md)",
        )  # fmt: skip
        self.shelf.make(self.budget.open_run(accounts))

    def again(self) -> Budget:
        self.budget = Budget("EUR")
        self.budget.load(self.shelf)
        return self.budget

    def reserve(self, cost: Cost, action: str, now_us: int = NOON, attempt: int = 1) -> Hold:
        return self.budget.reserve(self.budget.accounts("r1"), cost, now_us, action, attempt)

    def write(self, cost: Cost, action: str, now_us: int = NOON, attempt: int = 1) -> Hold:
        hold = self.reserve(cost, action, now_us, attempt)
        self.shelf.commit([intent(hold)], [])
        self.budget.committed(hold)
        return hold

    def close(self, hold: Hold, charge: Cost) -> bool:
        self.shelf.commit([result(hold, charge)], [])
        return self.budget.settle(hold, charge)


def test_a_refusal_names_account_limit_what_is_left_and_the_line_to_change() -> None:
    house = House()
    limit = Limit("day", "money_micro", 5 * EURO, "`budget.day.money` (line 9 of audit.md)")
    house.shelf.make(house.budget.set_limits("job:audit", (limit,)))
    house.write(Cost(money_micro=4_500_000), "a")
    with pytest.raises(Refused) as refusal:
        house.reserve(Cost(money_micro=600_000), "b")
    text = str(refusal.value)
    for word in (
        "job audit",
        "5.00 EUR a day",
        "0.50 EUR is left",
        "0.60 EUR",
        "line 9 of audit.md",
        "00:00 UTC",
    ):
        assert word in text
    assert refusal.value.code == "refused.budget"


def test_a_refusal_takes_nothing_from_any_account() -> None:
    house = House(Limit("run", "tokens", 100))
    house.shelf.make(house.budget.set_limits("owner:anna", (Limit("total", "money_micro", 10),)))
    with pytest.raises(Refused):
        house.reserve(Cost(money_micro=11, tokens=50), "a")
    house.reserve(Cost(money_micro=10, tokens=100), "b")


def test_what_uses_none_of_a_lowered_limit_is_not_refused() -> None:
    house = House()
    house.write(Cost(money_micro=10, actions=1), "a")
    house.shelf.make(house.budget.set_limits("owner:anna", (Limit("total", "money_micro", 5),)))
    house.reserve(Cost(actions=1), "b")
    with pytest.raises(Refused):
        house.reserve(Cost(money_micro=1), "c")


def test_unknown_holds_its_reservation_over_a_restart_until_it_is_settled() -> None:
    house = House(Limit("run", "actions", 1))
    hold = house.write(Cost(actions=1), "a")
    house.shelf.commit([result(hold, None)], [])
    house.again()
    with pytest.raises(Refused):
        house.reserve(Cost(actions=1), "b")
    found = house.budget.hold("a", 1)
    assert found is not None
    house.close(found, Cost())
    house.reserve(Cost(actions=1), "b")


def test_cpu_that_could_not_be_measured_is_charged_as_reserved() -> None:
    house = House()
    hold = house.write(Cost(actions=1, cpu_us=500, money_micro=70), "a")
    charge = charge_of(hold, Cost(actions=1, money_micro=20), cpu_measured=False)
    assert charge == Cost(actions=1, cpu_us=500, money_micro=20)
    assert charge_of(hold, None) == hold.cost
    house.close(hold, charge)
    assert house.budget.bill("r1", NOON).spent == charge


def test_more_than_was_reserved_is_charged_truly_and_said() -> None:
    house = House(Limit("run", "cpu_us", 100))
    assert house.close(house.write(Cost(cpu_us=60), "a"), Cost(cpu_us=120)) is True
    assert house.budget.bill("r1", NOON).spent == Cost(cpu_us=120)
    with pytest.raises(Refused, match=r"0\.0 CPU seconds is left"):
        house.reserve(Cost(cpu_us=1), "b")


def test_what_is_settled_after_midnight_belongs_to_the_day_that_reserved_it() -> None:
    house = House()
    house.shelf.make(house.budget.set_limits("job:audit", (Limit("day", "money_micro", 100),)))
    late = house.write(Cost(money_micro=100), "a")
    tomorrow = NOON + DAY_US
    house.write(Cost(money_micro=100), "b", tomorrow)
    house.close(late, Cost(money_micro=10))
    with pytest.raises(Refused):
        house.reserve(Cost(money_micro=1), "c", tomorrow)
    assert house.budget.totals("job:audit", "day", tomorrow).reserved == Cost(money_micro=100)
    assert house.budget.totals("job:audit", "total", tomorrow).spent == Cost(money_micro=10)


def test_what_is_settled_in_the_next_month_belongs_to_the_month_that_reserved_it() -> None:
    house = House()
    house.shelf.make(house.budget.set_limits("agent:clerk", (Limit("month", "tokens", 100),)))
    late = house.write(Cost(tokens=100), "a")
    december = next_month(NOON)
    house.write(Cost(tokens=100), "b", december)
    house.close(late, Cost(tokens=10))
    for budget in (house.budget, house.again()):
        assert budget.totals("agent:clerk", "month", december).spent == Cost()
        with pytest.raises(Refused):
            budget.reserve(budget.accounts("r1"), Cost(tokens=1), december, "c")


def test_a_limit_can_be_used_up_to_its_last_unit() -> None:
    house = House(Limit("run", "tokens", 3))
    house.write(Cost(tokens=3), "a")
    with pytest.raises(Refused):
        house.reserve(Cost(tokens=1), "b")


def test_a_clock_set_back_an_hour_over_midnight_reopens_no_day() -> None:
    house = House()
    house.shelf.make(house.budget.set_limits("job:audit", (Limit("day", "actions", 1),)))
    midnight = NOON + DAY_US // 2
    house.write(Cost(actions=1), "a", midnight)
    with pytest.raises(Refused):
        house.reserve(Cost(actions=1), "b", midnight - 3_600_000_000)


def test_wall_clock_is_elapsed_time_and_stands_while_the_run_is_paused() -> None:
    house = House(wall_us=60_000_000)
    house.shelf.make(house.budget.pause("r1", NOON + 50_000_000))
    house.again()
    assert house.budget.left_us("r1", NOON + DAY_US) is None
    house.shelf.make(house.budget.resume("r1", NOON + 950_000_000))
    assert house.budget.left_us("r1", NOON + 950_000_000) == 10_000_000
    house.reserve(Cost(actions=1), "a", NOON + 959_999_999)
    with pytest.raises(Refused, match="60 seconds of wall-clock") as refusal:
        house.reserve(Cost(actions=1), "b", NOON + 960_000_000)
    assert "line 6 of audit.md" in str(refusal.value)


def test_two_reservations_at_once_do_not_add_up_to_more_elapsed_time() -> None:
    house = House(wall_us=60_000_000)
    for action in "abc":
        house.write(Cost(cpu_us=40_000_000), action)
    assert house.budget.bill("r1", NOON + 40_000_000).elapsed_us == 40_000_000


def test_an_ended_run_keeps_its_bill_and_starts_nothing() -> None:
    house = House()
    house.close(house.write(Cost(actions=1, money_micro=7), "a"), Cost(actions=1, money_micro=5))
    accounts = house.budget.accounts("r1")
    house.shelf.make(house.budget.close_run("r1", NOON + 1_000_000))
    house.again()
    bill = house.budget.bill("r1", NOON + DAY_US)
    assert (bill.closed, bill.spent, bill.elapsed_us) == (True, Cost(actions=1, money_micro=5), 1_000_000)
    assert house.budget.totals("owner:anna", "total", NOON).spent == bill.spent
    with pytest.raises(Refused, match="has ended"):
        house.budget.reserve(accounts, Cost(actions=1), NOON, "b")
    with pytest.raises(NotFound):
        house.budget.accounts("r1")


def test_a_run_that_ends_with_something_unknown_is_closed_once_that_is_settled() -> None:
    house = House()
    hold = house.write(Cost(money_micro=9), "a")
    house.shelf.make(house.budget.close_run("r1", NOON))
    house.again()
    found = house.budget.hold("a", 1)
    assert found is not None
    assert found.cost == hold.cost
    house.close(found, Cost(money_micro=4))
    house.shelf.make(house.budget.snapshot())
    assert house.budget.bill("r1", NOON).closed
    assert house.again().bill("r1", NOON).spent == Cost(money_micro=4)
    assert house.budget.totals("job:audit", "total", NOON).spent == Cost(money_micro=4)


def test_a_snapshot_taken_while_effects_are_in_flight_loses_none_of_them() -> None:
    house = House()
    pending = house.reserve(Cost(money_micro=1), "pending")
    house.write(Cost(money_micro=2), "open")
    change = house.budget.snapshot()
    house.shelf.commit([intent(pending)], [])
    house.budget.committed(pending)
    house.shelf.make(change)
    again = house.again()
    assert again.totals("job:audit", "total", NOON).reserved == Cost(money_micro=3)
    assert {found.cost.money_micro for name in ("pending", "open") if (found := again.hold(name, 1))} == {
        1,
        2,
    }


def test_the_same_attempt_cannot_reserve_twice_nor_settle_twice() -> None:
    house = House()
    hold = house.write(Cost(actions=1), "a")
    with pytest.raises(Internal):
        house.reserve(Cost(actions=1), "a")
    with pytest.raises(Internal):
        house.budget.rollback(hold)
    house.close(hold, Cost(actions=1))
    with pytest.raises(Internal):
        house.budget.settle(hold, Cost(actions=1))


def test_who_kept_its_accounts_while_the_books_were_read_again_charges_the_new_ones() -> None:
    house = House(Limit("run", "actions", 1))
    old = house.budget.accounts("r1")
    house.budget.load(house.shelf)
    house.budget.reserve(old, Cost(actions=1), NOON, "a")
    assert house.budget.bill("r1", NOON).reserved == Cost(actions=1)
    with pytest.raises(Refused):
        house.reserve(Cost(actions=1), "b")


def test_nothing_can_be_gained_by_a_negative_maximum() -> None:
    with pytest.raises(Internal):
        House().reserve(Cost(money_micro=-1), "a")


@pytest.mark.parametrize(
    "limits",
    [
        (Limit("run", "tokens", 1),),
        (Limit("day", "tokens", -1),),
        (Limit("day", "tokens", 1), Limit("day", "tokens", 2)),
    ],
)
def test_a_senseless_limit_is_refused(limits: tuple[Limit, ...]) -> None:
    with pytest.raises(BadInput):
        House().budget.set_limits("job:audit", limits)


def test_amounts_and_dates_read_as_people_write_them() -> None:
    assert amount_text("money_micro", 1_234_500_000, "EUR") == "1,234.50 EUR"
    assert amount_text("money_micro", 1, "EUR") == "0.000001 EUR"
    assert amount_text("cpu_us", 90_500_000, "EUR") == "90.5 CPU seconds"
    assert amount_text("actions", 1, "EUR") == "1 action"
    assert utc(month_start(NOON))[8:] == "01 00:00 UTC"
