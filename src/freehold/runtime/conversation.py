"""Goals that an owner hands over, and conversations: each thing said is a run, which goes on from the one before.

What the owner said is trusted, as their signed word. What came of it (the transcript) stays an artifact of its run and
is handed to the next one with the labels that it had: nothing is washed by being remembered.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from freehold.base import BadInput, FreeholdError, Json, NotFound
from freehold.base.canonical import decode, encode
from freehold.kernel.labels import BOTTOM, Integrity, Label
from freehold.kernel.rooms import Rooms
from freehold.kernel.rules import Resource
from freehold.kernel.tools import EffectKind, Face, Intent, Outcome, Tool
from freehold.runtime.asker import Asker, Effect
from freehold.runtime.engine import RUNS, RunDocument
from freehold.runtime.job import Job, Words
from freehold.runtime.kits import Shelf
from freehold.runtime.records import Records
from freehold.store.interface import Cost, Put

CONVERSATIONS: Final = "conversation"
TURNS: Final = "conversation-turn"
"""Documents: for each run that is a turn, the conversation that it belongs to."""
RECALL: Final = "conversation.recall"
LONGEST_GOAL: Final = 20_000
MAX_MESSAGES: Final = 400
MAX_BYTES: Final = 400_000
_ONE: Final = Cost(actions=1)


class Conversation(msgspec.Struct, frozen=True):
    """What was said to one job, one run after the other."""

    id: str
    job: str
    by: str
    opened_us: int
    runs: tuple[str, ...] = ()

    def with_turn(self, run: str) -> list[Put]:
        """Return the documents that make a run its next turn."""
        longer = msgspec.structs.replace(self, runs=(*self.runs, run))
        kept = Put(CONVERSATIONS, self.id, encode(msgspec.to_builtins(longer)), self.job)
        return [kept, Put(TURNS, run, self.id.encode())]


def check_goal(text: str) -> str:
    """Return a goal as it counts; raises BadInput for none, or for far too much."""
    goal = text.strip()
    if not goal:
        raise BadInput("No goal was given.", remedy='Say what you want: freehold ask "GOAL"')
    if len(goal) > LONGEST_GOAL:
        raise BadInput(
            f"A goal has at most {LONGEST_GOAL:,} characters; this one has {len(goal):,}.",
            remedy="Put what it is about into a source of the job, and say what to do with it.",
        )
    return goal


def with_goal(job: Job, goal: str, words: Words) -> Job:
    """Return the job for one run that works towards ``goal``; what the file calls its goal becomes context."""
    params = {name: value for name, value in job.params.items() if name != "goal"}
    context = "\n\n".join(text for text in (job.goal, job.context) if text.strip())
    return msgspec.structs.replace(job, goal=goal, context=context, params=params, words=words)


class Conversations:
    """The conversations of one estate, and what a next turn is told of the ones before."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    def find(self, identifier: str) -> Conversation:
        """Return a conversation; raises NotFound."""
        kept = self._rooms.store.document(CONVERSATIONS, identifier)
        if kept is None:
            raise NotFound("There is no conversation of this id.", remedy="Begin one: freehold chat AGENT")
        return msgspec.convert(decode(kept.body), Conversation)

    def of_run(self, run: str) -> str:
        """Return the conversation that a run is a turn of; "" for one that is none."""
        kept = self._rooms.store.document(TURNS, run)
        return "" if kept is None else kept.body.decode()

    def words(self, conversation: Conversation) -> Words:
        """Return what the owner said so far, and the last run that came to something."""
        earlier: list[str] = []
        left: list[str] = []
        after = ""
        for run in conversation.runs:
            goal = self._goal_of(run)
            if goal:
                earlier.append(goal)
                left.append(goal)
            if _result_of(self._rooms, run) >= 0:
                after, left = run, []
        return Words(earlier=tuple(earlier), after=after, open=tuple(left))

    def _goal_of(self, run: str) -> str:
        """Return what a run was asked; "" where that was forgotten."""
        entry = next(self._rooms.store.entries_of_run(run), None)
        try:
            private = self._rooms.ledger.open_payload(entry) if entry is not None else None
        except FreeholdError:
            return ""
        return "" if private is None else str(decode(private)["job"].get("goal", ""))


class Recalling:
    """The kit: one tool, by which a run is told what was said and done in its conversation before it."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._records = Records(rooms)

    def tools(self) -> list[Tool]:
        """Return the tool, as it is for a run that goes on from nothing."""
        return [_tool(BOTTOM)]

    def tool(self, name: str, job: Job, args: Mapping[str, Any]) -> Tool | None:
        """Return the tool as it is for a job: what it answers was written by whoever had a say in the turns before."""
        at = _result_of(self._rooms, job.words.after)
        try:
            return _tool(self._records.value(at).label) if at >= 0 else None
        except FreeholdError:
            return _tool(Label(Integrity.STRANGER))

    def effects(self, shelf: Shelf) -> dict[str, Effect]:
        """Return how its effect is made."""

        async def recalled(asker: Asker, intent: Intent) -> Outcome:
            messages, label = self._transcript(shelf, asker.job.words.after)
            return Outcome("done", encode({"messages": messages}), asker.label.join(label), _ONE)

        return {RECALL: recalled}

    def _transcript(self, shelf: Shelf, run: str) -> tuple[list[Json], Label]:
        at = _result_of(self._rooms, run)
        if at < 0:
            return [], BOTTOM
        result = self._records.value(at)
        value = decode(result.data)
        kept = value.get("transcript") if isinstance(value, dict) else None
        if not isinstance(kept, dict):
            text = encode(value).decode()[:MAX_BYTES]
            return [{"role": "assistant", "content": text}], result.label
        view = shelf.artifact(run, str(kept.get("id", "")))
        found = [one for one in decode(view.data) if one.get("role") != "system"]
        while len(found) > MAX_MESSAGES or len(encode(found)) > MAX_BYTES:
            found = found[-MAX_MESSAGES:] if len(found) > MAX_MESSAGES else found[len(found) // 4 + 1 :]
        return found, result.label.join(view.label)


def _result_of(rooms: Rooms, run: str) -> int:
    kept = rooms.store.document(RUNS, run) if run else None
    if kept is None:
        return -1
    document = msgspec.json.decode(kept.body, type=RunDocument)
    return document.result_index if document.state == "done" else -1


def _tool(label: Label) -> Tool:
    resource = Resource("step", RECALL, RECALL)

    def resources(args: Mapping[str, Any]) -> tuple[Resource, ...]:
        return (resource,)

    face = Face(
        "Tells what was said and done in this conversation before.",
        {"type": "object", "properties": {}, "additionalProperties": False},
        written_by={"": label.integrity},
    )
    return Tool(RECALL, EffectKind.READ, resources, right="step.run", timeout_s=None, quick=True, face=face)
