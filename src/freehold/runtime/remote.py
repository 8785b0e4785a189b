"""A run whose steps a program from elsewhere takes by itself: no plan and no runner, every action through the gate.

Each request has a number in its run, which is its place in the journal: asked again it is answered from there. The run
is one context of labels: what the program was shown here, everything that it asks for afterwards carries.
"""

import asyncio
import contextlib
import os
from collections.abc import Callable, Coroutine
from typing import Any, Final

import msgspec

from freehold.base import BadInput, Diverged, FreeholdError, Json, NotFound, Refused, StoreFailed, action_id
from freehold.base.canonical import decode, encode
from freehold.kernel.labels import Confidentiality, Context, Integrity, Label
from freehold.kernel.scope import MAX_REFUSALS, Record, Request, Scope
from freehold.kernel.tools import NOT_REPEATED, Effector, Face, Intent, Outcome, Tool
from freehold.runtime.abortable import Abortable
from freehold.runtime.asker import Asker
from freehold.runtime.functions import OWN, Function, read_terms
from freehold.runtime.house import House
from freehold.runtime.job import Job
from freehold.runtime.thinking import faced
from freehold.runtime.told import restore, shown
from freehold.runtime.workspace import read_inside
from freehold.store.interface import Cost, RunAction

NODE: Final = "program"
MAX_ASKED: Final = 10_000
MAX_BLOB: Final = 16 << 20


class Report(msgspec.Struct, frozen=True):
    """What a program says became of its own function: ``done`` with a value, ``not_done`` or ``unknown`` and why."""

    status: str
    value: Json = None
    message: str = ""


class Asked:
    """One thing that the program asked for.

    ``state``: asked, go (the program is to run its function with ``sent``), parked, decided, or over: then ``record``
    says how it went.
    """

    __slots__ = (
        "args", "blob", "card", "changed", "contents", "function", "line", "number", "present", "record", "report",
        "sent", "state", "tool",
    )  # fmt: skip

    def __init__(self, number: int, tool: str, args: dict[str, Json], blob: bytes | None) -> None:
        self.number = number
        self.tool = tool
        self.args = self.sent = args
        self.blob = blob
        self.present = False
        self.function: Function | None = None
        self.line = ""
        self.state = "asked"
        self.card = ""
        self.record: Record | None = None
        self.contents: bytes | None = None
        self.report: asyncio.Future[Report] | None = None
        self.changed = asyncio.Event()

    def becomes(self, state: str) -> None:
        """Move on, and wake whoever waits."""
        self.state = state
        self.changed.set()
        self.changed = asyncio.Event()


class RemoteRun:
    """A live run of a program from elsewhere, as the engine keeps it; ``ask`` and ``report`` are the program's."""

    def __init__(
        self,
        house: House,
        scope: Scope,
        job: Job,
        ended: Callable[["RemoteRun", str, str], None],
        waits: Callable[["RemoteRun", bool], None],
    ) -> None:
        self.house = house
        self.scope = scope
        self.job = job
        self.graph = None
        self.halted = ""
        self.terms = read_terms(job.params)
        self.next_number = 1
        self.waiting: dict[str, tuple[str, int]] = {}
        self.parked_any = False
        self.ready = asyncio.Event()
        self._context = Context()
        self._asked: dict[int, Asked] = {}
        self._effects = Abortable()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._ended = ended
        self._waits = waits
        self._rests = False
        self._over = False
        self._workspace = house.make_workspace(scope.run)

    # ---- what the engine asks of any run -----------------------------------------------------------------

    async def begin(self, known: list[RunAction], parked: dict[str, tuple[str, int]]) -> None:
        """Take up what an earlier life of the run recorded; what it left open of what is done once is settled."""
        if self.terms.reads_elsewhere:
            self._context.show(Label(Integrity.STRANGER, Confidentiality.PUBLIC, ("elsewhere",)))
        if known:
            self._context.show(self.house.records.shown(self.scope.run))
            self._context.show(restore(self.house, self.scope, self.job))
        for action in known:
            self.scope.known[action.action] = action
            self.next_number = max(self.next_number, action.item + 1)
        self.waiting, self.parked_any = parked, bool(known)
        self.ready.set()
        for action in known:
            if action.status in ("", "unknown"):
                self._settle(action)

    def _settle(self, action: RunAction) -> None:
        """Have the gate settle what was under way when an earlier life ended, where it may not be done again."""
        entry = self.house.rooms.store.entry(action.intent_index)
        private = self.house.rooms.ledger.open_payload(entry) if entry is not None else None
        said = decode(private) if private is not None else {}
        if not said or "blob" in said:
            return
        asked = Asked(action.item, said["tool"], said["args"], None)
        tool = self._tool(asked)
        if tool is not None and tool.kind in NOT_REPEATED:
            self._asked[asked.number] = asked
            self.spawn(self._perform(asked, tool))

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Do a part of the run's work."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._trouble(error)

    def _trouble(self, error: BaseException) -> None:
        if self._over:
            return
        self.house.trouble(self.scope.run, error)
        if isinstance(error, StoreFailed):
            self.halt("store")
        else:
            self.finish("failed", str(error) if isinstance(error, FreeholdError) else "See the daemon's log.")

    def decided(self, card: str) -> None:
        """A person decided a card: what waited for it goes to the gate again, a function once its program asks."""
        if self.halted:
            return
        self.waiting.pop(card, None)
        for asked in self._asked.values():
            if asked.state == "parked" and asked.card == card:
                asked.becomes("decided")
                tool = self._tool(asked)
                if asked.function is None and tool is not None:
                    self._again(asked, tool)

    def halt(self, why: str) -> None:
        """Begin nothing more; except for a pause, what is under way outside is broken off after its grace."""
        self.halted = self.halted or why
        if why != "paused" and self._effects.under_way:
            asyncio.get_running_loop().call_later(self.house.grace_s(), self._effects.break_off)
        self.house.publish(self.scope.run, {"event": "halted", "why": why})

    def go_on(self) -> None:
        """Take requests again after a pause."""
        if self.halted == "paused":
            self.halted = ""

    async def cancel(self, state: str = "cancelled", message: str = "Cancelled by a person.") -> None:
        """End the run; effects in flight get their grace, and are unknown after it."""
        self.halt("cancelled")
        await self.quiet()
        self.finish(state, message)

    async def quiet(self) -> None:
        """Wait until nothing is under way any more, or its grace is over."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.house.grace_s() + 5.0):
                while self._tasks:
                    await asyncio.wait(self._tasks)

    @property
    def under_way(self) -> set[asyncio.Future[Any]]:
        """What is being carried through the gate."""
        return set(self._tasks)

    def result_index(self) -> int:
        """Return -1: such a run has no result of its own."""
        return -1

    def failed(self) -> int:
        """Return 0: such a run has no items."""
        return 0

    def finish(self, state: str, message: str) -> None:
        """End the run."""
        if not self._over:
            self._over = True
            for asked in self._asked.values():
                asked.changed.set()
            self._ended(self, state, message)

    # ---- what the program asks ---------------------------------------------------------------------------

    @property
    def over(self) -> bool:
        """Whether the run has ended."""
        return self._over

    def remember(self, label: Label) -> None:
        """Let the run begin with what its program was shown before."""
        self._context.show(label)

    def tools(self) -> dict[str, Face]:
        """Return the tools that the program may be shown: with a face, wanted by the job, and allowed at all."""
        return faced(self.house.tools, self.job, self._names())

    def _names(self) -> frozenset[str]:
        return frozenset(name for name in self.house.tools.names if not self._hidden(name))

    def _hidden(self, name: str) -> bool:
        return self.terms.tools is not None and name not in self.terms.tools

    def ask(self, number: int, tool: str, args: dict[str, Json], blob: bytes | None = None) -> Asked:
        """Take a request to the gate, or return the one of that number; 0 is the next number.

        Raises Refused for a tool that the job does not show, for another request under a number that was used,
        and while the run stands still.
        """
        asked = self._place(number, tool, args, blob)
        if asked.state == "asked" and asked.number not in self._asked:
            found = self._tool(asked)
            if found is None:
                raise Refused(
                    f"The job {self.job.name} has no tool {tool[:64]!a} for its program.",
                    remedy="`params.tools` in the job file names them.",
                    code="refused.plan",
                )
            self._begin(asked, found)
        return asked

    def ask_function(self, number: int, name: str, args: dict[str, Json], line: str) -> Asked:
        """Ask whether the program may run its own function now; ``line`` is the connection that says it lives."""
        function = self.terms.function(name)
        asked = self._place(number, f"{OWN}{name}", args, None)
        asked.function, asked.line, asked.present = function, line or asked.line, True
        if asked.number not in self._asked:
            self._begin(asked, function.tool())
        return asked

    def _place(self, number: int, tool: str, args: dict[str, Json], blob: bytes | None) -> Asked:
        if self._over or self.halted:
            raise Refused(
                f"The run is {self.halted or 'over'}.", remedy="See: freehold runs", code="refused.halted"
            )
        known = self._asked.get(number)
        if known is not None:
            if (known.tool, known.args, known.blob) != (tool, args, blob):
                raise Diverged(
                    f"Request {number} of this run was another one.", remedy="Ask under a number of its own."
                )
            return known
        if number < 0 or number > self.next_number + MAX_ASKED:
            raise BadInput("This number cannot be a request's.", remedy="Number them from 1, or write 0.")
        number = number or self.next_number
        self.next_number = max(self.next_number, number + 1)
        return Asked(number, tool, args, blob)

    def _tool(self, asked: Asked) -> Tool | None:
        if asked.tool.startswith(OWN):
            asked.function = self.terms.function(asked.tool.removeprefix(OWN))
            return asked.function.tool()
        return None if self._hidden(asked.tool) else self.house.tools.tool(asked.tool, self.job, asked.args)

    def _begin(self, asked: Asked, tool: Tool) -> None:
        self._asked[asked.number] = asked
        self.spawn(self._perform(asked, tool))

    def _again(self, asked: Asked, tool: Tool) -> None:
        asked.becomes("asked")
        self.spawn(self._perform(asked, tool))

    def known(self, number: int) -> Asked:
        """Return what was asked under a number in this life of the run; raises NotFound."""
        found = self._asked.get(number)
        if found is None:
            raise NotFound("Nothing was asked under this number.", remedy="Ask again, with the same number.")
        return found

    def same(self, tool: str, args: dict[str, Json]) -> Asked | None:
        """Return a request for the same that waits for a person, or is over and was not answered yet."""
        return next(
            (one for one in reversed(self._asked.values()) if (one.tool, one.args) == (tool, args)), None
        )

    def forget(self, asked: Asked) -> None:
        """Drop a request whose answer the program has."""
        if asked.state == "over":
            self._asked.pop(asked.number, None)

    async def answer(self, asked: Asked, wait_s: float) -> None:
        """Wait until there is something to answer; for a person at most ``wait_s`` seconds."""
        loop = asyncio.get_running_loop()
        until = loop.time() + wait_s
        while asked.state not in ("go", "over") and not (self._over or self.halted):
            if asked.state == "decided":
                tool = self._tool(asked)
                if tool is None or not asked.present:
                    return  # nobody is there to run it; whoever asks again goes on from here
                self._again(asked, tool)
            left_s = None if asked.state == "asked" else until - loop.time()
            if left_s is not None and left_s <= 0:
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left_s):
                    await asked.changed.wait()

    def report(self, number: int, report: Report) -> Asked:
        """Take what became of a function that the program ran; raises NotFound, Refused where nobody waits for it."""
        asked = self.known(number)
        if asked.state != "go" or asked.report is None or asked.report.done():
            raise Refused(
                "Nobody waits for the result of this function: it has one, or counts as unknown.",
                remedy=f"See: freehold runs show {self.scope.run[-8:]}",
                code="refused.late",
            )
        asked.report.set_result(report)
        asked.becomes("asked")
        return asked

    def lost(self, line: str) -> None:
        """The program's connection has ended: nobody knows what became of the functions it was running."""
        for asked in list(self._asked.values()):
            if line and asked.line == line:
                asked.present = False
            if asked.line == line and asked.report is not None and not asked.report.done():
                asked.report.set_exception(_gone())
                asked.report.exception()

    # ---- through the gate --------------------------------------------------------------------------------

    def label(self) -> Label:
        """Return the label of what the program asks for now."""
        return self._context.label.about(self.house.job_label(self.job).subjects)

    async def _perform(self, asked: Asked, tool: Tool) -> None:
        asker = Asker(
            self.scope.run, self.job, self._workspace, self.label(), self._names(), NODE, asked.number
        )
        request = Request(self.scope, NODE, asked.number, 1, tool, asked.args, asker.label, asked.blob)
        if asked.function is not None:
            effect = self._effects.wrap(self._by_program(asked, asked.function))
        else:
            effect = self.house.tools.effector(tool.name, asker)
            inside = tool.category is None and (tool.sink is None or tool.quick)
            effect = effect if inside else self._effects.wrap(effect)
        self._rest(False)
        try:
            record = await self.house.gate.perform(request, effect)
        except FreeholdError as error:
            asked.record = Record("", "not_done", code=error.code, message=error.message, remedy=error.remedy)
            asked.becomes("over")
            raise
        if record.status == "parked":
            self._park(asked, record.card)
            return
        if record.label is not None and record.status == "done":
            self._context.show(record.label)
        asked.record = self._with_contents(asked, asker, record)
        said = shown(self.scope, tool, asked.sent, asked.record, asked.contents)
        if said is not None:
            self._context.show(said)
        asked.becomes("over")
        if self.scope.refusals >= MAX_REFUSALS:
            self.finish("failed", "This run was stopped: it was refused too often.")

    def _park(self, asked: Asked, card: str) -> None:
        asked.card = card
        self.parked_any = True
        self.waiting[card] = (NODE, asked.number)
        asked.becomes("parked")
        self.house.publish(self.scope.run, {"event": "card", "card": card})
        if len(self._tasks) <= 1:
            self._rest(True)

    def _rest(self, whether: bool) -> None:
        """The run's clock stands while nothing is under way but people's thinking."""
        if whether != self._rests and not self._over:
            self._rests = whether
            self._waits(self, whether)

    def _with_contents(self, asked: Asked, asker: Asker, record: Record) -> Record:
        if record.status != "done" or asked.function is not None:
            return record
        try:
            asked.contents, record = self.house.tools.contents(asked.tool, asker, record)
            value = decode(record.value)
            if isinstance(value, dict) and str(value.get("path", "")).startswith("received/"):
                asked.contents = self._received(str(value.pop("path")))
                record = msgspec.structs.replace(record, value=encode(value))
        except FreeholdError as error:
            return msgspec.structs.replace(
                record, status="not_done", code=error.code, message=error.message, remedy=error.remedy
            )
        return record

    def _received(self, path: str) -> bytes:
        folder = os.open(self._workspace, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            return read_inside(folder, path, MAX_BLOB)
        finally:
            os.close(folder)

    def _by_program(self, asked: Asked, function: Function) -> Effector:
        """Return the effect of a function that the program runs: tell it to, and wait for what it says."""

        async def effect(intent: Intent) -> Outcome:
            if not asked.present:
                return Outcome(
                    "not_done", spent=Cost(actions=1), message="The program is not there to run it."
                )
            asked.report = asyncio.get_running_loop().create_future()
            asked.sent = dict(intent.args)
            asked.becomes("go")
            try:
                async with asyncio.timeout(function.time_limit_s):
                    said = await asked.report
                value = encode(said.value)
            except TimeoutError:
                return Outcome("unknown", message=f"It said nothing within {function.time_limit_s} s.")
            except Refused as error:
                return Outcome("unknown", message=error.message)
            except BadInput as error:
                value, said = encode(None), Report("done", message=error.message)
            finally:
                asked.report = None
            if said.status != "done":
                return Outcome(said.status, spent=Cost(actions=1), message=said.message)
            return Outcome("done", value, function.label().join(self.label()), Cost(actions=1), said.message)

        return effect

    def action_of(self, number: int) -> str:
        """Return the id of the action under a number."""
        return action_id(self.scope.run, NODE, number, 1)


def _gone() -> Refused:
    return Refused("The program ended before it said what became of it.", code="refused.gone")
