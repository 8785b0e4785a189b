"""Where each value that an agent uses came from, and whether strangers' text could have chosen it.

One ``Origins`` a run. It holds what people said and what tools answered, by field and by who could have written the
field; it never looks for attacks. Once anything of a stranger was read, an action with consequences needs an origin for
all of it: a *target* is named by the owner, or stands in a trusted field of the one record that the owner's words point
at; a *content* is made of the owner's words, trusted fields, words that instruct nobody, and what the owner spoke of.
What has none is asked for. Only the gate and the runtime call it.
"""

import datetime as dt
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import msgspec

from freehold.base import Json
from freehold.base.canonical import encode
from freehold.kernel.computed import is_result, is_shifted
from freehold.kernel.contents import foreign_words, wrong_figures
from freehold.kernel.grades import Category
from freehold.kernel.labels import Integrity
from freehold.kernel.moments import figures_of, is_day, is_moment
from freehold.kernel.pointing import Pointing
from freehold.kernel.said import Said
from freehold.kernel.seen import Read, Record, Walk
from freehold.kernel.tools import Face, Role, Tool
from freehold.kernel.vocabulary import ASKED_BY, BOTH, TOWARDS
from freehold.kernel.wording import (
    as_text,
    fold,
    folded,
    hidden,
    is_part,
    leaves,
    marked,
    number,
    texts_in,
    words,
)

MAX_SHOWN: Final = 80
MAX_DAYS: Final = 62
"""What begins in one year and ends in the next takes no longer."""
OWN: Final = "the agent's own words"
YOURS: Final = "your own words"
ITEM_MARK: Final = "item:"
_NAMES: Final = re.compile(r"[^\W.][\w .,()&+'-]*")
_ENDS: Final = re.compile(r"(?:\A|_)(?:end|until|till|to|finish|close|return)(?:_|\Z)")
_PLAIN: Final = frozenset(
    {"street", "city", "country", "name", "first_name", "last_name", "title", "location"}
)
"""Arguments that hold nothing that can be acted upon: no account, no link."""
_LABELS: Final = frozenset({"title", "location", "place", "filename"})
"""Contents that say at a glance what a thing is or where."""
_CHOOSES: Final = (Role.TARGET, Role.ITEM)


class Reason(msgspec.Struct, frozen=True):
    """Why a person is asked: an argument (or "" for the action), the value, and what is wrong with its origin."""

    argument: str
    value: str
    why: str


class Origins:
    """What one run was told and shown. ``written`` says of a value that an agent wrote it while strangers had a say."""

    def __init__(self, said: Said, written: Callable[[str], bool] = lambda value: False) -> None:
        self.said = said
        self.steered = False
        self._written = written
        self._reads: list[Read] = []
        self._pointing = Pointing(said, self._reads)
        self._done: dict[str, str] = {}

    # ---- what comes in -------------------------------------------------------------------------------------------

    def saw(self, tool: str, face: Face, args: Mapping[str, Json], value: Json, text: str = "") -> Integrity:
        """Take in what a tool answered, and the ``text`` of contents that came beside; return who had a say in it."""
        asked = tuple(texts_in(args))
        followed = all(self._pointing.leads_to(text) for text in asked)
        walk = Walk(tool, face, self._written, self.said)
        walk.take(value)
        if text:
            walk.take(text, ("contents",))
        for record in walk.records:
            self._distrust(record)
        worst = Integrity.STRANGER if any(record.strange for record in walk.records) else walk.worst
        cut = any(type(leaf) is int and leaf == len(walk.records) for leaf in leaves(dict(args)))
        self._reads.append(Read(tool, asked, walk.records, followed, cut))
        self.steered = self.steered or worst is Integrity.STRANGER
        return worst

    def _distrust(self, record: Record) -> None:
        """Take a thing for a stranger's that an agent changed while strangers had a say, but for what names it."""
        for item in record.trusted:
            if self._written(ITEM_MARK + item):
                record.distrust(item)
                return

    def did(self, tool: Tool, args: Mapping[str, Json], action: str) -> None:
        """Take in that an action was carried out; the same one again, by another action, is a repetition."""
        self._done.setdefault(self._once(tool, args), action)

    def _once(self, tool: Tool, args: Mapping[str, Json]) -> str:
        """Return what may be done once: to each whom it hits; where the owner spoke of both, in just this way."""
        same = tool.category is not Category.SPEND and self.said.asks(BOTH)
        return tool.name + encode(dict(args)).decode() if same else _whom(tool, args)

    def influenced(self, tool: Tool, args: Mapping[str, Json]) -> list[str]:
        """Return what this action writes that strangers could have put there, folded, for ``written`` later on."""
        if not self.steered or tool.face is None:
            return []
        found = [
            fold(line) for text in texts_in(args) if not self.said.names(text) for line in text.splitlines()
        ]
        items = (leaf for name in args if tool.face.role(name) is Role.ITEM for leaf in leaves(args[name]))
        if tool.category is not Category.SEND:
            found += [ITEM_MARK + fold(item) for item in items if isinstance(item, str)]
        return [text for text in found if text]

    # ---- judging -------------------------------------------------------------------------------------------------

    def judge(
        self,
        tool: Tool,
        args: Mapping[str, Json],
        action: str = "",
        *,
        chosen: bool = False,
    ) -> tuple[Reason, ...]:
        """Return why a person has to be asked before this action; nothing when all of it has an origin.

        ``chosen`` says that the fixed plan or the job file names all that it hits.
        """
        face = tool.face
        if not self.steered:
            return ()
        if face is None:
            return (Reason("", tool.name, "Nobody has said what its arguments do."),)
        if face.audience and not args.get(face.audience):
            return ()  # nobody but the owner gets to see it
        reasons = list(self._asked_for(tool, face)) if tool.category is not None else []
        hit = {name: value for name, value in args.items() if face.role(name) in _CHOOSES}
        heard = self._pointing.heard(hit)
        for argument, value in args.items():
            role = face.role(argument)
            if argument in face.meanings:
                reasons += self._meant(argument, face.meanings[argument], value)
            elif role in _CHOOSES and not chosen:
                others = {name: other for name, other in hit.items() if name != argument}
                reasons += self._targets(argument, value, tool, heard, others)
            elif role is Role.CONTENT:
                reasons += self._contents(
                    argument, value, self._pointing.heard(hit, short=True) if argument in _LABELS else heard
                )
        reasons += self._lasting(tool, args)
        if tool.category is not None and self._done.get(self._once(tool, args), action) != action:
            reasons.append(Reason("", tool.name, "It was done once already to the same."))
        return tuple(reasons)

    def _asked_for(self, tool: Tool, face: Face) -> Iterator[Reason]:
        if not self.said.orders(_verbs(tool, face)):
            yield Reason("", tool.name, "Nobody asked for anything of this kind.")

    def _meant(self, argument: str, meanings: Mapping[str, tuple[str, ...]], value: Json) -> Iterator[Reason]:
        """Complain of a value of a closed set that the owner did not ask for by one of its words."""
        name = as_text(value)
        asked_by = meanings.get(name)
        if value is not None and (asked_by is None or (asked_by and not self.said.asks(asked_by))):
            yield Reason(argument, name[:MAX_SHOWN], "Nobody asked for this choice.")

    # ---- targets -------------------------------------------------------------------------------------------------

    def _targets(
        self, argument: str, value: Json, tool: Tool, heard: list[Said], hit: Mapping[str, Json]
    ) -> Iterator[Reason]:
        face, pointing = tool.face, self._pointing
        assert face is not None
        own = face.role(argument) is Role.ITEM
        sent = tool.category in (Category.SEND, Category.SHARE) and not own
        cues = TOWARDS | _verbs(tool, face) if sent else None
        for leaf in leaves(value):
            timed = isinstance(leaf, str) and is_moment(leaf)
            if timed and not _ENDS.search(argument) and self.said.ends_by(str(leaf)):
                yield Reason(argument, as_text(leaf)[:MAX_SHOWN], "It would begin when it ends.")
                continue
            if pointing.is_chosen(
                leaf, own=own, cues=cues, each=tool.category is not Category.SPEND
            ) and self._fits(argument, leaf):
                continue
            if timed and self._is_time(str(leaf)):
                continue
            if not own and self._is_number(argument, leaf, hit):
                continue
            if pointing.goes_back(leaf) or pointing.read_out(leaf):
                continue
            if tool.category is None and (pointing.may_follow(leaf) or pointing.is_noted(leaf)):
                continue
            yield Reason(argument, as_text(leaf)[:MAX_SHOWN], pointing.why_not(leaf))

    def _lasting(self, tool: Tool, args: Mapping[str, Json]) -> Iterator[Reason]:
        """Complain of what would end before it begins, or some day that nobody spoke of."""
        moments = {name: v for name, v in args.items() if isinstance(v, str) and is_moment(v)}
        if len(moments) > 1 and len(set(moments.values())) < len(moments):
            yield Reason("", tool.name, "It would begin and end at one moment.")
            return
        if tool.category is Category.SPEND and any(
            args[name] is None and _ENDS.search(name) for name in args
        ):
            yield Reason("", tool.name, "Nobody said when it ends.")
        ends = [name for name in moments if _ENDS.search(name)]
        if len(moments) != 2 or len(ends) != 1:
            return
        (end,) = ends
        (start,) = moments.keys() - ends
        first, last = fold(moments[start]), fold(moments[end])
        if not (is_day(first[:10]) and is_day(last[:10])):
            return
        if last < first:
            yield Reason(end, last, "It would end before it begins.")
        elif last[:10] != first[:10] and not (self.said.names(last[:10]) or self._pointing.at(last)):
            yield Reason(end, last, "Nobody said that it lasts for days.")
        elif last[:4] != first[:4] and not _is_near(first, last):
            yield Reason(end, last, "Nobody said that it lasts for a year.")

    def _fits(self, argument: str, leaf: Json) -> bool:
        """Say whether a value has the form that its argument's name promises, and that others under it have."""
        if not isinstance(leaf, str) or not leaf:
            return True
        if argument in _PLAIN and marked(leaf):
            return False
        mail = "mail" not in argument or "id" in argument or "@" in leaf
        return mail and self._pointing.fits(argument, leaf)

    def _is_time(self, moment: str) -> bool:
        """Say whether a moment was given by what the owner spoke of, or is that far from such a one as they said."""
        vouched = [] if self.said.gives_day else self._pointing.vouched()
        text = fold(moment)
        return (
            _all_known(moment, [self.said, *vouched])
            or is_shifted(text, self.said, self._pointing.trusted_moments())
            or self._pointing.keeps_time(text)
        )

    def _is_number(self, argument: str, value: Json, hit: Mapping[str, Json]) -> bool:
        """Say whether a number is a trusted one of what the owner spoke of or hits, or worked out from those."""
        text = folded(value)
        wanted = number(text)
        if wanted is None:
            return False
        return (
            self._pointing.is_number_of(argument, text, hit)
            or self._pointing.beside(value, hit)
            or is_result(wanted, self.said, self._pointing.trusted_numbers(argument))
        )

    # ---- contents ------------------------------------------------------------------------------------------------

    def _contents(self, argument: str, value: Json, heard: list[Said]) -> Iterator[Reason]:
        texts = [
            text for text in texts_in(value) if not self.said.names(text) and not self._pointing.at(text)
        ]
        for text in texts:
            if hidden(text) or ("name" in argument and not _NAMES.fullmatch(text)):
                yield Reason(argument, text[:MAX_SHOWN], "It has characters in it that do not belong there.")
            for mark in marked(text):
                if not self.said.names(mark) and not self._pointing.at(mark):
                    yield Reason(
                        argument, mark[:MAX_SHOWN], "It can be acted upon, and the owner does not name it."
                    )
        most = max((len(read.records) for read in self._reads), default=0)
        told = [_with_its_field(value, text) for text in texts]
        wrong = wrong_figures(told, self.said, heard, most, list(self._pointing.columns()))
        if wrong:
            yield Reason(
                argument, ", ".join(wrong)[:MAX_SHOWN], "These figures are nobody's whom the owner named."
            )
        foreign = foreign_words(texts, self.said, heard, self._pointing.strange())
        if foreign:
            shown = ", ".join(dict.fromkeys(foreign))[:MAX_SHOWN]
            yield Reason(
                argument, shown, "These words are neither the owner's nor of what was to be passed on."
            )

    # ---- telling ---------------------------------------------------------------------------------------------------

    def origin_of(self, value: Json) -> str:
        """Return where a value came from, for a person: whose words, or which tool's answer, hold just this."""
        if self.said.names(value):
            return YOURS
        text = folded(value)
        for read in reversed(self._reads):
            if any(record.holds(text) for record in read.records):
                return f"a trusted record of {read.tool}"
        for read in reversed(self._reads):
            if any(is_part(text, field) for record in read.records for field in record.strange):
                return f"strangers' text in {read.tool}"
        return OWN


def _verbs(tool: Tool, face: Face) -> set[str]:
    """Return the words by which people ask for a tool: its own, else those of its category and of its name."""
    if tool.category is None:
        return set(face.words)
    if face.words and tool.category not in (Category.SEND, Category.SHARE, Category.DELETE):
        return set(face.words)
    return {*face.words, tool.name.replace(".", "_").split("_")[0], *ASKED_BY[tool.category]}


def _all_known(text: str, known: list[Said]) -> bool:
    figures, rest = figures_of(fold(text), None)
    return not words(rest) and all(any(one.has(figure) for one in known) for figure in figures)


def _whom(tool: Tool, args: Mapping[str, Json]) -> str:
    """Return whom or what an action hits: apart from how much and when, where that leaves anything."""
    face = tool.face
    hit: dict[str, Json] = {
        name: value for name, value in sorted(args.items()) if face is None or face.role(name) in _CHOOSES
    }
    whom = {
        name: value
        for name, value in hit.items()
        if value and isinstance(value, str | list) and not _measures(value)
    }
    return tool.name + encode(whom or hit).decode()


def _with_its_field(value: Json, text: str) -> str:
    """Return a text of a form with the name of its field before it, and cents as the sum that they are."""
    field = next((name for name, one in value.items() if one == text), "") if isinstance(value, dict) else ""
    amount = number(text) if "cents" in field.split("_") else None
    return f"{field.replace('_', ' ')} {text if amount is None else format(amount / 100, 'f')}".strip()


def _is_near(first: str, last: str) -> bool:
    days = [dt.date.fromisoformat(text[:10]) for text in (first, last) if is_day(text[:10])]
    return len(days) == 2 and (days[1] - days[0]).days <= MAX_DAYS


def _measures(value: Json) -> bool:
    return isinstance(value, str) and (is_moment(value) or number(value) is not None)
