"""Fixtures that every folder of tests may use, and the closing words about what was left out."""

import os
import re
import signal
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, settings

from tests import postgres
from tests.needs import LEFT_OUT

LONG = ("crash", "external", "agent", "conversation", "demo")
"""Folders whose tests start whole estates and kill them."""


def pytest_configure() -> None:
    """Take an interrupt as a terminal sends it, for the programs that tests start, wherever this one was started."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # How fast examples are drawn and tried says how busy the machine is, and nothing about what they show.
    settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("busy")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes long, so that at the end no worker waits for another's minutes."""
    items.sort(key=lambda item: item.path.parent.name not in LONG)


@pytest.fixture(scope="session")
def postgres_folder() -> Iterator[Path]:
    """The folder of a running, throw-away PostgreSQL."""
    with postgres.running() as folder:
        yield folder


@pytest.fixture(scope="session")
def postgres_url(postgres_folder: Path) -> str:
    """The URL of one database that the whole session shares."""
    return postgres.url(postgres_folder, postgres.ROLE)


@pytest.fixture
def fresh_postgres_url(postgres_folder: Path) -> Iterator[str]:
    """The URL of a new, empty database, dropped afterwards with whoever is still connected."""
    name = f"fresh_{uuid.uuid4().hex}"
    with psycopg.connect(postgres.url(postgres_folder, "postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        yield postgres.url(postgres_folder, name)
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line for each thing that was missing, with the number of tests that wanted it."""
    for why, count in sorted(_left_out(terminalreporter).items()):
        terminalreporter.write_line(f"{LEFT_OUT}{why}: {count} test{'s'[: count != 1]}", yellow=True)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Where nothing may be left out, a test that was not run is a failure."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or not os.environ.get("FREEHOLD_NOTHING_LEFT_OUT"):
        return
    if reporter.stats.get("skipped") and session.exitstatus == pytest.ExitCode.OK:
        reporter.write_line("\nFREEHOLD_NOTHING_LEFT_OUT is set and tests were left out", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _left_out(reporter: pytest.TerminalReporter) -> Counter[str]:
    found: Counter[str] = Counter()
    for report in reporter.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        found[re.sub(rf"^Skipped: ({LEFT_OUT})?", "", reason)] += 1
    return found
