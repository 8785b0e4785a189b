"""``python -m tests.sandbox.carrier LACKING ALLOWED USER`` prints, as JSON, what is around the couriers of a daemon.

``LACKING`` is as in ``masked``; ``ALLOWED`` is yes where the estate allows to do without walls. A message is sent to
nobody's mail server by a real courier, and the same walls are put around a program that tries to get out of them.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from freehold.runtime.couriers import Couriers, Errand
from freehold.runtime.walls import Walls
from freehold.sandbox import Profile, kernel, seccomp
from freehold.sandbox.enter import enter_command
from freehold.sandbox.library import readable
from freehold.sandbox.users import become
from freehold.testing.http import HttpServer
from freehold.testing.processes import below
from tests.sandbox.masked import lacking

TRIES = """
import ctypes, json, os, socket, ssl, sys
estate, victim = sys.argv[1], int(sys.argv[2])
done = []
for name, attempt in {
    "the machine's users": lambda: open("/etc/passwd").close(),
    "a key of the estate": lambda: open(estate + "/key").close(),
    "the names in the estate": lambda: os.listdir(estate),
    "a file beside the estate": lambda: open(estate + "/../left", "w").close(),
    "a connection": lambda: socket.create_connection(("127.0.0.1", int(sys.argv[3])), 1).close(),
    "a local socket": lambda: socket.socket(socket.AF_UNIX).close(),
    "a process outside": lambda: os.kill(victim, 0),
    "a trace": lambda: 1 / (1 + ctypes.CDLL(None).ptrace(16, victim, 0, 0))}.items():
    try:
        attempt()
        done.append(name)
    except (OSError, ZeroDivisionError):
        pass
authorities = ssl.create_default_context().cert_store_stats()["x509_ca"]
print(json.dumps({"got": done, "authorities": authorities}))
"""


async def look(folder: Path, victim: int, *, allowed: bool) -> dict[str, Any]:
    estate = folder / "estate"
    walls = Walls(hidden=(estate,), none_allowed=lambda: allowed)
    couriers = Couriers(walls=walls)
    with HttpServer(folder / "server") as server:
        request = {"method": "GET", "host": f"127.0.0.1:{server.port}", "path": "/"}
        delivered = await couriers.deliver(Errand("http", "127.0.0.1", server.port, "http.request", request))
        said = {
            "level": (await walls.reach()).level.word, "status": delivered.status, "message": delivered.message,
            "words": walls.courier_words(), "couriers": [
                Path(f"/proc/{pid}/status").read_text()
                for pid, name in below(os.getpid()).items() if name == "freehold-http"
            ],
        }  # fmt: skip
        if delivered.status == "done":
            words = [
                sys.executable,
                "-S",
                "-s",
                "-P",
                "-c",
                TRIES,
                str(estate),
                str(victim),
                str(server.port),
            ]
            said |= json.loads(await asyncio.to_thread(inside, await walls.for_courier(), words))
    await couriers.stop()
    return said


def inside(walls: Profile, words: list[str]) -> str:
    return subprocess.run(enter_command(walls, words), stdout=subprocess.PIPE, text=True, check=True).stdout


def main() -> None:
    what, allowed, user = sys.argv[1], sys.argv[2] == "yes", int(sys.argv[3])
    with tempfile.TemporaryDirectory(prefix="carrier-", dir="/tmp", ignore_cleanup_errors=True) as name:
        os.chmod(name, 0o755)
        for folder in ("server", "estate"):
            Path(name, folder).mkdir()
        Path(name, "estate", "key").write_text("secret")
        if user:
            for path in (name, *map(str, Path(name).rglob("*"))):
                os.chown(path, user, user)
            kernel.open_up([*readable([os.environ["PYTHONPATH"]], []), name])
            become(user)
        seccomp.install(lacking(what))
        with subprocess.Popen(["/bin/sleep", "600"]) as victim:
            try:
                print(json.dumps(asyncio.run(look(Path(name), victim.pid, allowed=allowed))))
            finally:
                victim.kill()


if __name__ == "__main__":
    main()
