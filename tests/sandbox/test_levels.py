"""What a machine reaches is what was tried; below what a job needs nothing runs, and nobody outlives the daemon."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from freehold.sandbox import Level
from freehold.testing.processes import alive, until
from tests import needs
from tests.sandbox.conftest import ROOT, USERS, Run, as_user, need


def reached(run: Run, what: str, user: str, path: str = "") -> Any:
    return json.loads(run("tests.sandbox.masked", *as_user(user, what), path=path).stdout)


@pytest.mark.parametrize("user", USERS)
def test_a_machine_that_has_everything_reaches_namespaces(run: Run, user: str) -> None:
    need(Level.NAMESPACES)
    said = reached(run, "nothing", user)
    assert (said["level"], said["missing"]) == ("namespaces", {})
    assert set(said["jobs"].values()) == {"namespaces"}


@pytest.mark.parametrize("user", USERS)
def test_without_user_namespaces_a_job_that_needs_them_is_refused_and_another_gets_landlock(
    run: Run, user: str
) -> None:
    need(Level.NAMESPACES)
    need(Level.LANDLOCK)
    said = reached(run, "namespaces", user)
    assert said["jobs"]["namespaces"].startswith("This work needs the sandbox level namespaces")
    assert "freehold sandbox" in said["jobs"]["namespaces"]
    if (
        user == "ordinary"
    ):  # root may need a namespace of mounts for landlock too, where python lies in its home
        assert said["jobs"]["landlock"] == said["level"] == "landlock"


@pytest.mark.parametrize("user", USERS)
def test_without_bubblewrap_the_reason_is_said_and_landlock_is_what_there_is(run: Run, user: str) -> None:
    need(Level.LANDLOCK)
    said = reached(run, "nothing", user, path="/nonexistent")
    assert said["missing"] == {"namespaces": "bubblewrap (bwrap) is not installed"}
    assert said["level"] == "landlock"
    assert "bubblewrap" in said["jobs"]["namespaces"]


@pytest.mark.parametrize("user", USERS)
def test_with_neither_nothing_runs_unless_the_estate_allows_it(run: Run, user: str) -> None:
    said = reached(run, "both", user)
    assert said["level"] == "none"
    assert said["missing"]["landlock"] == "the kernel has no Landlock, or it is turned off"
    assert said["jobs"]["none"].startswith("This machine has no sandbox")
    assert "sandbox_none allow" in said["jobs"]["none"]
    assert said["jobs"]["landlock"].startswith("This work needs the sandbox level landlock")


@pytest.mark.parametrize("user", USERS)
def test_a_kernel_without_landlock_still_reaches_namespaces(run: Run, user: str) -> None:
    need(Level.NAMESPACES)
    assert reached(run, "landlock", user)["level"] == "namespaces"


@pytest.mark.skipif(os.geteuid() != 0, reason="left out: not root, so there are no rights to give up")
def test_a_root_that_may_not_handle_other_users_files_is_told(tmp_path: Path) -> None:
    setpriv = needs.program("setpriv", package="util-linux")
    said = subprocess.run(
        [setpriv, "--bounding-set=-dac_override", sys.executable, "-P", "-m", "freehold.cli.main", "sandbox"],
        capture_output=True, text=True, cwd=tmp_path, check=False,
    )  # fmt: skip
    assert "this root lacks CAP_DAC_OVERRIDE" in said.stdout


class Daemon:
    """A daemon of its own, whose runner left a process behind."""

    def __init__(self, level: str, folder: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "tests.sandbox.lifeline", level, str(folder)],
            env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self._process.stdout is not None
        with self._process.stdout:
            server, beats = self._process.stdout.readline().split()
        self.server, self._beats = int(server), Path(beats)

    @property
    def orphan(self) -> int:
        return int(self._beats.read_text().split()[-1])

    @property
    def beats(self) -> int:
        return self._beats.stat().st_size

    async def die(self) -> None:
        """By force, the fork server first, so that nobody is left to clear up."""
        os.kill(self.server, signal.SIGKILL)
        self._process.kill()
        self._process.wait()
        await until(lambda: not alive(self.server))


async def test_behind_namespaces_nothing_outlives_a_daemon_killed_by_force(tmp_path: Path) -> None:
    need(Level.NAMESPACES)
    daemon = Daemon("namespaces", tmp_path)
    await daemon.die()
    await until(lambda: not _held_by(tmp_path))
    seen = daemon.beats
    assert daemon.beats == seen


def _held_by(folder: Path) -> list[str]:
    """The processes that have something below ``folder`` mounted or open."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and process.name != str(os.getpid()):
            try:
                mounts = (process / "mountinfo").read_text()
            except OSError:
                continue
            if str(folder) in mounts:
                found.append(process.name)
    return found


async def test_behind_landlock_a_process_can_outlive_it_until_the_next_daemon_starts(tmp_path: Path) -> None:
    need(Level.LANDLOCK)
    daemon = Daemon("landlock", tmp_path)
    orphan = daemon.orphan
    try:
        await daemon.die()
        before = daemon.beats
        await until(lambda: daemon.beats > before)
        if os.geteuid() == 0 and Path("/sys/fs/cgroup/pids").is_dir():
            following = Daemon("landlock", tmp_path / "again")
            await until(lambda: not alive(orphan))
            left = following.orphan
            await following.die()
            os.kill(left, signal.SIGKILL)
    finally:
        if alive(orphan):
            os.kill(orphan, signal.SIGKILL)
