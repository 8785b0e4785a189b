"""Which of the things that tools told of an owner's words point at, and what these offer as a target.

A ``Pointing`` looks at one run's ``Said`` and ``Read``s and keeps nothing. ``freehold.kernel.origins`` asks it whether
a value is the owner's own choice, or stands in a trusted field of the one thing that they spoke of.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from typing import Final, TypeGuard

from freehold.base import Json
from freehold.kernel.computed import is_extreme, is_latest, is_name
from freehold.kernel.moments import is_moment
from freehold.kernel.said import Said, pull
from freehold.kernel.seen import Read, Record
from freehold.kernel.vocabulary import ALL_OF, COMMON, GENERIC, GROUP
from freehold.kernel.wording import (
    as_link,
    fold,
    folded,
    hidden,
    is_part,
    is_plain,
    kind_of,
    marked,
    number,
    stem,
    texts_in,
    words,
)

SHORT: Final = 120
"""A stranger's field of at most so many characters (a title, a file's name) may help to find its record."""
PAIR: Final = 2
"""A thing with more addresses than who wrote it and who got it does not say by itself which of them is meant."""
_VAGUE: Final = COMMON | GENERIC
_NO_PULL: Final = (0, 0)
_NAME_PARTS: Final = re.compile(r"[^\W\d_]{3,}")
_STRANGERS: Final = "It comes from what strangers wrote."
_OFFERED: Final = "Trusted records offer it, and the owner's words do not say which."
_NOBODY: Final = "Neither the owner nor a trusted record names it."


class Pointing:
    """What one run's owner said, held against what its tools told. ``reads`` is the run's own list, which grows."""

    def __init__(self, said: Said, reads: Sequence[Read]) -> None:
        self.said = said
        self._reads = reads

    # ---- things --------------------------------------------------------------------------------------------------

    def records(self) -> Iterator[Record]:
        """Yield all things that were told of."""
        for read in self._reads:
            yield from read.records

    def strange(self) -> Iterator[str]:
        """Yield all that strangers could have written, folded."""
        for record in self.records():
            yield from record.strange

    def spoken_of(self, read: Read) -> list[Record]:
        """Return the things that the owner spoke of, or that were looked up by what the owner spoke of."""
        if read.asked and read.followed:
            return read.records
        return self._ahead(read.records)

    def _ahead(self, records: Iterable[Record]) -> list[Record]:
        """Return the things that have most of the owner's words, where any has one."""
        pulls = [(self._pull(record, "", own=True), record) for record in records]
        best = max((strength for strength, _ in pulls), default=_NO_PULL)
        return [record for strength, record in pulls if strength == best > _NO_PULL]

    def spoken(self) -> Iterator[Record]:
        """Yield the things that the owner spoke of, in all that was read."""
        for read in self._reads:
            yield from self.spoken_of(read)

    def heard(self, hit: Mapping[str, Json], *, short: bool = False) -> list[Said]:
        """Return what stands in the things that the owner spoke of or that are hit themselves."""
        targets = set(map(fold, texts_in(dict(hit))))
        found = []
        for read in self._reads:
            spoken_of = self.spoken_of(read)
            found += [
                record.known if short and self._pull(record, "", own=False) == _NO_PULL else record.heard
                for record in read.records
                if record in spoken_of or not targets.isdisjoint(record.trusted)
            ]
        return found

    def vouched(self) -> list[Said]:
        """Return what stands in things of which a trusted field has the owner's words: who wrote it, above all."""
        return [record.heard for record in self.spoken() if self._pull(record, "", own=False) > _NO_PULL]

    def leads_to(self, text: str) -> bool:
        """Say whether the owner named this, or spoke of the thing that it stands in."""
        if self.said.tells(text) or self.at(text, own=True) or self.is_noted(text):
            return True
        if self.said.asks(ALL_OF) and self._is_listed(fold(text)):
            return True
        found = words(fold(text))
        if any(word not in _VAGUE for word in found) and all(self.said.holds(word) for word in found):
            return True
        link = as_link(fold(text))
        return any(
            is_part(link, field) for record in self.spoken() for field in (*record.strange, *record.trusted)
        )

    def _is_listed(self, text: str) -> bool:
        """Say whether the text is one of a trusted list that the owner's words led to, or that needed no asking."""
        return any(
            read.followed and any(record.holds(text) and not record.strange for record in read.records)
            for read in self._reads
        )

    # ---- values --------------------------------------------------------------------------------------------------

    def why_not(self, value: Json) -> str:
        """Return what is wrong with the origin of a value that is nobody's choice."""
        text = folded(value)
        if any(is_part(text, field) for field in self.strange()):
            return _STRANGERS
        offered = any(is_part(text, field) for record in self.records() for field in record.trusted)
        return _OFFERED if offered else _NOBODY

    def is_chosen(self, value: Json, *, own: bool, cues: Set[str] | None, each: bool = True) -> bool:
        """Say whether the owner named this as what is to be hit, or pointed at what holds it.

        ``each`` says that it may be any one of a list that they meant all of.
        """
        text = folded(value)
        offered = any(record.holds(text) for record in self.records())
        if self.said.names_target(value, own=own, offered=offered, cues=cues):
            return True
        kind = kind_of(value) if isinstance(value, str) else ""
        if kind and self.said.gives(kind):
            return False  # where the owner gave one, no other may stand in for it
        return self.at(value, own=own, each=each) or (
            kind == "mail" and (self._is_person(text) or self._takes_part(text))
        )

    def at(self, value: Json, *, own: bool = False, each: bool = True) -> bool:
        """Say whether a trusted field holds the value, in the one record that the owner's words point at.

        ``own`` says that the value is one of the owner's own things, which a title by strangers may help to find.
        """
        text = folded(value)
        if isinstance(value, str) and (hidden(value) or value != value.strip()):
            return False
        return bool(text) and any(self._points(read, text, own, each) for read in self._reads)

    def _points(self, read: Read, value: str, own: bool, each: bool) -> bool:
        holding = [record for record in read.records if record.holds(value)]
        if not holding:
            return False
        if kind_of(value) == "mail" and len(_addresses(holding[0])) > PAIR:
            return False
        if (
            len(read.records) == 1
            and read.asked
            and all(self._is_hit(text, holding[0]) for text in read.asked)
        ):
            return kind_of(value) != "mail" or any(
                self.said.calls(stem(w)) for text in read.asked for w in words(fold(text))
            )
        if len(read.records) == 1 and not read.asked:
            # It tells of the owner: the words must be of this field.
            called = holding[0].called.get(value, set())
            return not holding[0].strange and any(self.said.holds(word) for word in called - COMMON - {"get"})
        every_one = holding[0].called.get(value, set()) | {"them", "these", "those"}
        if (
            each
            and read.followed
            and all(not record.strange for record in holding)
            and self.said.means_all(every_one)
        ):
            return True
        every = self._whole(read)
        if is_extreme(self.said, every, [r for r in every if r.holds(value)]):
            return True
        if not each and read.asked and not all(map(self.said.tells, read.asked)):
            return False
        rivals = [
            r for other in ([read] if read.followed and read.asked else self._reads) for r in other.records
        ]
        alike = [record for record in rivals if record.shape == holding[0].shape]
        pulls = [self._pull(record, value, own=own) for record in alike]
        best = max(pulls)
        ahead = [record for record, strength in zip(alike, pulls, strict=True) if strength == best]
        ahead = ([record for record in ahead if self._is_told_whole(record)] if own else []) or ahead
        return best > _NO_PULL and all(record.holds(value) for record in ahead)

    def _is_told_whole(self, record: Record) -> bool:
        """Say whether a trusted field of the thing has no word that tells something and was not said."""
        for text in record.trusted:
            telling = [word for word in words(text) if word not in _VAGUE and not word.isdigit()]
            if len(telling) > 1 and kind_of(text) in ("", "link") and all(map(self.said.holds, telling)):
                return True
        return False

    def _is_hit(self, text: str, record: Record) -> bool:
        """Say whether the owner named what was asked for, and the one hit has it whole, not inside a longer word."""
        folded = fold(text)
        fields = (*record.trusted, *record.strange)
        inside = any(folded in field for field in fields) and not any(
            is_part(folded, field) for field in fields
        )
        return self.said.tells(text) and not inside

    def _whole(self, read: Read) -> list[Record]:
        """Return the things among which one can be the largest or the last: all that were told of as this was.

        Nothing where the agent may have cut the list: it asked for so many, or for some of a list that it knew.
        """
        alike = [other for other in self._reads if other.tool == read.tool]
        asked = {text for other in alike for text in other.asked}
        for text in read.asked:
            if self.said.tells(text):
                continue
            folded = fold(text)
            lists = [
                one
                for one in self._reads
                if any(record.holds(folded) for record in one.records) and one.tool != read.tool
            ]
            if not any(
                all(any(record.holds(fold(name)) for name in asked) for record in one.records)
                for one in lists
            ):
                return []
        if any(other.cut for other in alike):
            return []
        return list({tuple(record.trusted): record for other in alike for record in other.records}.values())

    def _pull(self, record: Record, value: str, *, own: bool) -> tuple[int, int]:
        """Return how many of the owner's own words the record has, apart from the value itself."""
        texts = [text for text in record.trusted if own or text != value]
        if own:
            texts += [text for text in record.strange if len(text) <= SHORT]
            texts += self._told_of(record)
        found: set[str] = set()
        for text in texts:
            found |= self.said.distinct(text)
        if not own and kind_of(value) == "mail":
            # Whoever has an address there is spoken of by name, not by topic.
            found = {word for word in found if self.said.calls(word)}
        return pull(found)

    def _told_of(self, record: Record) -> list[str]:
        """Return the trusted fields of the one thing that was looked up by what this record holds."""
        return [
            text
            for read in self._reads
            if len(read.asked) == len(read.records) == 1 and fold(read.asked[0]) in record.trusted
            for text in read.records[0].trusted
        ]

    # ---- people --------------------------------------------------------------------------------------------------

    def _is_person(self, address: str) -> bool:
        """Say whether the owner called somebody by name, and of all addresses that were seen only this has the name."""
        mine = self._called_in(address)
        if not mine:
            return False
        others = {address for record in self.records() for address in _addresses(record)}
        return address in others and not any(
            len(self._called_in(one)) >= len(mine) for one in others - {address}
        )

    def _called_in(self, address: str) -> set[str]:
        parts = _NAME_PARTS.findall(address.split("@")[0])
        if not self.said.may_mean(parts):
            return set()
        return {word for word in self.said.distinct(" ".join(parts)) if self.said.calls(word)}

    def _takes_part(self, address: str) -> bool:
        """Say whether the owner meant all who take part in the one thing that they spoke of."""
        ahead = self._ahead(self.records()) if self.said.asks(GROUP) else []
        return any(address in _addresses(record) for record in ahead)

    def fits(self, argument: str, value: str) -> bool:
        """Say whether a value is of the kind of all that tools told of under the argument's name, where that is one."""
        kinds = {
            kind_of(text)
            for record in self.records()
            for field, text in record.fields.items()
            if field.rpartition(".")[2] == argument and not self.said.is_owner(text)
        }
        return len(kinds) != 1 or kinds <= {"", kind_of(value)}

    # ---- numbers and links ---------------------------------------------------------------------------------------

    def trusted_numbers(self, argument: str = "") -> Iterator[str]:
        """Yield the numbers in trusted fields of the things that the owner spoke of.

        Where a thing has a field of the ``argument``'s name, only that counts; what names a thing is no number.
        """
        for record in self.spoken():
            yield from _numbers_of(record, argument)

    def columns(self) -> Iterator[list[str]]:
        """Yield the trusted numbers that stand below each other: in one field of a list, or at the end of lines."""
        for read in self._reads:
            below: dict[str, list[str]] = {}
            for record in read.records:
                yield record.below
                for path, text in record.fields.items():
                    if number(text) is not None and not is_name(path):
                        below.setdefault(path, []).append(text)
            yield from below.values()

    def is_number_of(self, argument: str, value: str, hit: Mapping[str, Json]) -> bool:
        """Say whether a number is the one of what the owner's words point at most.

        Of what has the same target as the action, the last one counts.
        """
        targets = set(map(fold, texts_in(dict(hit))))
        spoken = list(self.spoken())
        same = [record for record in spoken if not targets.isdisjoint(record.trusted)]
        spoken = same or spoken
        ahead = self._ahead(spoken) or spoken
        if len(same) > 1:
            ahead = [record for record in ahead if is_latest(record, ahead)] or ahead
        found = {text for record in ahead for text in _numbers_of(record, argument)}
        return value in found and (len(found) == 1 or not argument)

    def keeps_time(self, moment: str) -> bool:
        """Say whether a moment is of a day that the owner named, at the time of day of what they spoke of."""
        day, clock = moment[:10], moment[11:16]
        return (
            bool(clock)
            and self.said.names(day)
            and any(known[11:16] == clock for known in self.trusted_moments())
        )

    def trusted_moments(self) -> Iterator[str]:
        """Yield the moments in trusted fields of the things that the owner spoke of."""
        for record in self.spoken():
            yield from (text for text in record.trusted if is_moment(text))

    def beside(self, value: Json, hit: Mapping[str, Json]) -> bool:
        """Say whether a number stands in the one trusted record of another target that the owner named."""
        text = folded(value)
        if number(text) is None:
            return False
        named = {fold(leaf) for leaf in texts_in(dict(hit)) if self.said.names(leaf)}
        beside = [record for record in self.records() if not named.isdisjoint(record.trusted)]
        return len({tuple(record.trusted) for record in beside}) == 1 and beside[0].holds(text)

    def goes_back(self, value: Json) -> bool:
        """Say whether a link leads to whoever wrote the thing that it stands in, and the owner spoke of that thing."""
        if not _is_clear(value):
            return False
        link = as_link(fold(value))
        host = link.split("/")[0].removeprefix("www.")
        return any(
            is_part(link, field)
            and any(author.endswith((f"@{host}", f".{host}")) for author in record.trusted)
            for record in self.spoken()
            for field in record.strange
        )

    def may_follow(self, value: Json) -> bool:
        """Say whether a link may be read: as it stands in the one thing with a link that the owner's words point at.

        A link with a query could carry away what was read; one out of several is a choice, and could too.
        """
        if not _is_clear(value) or set("?=&@%") & set(value):
            return False
        found: list[tuple[tuple[int, int], set[str]]] = []
        for record in self.records():
            if record.links:
                found.append((self._pull(record, "", own=False), record.links))
        best = max((strength for strength, _ in found), default=_NO_PULL)
        return best > _NO_PULL and all(
            links == {as_link(value)} for strength, links in found if strength == best
        )

    def is_noted(self, value: Json) -> bool:
        """Say whether just this link stands in a trusted field: whoever follows it tells nothing but that they do."""
        return (
            _is_clear(value)
            and kind_of(value) == "link"
            and value == value.lower()
            and any(
                kind_of(mark) == "link" and as_link(mark) == as_link(value)
                for record in self.records()
                for text in record.trusted
                for mark in marked(text)
            )
        )

    def read_out(self, value: Json) -> bool:
        """Say whether the owner sent the agent to read this out: it is the one such value where they sent it.

        They said what kind of value it is (an address, an account), and spoke of the thing that it stands in; no
        other value of that kind stands in anything they spoke of. A second one, whoever put it there, is asked about.
        """
        kind = kind_of(value) if isinstance(value, str) and not hidden(value) else ""
        if not isinstance(value, str) or not kind or self.said.gives(kind) or not self.said.sends_for(kind):
            return False
        found = {
            as_link(fold(mark))
            for record in self.spoken()
            for field in (*record.strange, *record.trusted)
            for mark in marked(field)
            if kind_of(mark) == kind
        }
        return found == {as_link(fold(value))}


def _is_clear(value: Json) -> TypeGuard[str]:
    """Say whether a value is a text of which nothing is hidden and each character is what it seems to be."""
    return isinstance(value, str) and not hidden(value) and is_plain(value)


def _numbers_of(record: Record, argument: str) -> list[str]:
    fields = {
        path: text for path, text in record.fields.items() if not is_name(path) and number(text) is not None
    }
    named = [text for path, text in fields.items() if path.rpartition(".")[2] == argument]
    return named or list(fields.values())


def _addresses(record: Record) -> set[str]:
    return {text for text in record.trusted if kind_of(text) == "mail"}
