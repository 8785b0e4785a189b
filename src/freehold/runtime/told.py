"""What a run whose agent chooses its actions itself was told in trust: the job file, its rights, its owner's own words.

The engine gives each such run one ``Origins``; what its tools answer is added as it comes, by field.
"""

import datetime as dt

from freehold.base import Json
from freehold.base.canonical import decode
from freehold.kernel.labels import Integrity, Label
from freehold.kernel.origins import Origins
from freehold.kernel.rights import values_named
from freehold.kernel.rooms import Rooms
from freehold.kernel.scope import Record, Scope
from freehold.kernel.tools import Tool
from freehold.kernel.wording import Said, leaves
from freehold.runtime.job import Job

MAX_TEXT = 1 << 20


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
    """Take in what a tool answered; return the label of what strangers could have put there, where they could."""
    origins = scope.origins
    if origins is None or record.status != "done":
        return None
    value: Json = decode(record.value)
    if tool.question:  # a person said it
        for leaf in leaves(value):
            if leaf is not None:
                origins.said.say(str(leaf))
        return None
    if tool.face is None:
        return None
    text = "" if blob is None or len(blob) > MAX_TEXT else blob.decode("utf-8", "replace")
    who = origins.saw(tool.name, tool.face, args, value, text)
    return Label(Integrity.STRANGER, sources=(tool.name,)) if who is Integrity.STRANGER else None
