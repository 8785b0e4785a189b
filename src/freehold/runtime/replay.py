"""Runs a recorded run again in a runner with every action answered from the journal and none carried out.

What a step gives back is compared byte by byte with what it gave then. A step that asks for something else than
it did is stopped there, and where is said. Nothing is written; a run that goes on is left alone.
"""

import asyncio
import shutil
from typing import Any, Final, Literal

import msgspec

from freehold.base import BadInput, FreeholdError, NotFound
from freehold.base.canonical import decode, digest, encode
from freehold.kernel.labels import Label
from freehold.kernel.scope import Record
from freehold.runtime.asker import Asker
from freehold.runtime.graph import Graph, ItemState, NodeState
from freehold.runtime.house import House
from freehold.runtime.inputs import gather, handed_over, width
from freehold.runtime.job import Job
from freehold.runtime.planning import PLAN_NODE
from freehold.runtime.plans import Planned
from freehold.runtime.runners import Runners
from freehold.runtime.session import Call, Session
from freehold.store.interface import EntryKind
from freehold.wire import messages as m

STEP_LIMIT_S: Final = 300.0
_ANSWERS: Final = ("done", "not_done", "unknown", "refused", "proposed")
_NO_BYTES: Final = "The contents that it was given then are gone"

Place = tuple[str, int, int]
"""Node, item, ordinal."""


class Compared(msgspec.Struct, frozen=True):
    """One step that was run again. ``ordinal`` is where it asked for something else, 0 where it did not."""

    node: str
    item: int
    outcome: Literal["same", "differs", "failed"]
    recorded: str
    now: str = ""
    ordinal: int = 0
    actions: int = 0
    why: str = ""


class _Recorded(msgspec.Struct):
    """One action as the journal has it."""

    tool: str = ""
    args: Any = None
    blob: str = ""
    set_id: str = ""
    record: Record | None = None


class Replay:
    """One replay of one run. ``job`` is the run's, with its pins open."""

    def __init__(self, house: House, run: str, job: Job) -> None:
        self._house = house
        self._run = run
        self._job = job
        self._actions: dict[Place, _Recorded] = {}
        self._steps: dict[str, dict[int, int]] = {}
        self._wrong: dict[int, tuple[int, str]] = {}
        self._count: dict[int, int] = {}
        self._name = f"{run}-replay"
        self._runners = Runners(house, self._name, job, self._take)
        self._read()

    async def compare(self) -> list[Compared]:
        """Run every recorded step again and return how each compares; raises NotFound where nothing was recorded."""
        planned_at = self._steps.get(PLAN_NODE, {}).get(0)
        if planned_at is None:
            raise NotFound("This run has no recorded plan.", remedy="It ended before it had one.")
        self._house.make_workspace(self._name)
        try:
            raw = self._house.records.value(planned_at).data
            planned = msgspec.json.decode(raw, type=Planned)
            self._runners.version = planned.version
            ask = m.MakePlan(step=0, job=self._house.job_view(self._run, self._job))
            found = [await self._again(PLAN_NODE, 0, Label(), ask, digest(bytes(planned.plan)))]
            graph = Graph(self._house.read_plan(planned.plan, self._job, None))
            sources = self._house.sources_of(self._run, self._job)
            while (state := graph.openable()) is not None:
                if graph.blocked(state):
                    graph.bar(state)
                    continue
                found += await self._node(graph, sources, state)
            return found
        finally:
            self._runners.release()
            shutil.rmtree(self._house.workspace(self._name), ignore_errors=True)
            self._house.workspace(self._name).with_suffix(".log").unlink(missing_ok=True)

    async def _node(self, graph: Graph, sources: Any, state: NodeState) -> list[Compared]:
        done = self._steps.get(state.node.id, {})
        graph.open(state, width(sources, graph, state), done, ())
        found = []
        for item in range(state.total or 0):
            if item not in done:
                if state.states[item] == ItemState.PENDING:
                    state.active += 1
                    graph.settle(state, item, ItemState.FAILED)
                continue
            inputs = gather(sources, graph, state, item)
            params = state.node.started_with

            def start(session: Session, call: Call, inputs: Any = inputs, params: Any = params) -> m.Message:
                values = handed_over(session.workspace, call.number, inputs)
                return m.Start(
                    step=call.number, function=state.node.step, item=values.item, inputs=values.inputs, attempt=1,
                    params=params,
                )  # fmt: skip

            expected = digest(self._house.records.value(done[item]).data)
            found.append(await self._again(state.node.id, item, inputs.label, start, expected))
        return found

    async def _again(self, node: str, item: int, label: Label, ask: Any, expected: str) -> Compared:
        """Run one step again and compare what it gives."""
        session = await self._runners.get()
        call = session.begin(node, item, label, frozenset())
        message = ask(session, call) if callable(ask) else msgspec.structs.replace(ask, step=call.number)
        try:
            session.handle.send(message)
            async with asyncio.timeout(STEP_LIMIT_S):
                ended = await call.future
        except (TimeoutError, asyncio.CancelledError):
            ended = None
        except FreeholdError as error:
            ended = m.Failed(call.number, error.code, error.message)
        finally:
            session.cancel(call)
        actions = self._count.pop(call.number, 0)
        wrong = self._wrong.pop(call.number, None)
        if wrong is not None:
            return Compared(node, item, "differs", expected, "", wrong[0], actions, wrong[1])
        if not isinstance(ended, m.Finished):
            why = ended.message if ended is not None else f"It took longer than {STEP_LIMIT_S:g} s."
            return Compared(node, item, "failed", expected, "", 0, actions, why)
        now = digest(bytes(ended.value))
        outcome: Literal["same", "differs"] = "same" if now == expected else "differs"
        why = "" if now == expected else "It asked for the same and gave another result."
        return Compared(node, item, outcome, expected, now, 0, actions, why)

    # ---- answering from the journal ------------------------------------------------------------------

    async def _take(self, session: Session, asked: list[tuple[Call, m.Perform]]) -> None:
        for call, message in asked:
            try:
                self._answer(session, call, message)
            finally:
                session.answered(call)

    def _answer(self, session: Session, call: Call, message: m.Perform) -> None:
        known = self._actions.get((call.node, call.item, message.ordinal))
        self._count[call.number] = self._count.get(call.number, 0) + 1
        if known is None or known.record is None:
            self._stop(
                call, message.ordinal, f"It asked for {message.tool!r} where the record has no action."
            )
            return
        if (known.tool, encode(known.args)) != (message.tool, encode(message.args)):
            what = f"for {known.tool!r}" if known.tool != message.tool else "with other arguments"
            self._stop(call, message.ordinal, f"It asked for {message.tool!r}, and the record has it {what}.")
            return
        if message.blob is not None and not self._same_bytes(known, message.blob):
            self._stop(call, message.ordinal, f"It handed other contents to {message.tool!r}.")
            return
        asker = Asker(self._run, self._job, session.workspace, Label())
        blob, record = None, known.record
        try:
            if record.status == "done":
                blob, record = self._house.tools.contents(message.tool, asker, record)
        except FreeholdError as error:
            self._stop(call, message.ordinal, f"{_NO_BYTES}: {error.message}")
            return
        session.send(
            m.Answer(
                message.seq, record.status, record.action, msgspec.Raw(record.value), blob, record.code,  # type: ignore[arg-type]
                record.message, record.remedy,
            )
        )  # fmt: skip

    def _same_bytes(self, known: _Recorded, blob: bytes) -> bool:
        key = self._house.rooms.ledger.key_of(known.set_id)
        return key is None or key.digest(blob) == known.blob

    def _stop(self, call: Call, ordinal: int, why: str) -> None:
        """Let the step go no further: it is not the one that was recorded."""
        self._wrong.setdefault(call.number, (ordinal, why))
        if not call.future.done():
            call.future.set_exception(TimeoutError())

    def _read(self) -> None:
        """Read the run's actions, newest attempts last, and which steps were done."""
        rooms = self._house.rooms
        for entry in rooms.store.entries_of_run(self._run):
            draft = entry.draft
            place = (draft.node, draft.item, draft.ordinal)
            if draft.kind is EntryKind.RESULT and draft.ordinal == 0 and draft.status == "done":
                self._steps.setdefault(draft.node, {})[draft.item] = entry.index
            elif draft.kind is EntryKind.INTENT and draft.ordinal:
                private = rooms.ledger.open_payload(entry)
                said = decode(private) if private is not None else {}
                known = self._actions.setdefault(place, _Recorded())
                known.tool, known.args = str(said.get("tool", "")), said.get("args")
                known.blob, known.set_id = str(said.get("blob", "")), str(decode(draft.body)["pay"]["s"])
            elif draft.kind is EntryKind.RESULT and draft.ordinal and draft.status in _ANSWERS:
                value = self._house.records.value(entry.index)
                record = Record(draft.action, draft.status, value=value.data, message=value.message)
                self._actions.setdefault(place, _Recorded()).record = record
            elif draft.kind is EntryKind.REFUSAL:
                self._refusal(place, entry)

    def _refusal(self, place: Place, entry: Any) -> None:
        private = self._house.rooms.ledger.open_payload(entry)
        said = decode(private) if private is not None else {}
        head = decode(entry.draft.body)
        record = Record(
            entry.draft.action, entry.draft.status, code=str(head.get("code", "")),
            message=str(said.get("message", "")), remedy=str(said.get("remedy", "")),
        )  # fmt: skip
        args = said.get("asked")
        self._actions[place] = _Recorded(str(head.get("tool", "")), args, record=record)


def summary(found: list[Compared]) -> str:
    """Return in one word how a replay went."""
    if not found:
        raise BadInput("There is nothing to compare.", remedy="Choose a run that recorded steps.")
    return "same" if all(one.outcome == "same" for one in found) else "differs"
