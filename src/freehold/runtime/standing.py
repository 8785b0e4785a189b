"""Standing rules: what an owner wants to hold in every run of an agent or a job, such as "always in euros".

Only an owner's own signed word makes one; no model's reading of anything does. A run pins those that hold when it
begins.
"""

from typing import Final

import msgspec

from freehold.base import BadInput, NotFound
from freehold.base.canonical import decode, encode
from freehold.base.ids import short
from freehold.kernel.change import Change, Note
from freehold.kernel.rooms import Rooms
from freehold.kernel.subjects import ESTATE
from freehold.runtime.job import Job
from freehold.store.interface import Drop, Put

STANDING: Final = "standing"
LONGEST: Final = 500
MOST: Final = 50
"""How many standing rules one owner may have: all of them are shown to a model every time."""


class StandingRule(msgspec.Struct, frozen=True):
    """One rule: the owner's words, for which agent or job ("" is any of theirs), and when they were said."""

    id: str
    text: str
    by: str
    at_us: int
    agent: str = ""
    job: str = ""

    def covers(self, job: Job) -> bool:
        """Say whether it holds for a job: its owner said it, and for this."""
        return self.by == job.owner and self.agent in ("", job.agent) and self.job in ("", job.name)


class StandingRules:
    """The standing rules of one estate; sealed where they are kept."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    def all(self) -> list[StandingRule]:
        """Return them, oldest first."""
        opened = (self._rooms.sealer.open(one.body) for one in self._rooms.store.documents(STANDING))
        found = [msgspec.convert(decode(plain), StandingRule) for plain in opened]
        return sorted(found, key=lambda rule: (rule.at_us, rule.id))

    def told(self, job: Job) -> Job:
        """Return a job with the standing rules that hold for it now."""
        texts = tuple(rule.text for rule in self.all() if rule.covers(job))
        return msgspec.structs.replace(job, words=msgspec.structs.replace(job.words, standing=texts))

    def add(self, rule: StandingRule) -> Change:
        """Return the change that adds a rule; value: the rule. Raises BadInput."""
        text = " ".join(rule.text.split())
        if not text or not text.isprintable():
            raise BadInput("A standing rule is a line of text.", remedy="Such as: always in euros")
        if len(text) > LONGEST:
            raise BadInput(
                f"A standing rule has at most {LONGEST} characters; this one has {len(text)}.",
                remedy="Say it shorter, or write it into the job file.",
            )
        own = [one for one in self.all() if one.by == rule.by]
        if len(own) >= MOST:
            raise BadInput(
                f"{rule.by} has {MOST} standing rules already.",
                remedy="Take one back: freehold standing remove ID",
            )
        if any((one.text, one.agent, one.job) == (text, rule.agent, rule.job) for one in own):
            raise BadInput("This rule stands already.", remedy="List them: freehold standing")
        rule = msgspec.structs.replace(rule, text=text)
        head = {"id": rule.id, "by": rule.by, "agent": rule.agent, "job": rule.job}
        sealed = self._rooms.sealer.seal(encode(msgspec.to_builtins(rule)), (ESTATE,))
        note = Note("standing.added", head, {"text": text}, (ESTATE,))
        return Change([note], [Put(STANDING, rule.id, sealed)], [], rule)

    def remove(self, rule: StandingRule, *, by: str) -> Change:
        """Return the change that takes a rule back; value: the rule."""
        return Change(
            [Note("standing.removed", {"id": rule.id, "by": by})], [Drop(STANDING, rule.id)], [], rule
        )

    def find(self, given: str) -> StandingRule:
        """Return the rule that an id or the beginning or end of one means; raises NotFound."""
        wanted = given.strip().lower()
        found = [
            rule for rule in self.all()
            if wanted and (rule.id.startswith(wanted) or rule.id.endswith(wanted) or short(rule.id) == wanted)
        ]  # fmt: skip
        if len(found) != 1:
            what = "There is no standing rule" if not found else f"{len(found)} standing rules fit"
            raise NotFound(f"{what} {given[:40]!r}.", remedy="List them: freehold standing")
        return found[0]
