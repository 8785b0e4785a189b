"""Starting and stopping the daemon's process from a command. Loads little; nothing of the daemon itself."""

import contextlib
import json
import os
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

from freehold.base.errors import FreeholdError, TimedOut, Unavailable
from freehold.control.estate import Estate
from freehold.control.protocol import error_of
from freehold.daemon.lock import holder

READY_S: Final = 60.0
STOP_S: Final = 30.0


def start_daemon(estate: Estate, *, passphrase: str = "", ready_s: float = READY_S) -> int:
    """Start the daemon, detached, and return its process id once it serves. ``passphrase`` opens its vault.

    It says over a pipe when it is ready or why it is not; that problem is raised here.
    """
    read_end, write_end = os.pipe()
    typed = typed_passphrase(passphrase)
    passed = [write_end, typed] if typed >= 0 else [write_end]
    try:
        _open_log(estate.log)
        with open(estate.log, "ab") as log, open(os.devnull, "rb") as nothing:
            process = subprocess.Popen(
                [sys.executable, "-m", "freehold.daemon", str(estate.folder), str(write_end), str(typed)],
                stdin=nothing,
                stdout=log,
                stderr=log,
                pass_fds=passed,
                start_new_session=True,
                cwd="/",
            )
    except OSError as error:
        os.close(read_end)
        where = f" ({error.filename})" if error.filename else ""
        raise Unavailable(
            f"The daemon cannot be started: {error.strerror}{where}.",
            remedy="Look: freehold doctor",
            code="unavailable.disk",
        ) from error
    finally:
        for descriptor in passed:
            os.close(descriptor)
    try:
        said = _read_line(read_end, ready_s)
    finally:
        os.close(read_end)
    if said is None:
        raise TimedOut(
            f"The daemon (process {process.pid}) did not get ready in {ready_s:.0f} s.",
            remedy=f"Its log: {estate.log}",
        )
    if "ready" in said:
        process.returncode = 0  # it lives on by itself; nobody here waits for it
        return process.pid
    process.wait()
    if "problem" in said:
        raise error_of(said["problem"])
    raise Unavailable(
        "The daemon ended before it was ready.",
        remedy=f"Its log says why: {estate.log}",
        code="unavailable.daemon",
    )


def typed_passphrase(passphrase: str) -> int:
    """Return a descriptor that a passphrase can be read from once, -1 for none; no file and no argument holds it."""
    if not passphrase:
        return -1
    read_end, write_end = os.pipe()
    os.write(write_end, passphrase.encode()[:4_096])
    os.close(write_end)
    return read_end


def wait_until_stopped(estate: Estate, *, stop_s: float = STOP_S) -> None:
    """Return once no daemon holds the estate's lock; raises TimedOut."""
    end = time.monotonic() + stop_s
    while (pid := holder(estate.lock)) is not None:
        if time.monotonic() > end:
            raise TimedOut(
                f"The daemon (process {pid}) still runs after {stop_s:.0f} s.",
                remedy=f"Its log: {estate.log}",
            )
        _wait_for_exit(pid, min(1.0, end - time.monotonic()))


def _wait_for_exit(pid: int, wait_s: float) -> None:
    try:
        watched = os.pidfd_open(pid)
    except (OSError, AttributeError):
        time.sleep(0.02)
        return
    try:
        select.select([watched], [], [], max(wait_s, 0.0))
    finally:
        os.close(watched)


def _open_log(path: Path) -> None:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    if path.exists() and path.stat().st_size > 10 << 20:
        path.replace(path.with_suffix(".log.1"))
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600))


def _read_line(handle: int, wait_s: float) -> dict[str, Any] | None:
    """Return what the daemon says of itself, {} when it ended without a word, None when it took too long."""
    end, text = time.monotonic() + wait_s, b""
    while not text.endswith(b"\n"):
        if not select.select([handle], [], [], max(0.0, end - time.monotonic()))[0]:
            return None
        part = os.read(handle, 65_536)
        if not part:
            break
        text += part
    with contextlib.suppress(ValueError):
        said = json.loads(text)
        if isinstance(said, dict):
            return said
    return {}


def tell(handle: int, error: FreeholdError | None) -> None:
    """From the daemon: say over the pipe that it is ready, or why it is not; closes the pipe."""
    said: dict[str, Any] = {"ready": os.getpid()} if error is None else {"problem": error.problem()}
    with contextlib.suppress(OSError):
        os.write(handle, json.dumps(said).encode() + b"\n")
    with contextlib.suppress(OSError):
        os.close(handle)
