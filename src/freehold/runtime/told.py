"""What a run whose agent chooses its actions itself was told in trust: the job file, its rights, its owner's own words.

The engine gives each such run one ``Origins``; what its tools answer is added as it comes, by field. A run that is
taken up again is told it anew from its records, in the order in which they stand.
"""

import datetime as dt
from typing import Any, Final

from freehold.base import FreeholdError, Json, Refused, StoreFailed
from freehold.base.canonical import decode
from freehold.kernel.labels import BOTTOM, Integrity, Label
from freehold.kernel.origins import Origins
from freehold.kernel.rights import values_named
from freehold.kernel.rooms import Rooms
from freehold.kernel.said import Said
from freehold.kernel.scope import Record, Scope
from freehold.kernel.tools import EffectKind, Tool
from freehold.kernel.wording import leaves
from freehold.runtime.functions import own_tool
from freehold.runtime.house import House
from freehold.runtime.job import Job
from freehold.store.interface import Entry, EntryKind

MAX_TEXT: Final = 1 << 20


def origins_of(rooms: Rooms, job: Job) -> Origins:
    """Return what the owner said in the job file, on the day that it is now."""
    now = dt.datetime.fromtimestamp(rooms.ledger.now_us() / 1_000_000, dt.UTC)
    said = Said(now.date())
    goal = job.params.get("goal")
    for text in (
        job.goal,
        job.context,
        job.source,
        job.expectations,
        goal if isinstance(goal, str) else "",
        job.owner,
        *job.words.standing,
        *job.words.earlier,
    ):
        said.say(text)
    for right in job.may:
        value = values_named(right)
        if value is not None and right.effect == "permit":
            said.say(value, order=False)
    return Origins(said, rooms.hearsay.holds)


def shown(
    scope: Scope, tool: Tool, args: dict[str, Json], record: Record, blob: bytes | None
) -> Label | None:
    """Take in what a tool answered, once; return the label of what strangers could have put there, if they could."""
    if scope.origins is None or record.status != "done" or not _tells(tool):
        return None
    if record.action not in scope.told:
        scope.told[record.action] = _taken(scope.origins, tool, args, record.value, blob)
    return scope.told[record.action]


def _tells(tool: Tool) -> bool:
    """Say whether a tool answers with anything that values could come from."""
    return tool.question or tool.face is not None


def _taken(
    origins: Origins, tool: Tool, args: dict[str, Json], data: bytes, blob: bytes | None
) -> Label | None:
    value: Json = decode(data)
    if tool.question:  # a person said it
        for leaf in leaves(value):
            if leaf is not None:
                origins.said.say(str(leaf))
        return None
    assert tool.face is not None
    text = "" if blob is None or len(blob) > MAX_TEXT else blob.decode("utf-8", "replace")
    who = origins.saw(tool.name, tool.face, args, value, text)
    return Label(Integrity.STRANGER, sources=(tool.name,)) if who is Integrity.STRANGER else None


# ---- after a restart -------------------------------------------------------------------------------------------


def restore(house: House, scope: Scope, job: Job, most: int = MAX_TEXT) -> Label:
    """Take in what earlier lives of a run were told and did; return the label of what strangers could have put there.

    Contents of more than ``most`` bytes are not looked at. What was forgotten since has no origin any longer, and
    counts as a stranger's.
    """
    if scope.origins is None:
        return BOTTOM
    return _Again(house, job, scope.origins, scope.told, most).take_all(scope.run)


def told_before(house: House, run: str, job: Job) -> Label:
    """Return the label of all that a run that has ended was shown; ``job`` is the one that it pinned, its pins open."""
    again = _Again(house, job, origins_of(house.rooms, job), {}, MAX_TEXT)
    return house.records.shown(run).join(again.take_all(run))


class _Again:
    """Takes the records of a run into ``origins`` and ``told``, in the order in which they stand."""

    def __init__(
        self, house: House, job: Job, origins: Origins, told: dict[str, Label | None], most: int
    ) -> None:
        self._house = house
        self._job = job
        self._origins = origins
        self._told = told
        self._most = most

    def take_all(self, run: str) -> Label:
        """Take all of them in; return the label of what strangers could have put there."""
        found, begun = BOTTOM, dict[str, Entry]()
        for entry in self._house.rooms.store.entries_of_run(run):
            draft = entry.draft
            if draft.kind is EntryKind.INTENT and draft.ordinal:
                begun[draft.action] = entry
            elif draft.kind is EntryKind.RESULT and draft.status in ("done", "not_done", "redone"):
                intent = begun.pop(draft.action, None)
                if intent is not None and draft.status == "done":
                    found = found.join(self._take(run, intent, entry))
        for intent in begun.values():  # it may have been done: nobody knows yet
            self._take(run, intent, None)
        return found

    def _take(self, run: str, intent: Entry, result: Entry | None) -> Label:
        try:
            return self._took(run, intent, result) or BOTTOM
        except StoreFailed:
            raise
        except (
            FreeholdError
        ):  # it was forgotten, or has changed since: nobody knows any more who had a say in it
            name = str(decode(intent.draft.body)["tool"])
            return BOTTOM if result is None else Label(Integrity.STRANGER, sources=(name,))

    def _took(self, run: str, intent: Entry, result: Entry | None) -> Label | None:
        private = self._house.rooms.ledger.open_payload(intent)
        if private is None:
            raise Refused("What was asked for was forgotten.", code="refused.forgotten")
        said: dict[str, Any] = decode(private)
        name, args, action = str(said["tool"]), said["args"], intent.draft.action
        tool = own_tool(self._job, name) or self._house.tools.tool(name, self._job, args)
        if tool is None:
            return None
        if tool.kind is not EffectKind.READ:
            self._origins.did(tool, args, action)
        if result is None or not _tells(tool):
            return None
        if action not in self._told:
            value = self._house.records.value(result.index).data
            blob = self._house.tools.kept(name, run, value, self._most)
            self._told[action] = _taken(self._origins, tool, args, value, blob)
        return self._told[action]
