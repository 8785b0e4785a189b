"""Where each value that an agent uses came from, and whether strangers' text could have chosen it.

One ``Origins`` a run. It holds what people said and what tools answered, by field and by who could have written the
field; it never looks for attacks. Once anything of a stranger was read, an action with consequences needs an origin for
all of it: a *target* is named by the owner, or stands in a trusted field of the one record that the owner's words point
at; a *content* is made of the owner's words, trusted fields, words that instruct nobody, and what the owner spoke of.
What has none is asked for. Only the gate and the runtime call it.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import msgspec

from freehold.base import Json
from freehold.base.canonical import encode
from freehold.kernel.grades import Category
from freehold.kernel.labels import Integrity
from freehold.kernel.seen import Read, Record, Walk
from freehold.kernel.tools import Face, Role, Tool
from freehold.kernel.vocabulary import ALL_OF, ASKED_BY, COMMON, FOLLOWED_BY, READ_OUT_BY, TOWARDS, TURNING
from freehold.kernel.wording import (
    Said,
    as_link,
    figures_of,
    fold,
    hidden,
    is_moment,
    is_part,
    is_plain,
    kind_of,
    leaves,
    marked,
    number,
    pull,
    spelled_out,
    words,
)

SHORT: Final = 120
"""A stranger's field of at most so many characters (a title, a file's name) may help to find its record."""
MAX_SHOWN: Final = 80
OWN_WORDS: Final = 8
"""One word in so many may be the agent's own: neither the owner's nor a stranger's, in no record and no common one."""
TOLD: Final = 3
"""One in so many of the longer words has to be the owner's or of what they spoke of: the rest may be common ones."""
_SMALL: Final = 3
ITEM_MARK: Final = "item:"
_NAMES: Final = re.compile(r"[^\W.][\w .,()&+'-]*")
_NO_PULL: Final = (0, 0)
_CHOOSES: Final = (Role.TARGET, Role.ITEM)
_STRANGERS: Final = "It comes from what strangers wrote."
_OFFERED: Final = "Trusted records offer it, and the owner's words do not say which."
_NOBODY: Final = "Neither the owner nor a trusted record names it."


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
        self._done: dict[str, str] = {}

    # ---- what comes in -------------------------------------------------------------------------------------------

    def saw(self, tool: str, face: Face, args: Mapping[str, Json], value: Json, text: str = "") -> Integrity:
        """Take in what a tool answered, and the ``text`` of contents that came beside; return who had a say in it."""
        asked = tuple(_texts(args))
        followed = all(self._leads_to(text) for text in asked)
        walk = Walk(tool, face, self._written)
        walk.take(value)
        if text:
            walk.take(text, ("contents",))
        for record in walk.records:
            self._distrust(record)
        worst = Integrity.STRANGER if any(record.strange for record in walk.records) else walk.worst
        self._reads.append(Read(tool, asked, walk.records, followed))
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
        self._done.setdefault(_whom(tool, args), action)

    def influenced(self, tool: Tool, args: Mapping[str, Json]) -> list[str]:
        """Return what this action writes that strangers could have put there, folded, for ``written`` later on."""
        if not self.steered or tool.face is None:
            return []
        found = [
            fold(line) for text in _texts(args) if not self.said.names(text) for line in text.splitlines()
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
        known = self._known(hit)
        for argument, value in args.items():
            role = face.role(argument)
            if argument in face.meanings:
                reasons += self._meant(argument, face.meanings[argument], value)
            elif role in _CHOOSES and not chosen:
                others = {name: other for name, other in hit.items() if name != argument}
                reasons += self._targets(argument, value, tool, known, others)
            elif role is Role.CONTENT:
                reasons += self._contents(argument, value, known)
        if tool.category is not None and self._done.get(_whom(tool, args), action) != action:
            reasons.append(Reason("", tool.name, "It was done once already to the same."))
        return tuple(reasons)

    def _asked_for(self, tool: Tool, face: Face) -> Iterator[Reason]:
        if not self.said.asks(_verbs(tool, face)):
            yield Reason("", tool.name, "Nobody asked for anything of this kind.")

    def _meant(self, argument: str, meanings: Mapping[str, tuple[str, ...]], value: Json) -> Iterator[Reason]:
        """Complain of a value of a closed set that the owner did not ask for by one of its words."""
        name = value if isinstance(value, str) else encode(value).decode()
        asked_by = meanings.get(name)
        if value is not None and (asked_by is None or (asked_by and not self.said.asks(asked_by))):
            yield Reason(argument, name[:MAX_SHOWN], "Nobody asked for this choice.")

    # ---- targets -------------------------------------------------------------------------------------------------

    def _targets(
        self, argument: str, value: Json, tool: Tool, known: list[Said], hit: Mapping[str, Json]
    ) -> Iterator[Reason]:
        face = tool.face
        assert face is not None
        own = face.role(argument) is Role.ITEM
        cues = (
            None if tool.category not in (Category.SEND, Category.SHARE) or own else TOWARDS | set(face.words)
        )
        for leaf in leaves(value):
            if self._is_target(leaf, own, cues) and _fits(argument, leaf):
                continue
            if isinstance(leaf, str) and is_moment(leaf) and _all_known(leaf, known):
                continue
            if not own and self._trusted_number(leaf):
                continue
            if self._goes_back(leaf) or self._read_out(leaf) or self._beside(leaf, hit):
                continue
            if tool.category is None and self._may_follow(leaf):
                continue
            text = leaf if isinstance(leaf, str) else encode(leaf).decode()
            yield Reason(argument, text[:MAX_SHOWN], self._why_not(fold(text)))

    def _is_target(self, leaf: Json, own: bool, cues: set[str] | frozenset[str] | None) -> bool:
        text = fold(leaf if isinstance(leaf, str) else encode(leaf).decode())
        offered = any(record.holds(text) for read in self._reads for record in read.records)
        if self.said.names_target(leaf, own=own, offered=offered, cues=cues):
            return True
        kind = kind_of(leaf) if isinstance(leaf, str) else ""
        if kind and self.said.gives(kind):
            return False  # where the owner gave one, no other may stand in for it
        return self._pointed_at(leaf, own)

    def _why_not(self, text: str) -> str:
        if any(is_part(text, field) for field in self._strange()):
            return _STRANGERS
        offered = any(
            is_part(text, field) for read in self._reads for r in read.records for field in r.trusted
        )
        return _OFFERED if offered else _NOBODY

    def _pointed_at(self, value: Json, own: bool = False) -> bool:
        """Say whether a trusted field holds the value, in the one record that the owner's words point at.

        ``own`` says that the value is one of the owner's own things, which a title by strangers may help to find.
        """
        text = fold(value if isinstance(value, str) else encode(value).decode())
        if isinstance(value, str) and (hidden(value) or value != value.strip()):
            return False
        return bool(text) and any(self._points(read, text, own) for read in self._reads)

    def _points(self, read: Read, value: str, own: bool) -> bool:
        holding = [record for record in read.records if record.holds(value)]
        if not holding:
            return False
        if len(read.records) == 1 and read.asked and self._named(read):
            return True
        if (
            not read.asked and len(read.records) == 1
        ):  # it tells of the owner: the words must be of this field
            called = holding[0].called.get(value, set())
            return not holding[0].strange and any(self.said.holds(word) for word in called - COMMON - {"get"})
        if self.said.asks(ALL_OF) and read.followed and all(not record.strange for record in holding):
            return True
        rivals = [
            r for other in ([read] if read.followed and read.asked else self._reads) for r in other.records
        ]
        ranked = [
            (self._pull(record, value, own), record.holds(value))
            for record in rivals
            if record.shape == holding[0].shape
        ]
        best = max(strength for strength, _ in ranked)
        return best > _NO_PULL and all(holds for strength, holds in ranked if strength == best)

    def _pull(self, record: Record, value: str, own: bool) -> tuple[int, int]:
        """Return how many of the owner's own words the record has, apart from the value itself."""
        texts = [text for text in record.trusted if own or text != value]
        if own:
            texts += [text for text in record.strange if len(text) <= SHORT]
        found: set[str] = set()
        for text in texts:
            found |= self.said.distinct(text)
        if (
            not own and kind_of(value) == "mail"
        ):  # whoever has an address there is spoken of by name, not by topic
            found = {word for word in found if self.said.calls(word)}
        return pull(found)

    def _leads_to(self, text: str) -> bool:
        """Say whether the owner named this, or spoke of the thing that it stands in."""
        if self.said.names(text) or self._pointed_at(text, own=True):
            return True
        link = as_link(fold(text))
        return any(
            is_part(link, field)
            for read in self._reads
            for record in self._spoken_of(read)
            for field in (*record.strange, *record.trusted)
        )

    def _named(self, read: Read) -> bool:
        """Say whether the owner named all that a tool was asked with."""
        return all(self.said.names(text) for text in read.asked)

    def _trusted_number(self, value: Json) -> bool:
        """Say whether a number stands in a trusted field of a thing that the owner spoke of."""
        text = fold(value if isinstance(value, str) else encode(value).decode())
        return number(text) is not None and any(
            text in record.trusted for read in self._reads for record in self._spoken_of(read)
        )

    def _beside(self, value: Json, hit: Mapping[str, Json]) -> bool:
        """Say whether a number stands in the one trusted record of another target that the owner named."""
        text = fold(value if isinstance(value, str) else encode(value).decode())
        if number(text) is None:
            return False
        named = {
            fold(leaf)
            for leaf in leaves(dict(hit))
            if isinstance(leaf, str) and leaf and self.said.names(leaf)
        }
        beside = [r for read in self._reads for r in read.records if not named.isdisjoint(r.trusted)]
        return len({tuple(record.trusted) for record in beside}) == 1 and beside[0].holds(text)

    def _goes_back(self, value: Json) -> bool:
        """Say whether a link leads to whoever wrote the thing that it stands in, and the owner spoke of that thing."""
        if not isinstance(value, str) or hidden(value) or not is_plain(value):
            return False
        link = as_link(fold(value))
        host = link.split("/")[0].removeprefix("www.")
        return "/" in f"{link}/" and any(
            is_part(link, field)
            and any(author.endswith((f"@{host}", f".{host}")) for author in record.trusted)
            for read in self._reads
            for record in self._spoken_of(read)
            for field in record.strange
        )

    def _may_follow(self, value: Json) -> bool:
        """Say whether a link may be read: the owner asked for a page, in words of what is trusted beside it."""
        if (
            not isinstance(value, str)
            or not self.said.asks(FOLLOWED_BY)
            or hidden(value)
            or not is_plain(value)
        ):
            return False
        link = as_link(fold(value))
        return any(
            is_part(link, field)
            for read in self._reads
            for record in read.records
            if any(self.said.distinct(text) for text in record.trusted)
            for field in record.strange
        )

    def _read_out(self, value: Json) -> bool:
        """Say whether the owner sent the agent to read this out: it is the one such value where they sent it.

        They said what kind of value it is (an address, an account), and spoke of the thing that it stands in; no
        other value of that kind stands in anything they spoke of. A second one, whoever put it there, is asked about.
        """
        kind = kind_of(value) if isinstance(value, str) and not hidden(value) else ""
        if not isinstance(value, str) or not kind or not self.said.asks(READ_OUT_BY.get(kind, ())):
            return False
        found = {
            as_link(fold(mark))
            for read in self._reads
            for record in self._spoken_of(read)
            for field in (*record.strange, *record.trusted)
            for mark in marked(field)
            if kind_of(mark) == kind
        }
        return found == {as_link(fold(value))}

    # ---- contents ------------------------------------------------------------------------------------------------

    def _contents(self, argument: str, value: Json, known: list[Said]) -> Iterator[Reason]:
        texts = [leaf for leaf in leaves(value) if isinstance(leaf, str) and leaf]
        texts = [text for text in texts if not self.said.names(text) and not self._pointed_at(text)]
        for text in texts:
            if hidden(text) or ("name" in argument and not _NAMES.fullmatch(text)):
                yield Reason(argument, text[:MAX_SHOWN], "It has characters in it that do not belong there.")
            for mark in marked(text):
                if not self.said.names(mark) and not self._pointed_at(mark):
                    yield Reason(
                        argument, mark[:MAX_SHOWN], "It can be acted upon, and the owner does not name it."
                    )
        figures, rest = [], []
        for text in texts:
            found, left = figures_of(fold(text), self.said.today)
            figures += found
            rest += words(left)
        wrong = [figure.text for figure in figures if not any(one.has(figure) for one in known)]
        wrong += spelled_out(rest)
        if wrong:
            yield Reason(
                argument, ", ".join(wrong)[:MAX_SHOWN], "These figures are nobody's whom the owner named."
            )
        own = [word for word in rest if word not in COMMON and not any(one.holds(word) for one in known)]
        strangers = [word for word in own if word in TURNING or self._hearsay(word)]
        telling = [word for word in rest if len(word) > _SMALL]
        told = [word for word in telling if any(one.holds(word) for one in known)]
        if strangers or len(own) * OWN_WORDS > len(rest) or len(told) * TOLD < len(telling):
            shown = ", ".join(dict.fromkeys(strangers or own or telling))
            yield Reason(
                argument,
                shown[:MAX_SHOWN],
                "These words are neither the owner's nor of what was to be passed on.",
            )

    def _known(self, hit: Mapping[str, Json]) -> list[Said]:
        """Return what was said, and the things that the owner spoke of or that are hit themselves."""
        known = [self.said]
        targets = {fold(leaf) for leaf in leaves(dict(hit)) if isinstance(leaf, str) and leaf}
        for read in self._reads:
            spoken_of = self._spoken_of(read)
            for record in read.records:
                if record in spoken_of or not targets.isdisjoint(record.trusted):
                    known.append(record.heard)
        return known

    def _spoken_of(self, read: Read) -> list[Record]:
        """Return the things that the owner spoke of, or that were looked up by what the owner spoke of."""
        if read.asked and read.followed:
            return read.records
        pulls = [self._pull(record, "", True) for record in read.records]
        best = max(pulls, default=_NO_PULL)
        return [r for r, strength in zip(read.records, pulls, strict=True) if strength == best > _NO_PULL]

    def _hearsay(self, word: str) -> bool:
        return any(is_part(word, text) for text in self._strange())

    def _strange(self) -> Iterator[str]:
        for read in self._reads:
            for record in read.records:
                yield from record.strange

    # ---- telling ---------------------------------------------------------------------------------------------------

    def origin_of(self, value: Json) -> str:
        """Return where a value came from, for a person: whose words, or which tool's answer, hold just this."""
        if self.said.names(value):
            return "your own words"
        text = fold(value if isinstance(value, str) else encode(value).decode())
        for read in reversed(self._reads):
            if any(record.holds(text) for record in read.records):
                return f"a trusted record of {read.tool}"
        for read in reversed(self._reads):
            if any(is_part(text, field) for record in read.records for field in record.strange):
                return f"strangers' text in {read.tool}"
        return "the agent's own words"


def _verbs(tool: Tool, face: Face) -> set[str]:
    """Return the words by which people ask for a tool: its own, else those of its category and of its name."""
    if face.words or tool.category is None:
        return set(face.words)
    return {tool.name.replace(".", "_").split("_")[0], *ASKED_BY[tool.category]}


def _fits(argument: str, leaf: Json) -> bool:
    """Say whether a value has the form that its argument's name promises."""
    return not isinstance(leaf, str) or not leaf or "mail" not in argument or "id" in argument or "@" in leaf


def _texts(value: Any) -> list[str]:
    return (
        [value]
        if isinstance(value, str)
        else [leaf for leaf in leaves(value) if isinstance(leaf, str) and leaf]
    )


def _all_known(text: str, known: list[Said]) -> bool:
    figures, rest = figures_of(fold(text), None)
    return not words(rest) and all(any(one.has(figure) for one in known) for figure in figures)


def _whom(tool: Tool, args: Mapping[str, Json]) -> str:
    """Return whom or what an action hits; of a payment apart from how much and when."""
    face = tool.face
    hit: dict[str, Json] = {
        name: value
        for name, value in sorted(args.items())
        if (face is None or face.role(name) in _CHOOSES)
        and not (tool.category is Category.SPEND and (not isinstance(value, str | list) or _measures(value)))
    }
    return tool.name + encode(hit).decode()


def _measures(value: Json) -> bool:
    return isinstance(value, str) and (is_moment(value) or number(value) is not None)
