"""What lies outside while a hostile pack tries to get out, and the runner in which it does.

``python -m tests.sandbox.siege LEVEL USER`` prints the names of the attempts that got through, as JSON.
It becomes the user of that number first (0 is nobody else) and keeps what this Python needs in reach.
"""

import asyncio
import ctypes
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import msgspec

from freehold.runtime.pool import RunnerPool
from freehold.sandbox import Limits, Profile, parse_level
from freehold.sandbox import kernel as walls
from freehold.sandbox.library import readable
from freehold.sandbox.users import become
from freehold.wire import messages as m

ROOT = Path(__file__).parents[2]
LIMITS = Limits(
    memory_bytes=384 << 20, temporary_bytes=8 << 20, file_bytes=8 << 20, processes=64, open_files=128
)


@contextmanager
def outside(folder: Path) -> Iterator[dict[str, Any]]:
    """Set up everything that an attempt may reach for, as open to others as it can be; gives the facts."""
    victims = folder / "victims"
    victims.mkdir()
    for name in ("file", "cut", "removed", "renamed"):
        (victims / name).write_text("A file outside.")
        (victims / name).chmod(0o666)
    os.setxattr(victims / "file", "user.marked", b"yes")
    (victims / "link").symlink_to("file")
    victims.chmod(0o777)
    key = folder / "estate" / "key"
    key.parent.mkdir()
    key.write_text("secret")
    rooms = folder / "estate" / "rooms"
    (rooms / "another").mkdir(parents=True)
    set_id = victims / "id"
    shutil.copy(shutil.which("id") or "id", set_id)
    set_id.chmod(0o4755)
    disk = os.stat("/").st_dev
    with ExitStack() as stack:
        facts: dict[str, Any] = {
            "file": str(victims / "file"), "victims": str(victims), "key": str(key), "rooms": str(rooms),
            "set_id": str(set_id), "machine": os.uname().nodename, "disk": disk, "daemon": os.getpid(),
            "disk_path": f"/dev/block/{os.major(disk)}:{os.minor(disk)}", "group": _own_group(),
            "memory": LIMITS.memory_bytes, "temporary": LIMITS.temporary_bytes,
            "file_bytes": LIMITS.file_bytes, "processes": LIMITS.processes, "open_files": LIMITS.open_files,
        }  # fmt: skip
        facts |= _sockets(stack, victims) | _shared(stack)
        victim = subprocess.Popen(
            ["sleep", "600"], cwd=victims, env={"CANARY": "1", "PATH": os.environ["PATH"]}
        )
        stack.callback(victim.wait)
        stack.callback(victim.kill)
        _, terminal = os.openpty()
        os.fchmod(terminal, 0o666)
        yield facts | {"victim": victim.pid, "terminal": os.ttyname(terminal)}


def _sockets(stack: ExitStack, victims: Path) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="s", dir="/tmp") as short:
        stack.callback(shutil.rmtree, short, ignore_errors=True)
    os.mkdir(short, 0o777)
    os.chmod(short, 0o777)
    inet, inet6 = socket.create_server(("127.0.0.1", 0)), socket.socket(socket.AF_INET6)
    path, abstract, datagram = (
        socket.socket(socket.AF_UNIX, kind)
        for kind in (socket.SOCK_STREAM, socket.SOCK_STREAM, socket.SOCK_DGRAM)
    )
    for one in (inet, inet6, path, abstract, datagram):
        stack.enter_context(one)
    inet6.bind(("::1", 0))
    path.bind(f"{short}/path")
    abstract.bind(f"\0freehold-{os.getpid()}")
    datagram.bind(f"{short}/datagram")
    for one in (inet6, path, abstract):
        one.listen()
    for name in ("path", "datagram"):
        os.chmod(f"{short}/{name}", 0o777)
    return {
        "port": inet.getsockname()[1], "port6": inet6.getsockname()[1], "path_socket": f"{short}/path",
        "abstract": f"freehold-{os.getpid()}", "datagram": f"{short}/datagram",
    }  # fmt: skip


def _shared(stack: ExitStack) -> dict[str, Any]:
    """Make System V memory, a queue and semaphores, and a file in shared memory, for anybody to use."""
    libc = ctypes.CDLL(None)
    memory, queue = 0x46480000 + os.getpid(), 0x46490000 + os.getpid()
    shm, msq, sem = libc.shmget(memory, 64, 0o1666), libc.msgget(queue, 0o1666), libc.semget(queue, 1, 0o1666)
    stack.callback(libc.shmctl, shm, 0, None)
    stack.callback(libc.msgctl, msq, 0, None)
    stack.callback(libc.semctl, sem, 0, 0)
    shared = Path(f"/dev/shm/freehold-{os.getpid()}")
    shared.write_text("shared")
    shared.chmod(0o666)
    stack.callback(shared.unlink)
    return {"key_of_memory": memory, "key_of_queue": queue, "shared": str(shared)}


def _own_group() -> str:
    root = Path("/sys/fs/cgroup")
    return str(root / "pids" if (root / "pids").is_dir() else root)


class Guest:
    """One runner with the hostile pack in it."""

    def __init__(self, pool: RunnerPool) -> None:
        self._pool = pool
        self._said: asyncio.Queue[Any] = asyncio.Queue()

    async def open(self, workspace: Path) -> None:
        self.handle = await self._pool.take()
        self.handle.attach(self._take, lambda error: self._said.put_nowait(error or EOFError("it ended")))
        self.room = self.handle.room or workspace
        workspace.mkdir(parents=True, exist_ok=True)
        known = str(self.room) if self.handle.sees_room else ""
        self.handle.send(m.Load("escapes", "tests.sandbox.escapes:pack", [str(ROOT)], known, {}))
        loaded = await self._next(m.Loaded)
        assert not loaded.error, loaded.error

    async def run(self, step: str, **params: Any) -> Any:
        self.handle.send(m.Start(1, step, msgspec.Raw(b"null"), {}, 1, params))
        ended = await self._next((m.Finished, m.Failed))
        assert isinstance(ended, m.Finished), ended
        return msgspec.json.decode(ended.value)

    def _take(self, batch: list[Any], size: int) -> None:
        for message in batch:
            self._said.put_nowait(message)

    async def _next(self, kind: Any) -> Any:
        while True:
            said = await self._said.get()
            if isinstance(said, BaseException):
                raise said
            if isinstance(said, kind):
                return said


async def besiege(level: str, folder: Path, names: list[str]) -> list[str]:
    with outside(folder) as facts:
        rooms = "" if level == "none" else facts["rooms"]
        profile = Profile(parse_level(level), (str(ROOT),), rooms, (), LIMITS)
        pool = RunnerPool(profile, spare=0, log=folder / "log")
        try:
            guest = Guest(pool)
            await guest.open(folder / "workspace")
            found: list[str] = await guest.run("besiege", facts=json.dumps(facts | {"names": names}))
            return found
        finally:
            await pool.stop()


def main() -> None:
    level, user, names = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
    with tempfile.TemporaryDirectory(prefix="siege-", dir="/tmp", ignore_cleanup_errors=True) as name:
        os.chmod(name, 0o755)
        if user:
            os.chown(name, user, user)
            walls.open_up([*readable([str(ROOT)], []), name])
            become(user)
        os.umask(0o022)
        os.environ["CANARY"] = "1"
        print(json.dumps(asyncio.run(besiege(level, Path(name), names))))


if __name__ == "__main__":
    main()
