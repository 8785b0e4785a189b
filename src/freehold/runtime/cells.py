"""Programs behind walls, each for one thing: a reader of strangers' bytes, or a command that an agent asked for.

A cell has no network and no secret, is at the level that the job's runners have, and is killed when its time is over;
what it prints is bounded.
"""

import asyncio
import contextlib
import itertools
import json
import os
import shutil
import signal
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from freehold.base import BadInput, Unavailable
from freehold.runtime.courier import as_descriptor
from freehold.runtime.job import Job
from freehold.runtime.packed import pack
from freehold.sandbox import Level, Limits, Profile, enter_command, module_command
from freehold.wire import child

MAX_ANSWER: Final = 16 << 20
READ_S: Final = 20.0
_LIMITS: Final = Limits(
    memory_bytes=1 << 30, temporary_bytes=64 << 20, file_bytes=64 << 20, processes=64, cpu_s=20
)
_CHUNK: Final = 1 << 16


class Ended(msgspec.Struct, frozen=True):
    """How a program ended: its exit code, None where it was killed for its time; what it printed, up to the bound.

    ``left`` are the files that it left in a folder of its own, packed; None where they are too many or too large.
    """

    status: int | None
    out: bytes
    errors: bytes
    truncated: bool
    left: bytes | None = b""


class Cells:
    """Starts programs in cells. ``level`` says how thick the walls of a job are; ``folder`` is where those
    that write get a folder each, ``hidden`` what none may see.
    """

    def __init__(
        self,
        level: Callable[[Job], Awaitable[Level]],
        folder: Path,
        *,
        hidden: tuple[Path, ...] = (),
        most: int = 4,
    ) -> None:
        self._level = level
        self._folder = folder
        self._hidden = tuple(str(one) for one in hidden)
        self._numbers = itertools.count(1)
        self._places = asyncio.Semaphore(most)

    async def level(self, job: Job) -> Level:
        """Return how thick the walls of a job are; raises Refused where the machine does not reach what it needs."""
        return await self._level(job)

    async def read(self, job: Job, what: str, data: bytes, options: dict[str, Any]) -> dict[str, Any]:
        """Have strangers' bytes read (``freehold.reader``) and return what they say.

        Raises BadInput where they cannot be read, Unavailable where no cell could be made.
        """
        argv = module_command("freehold.reader", what, json.dumps(options))
        ended = await self.run(job, argv, data, timeout_s=READ_S, most=MAX_ANSWER)
        if ended.status != 0 or ended.truncated:
            raise BadInput(
                "What came cannot be read: it is too large, too deep or damaged.", code="input.unreadable"
            )
        try:
            value = msgspec.json.decode(ended.out, type=dict[str, Any])
        except msgspec.DecodeError:
            raise BadInput("What came cannot be read.", code="input.unreadable") from None
        if "error" in value:
            raise BadInput(
                str(value["error"])[:500], remedy=str(value.get("remedy", ""))[:300], code="input.unreadable"
            )
        return value

    async def run(
        self, job: Job, argv: Sequence[str], given: bytes, *, timeout_s: float, most: int
    ) -> Ended:  # fmt: skip
        """Run a program to its end, without a folder. Raises Unavailable, Refused."""
        profile = Profile(await self._level(job), (), "", self._hidden, _LIMITS)
        async with self._places:
            return await self._run(enter_command(profile, argv), given, timeout_s, most)

    async def shell(
        self, job: Job, command: str, given: bytes, files: bytes, *, timeout_s: float, most: int
    ) -> Ended:
        """Run a command of the shell in a folder of its own, which begins with ``files``, packed; b"" for none.

        Raises Unavailable, Refused.
        """
        room = self._folder / f"{os.getpid()}-{next(self._numbers)}"
        profile = Profile(await self._level(job), (), str(room), self._hidden, _LIMITS)
        begun = as_descriptor(files) if files else -1
        argv = ["/bin/sh", "-c", command]
        if begun >= 0:
            os.lseek(begun, 0, os.SEEK_SET)
            argv = module_command("freehold.reader.unpack", str(begun), command)
        keep = [begun] if begun >= 0 else []
        async with self._places:
            try:
                _make_room(room)
                ended = await self._run(enter_command(profile, argv, keep), given, timeout_s, most, keep)
                return msgspec.structs.replace(ended, left=await asyncio.to_thread(_left_in, room))
            finally:
                if begun >= 0:
                    os.close(begun)
                await asyncio.to_thread(shutil.rmtree, room, ignore_errors=True)

    async def _run(
        self, command: list[str], given: bytes, timeout_s: float, most: int, keep: Sequence[int] = ()
    ) -> Ended:
        source = as_descriptor(given)
        os.lseek(source, 0, os.SEEK_SET)
        try:
            process = await asyncio.create_subprocess_exec(
                *command, stdin=source, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
                env=child.clean_environment(dict(os.environ)), start_new_session=True, pass_fds=keep,
            )  # fmt: skip
        except OSError as error:
            raise Unavailable(f"No cell can be made: {error.strerror}.") from error
        finally:
            os.close(source)
        assert process.stdout is not None
        assert process.stderr is not None
        reading = [
            asyncio.ensure_future(_bounded(stream, most)) for stream in (process.stdout, process.stderr)
        ]
        late = False
        try:
            async with asyncio.timeout(timeout_s):
                await asyncio.wait(reading)
                await process.wait()
        except TimeoutError:
            late = True
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)  # its own session, which we made
                await process.wait()
            for task in reading:
                if not task.done():
                    task.cancel()
        (out, more), (errors, more_errors) = (
            task.result() if task.done() else (b"", True) for task in reading
        )
        return Ended(None if late else process.returncode, out, errors, more or more_errors)


def _make_room(room: Path) -> None:
    """Make the folder in which a cell gets one of its own; its user has to walk through."""
    try:
        room.mkdir(mode=0o711, parents=True)
        for one in (room, room.parent):
            one.chmod(0o711)
    except OSError as error:
        raise Unavailable(f"No cell can be made: {error.strerror}.") from error


def _left_in(room: Path) -> bytes | None:
    """Return what lies in the one folder that the cell's process had, packed."""
    for inner in room.iterdir():
        folder = os.open(inner, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            return pack(folder)
        finally:
            os.close(folder)
    return b""


async def _bounded(stream: asyncio.StreamReader, most: int) -> tuple[bytes, bool]:
    """Return the beginning of what a stream gives, and whether there was more; it is read to its end."""
    kept, more = bytearray(), False
    while chunk := await stream.read(_CHUNK):
        room = most - len(kept)
        kept += chunk[:room]
        more = more or len(chunk) > room
    return bytes(kept), more
