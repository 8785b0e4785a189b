"""One run, alive in the daemon: it walks its plan, a step at a time, each through the gate.

The journal is the only durable record of steps; what is kept here is a byte and an index an item, and the
contents of the steps that are running now. The engine makes it, starts it, and tells it what people decided.
"""

import asyncio
import contextlib
import random
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Final

from freehold.base import BadInput, FreeholdError, Internal, Refused, StoreFailed, action_id
from freehold.kernel.scope import Record, Request, Scope
from freehold.kernel.tools import Intent, Outcome
from freehold.runtime.asks import Asks, Parked
from freehold.runtime.endorsing import endorse
from freehold.runtime.graph import Graph, ItemState, NodeState
from freehold.runtime.house import House
from freehold.runtime.inputs import Inputs, gather, handed_over, width
from freehold.runtime.job import Job, texts
from freehold.runtime.mounts import mount_sources
from freehold.runtime.planning import MAX_LOST, PLAN_NODE, Planning
from freehold.runtime.plans import Node
from freehold.runtime.runners import Runners
from freehold.runtime.session import Call, RunnerLost, Session
from freehold.runtime.told import restore
from freehold.runtime.toolbox import MAX_INLINE_BYTES
from freehold.store.interface import Cost, RunAction
from freehold.wire import messages as m

MAX_BACKOFF_S: Final = 60.0
MAX_MESSAGES: Final = 100
TELL_EVERY_S: Final = 0.05
_NOTHING: Final = Cost()


class LiveRun:
    """A run that is being carried out. ``ended`` is called once, with how it ended."""

    def __init__(
        self,
        house: House,
        scope: Scope,
        job: Job,
        ended: Callable[["LiveRun", str, str], None],
        waits: Callable[["LiveRun", bool], None] = lambda live, whether: None,
    ) -> None:
        self.house = house
        self.scope = scope
        self.job = job
        self.graph: Graph | None = None
        self.halted = ""
        self.failures: dict[tuple[str, int], int] = {}
        self.messages: dict[tuple[str, int], str] = {}
        self.asks = Asks(house, scope, job, self.trouble, self._tell_all)
        self.runners = Runners(house, scope.run, job, self.asks.take)
        self.planning = Planning(house, scope, job, self.asks, self.runners)
        self._ended = ended
        self._waits = waits
        self._over = False
        self._tasks: set[asyncio.Task[Any]] = set()
        self._retries: dict[asyncio.TimerHandle, tuple[NodeState, int]] = {}
        self._texts: dict[str, frozenset[str]] = {}
        self._restored: dict[str, dict[int, int]] = {}
        self._changed: dict[str, NodeState] = {}
        self._telling: asyncio.TimerHandle | None = None
        self._rests = False
        self._coming = Cost()
        self._sources = house.sources_of(scope.run, job)
        house.make_workspace(scope.run)

    @property
    def waiting(self) -> dict[str, tuple[str, int]]:
        """Which step each open card holds up."""
        return self.asks.waiting

    @property
    def parked_any(self) -> bool:
        """Whether any step ever waited for a person."""
        return self.asks.parked_any

    def _graph(self) -> Graph:
        if self.graph is None:
            raise Internal("The run has no plan yet.")
        return self.graph

    # ---- beginning -----------------------------------------------------------------------------------

    async def begin(self, known: list[RunAction], parked: dict[str, tuple[str, int]]) -> None:
        """Plan, or take up what an earlier life of the run recorded, and start what may start."""
        for action in known:
            if action.ordinal == 0 and action.status == "done" and action.result_index is not None:
                self._restored.setdefault(action.node, {})[action.item] = action.result_index
        for action in known:
            if action.item not in self._restored.get(action.node, ()):
                self.scope.known[action.action] = action
        self.asks.waiting, self.asks.parked_any = parked, bool(known)
        try:
            if known:
                self.runners.context.show(self.house.records.shown(self.scope.run))
                self.runners.context.show(restore(self.house, self.scope, self.job, MAX_INLINE_BYTES))
                self.asks.passed.restore()
                for card in parked:
                    self.asks.passed.waits(card)
            done = self._restored.pop(PLAN_NODE, {}).get(0)
            plan = await self.planning.plan(done, self._on_runner, lambda: self.halted)
            if plan is None:
                self._wait_for_people()
                return
            if plan.mounts:
                self.runners.mount(*await mount_sources(self.house, self.scope, self.job, plan.mounts))
        except StoreFailed:
            raise
        except FreeholdError as error:
            if error.code == "refused.frozen":
                self.halt("frozen")
            elif self.halted in ("", "paused"):
                self._finish("failed", str(error))
            return
        self.graph = Graph(plan)
        self.runners.wanted = plan.runners
        self.pump()

    # ---- the walk ------------------------------------------------------------------------------------

    def pump(self) -> None:
        """Start every step that may start now; see whether the run has come to its end or to a wait."""
        graph = self.graph
        if graph is None:
            return
        for state, item in self._startable(graph):
            self.spawn(self._work(state, item))
        self._look_for_the_end(graph)

    def _look_for_the_end(self, graph: Graph) -> None:
        if self.halted or self._over:
            return
        if graph.settled:
            self._finish(*self._verdict(graph))
            return
        if graph.active == 0 and not self._retries and graph.parked > 0:
            self._wait_for_people()
        else:
            self._waits(self, False)
            self._rests = False

    def _wait_for_people(self) -> None:
        self._waits(self, True)
        if not self._rests:
            self.runners.release()
            self.house.publish(self.scope.run, {"event": "waiting", "cards": sorted(self.waiting)})
        self._rests = True

    def _startable(self, graph: Graph) -> Iterator[tuple[NodeState, int]]:
        """Take steps from the end of the plan first, so that a fan-out is worked off before it widens."""
        if self.halted or self._over:
            return
        try:
            self._open_nodes(graph)
        except StoreFailed as error:
            self.trouble(error)
            return
        active = graph.active
        for state in graph.takeable():
            while active < self.house.max_active_steps:
                item = state.take()
                if item is None:
                    break
                coming = self._coming + _most(state.node)
                if active and not self._affordable(coming):
                    state.stop(item, ItemState.PENDING)
                    state.offer(item)
                    break  # what runs now will give back what it does not use
                active += 1
                self._coming = coming
                yield state, item

    def _affordable(self, coming: Cost) -> bool:
        """Whether the budget bears what was started and has reserved nothing yet."""
        rooms = self.house.rooms
        return rooms.budget.fits(self.scope.accounts, coming, rooms.ledger.now_us())

    def _open_nodes(self, graph: Graph) -> None:
        """Open every node whose inputs are there; one whose items cannot be told has failed as a whole."""
        while (state := graph.openable()) is not None:
            if graph.blocked(state):
                graph.bar(state)
                continue
            try:
                total = width(self._sources, graph, state)
            except StoreFailed:
                raise
            except FreeholdError as error:
                self.messages[state.node.id, 0] = str(error)
                graph.bar(state, ItemState.FAILED)
                continue
            known = self._restored.pop(state.node.id, {})
            done = {item: at for item, at in known.items() if item < total}
            name = state.node.id
            graph.open(state, total, done, [item for node, item in self.waiting.values() if node == name])

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Do a part of the run's work; what it raises is trouble."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._task_done)

    def _task_done(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.trouble(error)

    async def _work(self, state: NodeState, item: int) -> None:
        """Carry out a step, then one of those that may start by its end; the others get tasks of their own."""
        graph = self._graph()
        following: tuple[NodeState, int] | None = (state, item)
        while following is not None:
            await self._step(*following)
            startable = self._startable(graph)
            following = next(startable, None)
            for other in startable:
                self.spawn(self._work(*other))
        self._look_for_the_end(graph)

    async def _step(self, state: NodeState, item: int) -> None:
        """Carry out one item of a node and move the graph by what its record says."""
        call: Call | None = None
        most = _most(state.node)
        try:
            session = self.runners.idle() or await self._runner()
            inputs = gather(self._sources, self._graph(), state, item)
            call = session.begin(state.node.id, item, inputs.label, frozenset(state.node.tools))
            call.planned = self._planned(state)
            if state.node.does is not None:
                read = await endorse(self.house, self.scope.run, self._graph(), state.node, inputs)
                call.planned |= read
            self._coming, most = self._coming - most, _NOTHING
            record = await self._perform_step(session, call, state, inputs)
            session.finish(call)
        except StoreFailed as error:
            state.stop(item, ItemState.PENDING)
            state.offer(item)
            self.trouble(error)
            return
        except FreeholdError as error:
            record = Record("", "not_done", code=error.code, message=str(error))
        finally:
            self._coming -= most
        self._moved(state, item, record, call)

    async def _runner(self) -> Session:
        try:
            return await self.runners.get()
        except BadInput as error:  # the pack; no other runner could load it either
            self._finish("failed", str(error))
            raise

    def _planned(self, state: NodeState) -> frozenset[str]:
        """Return the texts in a node's params: the plan was fixed before anything untrusted was read."""
        found = self._texts.get(state.node.id)
        if found is None:
            found = self._texts[state.node.id] = frozenset(texts(state.node.started_with))
        return found

    async def _perform_step(self, session: Session, call: Call, state: NodeState, inputs: Inputs) -> Record:
        node = state.node
        request = Request(
            self.scope, node.id, call.item, 0, self.house.step_tool, {"step": node.step, "in": inputs.digest},
            session.label(call), max_cost=_most(node),
        )  # fmt: skip
        attempt = self.failures.get((node.id, call.item), 0) + 1

        def effect(intent: Intent) -> Any:
            values = handed_over(session.workspace, call.number, inputs)
            start = m.Start(
                step=call.number, function=node.step, item=values.item, inputs=values.inputs, attempt=attempt,
                params=node.started_with,
            )  # fmt: skip
            return self._on_runner(session, call, start, float(node.time_limit_s))

        return await self.house.gate.perform(request, effect)

    async def _on_runner(self, session: Session, call: Call, ask: m.Message, limit_s: float) -> Outcome:
        """Have the runner do what ``ask`` says, and wait for what it asked for and did not wait for itself."""
        outcome = await self._answer_of(session, call, ask, limit_s)
        while call.performing:  # else a second attempt would meet the first one's actions still under way
            await asyncio.wait(session.under_way, return_when=asyncio.FIRST_COMPLETED)
        return outcome

    async def _answer_of(self, session: Session, call: Call, ask: m.Message, limit_s: float) -> Outcome:
        """Return what a runner makes of ``ask``; a read, so whatever goes wrong is merely not done."""
        left_us = self.house.rooms.budget.left_us(self.scope.run, self.house.rooms.ledger.now_us())
        if left_us is not None and left_us < limit_s * 1_000_000:
            limit_s = left_us / 1_000_000
        timer = asyncio.get_running_loop().call_later(limit_s, _too_late, session, call)
        try:
            session.handle.send(ask)
            message = await call.future
        except TimeoutError:
            if not session.calls:
                session.end()
            spent = session.burnt() if session.lost is None else await session.burnt_at_last()
            return Outcome("not_done", spent=spent, message=f"The step took longer than {limit_s:g} s.")
        except Parked as error:
            session.cancel(call)
            return Outcome("not_done", spent=session.burnt(), message=error.message)
        except RunnerLost as error:
            return Outcome("not_done", spent=await session.burnt_at_last(), message=error.message)
        finally:
            timer.cancel()
        if isinstance(message, m.Failed):
            spent = session.burnt()
            call.retry = message.retry
            return Outcome("not_done", spent=spent, message=message.message)
        return Outcome("done", bytes(message.value), session.label(call), session.burnt())

    def _moved(self, state: NodeState, item: int, record: Record, call: Call | None) -> None:
        """Move the graph by the record of a step."""
        graph, key = self.graph, (state.node.id, item)
        if graph is None:
            raise Internal("A step ended before the run had a plan.")
        if record.status == "done":
            self._forget(state.node.id, item, call)
            if not state.fans_out and record.label is not None:
                self._sources.keep(record.result_index, record.value, record.label)
            graph.settle(state, item, ItemState.DONE, record.result_index)
        elif call is not None and call.parked:
            state.stop(item, ItemState.PARKED)
            if not any(place == key for place in self.waiting.values()):
                state.offer(item)
        elif self.halted or record.code == "refused.frozen":
            state.stop(item, ItemState.PENDING)
            state.offer(item)
            if record.code == "refused.frozen":
                self.halt("frozen")
        else:
            self._failed(graph, state, item, record, call)
        self._tell(state)

    def _tell(self, state: NodeState) -> None:
        """Let whoever watches know of a node that moved, now and then."""
        self._changed[state.node.id] = state
        if self._telling is None:
            self._telling = asyncio.get_running_loop().call_later(TELL_EVERY_S, self._tell_all)

    def _tell_all(self) -> None:
        if self._telling is not None:
            self._telling.cancel()
            self._telling = None
        changed, self._changed = self._changed, {}
        for state in changed.values():
            self.house.publish(self.scope.run, {"event": "node", **state.summary()})

    def _failed(self, graph: Graph, state: NodeState, item: int, record: Record, call: Call | None) -> None:
        key = (state.node.id, item)
        if record.code.startswith("refused.budget"):
            state.stop(item, ItemState.PENDING)
            state.offer(item)
            if graph.active == 0:  # nothing will give anything back
                self._finish("failed", record.message)
            return
        tried = self.failures[key] = self.failures.get(key, 0) + 1
        may_help = record.status != "refused" and (call is None or call.retry is not False)
        if may_help and tried <= max(
            state.node.retries, MAX_LOST - 1 if call is not None and call.retry is None else 0
        ):
            state.stop(item, ItemState.PENDING)
            self._later(min(MAX_BACKOFF_S, 0.1 * 4 ** (tried - 1)) * random.uniform(0.5, 1.0), state, item)
            return
        if len(self.messages) < MAX_MESSAGES:
            self.messages[key] = record.message
        self._forget(state.node.id, item, call)
        graph.settle(state, item, ItemState.FAILED)

    def _later(self, delay_s: float, state: NodeState, item: int) -> None:
        def again() -> None:
            self._retries.pop(timer, None)
            state.offer(item)
            self.pump()

        timer = asyncio.get_running_loop().call_later(delay_s, again)
        self._retries[timer] = (state, item)

    def _forget(self, node: str, item: int, call: Call | None) -> None:
        self.failures.pop((node, item), None)
        if self.scope.known:
            self.scope.known.pop(action_id(self.scope.run, node, item, 0), None)
        for identifier in call.actions if call is not None else ():
            self.scope.known.pop(identifier, None)

    # ---- people ---------------------------------------------------------------------------------------

    def decided(self, card: str) -> None:
        """A person decided a card: ask the gate again, in the same step or in the step started anew."""
        if self.halted:
            return  # whoever lets it go on says so again
        place = self.asks.decided(card)
        if place is not None and self.graph is None and not self.planning.under_way:
            self._waits(self, False)
            self._rests = False
            self.spawn(self.begin(list(self.scope.known.values()), dict(self.waiting)))
        elif place is not None and self.graph is not None:
            state = self.graph.nodes.get(place[0])
            if state is not None and state.total is not None and state.states[place[1]] == ItemState.PARKED:
                state.offer(place[1])
        self.pump()

    def trouble(self, error: BaseException) -> None:
        """Something could not be carried through: the store stopped, the gate has had enough, or our own mistake."""
        if self._over or self.halted == "frozen":
            return
        self.house.trouble(self.scope.run, error)
        if isinstance(error, StoreFailed):
            self.halt("store")
        elif isinstance(error, Refused) and error.code == "refused.frozen":
            self.halt("frozen")
        elif isinstance(error, Refused):
            self._finish("failed", str(error))
        else:
            self._finish("failed", f"Something went wrong inside Freehold ({error}); see the daemon's log.")

    # ---- stopping ------------------------------------------------------------------------------------

    def halt(self, why: str) -> None:
        """Start nothing more and, except for a pause, kill the runners; what is recorded stays."""
        self.halted = self.halted or why
        for timer, (state, item) in self._retries.items():
            timer.cancel()
            state.offer(item)
        self._retries.clear()
        if why != "paused":
            self.runners.release()
            if self.asks.under_way:
                asyncio.get_running_loop().call_later(self.house.grace_s(), self.asks.break_off)
        self.house.publish(self.scope.run, {"event": "halted", "why": why})

    def go_on(self) -> None:
        """Start steps again after a pause."""
        if self.halted == "paused":
            self.halted = ""
            self._rests = False
            self.pump()

    async def cancel(self, state: str = "cancelled", message: str = "Cancelled by a person.") -> None:
        """End the run: runners are killed; effects in flight get their grace, and are unknown after it."""
        self.halt("cancelled")
        await self.quiet()
        self._finish(state, message)

    async def quiet(self) -> None:
        """Wait until nothing is under way any more: what was begun has its record, or its grace is over."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.house.grace_s() + 5.0):
                while left := self.under_way:
                    await asyncio.wait(left)

    @property
    def under_way(self) -> set[asyncio.Future[Any]]:
        """Steps that have not ended, and what steps asked for that is still being done."""
        return self._tasks | self.runners.under_way

    def _finish(self, state: str, message: str) -> None:
        if not self._over:
            self._over = True
            self._tell_all()
            self.runners.release()
            self._ended(self, state, message)

    def result_index(self) -> int:
        """Return where the journal holds the run's result; -1 where there is none."""
        return self.graph.result_index() if self.graph is not None else -1

    def failed(self) -> int:
        """Return how many items failed and were set aside."""
        return self.graph.count(ItemState.FAILED) if self.graph is not None else 0

    def _verdict(self, graph: Graph) -> tuple[str, str]:
        if graph.lacks_its_result:
            reason = next(iter(self.messages.values()), "")
            return "failed", reason or "The step that gives the run's result did not finish."
        failed = self.failed()
        return "done", f"{failed} items failed and were set aside." if failed else ""


def _most(node: Node) -> Cost:
    """Return the most that one attempt of a node's step may cost; it is reserved for it."""
    return Cost(actions=1, cpu_us=node.cpu_s * 1_000_000)


def _too_late(session: Session, call: Call) -> None:
    if not call.future.done():
        call.future.set_exception(TimeoutError())
        session.cancel(call)
