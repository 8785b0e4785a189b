"""One runner at work for one run, seen from the daemon: what it was shown, what it was asked, what it burns.

The socketpair is its identity: a step number that this daemon did not give to this runner is a breach of the
protocol and ends it. CPU is read from the kernel's clock of the process, never taken from its word.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, Protocol

from freehold.base import BadInput, FreeholdError, ProtocolError, Unavailable
from freehold.kernel.labels import Context, Label
from freehold.store.interface import Cost
from freehold.wire import messages as m

MAX_OUTSTANDING: Final = 256
MAX_SILENCE_S: Final = 30.0
EXIT_S: Final = 2.0


class RunnerLost(Unavailable):
    """The runner died or was killed before it had answered."""

    default_code = "unavailable.runner"


class Handle(Protocol):
    """A runner process as the pool hands it out; its ``room`` and what it knows of it are the pool's words."""

    pid: int
    loads: m.Load | None
    room: Path | None
    sees_room: bool
    exited: "asyncio.Future[Any]"

    @property
    def ended(self) -> bool:
        """Whether it has ended, or was told to."""
        ...

    def attach(
        self,
        on_messages: Callable[[list[Any], int], None],
        on_closed: Callable[[FreeholdError | None], None],
    ) -> None:
        """Say who gets its messages from now on."""
        ...

    def send(self, message: m.Message) -> None:
        """Send it a message."""
        ...

    def pause(self) -> None:
        """Read no more from it for now."""
        ...

    def resume(self) -> None:
        """Read on."""
        ...

    def kill(self) -> None:
        """End it at once."""
        ...


class Call:
    """One step (or planning) that a runner was asked for.

    ``label`` is what this step was shown, ``asked`` the tools that it asked for; ``retry`` what the pack said
    of another attempt when it failed.
    """

    __slots__ = (
        "actions", "asked", "carried", "future", "item", "label", "node", "number", "parked", "performing", "planned",
        "retry", "tools", "within",
    )  # fmt: skip

    def __init__(self, number: int, node: str, item: int, label: Label, tools: frozenset[str]) -> None:
        self.number = number
        self.node = node
        self.item = item
        self.label = label
        self.within: Label | None = None
        self.carried = label
        self.tools = tools
        self.future: asyncio.Future[m.Finished | m.Failed] = asyncio.get_running_loop().create_future()
        self.actions: set[str] = set()
        self.asked: set[str] = set()
        self.performing = 0
        self.parked: set[str] = set()
        self.retry: bool | None = None
        self.planned: frozenset[str] = frozenset()


Take = Callable[["Session", list[tuple[Call, m.Perform]]], Awaitable[None]]


class Session:
    """Steps of one run on one runner. ``context`` is the run's, ``take`` takes what is asked for to the gate."""

    def __init__(
        self,
        handle: Handle,
        context: Context,
        take: Take,
        progress: Callable[[Call, m.Progress], None],
        log: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.handle = handle
        self.context = context
        self.calls: dict[int, Call] = {}
        self.lost: FreeholdError | None = None
        self.steps: list[str] = []
        self.version = ""
        self.workspace = Path()
        self._greeted = False
        self._take = take
        self._progress = progress
        self._log = log
        self._numbers = 0
        self._outstanding = 0
        self._held = False
        self._tasks: set[asyncio.Future[None]] = set()
        self._loaded: asyncio.Future[m.Loaded] = asyncio.get_running_loop().create_future()
        self._cpu_clock = (~handle.pid << 3) | 2
        self._cpu_ns = 0
        handle.attach(self._on_messages, self._on_closed)

    # ---- asking the runner

    async def load(self, message: m.Load, timeout_s: float) -> None:
        """Have the pack imported, or already so while it waited; raises BadInput with its one sentence if it
        cannot.
        """
        if self.handle.loads is None:
            self.handle.send(message)
        elif message.workspace:
            self.handle.send(m.Enter(message.workspace))
        try:
            async with asyncio.timeout(timeout_s):
                loaded = await asyncio.shield(self._loaded)
        except TimeoutError:
            self.end()
            raise RunnerLost(f"The pack did not load within {timeout_s:g} s.") from None
        if loaded.error:
            raise BadInput(loaded.error, remedy="Mend the pack, then run the job again.", code="input.pack")
        self.steps, self.version = loaded.steps, loaded.version

    def begin(self, node: str, item: int, label: Label, tools: frozenset[str]) -> Call:
        """Open a call; whatever the run's runners give back from now on carries ``label`` too."""
        self._numbers += 1
        self.context.show(label)
        call = Call(self._numbers, node, item, label, tools)
        self.calls[call.number] = call
        if self.lost is not None:
            call.future.set_exception(self.lost)
        return call

    def finish(self, call: Call) -> None:
        """Forget a call that is over."""
        self.calls.pop(call.number, None)
        if not call.future.done():
            call.future.cancel()

    def cancel(self, call: Call) -> None:
        """Tell the runner that a call's result is no longer wanted."""
        if call.number in self.calls and self.lost is None:
            self.handle.send(m.Cancel(call.number))
        self.finish(call)

    def label(self, call: Call) -> Label:
        """Return the label of what a call gives back or asks for now.

        Integrity, confidentiality and sources are all that the run's processes were ever shown; the subjects are
        those of this step's own data, so that forgetting one person does not take the others' records.
        """
        whole = self.context.label
        if call.within is not whole:
            call.within, call.carried = whole, whole.about(call.label.subjects)
        return call.carried

    def show(self, call: Call, label: Label) -> None:
        """Record that a call is about to be shown data with ``label``."""
        self.context.show(label)
        call.label, call.within = call.label.join(label), None

    def cpu_us(self) -> int | None:
        """Return the CPU microseconds burnt since the last call of this; None when it cannot be measured."""
        try:
            now = time.clock_gettime_ns(self._cpu_clock)
        except OSError:
            return None
        spent, self._cpu_ns = now - self._cpu_ns, now
        return spent // 1_000

    def burnt(self) -> Cost | None:
        """Return what is to be charged for a step of a runner that lives; None where it cannot be measured."""
        cpu_us = self.cpu_us()
        return None if cpu_us is None else Cost(actions=1, cpu_us=cpu_us)

    async def burnt_at_last(self) -> Cost | None:
        """Return the same of a runner that has ended or was told to, as the kernel counted it."""
        await asyncio.wait([self.handle.exited], timeout=EXIT_S)
        cpu_us = self.handle.exited.result().cpu_us if self.handle.exited.done() else None
        if cpu_us is None:
            return None
        spent_ns, self._cpu_ns = cpu_us * 1_000 - self._cpu_ns, cpu_us * 1_000
        return Cost(actions=1, cpu_us=max(0, spent_ns // 1_000))

    def end(self) -> None:
        """Kill the runner; open calls fail as lost."""
        self.handle.kill()
        self._on_closed(None)

    # ---- what the runner says

    def _on_messages(self, batch: list[Any], size: int) -> None:
        asked: list[tuple[Call, m.Perform]] = []
        for message in batch:
            kind = type(message)
            if kind is m.Perform:
                call = self._call(message.step, "a request")
                if call.number:
                    asked.append((call, message))
            elif kind is m.Finished or kind is m.Failed:
                self._call(message.step, "a result").future.set_result(message)
            elif kind is m.Progress:
                watched = self.calls.get(message.step)
                if watched is not None:
                    self._progress(watched, message)
            elif kind is m.Log:
                self._log(message.text)
            elif kind is m.Loaded and not self._loaded.done():
                self._loaded.set_result(message)
            elif kind is m.Hello and not self._greeted:
                self._greeted = True
                self.cpu_us()  # what it burnt to get ready is no step's
            else:
                raise ProtocolError(f"A runner sent {kind.__name__.lower()!r} out of turn.")
        if asked:
            self._begin(asked)

    def _call(self, number: int, what: str) -> Call:
        call = self.calls.get(number)
        if call is None and number <= self._numbers and number > 0:
            return _gone()
        if call is None or call.future.done():
            raise ProtocolError(f"A runner sent {what} for step {number}, which is not its own.")
        return call

    def _begin(self, asked: list[tuple[Call, m.Perform]]) -> None:
        """Have the gate decide; reading stops while too much is under way."""
        self._outstanding += len(asked)
        if self._outstanding > 4 * MAX_OUTSTANDING:
            raise ProtocolError("A runner asked for more than it may have under way.")
        if self._outstanding >= MAX_OUTSTANDING and not self._held:
            self._held = True
            self.handle.pause()
        for call, _ in asked:
            call.performing += 1
        task = asyncio.ensure_future(self._take(self, asked))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    @property
    def under_way(self) -> set[asyncio.Future[None]]:
        """What of its requests is still being taken to the gate; effects go on when the runner is gone."""
        return self._tasks

    def take_again(self, call: Call, message: m.Perform) -> bool:
        """Take a request that had waited for a person to the gate once more; False where its step is gone."""
        if self.lost is not None or call.number not in self.calls:
            return False
        self._begin([(call, message)])
        return True

    def send(self, message: m.Message) -> None:
        """Send the runner a message; dropped when it is gone."""
        if self.lost is None:
            self.handle.send(message)

    def answered(self, call: Call) -> None:
        """One request of a call is over, or parked."""
        call.performing -= 1
        self._outstanding -= 1
        if self._held and self._outstanding < MAX_OUTSTANDING and self.lost is None:
            self._held = False
            self.handle.resume()

    def _on_closed(self, error: FreeholdError | None) -> None:
        if self.lost is not None:
            return
        self.lost = error or RunnerLost("The runner ended before it had answered.")
        if not self._loaded.done():
            self._loaded.set_exception(self.lost)
            self._loaded.exception()
        for call in list(self.calls.values()):
            if not call.future.done():
                call.future.set_exception(self.lost)
                call.future.exception()


def _gone() -> Call:
    """Return a call that nobody waits for: its step was cancelled while the runner still answered."""
    return Call(0, "", 0, Label(), frozenset())
