"""The locks pin every file by hash, agree with one another, cover what is declared, and name no address."""

import re
import tomllib
from functools import cache

import pytest

from tests.repo import tree

LOCKS = ("run", "dev", "bench")


@cache
def pinned(lock: str) -> dict[str, tuple[str, int]]:
    """The version of each package of a lock, and the number of files it may come in."""
    text = (tree.ROOT / "requirements" / f"{lock}.lock").read_text()
    found = {}
    for entry in re.split(r"\n(?=[a-z])", text):
        match = re.match(r"([a-z][a-z0-9._-]*)==(\S+)", entry)
        if match is not None:
            found[match[1]] = (match[2], len(re.findall(r"--hash=sha256:[0-9a-f]{64}", entry)))
    return found


@pytest.mark.parametrize("lock", LOCKS)
def test_every_line_of_a_lock_is_a_pin_a_hash_or_a_comment(lock: str) -> None:
    odd = [
        line
        for line in (tree.ROOT / "requirements" / f"{lock}.lock").read_text().splitlines()
        if not re.fullmatch(r"|\s*#.*|[a-z][a-z0-9._-]*==\S+ \\|    --hash=sha256:[0-9a-f]{64}( \\)?", line)
    ]
    assert odd == []
    assert [name for name, (_, hashes) in pinned(lock).items() if hashes == 0] == []


def test_a_package_in_two_locks_has_one_version() -> None:
    versions: dict[str, set[str]] = {}
    for lock in LOCKS:
        for name, (version, _) in pinned(lock).items():
            versions.setdefault(name, set()).add(version)
    assert {name: found for name, found in versions.items() if len(found) > 1} == {}


def test_what_is_declared_is_locked() -> None:
    project = tomllib.loads((tree.ROOT / "pyproject.toml").read_text())
    declared = [*project["project"]["dependencies"], *project["build-system"]["requires"]]
    names = {re.split(r"[ \[<>=]", line)[0].replace("_", "-") for line in declared}
    assert names - pinned("run").keys() == set()
