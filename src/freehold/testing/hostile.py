"""A pack that attacks whoever runs it; tests load it into a real runner: ``freehold.testing.hostile:pack``.

Its steps find the runner's own socket by walking the collector's objects, write to it what no SDK would, look
for anything of the daemon that they can reach, and outlive, flood or kill what they can. What each attack may
gain is nothing; ``BREACHES`` are those that must end the runner's channel.
"""

import asyncio
import contextlib
import ctypes
import gc
import hashlib
import os
import signal
import socket
import struct
import sys
import time
from pathlib import Path
from typing import Any, Final

import msgspec

from freehold.base import FreeholdError
from freehold.sdk import BlockingContext, Context, Job, Pack, Plan
from freehold.wire import messages as m
from freehold.wire.channel import Channel
from freehold.wire.frames import HEADER, VERSION

pack: Final = Pack("hostile", version="1.0")
TRUSTED: Final = ("kernel", "store", "runtime", "control", "daemon", "cli", "courier")
_NULL: Final = msgspec.Raw(b"null")


def _frame(body: bytes) -> bytes:
    return HEADER.pack(len(body), VERSION) + body


def _perform(seq: int, step: int, ordinal: int, **args: Any) -> bytes:
    return _frame(m.encode(m.Perform(seq, step, ordinal, "noop", args)))


def _body(args: bytes) -> bytes:
    return _frame(b'{"m":"perform","seq":900,"step":1,"ordinal":900,"tool":"noop","args":' + args + b"}")


def _breaches() -> dict[str, bytes]:
    hello = m.encode(m.Hello("runner", 1))
    return {
        "a gigabyte": HEADER.pack(1 << 30, VERSION) + b"x" * 4096,
        "another version": HEADER.pack(2, VERSION + 1) + b"{}",
        "binary garbage": bytes(range(256)) * 40,
        "half a frame and the end": HEADER.pack(100, VERSION) + b"{",
        "deep json": _body(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
        "not a number": _body(b'{"a":NaN}'),
        "infinity": _body(b'{"a":-Infinity}'),
        "a huge step number": _frame(
            b'{"m":"perform","seq":1,"step":' + b"9" * 4_000 + b',"ordinal":1,"tool":"noop","args":{}}'
        ),
        "the daemon's words": _frame(m.encode(m.Answer(1, "done"))),
        "a fork": _frame(m.encode(m.Fork(1, 50))),
        "a delivery": _frame(m.encode(m.Delivered(1, "done"))),
        "an unknown field": _frame(hello[:-1] + b',"owner":"me"}'),
        "an empty body": _frame(b""),
        "another's step": _perform(901, 4_000_000, 1),
        "a step below zero": _perform(901, -1, 1),
        "another's result": _frame(m.encode(m.Finished(4_000_000, _NULL))),
        "loaded again": _frame(m.encode(m.Loaded("9.9", ["root"]))),
    }


BREACHES: Final = tuple(_breaches())


def _channel() -> Channel:
    """Find the runner's channel among everything that the collector knows."""
    return next(thing for thing in gc.get_objects() if isinstance(thing, Channel))


def write_raw(data: bytes) -> None:
    """Write to the runner's socket, past the channel."""
    descriptor = os.dup(_channel()._fd)
    with socket.socket(fileno=descriptor) as raw:
        raw.setblocking(True)
        raw.sendall(data)
        raw.setblocking(False)


@pack.step
async def breach(ctx: Context, what: str) -> str:
    """Send one thing that no runner may send, then wait to see what comes of it."""
    write_raw(_breaches()[what])
    if what == "half a frame and the end":
        os._exit(0)
    await asyncio.get_running_loop().create_future()
    return "still here"


@pack.step
async def finish_twice(ctx: Context, step: int) -> None:
    """Claim the result of this step twice over, before the runner sends it a third time."""
    write_raw(_frame(m.encode(m.Finished(step, _NULL))) * 2)


@pack.step
async def flood(ctx: Context, count: int, kind: str) -> int:
    """Ask for very much at once, or tell very much, without reading an answer."""
    channel = _channel()
    channel.pause()
    for number in range(1, count + 1):
        if kind == "actions":
            channel.send(m.Perform(number, 1, number, "noop", {"n": number}))
        elif kind == "heavy":
            channel.send(m.Perform(number, 1, number, "noop", {"n": [{} for _ in range(50_000)]}))
        else:
            channel.send(m.Progress(1, number, count, "x" * 100))
    await channel.drain()
    channel.resume()
    return count


@pack.step
async def silence(ctx: Context) -> None:
    """Never answer, and swallow every cancellation."""
    while True:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.get_running_loop().create_future()


@pack.step
async def deaf(ctx: Context) -> None:
    """Hold up the loop, so that not even the end of the socket is noticed."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
    _sleep_forever()


@pack.step
def orphan(ctx: BlockingContext, count: int) -> list[int]:
    """Leave processes behind that left the group, ignore signals and belong to nobody."""
    reader, writer = os.pipe()
    for _ in range(count):
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
                    signal.signal(number, signal.SIG_IGN)
                os.write(writer, struct.pack("i", os.getpid()))
                _sleep_forever()
            os._exit(0)
    return [struct.unpack("i", os.read(reader, 4))[0] for _ in range(count)]


@pack.step
def die(ctx: BlockingContext, how: str) -> None:
    """End the process in the middle of a step."""
    if how == "crash":
        ctypes.string_at(0)
    os.kill(os.getpid(), signal.SIGKILL)


@pack.step
def look(ctx: BlockingContext) -> dict[str, Any]:
    """Tell everything that can be seen of others from here."""
    return {
        "descriptors": [_target(name) for name in os.listdir("/proc/self/fd")],
        "environment": sorted(os.environ),
        "modules": sorted(name for name in sys.modules if name.startswith("freehold.")),
        "kinds": sorted({type(thing).__module__ for thing in gc.get_objects() if _is_trusted(thing)}),
        "working_folder": os.getcwd(),
        "parent_memory": _can_read_memory(os.getppid()),
        "controlling_terminal": Path("/dev/tty").exists() and _opens("/dev/tty"),
    }


@pack.step
async def lie(ctx: Context, args: dict[str, Any], tool: str = "noop") -> str:
    """Ask for an action with fields that are not a runner's to say: labels, owners, other runs' ids."""
    return (await ctx.act(tool, args)).status


@pack.step
async def attempt(ctx: Context, calls: list[dict[str, Any]], item: Any = None) -> list[str]:
    """Ask for one thing after another; tell of each its status, or the code of its refusal."""
    said = []
    for call in calls:
        blob = call["blob"].encode() if "blob" in call else None
        try:
            said.append((await ctx.act(call["tool"], call["args"], blob=blob)).status)
        except FreeholdError as error:
            said.append(getattr(error, "status", "") or error.code)
    return said


@pack.step
async def obey(ctx: Context, source: str, path: str, lies: dict[str, Any]) -> list[str]:
    """Read a stranger's letter and write to whomever it names, claiming all along that nobody did."""
    call: dict[str, Any] = {"tool": "source.read", "args": {"source": source, "path": path, **lies}}
    noop = {"tool": "noop", "args": lies}
    said = await attempt(ctx, [noop, call])
    address = (await ctx.read_source(source, path)).decode()
    letter = {"to": [address], "subject": "x", "text": "x"}
    mails = [{"tool": "mail.send", "args": letter}, {"tool": "mail.send", "args": {**letter, **lies}}]
    return said + await attempt(ctx, [noop, *mails])


@pack.step
async def refused_flood(ctx: Context, count: int, at_once: int = 50) -> int:
    """Ask again and again for what no rule allows; return how often an answer came."""
    answers = 0

    async def ask() -> None:
        nonlocal answers
        with contextlib.suppress(FreeholdError):
            await ctx.act("shell.run", {"command": "true"})
        answers += 1

    for _ in range(count // at_once):
        await asyncio.gather(*(ask() for _ in range(at_once)))
    return answers


@pack.step
async def finish_raw(ctx: Context, value: str, step: int) -> None:
    """Give bytes as a result that no encoder would make."""
    write_raw(_frame(b'{"m":"finished","step":%d,"value":%b,"cpu_us":-5}' % (step, value.encode())))
    await asyncio.get_running_loop().create_future()


@pack.step
async def fire_and_finish(ctx: Context, calls: list[dict[str, Any]]) -> int:
    """Ask for things and end before any answer has come."""
    asked = [asyncio.ensure_future(ctx.act(call["tool"], call["args"])) for call in calls]
    await asyncio.sleep(0)
    return len(asked)


@pack.step
async def traps(ctx: Context, outside: str, count: int = 20) -> list[str]:
    """Leave links and pipes in the workspace where the daemon may come by, and announce them as artifacts."""
    place = ctx.workspace
    (place / "plain").write_text("mine")
    (place / "soft").symlink_to(outside)
    os.link(outside, place / "hard")
    (place / "folder").symlink_to(Path(outside).parent, target_is_directory=True)
    os.mkfifo(place / "pipe")
    for number in range(count):
        os.mkfifo(place / f"inputs-{number}.json")
    (place / "received").symlink_to(Path(outside).parent, target_is_directory=True)
    name = Path(outside).name
    paths = [
        "soft",
        "hard",
        f"folder/{name}",
        "pipe",
        outside,
        f"../{name}",
        "plain/../soft",
        ".",
        "",
        "a\0b",
    ]
    digest = hashlib.sha256(Path(outside).read_bytes()).hexdigest()
    calls = [
        {"tool": "artifact.put", "args": {"path": path, "digest": digest, "name": "x"}} for path in paths
    ]
    return await attempt(ctx, calls)


@pack.step
async def large(ctx: Context, size: int) -> str:
    """Return a value of that size."""
    return "x" * size


@pack.step
async def wide(ctx: Context, count: int) -> list[int]:
    """Return more than can be fanned out over."""
    return list(range(count))


@pack.step
async def numbered(ctx: Context, ordinal: str) -> None:
    """Ask for something under a number of one's own choice (as text: it may be any number)."""
    write_raw(
        _frame(b'{"m":"perform","seq":1,"step":2,"ordinal":%b,"tool":"noop","args":{}}' % ordinal.encode())
    )
    await asyncio.get_running_loop().create_future()


@pack.step
async def raw(ctx: Context, tool: str, args: str) -> None:
    """Ask with bytes that no encoder would make."""
    body = b'{"m":"perform","seq":1,"step":2,"ordinal":1,"tool":"%b","args":%b}'
    write_raw(_frame(body % (tool.encode(), args.encode())))
    await asyncio.get_running_loop().create_future()


@pack.step
async def swallow(ctx: Context, large: Any, traps: Any = None) -> int:
    """Take an input and tell its length."""
    return len(large)


@pack.planner
def plan(job: Job) -> Plan:
    """Run whatever the job's settings name; ``raw_plan`` is sent past every check, ``nodes`` are a whole plan."""
    settings = job.settings
    if "raw_plan" in settings:
        text = str(settings["raw_plan"]).encode()
        write_raw(_frame(b'{"m":"finished","step":1,"value":' + text + b"}"))
        time.sleep(60)
    made = Plan(runners=settings.get("runners", 1))
    for node in settings.get("nodes", ()):
        made.add(**node)
    if "step" in settings:
        tools = settings.get("tools", ["noop"])
        limits = settings.get("limits", {})
        made.add(str(settings["step"]), tools=tools, params=dict(settings.get("params", {})), **limits)
    return made


def _sleep_forever() -> None:
    while True:
        time.sleep(60)


def _target(name: str) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{name}")
    except OSError:
        return "gone"


def _is_trusted(thing: object) -> bool:
    return type(thing).__module__.startswith(tuple(f"freehold.{room}" for room in TRUSTED))


def _can_read_memory(pid: int) -> bool:
    return _opens(f"/proc/{pid}/mem")


def _opens(path: str) -> bool:
    try:
        with open(path, "rb"):
            return True
    except OSError:
        return False
