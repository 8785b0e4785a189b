"""Processes behind walls, as root and as an ordinary user, for the tests of this folder."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from freehold.sandbox import Level
from tests import needs

ROOT = Path(__file__).parents[2]
ORDINARY = 65_534
"""The number of the user `nobody`, to be where the tests run as root."""
USERS = ["root", "ordinary"] if os.geteuid() == 0 else ["ordinary"]

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def need(level: Level) -> None:
    """Leave the test out where what the level is made of is not there."""
    needs.walls(level)


def as_user(user: str, *arguments: str) -> list[str]:
    """The words that make a program of this folder run as one of ``USERS``: its last argument."""
    become = user == "ordinary" and os.geteuid() == 0
    return [*arguments, str(ORDINARY)] if become else [*arguments, "0"]


@pytest.fixture
def run() -> Run:
    """Run a module of the tests in a process of its own and return what it printed; fails where it failed."""

    def run(module: str, *arguments: str, path: str = "") -> "subprocess.CompletedProcess[str]":
        environment = {**os.environ, "PYTHONPATH": str(ROOT), **({"PATH": path} if path else {})}
        return subprocess.run(
            [sys.executable, "-P", "-m", module, *arguments],
            capture_output=True, text=True, env=environment, timeout=120, check=True,
        )  # fmt: skip

    return run
