"""A command that is forked from a warm process is to a test what one is that was started."""

import subprocess

import pytest

from tests.cli import warm
from tests.cli.conftest import Person


@pytest.mark.parametrize(
    "words",
    [
        ("--version",),
        ("agents", "--json"),
        ("agents", "--help"),
        ("jobs", "check", "errand"),
        ("approve", "nothing"),
        ("agents", "add"),
        ("no-such-command",),
    ],
    ids=" ".join,
)
def test_it_says_and_ends_with_what_a_fresh_one_does(owner: Person, words: tuple[str, ...]) -> None:
    owner.does("up")
    (owner.folder / "jobs" / "errand.md").write_text("---\nowner: anna\n---\n# Errand\n")
    fresh = owner.types(*words)
    owner.fresh = False
    assert owner.types(*words) == fresh
    assert fresh.out + fresh.err


def test_it_has_the_environment_and_the_folder_that_it_was_given(owner: Person) -> None:
    owner.fresh = False
    elsewhere = owner.folder.parent / "elsewhere"
    elsewhere.mkdir()
    del owner.environment["FREEHOLD_ESTATE"]
    lost = owner.types("status", cwd=elsewhere)
    assert (lost.code, f"no estate in {owner.folder.parent}/freehold" in lost.err) == (2, True), lost
    assert owner.types("status", "--estate", "../estate", cwd=elsewhere).code == 0


def test_one_that_takes_too_long_is_ended(owner: Person) -> None:
    owner.employs("errand", ask=True)
    run = owner.types("run", "errand", "--json").value["id"]
    with pytest.raises(subprocess.TimeoutExpired):
        warm.run(["watch", run], owner.environment, owner.folder, 1.0)
    owner.does("runs", "cancel", run, "--yes")
