"""One runner: loads one pack for one run and serves the daemon's requests until its socket closes.

Steps run side by side in one loop, plain functions in threads. What leaves the process is a message;
whatever a step raises becomes one sentence, its traceback goes to the run's log.
"""

import asyncio
import importlib
import os
import re
import socket
import sys
import time
import traceback
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import msgspec

from freehold.base import BadInput, FreeholdError, ProtocolError, Unavailable
from freehold.runner.cpu import CpuShares
from freehold.runner.loading import loading
from freehold.runner.output import LogStream
from freehold.sdk.context import Context
from freehold.sdk.errors import StepFailed
from freehold.sdk.pack import Pack, find_pack, one_sentence
from freehold.sdk.values import to_raw
from freehold.wire import messages as m
from freehold.wire.channel import Channel

MAX_THREADS: Final = 32
_IN_FILE: Final = re.compile(rb'\{"\$file":"(inputs-[0-9]+\.json)"\}')
_TO_RUNNER: Final = m.decoder(m.ToRunner)


class _HandedOver(msgspec.Struct):
    """Inputs that were too large for a message."""

    item: msgspec.Raw
    inputs: dict[str, msgspec.Raw]


class Port:
    """One step's way to the daemon."""

    def __init__(self, runner: "Runner", step: int) -> None:
        self._runner = runner
        self._step = step
        self._waiting: set[asyncio.Future[m.Answer]] = set()

    def perform(
        self, ordinal: int, tool: str, args: dict[str, Any], blob: bytes | None
    ) -> "asyncio.Future[m.Answer]":
        """Send the request; the future gives its answer."""
        future = self._runner.ask(self._step, ordinal, tool, args, blob)
        self._waiting.add(future)
        future.add_done_callback(self._waiting.discard)
        return future

    def progress(self, done: int, total: int, text: str) -> None:
        """Send how far the step is."""
        self._runner.channel.send(m.Progress(self._step, done, total, text))

    def abandon(self) -> None:
        """Stop waiting for answers; a thread that waits for one sees a cancellation."""
        for future in list(self._waiting):
            future.cancel()


class Runner:
    """The state of one runner process; lives in its loop."""

    def __init__(self, sock: socket.socket, room: str = "") -> None:
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.channel = Channel(sock, _TO_RUNNER, self._take, self._closed)
        self._threads = ThreadPoolExecutor(MAX_THREADS, "step")
        self._pack: Pack | None = None
        self._workspace = Path(room or ".")
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._answers: dict[int, asyncio.Future[m.Answer]] = {}
        self._last_seq = 0
        self._cpu = CpuShares(time.process_time_ns)

    def start(self) -> None:
        """Begin to serve."""
        self.channel.start()
        loop = asyncio.get_running_loop()
        for name in ("stdout", "stderr"):
            setattr(sys, name, LogStream(lambda text: loop.call_soon_threadsafe(self._log, text)))
        self.channel.send(m.Hello("runner", os.getpid()))

    def ask(
        self, step: int, ordinal: int, tool: str, args: dict[str, Any], blob: bytes | None
    ) -> "asyncio.Future[m.Answer]":
        """Send a request to the gate; the future gives its answer."""
        self._last_seq += 1
        future: asyncio.Future[m.Answer] = asyncio.get_running_loop().create_future()
        self._answers[self._last_seq] = future
        self.channel.send(m.Perform(self._last_seq, step, ordinal, tool, args, blob))
        return future

    # ---- what the daemon says

    def _take(self, messages: list[Any], size: int) -> None:
        for message in messages:
            kind = type(message)
            if kind is m.Answer:
                future = self._answers.pop(message.seq, None)
                if future is not None and not future.done():
                    future.set_result(message)
            elif kind is m.Start:
                self._begin(message.step, f"The step '{message.function}'", self._step(message))
            elif kind is m.MakePlan:
                self._begin(message.step, "The planner", self._plan(message))
            elif kind is m.Cancel:
                task = self._tasks.get(message.step)
                if task is not None:
                    task.cancel()
            elif kind is m.Load:
                self._load(message)
            elif kind is m.Enter:
                self._enter(message.workspace)
            else:
                self.channel.close()

    def _closed(self, error: FreeholdError | None) -> None:
        if not self.over.done():
            self.over.set_result(None)

    def _log(self, text: str) -> None:
        self.channel.send(m.Log(text))

    def _load(self, load: m.Load) -> None:
        if self._pack is not None:
            raise ProtocolError("A runner loads one pack, once.")
        begun = time.process_time_ns()
        try:
            self._enter(load.workspace)
            _link(load.sources)
            sys.path[:0] = load.search_path
            module, _, attribute = load.entry.partition(":")
            with loading():
                loaded = importlib.import_module(module)
            self._pack = find_pack(loaded, attribute or "pack", load.entry)
        except (Exception, SystemExit) as error:
            self._report(error)
            self.channel.send(m.Loaded(error=_sendable(one_sentence(error, f"Loading '{load.pack}'"))))
            return
        spent = (time.process_time_ns() - begun) // 1_000
        self.channel.send(m.Loaded(self._pack.version, sorted(self._pack.steps), cpu_us=spent))

    def _enter(self, workspace: str) -> None:
        """Make a folder the working one; "" stands for the one that the process was made with."""
        if workspace:
            self._workspace = Path(workspace)
        os.chdir(self._workspace)

    # ---- steps

    def _begin(self, step: int, what: str, work: Coroutine[Any, Any, msgspec.Raw]) -> None:
        task = asyncio.get_running_loop().create_task(self._to_the_end(step, what, work))
        self._tasks[step] = task
        task.add_done_callback(lambda ended: self._ended(step, what, ended, work))

    def _ended(
        self, step: int, what: str, task: asyncio.Task[None], work: Coroutine[Any, Any, msgspec.Raw]
    ) -> None:
        self._tasks.pop(step, None)
        if task.cancelled():  # before it had begun
            work.close()
            self._send_failed(step, "cancelled", f"{what} was cancelled.", 0)

    async def _to_the_end(self, step: int, what: str, work: Coroutine[Any, Any, msgspec.Raw]) -> None:
        """Whatever becomes of the work, send one message about it."""
        share = self._cpu.enter()
        try:
            value = await work
        except asyncio.CancelledError:
            self._send_failed(step, "cancelled", f"{what} was cancelled.", self._cpu.leave(share))
        except (Exception, SystemExit, KeyboardInterrupt) as error:
            self._report(error)
            code = error.code if isinstance(error, FreeholdError) else "step.raised"
            retry = error.retry if isinstance(error, StepFailed) else False
            self._send_failed(step, code, one_sentence(error, what), self._cpu.leave(share), retry)
        else:
            self.channel.send(m.Finished(step, value, self._cpu.leave(share)))

    async def _plan(self, request: m.MakePlan) -> msgspec.Raw:
        port = Port(self, request.step)
        try:
            plan = await self._loaded().make_plan(Context(port, self._workspace), request.job)
            return to_raw(plan.data(), "The plan")
        finally:
            port.abandon()

    async def _step(self, start: m.Start) -> msgspec.Raw:
        port = Port(self, start.step)
        context = Context(port, self._workspace, start.attempt)
        try:
            step = self._loaded().steps.get(start.function)
            if step is None:
                raise BadInput(f"The pack has no step called '{start.function}'.")
            item, inputs = self._inputs(start)
            values = step.arguments(item, inputs, start.params)
            return await step.run(context, values, self._threads)
        finally:
            context.end()
            port.abandon()

    def _inputs(self, start: m.Start) -> tuple[msgspec.Raw, dict[str, msgspec.Raw]]:
        """Return what the step works on; where it did not fit into a message it lies in the workspace."""
        raw = bytes(start.item)
        found = _IN_FILE.fullmatch(raw) if not start.inputs and len(raw) < 64 else None
        if found is None:
            return start.item, start.inputs
        try:
            content = (self._workspace / found[1].decode()).read_bytes()
            handed = msgspec.json.decode(content, type=_HandedOver)
        except (OSError, msgspec.DecodeError) as error:
            raise Unavailable("What the step works on cannot be read from the workspace.") from error
        return handed.item, handed.inputs

    def _loaded(self) -> Pack:
        if self._pack is None:
            raise BadInput("No pack is loaded.")
        return self._pack

    def _send_failed(self, step: int, code: str, text: str, cpu_us: int, retry: bool = False) -> None:
        self.channel.send(m.Failed(step, code[:100], _sendable(text), retry, cpu_us))

    def _report(self, error: BaseException) -> None:
        print("".join(traceback.format_exception(error)), file=sys.stderr, flush=True)


def _sendable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()[:2_000]


def _link(sources: dict[str, str]) -> None:
    """Make ``sources/NAME`` in the workspace lead to the folder of each source that this process may see."""
    for name, folder in sources.items():
        link = Path("sources", name)
        link.parent.mkdir(exist_ok=True)
        if link.is_symlink():  # a runner before this one made it
            link.unlink()
        link.symlink_to(folder)


def serve(sock: socket.socket, room: str = "") -> None:
    """Serve until the socket closes; tasks and threads that still run are left to the end of the process.

    ``room`` is the folder of its own that the process was given, "" where it is told of one with its pack.

    A bare loop instead of ``asyncio.run``: each page that a forked process touches is copied, and this
    saves a runner a sixth of what it costs to begin.
    """

    async def until_over() -> None:
        runner = Runner(sock, room)
        runner.start()
        await runner.over

    asyncio.new_event_loop().run_until_complete(until_over())
