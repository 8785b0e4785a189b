"""A hostile pack in a real runner tries everything at each level, as root and as an ordinary user."""

import json

import pytest

from freehold.sandbox import NOT_HELD, Level
from tests.sandbox.conftest import USERS, Run, as_user, need
from tests.sandbox.escapes import ATTEMPTS, WORK

BATTERY = ATTEMPTS.keys() - WORK
OUTLIVES = "leave a process behind that outlives a daemon killed by force"


def besieged(run: Run, level: str, user: str) -> set[str]:
    said = run("tests.sandbox.siege", *as_user(user, level)).stdout
    return set(json.loads(said))


def test_the_battery_is_large_and_what_is_not_held_is_in_it() -> None:
    assert len(BATTERY) >= 60
    assert set(NOT_HELD) - {OUTLIVES} <= BATTERY


@pytest.mark.parametrize("user", USERS)
def test_behind_namespaces_nothing_gets_through(run: Run, user: str) -> None:
    need(Level.NAMESPACES)
    assert besieged(run, "namespaces", user) == WORK.keys()


@pytest.mark.parametrize("user", USERS)
def test_behind_landlock_exactly_what_is_listed_gets_through(run: Run, user: str) -> None:
    need(Level.LANDLOCK)
    through = besieged(run, "landlock", user) - WORK.keys()
    listed = set(NOT_HELD) - {OUTLIVES}
    own_user = {name for name in listed if "the same user" in name}
    assert listed - own_user <= through <= listed
    if user == "ordinary":
        assert through == listed


@pytest.mark.parametrize("user", USERS)
def test_the_battery_bites_where_there_is_no_sandbox(run: Run, user: str) -> None:
    through = besieged(run, "none", user)
    assert through >= WORK.keys()
    assert len(through & BATTERY) > len(BATTERY) // 2
