"""`freehold sandbox`: says what is reached, and lets a person look from inside, with the program's own exit code."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from freehold.sandbox import Level
from tests.sandbox.conftest import need


def freehold(*words: str, at: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-P", "-m", "freehold.cli.main", *words],
        capture_output=True, text=True, cwd=at, timeout=60, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def test_the_level_is_said_without_an_estate(tmp_path: Path) -> None:
    need(Level.NAMESPACES)
    assert json.loads(freehold("sandbox", "--json", at=tmp_path).stdout)["level"] == "namespaces"
    assert "namespaces" in freehold("sandbox", at=tmp_path).stdout


@pytest.mark.parametrize("level", [Level.NAMESPACES, Level.LANDLOCK])
def test_a_program_runs_inside_with_an_empty_workspace_and_ends_with_its_own_code(
    tmp_path: Path, level: Level
) -> None:
    need(level)
    (tmp_path / "secret").write_text("secret")
    script = f"ls -A; cat {tmp_path}/secret; cat /etc/passwd; echo mine > own && cat own; exit 7"
    said = freehold("sandbox", "run", "--level", level.word, "--", "sh", "-c", script, at=tmp_path)
    assert (said.returncode, said.stdout) == (7, "mine\n")
    assert list(tmp_path.iterdir()) == [tmp_path / "secret"]


def test_a_wrong_level_is_a_sentence(tmp_path: Path) -> None:
    said = freehold("sandbox", "run", "--level", "chroot", "--", "true", at=tmp_path)
    assert said.returncode != 0
    assert "There is no sandbox level 'chroot'" in said.stderr
    assert "Traceback" not in said.stderr
