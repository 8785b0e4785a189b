"""What people get wrong, typed at the real commands; and the one clear sentence that each must get."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Person, Said, furnished
from tests.forget.conftest import Owner, copying

__all__ = ["Owner", "Person", "copier", "copying", "furnished", "owner", "person", "says"]

SHIFTED = Path(__file__).with_name("shifted.py")


def says(said: Said, code: int, *words: str) -> None:
    """Check that a command answered with one sentence, its remedy below it, and nothing of its insides."""
    assert said.code == code, (said.code, said.err)
    assert "Traceback" not in said.out + said.err
    lines = [line for line in said.err.splitlines() if not line.startswith("Started the daemon")]
    assert lines, said
    assert lines[0].startswith("freehold: "), said.err
    assert len(lines) >= 2, f"no remedy: {said.err}"
    assert lines[1].startswith("  "), said.err
    for word in words:
        assert word in said.err, said.err


@pytest.fixture
def person(tmp_path: Path) -> Iterator[Person]:
    """A person without an estate yet."""
    found = Person(tmp_path / "estate")
    yield found
    if (found.folder / "estate.toml").exists():
        found.types("down")


@pytest.fixture
def owner(person: Person, furnished: Path) -> Person:
    """A person with an estate, an agent and a pack that sends a letter."""
    shutil.copytree(furnished, person.folder)
    return person


@pytest.fixture
def copier(tmp_path: Path, copying: Path) -> Iterator[Owner]:
    """A person with an estate and a pack that reads a folder."""
    found = Owner(tmp_path / "estate")
    shutil.copytree(copying, found.folder)
    yield found
    found.types("down")
