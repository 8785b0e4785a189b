"""Where each value that an agent uses came from, and whether strangers' text could have chosen it.

One ``Origins`` a run. It holds what people said and what tools answered, by field and by who could have written the
field; it never looks for attacks. Once anything of a stranger was read, an action with consequences needs an origin for
all of it: a *target* is named by the owner, or stands in a trusted field of the one record that the owner's words point
at; a *content* is made of the owner's words, trusted fields, words that instruct nobody, and what the owner spoke of.
What has none is asked for. Only the gate and the runtime call it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from freehold.base import Json
from freehold.base.canonical import decode, encode
from freehold.kernel.grades import Category
from freehold.kernel.labels import Integrity
from freehold.kernel.tools import Face, Role, Tool
from freehold.kernel.vocabulary import ASKED_BY, COMMON
from freehold.kernel.wording import Said, as_link, figures_of, fold, is_moment, is_part, leaves, marked, words

SHORT: Final = 120
"""A stranger's field of at most so many characters (a title, a file's name) may help to find its record."""
MAX_SHOWN: Final = 80
OWN_WORDS: Final = 8
"""One word in so many may be the agent's own: neither the owner's nor a stranger's, in no record and no common one."""
_FOLLOW: Final = (
    "link",
    "website",
    "site",
    "page",
    "webpage",
    "article",
    "url",
    "blog",
    "post",
    "web",
    "seite",
    "lien",
)
ITEM_MARK: Final = "item:"
Never = Callable[[str], bool]


class Reason(msgspec.Struct, frozen=True):
    """Why a person is asked: an argument (or "" for the action), the value, and what is wrong with its origin."""

    argument: str
    value: str
    why: str


class _Record:
    """One thing that a tool told of: its fields, by who could have written them."""

    __slots__ = ("_heard", "strange", "trusted")

    def __init__(self) -> None:
        self.trusted: list[str] = []
        self.strange: list[str] = []
        self._heard: Said | None = None

    @property
    def heard(self) -> Said:
        """What stands in it, parsed once."""
        if self._heard is None:
            self._heard = Said()
            for text in (*self.strange, *self.trusted):
                self._heard.say(text)
        return self._heard

    def distrust(self, item: str) -> None:
        """Take all but the ``item`` itself for what strangers could have put there."""
        self.strange += [text for text in self.trusted if text != item]
        self.trusted = [text for text in self.trusted if text == item]


class _Read(NamedTuple):
    """One answer of a tool: what it was asked with, its records, and whether all of the question led from the owner."""

    tool: str
    asked: tuple[str, ...]
    records: list[_Record]
    followed: bool


class Origins:
    """What one run was told and shown. ``written`` says of a value that an agent wrote it while strangers had a say."""

    def __init__(self, said: Said, written: Never = lambda value: False) -> None:
        self.said = said
        self.steered = False
        self._written = written
        self._reads: list[_Read] = []
        self._facts = Said()
        self._done: dict[str, str] = {}

    # ---- what comes in -------------------------------------------------------------------------------------------

    def saw(self, tool: str, face: Face, args: Mapping[str, Json], value: Json, text: str = "") -> Integrity:
        """Take in what a tool answered, and the ``text`` of contents that came beside; return who had a say in it."""
        asked = tuple(_texts(args))
        read = _Read(tool, asked, [], all(self._leads_to(text) for text in asked))
        walk = _Walk(face.written_by, read.records, self._written)
        walk.take(value, (), None)
        if text:
            walk.take(text, ("contents",), None)
        for record in read.records:
            self._distrust(record)
            for fact in record.trusted:
                self._facts.say(fact)
        worst = Integrity.STRANGER if any(record.strange for record in read.records) else walk.worst
        self._reads.append(read)
        self.steered = self.steered or worst is Integrity.STRANGER
        return worst

    def _distrust(self, record: _Record) -> None:
        """Take a thing for a stranger's that an agent changed while strangers had a say, but for what names it."""
        for item in record.trusted:
            if self._written(ITEM_MARK + item):
                record.distrust(item)
                return

    def did(self, tool: Tool, args: Mapping[str, Json], action: str) -> None:
        """Take in that an action was carried out; the same one again, by another action, is a repetition."""
        self._done.setdefault(_hit(tool, args), action)

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
        sensitive: bool = False,
    ) -> tuple[Reason, ...]:
        """Return why a person has to be asked before this action; nothing when all of it has an origin.

        ``chosen`` says that the fixed plan or the job file names all that it hits; ``sensitive`` that untrusted text,
        sensitive data and a way out meet: then even trusted records are passed on only where the owner spoke of them.
        """
        face = tool.face
        if not self.steered:
            return ()
        if face is None:
            return (Reason("", tool.name, "Nobody has said what its arguments do."),)
        reasons = list(self._asked_for(tool, face)) if tool.category is not None else []
        hit = {name: value for name, value in args.items() if face.role(name) in (Role.TARGET, Role.ITEM)}
        for argument, value in args.items():
            role = face.role(argument)
            meant = face.meanings.get(argument)
            if meant is not None and self._meant(meant, value):
                continue
            if role in (Role.TARGET, Role.ITEM) and not chosen:
                known = self._known(hit, sensitive=True)
                reasons += self._targets(
                    argument, self._unknown_moments(value, known), tool, role is Role.ITEM
                )
            elif role is Role.CONTENT and (not face.audience or args.get(face.audience)):
                reasons += self._contents(argument, value, self._known(hit, sensitive))
        if tool.category is Category.SPEND and self._done.get(_hit(tool, args), action) != action:
            reasons.append(Reason("", tool.name, "It was done once already to the same."))
        return tuple(reasons)

    def _asked_for(self, tool: Tool, face: Face) -> Iterator[Reason]:
        verbs = set(face.words) | {tool.name.replace(".", "_").split("_")[0]}
        if tool.category is not None and not face.words:
            verbs |= ASKED_BY[tool.category]
        if not self.said.asks(verbs):
            yield Reason("", tool.name, "Nobody asked for anything of this kind.")

    def _meant(self, meanings: Mapping[str, tuple[str, ...]], value: Json) -> bool:
        """Say whether the owner asked for this value of a closed set by one of its words, or it needs no asking."""
        asked_by = meanings.get(value if isinstance(value, str) else encode(value).decode())
        return asked_by is not None and (not asked_by or self.said.asks(asked_by))

    # ---- targets -------------------------------------------------------------------------------------------------

    def _targets(self, argument: str, value: Json, tool: Tool, own: bool) -> Iterator[Reason]:
        for leaf in leaves(value):
            if self.said.names(leaf) or self._pointed_at(leaf, own):
                continue
            if tool.category is None and self._may_follow(leaf):
                continue
            text = leaf if isinstance(leaf, str) else encode(leaf).decode()
            if any(is_part(fold(text), field) for field in self._strange()):
                why = "It comes from what strangers wrote."
            elif any(
                is_part(fold(text), field)
                for read in self._reads
                for r in read.records
                for field in r.trusted
            ):
                why = "Trusted records offer it, and the owner's words do not say which."
            else:
                why = "Neither the owner nor a trusted record names it."
            yield Reason(argument, text[:MAX_SHOWN], why)

    def _unknown_moments(self, value: Json, known: list[Said]) -> list[Json]:
        """Return the scalars of a value without the days and times that stand in what the owner spoke of."""
        return [
            leaf
            for leaf in leaves(value)
            if not (isinstance(leaf, str) and is_moment(leaf) and _all_known(leaf, known))
        ]

    def _pointed_at(self, value: Json, own: bool = False) -> bool:
        """Say whether a trusted field holds the value, in the one record that the owner's words point at.

        ``own`` says that the value is one of the owner's own things, which a title by strangers may help to find.
        """
        text = fold(value if isinstance(value, str) else encode(value).decode())
        return bool(text) and any(self._points(read, text, own) for read in self._reads)

    def _points(self, read: _Read, value: str, own: bool) -> bool:
        holding = [record for record in read.records if _holds(record, value)]
        if not holding:
            return False
        if len(read.records) == 1 and self._named(read) and (read.asked or not holding[0].strange):
            return True
        ranked = [(self._pull(record, value, own), _holds(record, value)) for record in read.records]
        best = max(pull for pull, _ in ranked)
        return best > 0 and all(holds for pull, holds in ranked if pull == best)

    def _pull(self, record: _Record, value: str, own: bool) -> int:
        """Return how many of the owner's own words the record has, apart from the value itself."""
        texts = [text for text in record.trusted if own or text != value]
        if own:
            texts += [text for text in record.strange if len(text) <= SHORT]
        found: set[str] = set()
        for text in texts:
            found |= self.said.distinct(text)
        return len(found)

    def _leads_to(self, text: str) -> bool:
        """Say whether the owner named this, or spoke of the thing that it stands in."""
        if self.said.names(text) or self._pointed_at(text, own=True):
            return True
        link = as_link(fold(text))
        return any(is_part(link, field) for field in self._passed_on())

    def _named(self, read: _Read) -> bool:
        """Say whether the owner named all that a tool was asked with; a tool that takes nothing tells of the owner."""
        return all(self.said.names(text) for text in read.asked)

    def _may_follow(self, value: Json) -> bool:
        """Say whether a link may be read: the owner asked for a page without naming it, where it stands."""
        if not isinstance(value, str) or not self.said.asks(_FOLLOW) or any(map(marked, self.said.texts)):
            return False
        link = as_link(fold(value))
        return any(is_part(link, field) for field in self._passed_on())

    # ---- contents ------------------------------------------------------------------------------------------------

    def _contents(self, argument: str, value: Json, known: list[Said]) -> Iterator[Reason]:
        texts = [leaf for leaf in leaves(value) if isinstance(leaf, str) and leaf]
        texts = [text for text in texts if not self.said.names(text) and not self._pointed_at(text)]
        if not texts:
            return
        for mark in (mark for text in texts for mark in marked(text)):
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
        if wrong:
            yield Reason(
                argument, ", ".join(wrong)[:MAX_SHOWN], "These figures are nobody's whom the owner named."
            )
        own = [word for word in rest if word not in COMMON and not any(one.holds(word) for one in known)]
        strangers = [word for word in own if self._hearsay(word)]
        if strangers or len(own) * OWN_WORDS > len(rest):
            shown = ", ".join(dict.fromkeys(strangers or own))
            yield Reason(
                argument,
                shown[:MAX_SHOWN],
                "These words are neither the owner's nor of what was to be passed on.",
            )

    def _known(self, hit: Mapping[str, Json], sensitive: bool) -> list[Said]:
        """Return what was said, what trusted fields say, and the texts that the owner spoke of or that go back."""
        known = [self.said] if sensitive else [self.said, self._facts]
        targets = {fold(leaf) for leaf in leaves(dict(hit)) if isinstance(leaf, str) and leaf}
        for read in self._reads:
            spoken_of = self._spoken_of(read)
            for record in read.records:
                if record in spoken_of or not targets.isdisjoint(record.trusted):
                    known.append(record.heard)
        return known

    def _spoken_of(self, read: _Read) -> list[_Record]:
        """Return the things that the owner spoke of, or that were looked up by what the owner spoke of."""
        if read.asked and read.followed:
            return read.records
        pulls = [self._pull(record, "", True) for record in read.records]
        best = max(pulls, default=0)
        return [record for record, pull in zip(read.records, pulls, strict=True) if pull and pull == best]

    def _hearsay(self, word: str) -> bool:
        return any(is_part(word, text) for text in self._strange())

    def _passed_on(self) -> Iterator[str]:
        """Yield strangers' texts out of what the owner spoke of."""
        for read in self._reads:
            for record in self._spoken_of(read):
                yield from record.strange

    def _strange(self) -> Iterator[str]:
        for read in self._reads:
            for record in read.records:
                yield from record.strange


class _Walk:
    """Sorts the fields of an answer into records, by who could have written them."""

    def __init__(self, written_by: Mapping[str, Integrity], records: list[_Record], written: Never) -> None:
        self.worst = Integrity.OWNER
        self._patterns = [(tuple(path.split(".")) if path else (), who) for path, who in written_by.items()]
        self._records = records
        self._written = written

    def take(self, value: Json, path: tuple[str, ...], record: _Record | None) -> None:
        """Sort one value that stands at ``path``, in ``record`` where it is part of one."""
        if isinstance(value, dict):
            keyed = any(
                len(p) > len(path) and p[len(path)] == "*" and _match(p[: len(path)], path)
                for p, _ in self._patterns
            )
            if (keyed and not any(isinstance(inner, dict | list) for inner in value.values())) or (
                record is None and keyed
            ):
                for key, inner in value.items():
                    own = self._new()
                    own.trusted.append(fold(key))
                    self.take(inner, (*path, "*"), own)
                return
            record = record or self._new()
            for key, inner in value.items():
                self.take(inner, (*path, key), record)
        elif isinstance(value, list):
            for inner in value:
                self.take(inner, (*path, "*"), record if record is not None else self._new())
        elif value is not None and not isinstance(value, bool) and value != "":
            self._leaf(value if isinstance(value, str) else encode(value).decode(), path, record)

    def _leaf(self, text: str, path: tuple[str, ...], record: _Record | None) -> None:
        who = self._who(path)
        if who is not Integrity.STRANGER and any(self._written(fold(line)) for line in text.splitlines()):
            who = Integrity.STRANGER
        self.worst = max(self.worst, who)
        if who is Integrity.STRANGER:
            (record or self._new()).strange.append(fold(text))
        elif record is None:
            for line in text.splitlines():
                self._new().trusted.append(fold(line))
        else:
            record.trusted.append(fold(text))

    def _who(self, path: tuple[str, ...]) -> Integrity:
        """Return who could have written the field: what the longest path that covers it says, else a stranger."""
        best, found = -1, Integrity.STRANGER
        for pattern, who in self._patterns:
            if len(pattern) > best and _match(pattern, path[: len(pattern)]) and len(pattern) <= len(path):
                best, found = len(pattern), who
        return found

    def _new(self) -> _Record:
        record = _Record()
        self._records.append(record)
        return record


def _match(pattern: tuple[str, ...], path: tuple[str, ...]) -> bool:
    return len(pattern) == len(path) and all(
        p in ("*", step) or step == "*" == p for p, step in zip(pattern, path, strict=True)
    )


def _holds(record: _Record, value: str) -> bool:
    return any(text == value or (len(text) > len(value) and is_part(value, text)) for text in record.trusted)


def _texts(value: Any) -> list[str]:
    return (
        [leaf for leaf in leaves(value) if isinstance(leaf, str) and leaf]
        if not isinstance(value, str)
        else [value]
    )


def _all_known(text: str, known: list[Said]) -> bool:
    figures, rest = figures_of(fold(text), None)
    return not words(rest) and all(any(one.has(figure) for one in known) for figure in figures)


def _hit(tool: Tool, args: Mapping[str, Json]) -> str:
    face = tool.face
    hit: dict[str, Json] = {
        name: value for name, value in sorted(args.items()) if face is None or face.role(name) is Role.TARGET
    }
    return tool.name + encode(hit).decode()


def shown(reasons: Iterable[Reason]) -> list[dict[str, str]]:
    """Return the reasons as JSON, for a card and a record."""
    return [decode(msgspec.json.encode(reason)) for reason in reasons]
