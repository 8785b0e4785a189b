"""A machine whose clock was set: the house goes by the later of the clock and the journal, and says so."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.wrong_input.conftest import Person, says

pytestmark = pytest.mark.timeout(180)

HOUR_S = 3_600


@contextmanager
def daemon_at(person: Person, shift_s: int) -> Iterator[None]:
    """Run the estate's daemon on a clock that is off by so many seconds."""
    read_end, write_end = os.pipe()
    words = ["-m", "tests.wrong_input.shifted", str(shift_s), str(person.folder), str(write_end), "-1"]
    log = (person.folder / "logs" / "daemon.log").open("ab")
    process = subprocess.Popen(
        [sys.executable, *words], pass_fds=(write_end,), env=person.environment, stdout=log, stderr=log
    )
    os.close(write_end)
    try:
        assert b"ready" in os.read(read_end, 65_536)
        yield
        person.types("down")
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
        os.close(read_end)
        log.close()


def test_a_clock_set_back_an_hour_is_said_and_the_house_goes_by_the_journal(owner: Person) -> None:
    owner.employs("errand")
    before = owner.types("journal", "--json").value["entries"][-1]["at_us"]
    owner.does("down")
    with daemon_at(owner, -HOUR_S):
        status = owner.types("status", "--json").value
        (warning,) = status["warnings"]
        assert "clock is" in warning
        assert "behind the journal" in warning
        assert "behind the journal" in owner.does("status")
        run = owner.types("run", "errand", "--json").value["id"]
        card = owner.waits_for_card(run)
        entries = owner.types("journal", "--json").value["entries"]
        times = [entry["at_us"] for entry in entries]
        assert times == sorted(times)
        assert min(times[-3:]) >= before
        assert owner.types("approve", card["id"]).code == 3  # asked for, not yet shown: it can be decided


def test_a_card_that_has_expired_stays_so_when_the_clock_is_set_back(owner: Person) -> None:
    owner.employs("errand")
    run = owner.types("run", "errand", "--json").value["id"]
    card = owner.waits_for_card(run)
    digest = next(
        line.split()[1]
        for line in owner.types("approve", card["id"]).out.splitlines()
        if line.startswith("digest")
    )
    owner.does("down")
    with daemon_at(owner, 30 * 24 * HOUR_S):
        says(owner.types("approve", card["id"], "--digest", digest), 3, "expired at", "freehold inbox")
        owner.does("freeze", "tool:noop", "--why", "an entry of that time")
    with daemon_at(owner, -HOUR_S):
        says(owner.types("approve", card["id"], "--digest", digest), 3, "expired")
        assert owner.types("inbox", "--json").value["cards"] == []
    assert not list((owner.folder / "outbox").rglob("*.eml"))
