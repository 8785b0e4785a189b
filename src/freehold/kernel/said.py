"""What people said whom a run may trust: words, values, numbers, days and times, compared in their parsed form.

One accumulating reader, ``Said``. ``freehold.kernel.origins`` asks it whether the owner's own words hold a value that
an agent under the influence of strangers wants to use.
"""

import datetime as dt
import re
from collections.abc import Iterable, Mapping, Set
from decimal import Decimal
from types import MappingProxyType
from typing import Final

from freehold.base import Json
from freehold.kernel.moments import (
    MOMENT,
    ORDINAL,
    TIME,
    Figure,
    day_of,
    days_in,
    is_day,
    is_moment,
    nights_in,
    spans_in,
    times_in,
    without_moments,
)
from freehold.kernel.phrases import (
    QUOTED,
    means_all,
    measures,
    orders_in,
    people_in,
    placed,
    stands,
    surroundings,
)
from freehold.kernel.vocabulary import (
    COMMON,
    GENERIC,
    NUMBER_WORDS,
    PLACED,
    PRONOUNS,
    SOURCES,
    TOWARDS,
    VALUED,
    WEEKDAYS,
)
from freehold.kernel.wording import (
    WORD,
    as_link,
    fold,
    hidden,
    is_part,
    is_plain,
    kind_of,
    marked,
    number,
    stem,
    unaccented,
    words,
)

_NUMBER: Final = re.compile(r"(?<![\w.,])[-+]?\d+(?:[.,'’ ]\d{3})*(?:[.,]\d+)?(?!\w*\d)")
_READ_OUT: Final[Mapping[str, re.Pattern[str]]] = MappingProxyType(
    {
        "mail": re.compile(
            r"\b(?:her|his|their|whose|the|an?|ihre|seine|deren|die|son|sa|leur|\w+'s?) (?:e-?mail|mail|adresse)\b"
            r"|\bmail ?addresse?"
        ),
        "account": re.compile(r"\biban\b|\baccount number|\bkontonummer|\bnuméro de compte"),
    }
)
"""How people say that such a value is to be read out of a thing."""
_CODE: Final = re.compile(r"(?=(?:\D*\d){4})[a-z0-9 ]{10,}")
_AMOUNT: Final = re.compile(
    r"(?<![\w.,#-])[-+]?\d+(?:[.,'’ ]\d{3})*(?:[.,]\d+)?(?![\w%]|\s*(?:%|percent|prozent|pour))"
)
_ADDRESSED: Final = re.compile(
    r"\b[A-Z]{2} \d{4,6}\b|\b\d{1,5} (?=[A-Z][a-zß-ÿ]+ (?:Street|St|Road|Rd|Avenue|Ave|Lane|Drive|Way|Square|Place)\b)"
    r"|\b\d{4,5} (?=[A-Z][a-zß-ÿ]{2})|(?<=straße )\d+|(?<=strasse )\d+|(?<=weg )\d+"
)
"""Numbers of houses and of post, which name no amount."""
_QUOTES: Final = frozenset("\"'“”„«»‘’")
_NEAR_DAYS: Final = 62
_LISTED: Final = re.compile(r"(?<=\d),(?!\d{3}(?!\d))|(?<=[^\d\s]),(?=\d)")
"""A comma that parts two values of a table, and no digits of one number."""
_EARLIER: Final = "<"
_LEADING: Final = TOWARDS | PLACED | VALUED
_VAGUE: Final = COMMON | GENERIC


class Said:
    """The words of people whom a run may trust: the owner's goal, the job file, answers, standing rules."""

    def __init__(self, today: dt.date | None = None) -> None:
        self.today = today
        self._texts: list[str] = []
        self._written: list[str] = []
        self._bare: list[str] = []
        self._unquoted: list[str] = []
        self._orders: list[str] = []
        self._ordered: set[str] = set()
        self._amounts: set[Decimal] = set()
        self._stems: set[str] = set()
        self._latest: set[str] = set()
        self._called: set[str] = set()
        self._people: list[set[str]] = []
        self._given: set[str] = set()
        self._runs: set[tuple[str, ...]] = set()
        self._around: dict[Decimal, set[str]] = {}
        self._numbers: set[Decimal] = set()
        self._days: set[tuple[int | None, int, int]] = set()
        self._times: set[int] = set()
        self._spans: set[int] = set()
        self._dated = False
        self._owner: set[str] = set()
        self._ordinals: set[int] = set()
        self._weekdays: set[int] = set()
        self._nights: set[int] = set()

    def be(self, *names: str) -> None:
        """Take in by what names the owner goes in records: an account, an address, `me`."""
        self._owner.update(fold(name) for name in names)

    def is_owner(self, value: Json) -> bool:
        """Say whether a field names the owner."""
        return isinstance(value, str) and fold(value) in self._owner

    def say(self, text: str, *, order: bool = True) -> None:
        """Take in a text: an ``order``, or what goes without saying (who the owner is, what the job file allows)."""
        folded = fold(text)
        if order:
            self._given.update(kind_of(mark) for mark in marked(folded))
        self._texts.append(folded)
        self._written.append(" ".join(text.split()))
        called = {stem(fold(word)) for word in WORD.findall(QUOTED.sub(" ", text)) if not word[0].islower()}
        self._people += people_in(QUOTED.sub(" , ", text))
        self._called |= called | set(map(unaccented, called))
        self._unquoted.append(fold(QUOTED.sub(" , ", text)))
        orders = orders_in(folded)
        self._orders += orders
        ordered = [stem(word) for text in orders for word in words(text)]
        self._ordered.update(ordered, map(unaccented, ordered))
        bare = without_moments(folded)
        self._bare.append(bare)
        plain = without_moments(fold(_ADDRESSED.sub(" ", text)))
        self._amounts.update(amount for amount in map(number, _AMOUNT.findall(plain)) if amount is not None)
        found = words(folded)
        stems = [stem(word) for word in found]
        self._latest = {*stems, *map(unaccented, stems)}
        self._stems |= self._latest
        self._runs.update(zip(stems, stems[1:], stems[2:], strict=False))
        for about, around in surroundings(folded):
            self._around.setdefault(about, set()).update(around or {""})
        for match in _NUMBER.findall(_LISTED.sub(" , ", folded)):
            value = number(match)
            if value is not None:
                self._numbers.add(value)
        counted = [Decimal(NUMBER_WORDS[word]) for word in found if word in NUMBER_WORDS]
        self._numbers.update(counted)
        self._amounts.update(count for count in counted if count > 1)
        self._days.update(days_in(folded, self.today))
        self._times.update(times_in(folded))
        self._spans.update(spans_in(folded))
        self._dated = bool(set(days_in(folded, None)) or ORDINAL.search(folded))
        self._ordinals.update(int(day) for day in ORDINAL.findall(folded))
        self._weekdays.update(WEEKDAYS[word] for word in found if word in WEEKDAYS)
        self._nights.update(nights_in(folded))

    @property
    def counts(self) -> bool:
        """Whether a plain number was said."""
        return bool(self._amounts)

    @property
    def amounts(self) -> frozenset[Decimal]:
        """The plain numbers that were said: no part of a day, a time, a name."""
        return frozenset(self._amounts)

    @property
    def counted(self) -> frozenset[Decimal]:
        """All numbers that were said, in figures or words."""
        return frozenset(self._numbers)

    @property
    def gives_day(self) -> bool:
        """Whether what was said last has a day, by its date."""
        return self._dated

    @property
    def nights(self) -> frozenset[int]:
        """How many days people spoke of, in days, nights or weeks."""
        return frozenset(self._nights)

    @property
    def texts(self) -> tuple[str, ...]:
        """All that was said, folded."""
        return tuple(self._texts)

    def holds(self, word: str) -> bool:
        """Say whether a word was said, in whatever form."""
        return stem(word) in self._stems

    def asks(self, verbs: Iterable[str]) -> bool:
        """Say whether one of these was said; one of several words stands as it is written, `a+b` asks for both."""
        return any(all(self._was_said(part) for part in verb.split("+")) for verb in verbs)

    def orders(self, verbs: Iterable[str]) -> bool:
        """Say whether one of these was said, apart from questions and from what somebody is to be reminded of."""
        return any(
            all(
                any(is_part(part, text) for text in self._orders)
                if " " in part
                else stem(part) in self._ordered
                for part in verb.split("+")
            )
            for verb in verbs
        )

    def _was_said(self, verb: str) -> bool:
        if " " in verb:
            return any(is_part(verb, text) for text in self._texts)
        return stem(verb) in self._stems

    def means_all(self, called: Set[str]) -> bool:
        """Say whether people meant each thing of a list whose things are ``called`` so: `all hotels`, `everyone`."""
        return any(means_all(text, called) for text in self._unquoted)

    def measures(self, superlatives: Mapping[str, Set[str]], called: Set[str]) -> bool:
        """Say whether a superlative was said that measures what is ``called`` so, by stems."""
        return any(measures(text, superlatives, called) for text in self._texts)

    def names(self, value: Json) -> bool:
        """Say whether exactly this value was said: as written, or as the same number, day or time."""
        if value is None or isinstance(value, bool):
            return value is None or not value
        if isinstance(value, int):
            return Decimal(value).normalize() in self._numbers
        if not isinstance(value, str):
            return False
        folded = fold(value)
        if not folded:
            return True
        if not is_plain(value):
            return False
        if any(is_part(folded, text) for text in self._texts):
            return True
        link = as_link(folded)
        if link != folded or "/" in folded:
            as_said = value == value.lower() or any(as_link(value) in text for text in self._written)
            return as_said and any(is_part(link, text) for text in self._texts)
        if _CODE.fullmatch(folded):
            code = re.compile(r"(?<!\w)" + " ?".join(folded.replace(" ", "")) + r"(?!\w)")
            return any(code.search(text) for text in self._texts)
        amount = number(folded)
        if amount is not None:
            return amount in self._numbers
        return self._names_moment(folded)

    def gives(self, kind: str) -> bool:
        """Say whether an order names something of this kind, so that no other may stand in for it."""
        return kind in self._given

    def tells(self, text: str) -> bool:
        """Say whether people named this, and it tells one thing from another."""
        folded = fold(text)
        if number(folded) is not None:
            return any(is_part(folded, one) for one in self._texts)
        marks = is_moment(text) or kind_of(text) or not words(folded)
        return self.names(text) and (bool(marks) or any(word not in _VAGUE for word in words(folded)))

    def sends_for(self, kind: str) -> bool:
        """Say whether people sent somebody to read a value of this kind out of a thing."""
        pattern = _READ_OUT.get(kind)
        return pattern is not None and any(pattern.search(text) for text in self._texts)

    def may_mean(self, parts: Iterable[str]) -> bool:
        """Say whether the parts of an address are somebody's whom people named, with all of the name that they gave."""
        found = {unaccented(stem(fold(part))) for part in parts}
        return any(name <= found for name in self._people)

    def calls(self, found: str) -> bool:
        """Say whether a word that ``distinct`` found was said as a name is, with a capital letter or in an address."""
        word = found.removesuffix(_EARLIER)
        return word in self._called or any(word in mark for text in self._texts for mark in marked(text))

    def names_target(self, value: Json, *, own: bool, offered: bool, cues: Set[str] | None = None) -> bool:
        """Say whether people named this as what is to be hit: as written, in a place where a name stands.

        ``own`` says that it is one of the owner's things, ``offered`` that a trusted record has it too; with ``cues`` a
        plain word has to stand behind one of them. A number names an amount where no other thing is told by it.
        """
        if value is None or value is False or value == "":
            return True
        if isinstance(value, bool) or not isinstance(value, int | str):
            return False
        if isinstance(value, str) and (hidden(value) or value != value.strip() or not is_plain(value)):
            return False
        folded = fold(str(value))
        if not folded.isascii() and not any(str(value) in text for text in self._written):
            return False
        amount = number(folded)
        if own and amount is not None:
            return any(
                re.search(rf"(?:#|\b(?:id|number|no\.?|nr\.?))\s*:?\s*{re.escape(folded)}(?!\w)", t)
                for t in self._bare
            )
        if amount is not None:
            return amount in self._amounts
        if is_moment(folded) or any(mark in folded for mark in "@./") or _CODE.fullmatch(folded):
            return self.names(value) and (cues is None or self._is_aim(folded))
        if not (set(words(folded)) - COMMON):
            quoted = any(
                f'"{value}"' in text or f"'{value}'" in text or f"#{value}" in text for text in self._written
            )
            return quoted or (cues is not None and any(placed(folded, text, cues) for text in self._texts))
        texts = self._texts if offered else self._written
        if not offered and cues is None and not self._is_whole(str(value)):
            return False
        if cues is not None and not PRONOUNS.isdisjoint(self._latest):
            cues = None
        return any(stands(folded if offered else str(value), text, cues) for text in texts)

    def _is_aim(self, value: str) -> bool:
        """Say whether an address that was said stands somewhere else than right behind a word of source."""
        behind = re.compile(rf"(?:\b({'|'.join(SOURCES)})\s+)?(?<!\w){re.escape(value)}(?!\w)")
        found = [match[1] for text in self._texts for match in behind.finditer(text)]
        return not found or not all(found)

    def _is_whole(self, value: str) -> bool:
        """Say whether a free text was said as a value: quoted, or whole and behind a word that leads to one.

        A piece of a longer name, and any word out of a sentence, is none.
        """
        for text in self._written:
            for match in re.finditer(rf"(?<!\w){re.escape(value)}(?!\w)", text):
                before, after = text[: match.start()], text[match.end() :]
                if before[-1:] in _QUOTES and after[:1] in _QUOTES:
                    return True
                last, following = (
                    re.search(r"([\w'.-]+)[ ]*([:=]?)\s*\Z", before),
                    re.match(r" ([\w'.-]+)", after),
                )
                piece = (last is not None and not last[2] and before[-1:] == " " and _is_name(last[1])) or (
                    following is not None and _is_name(following[1])
                )
                if not piece and (
                    last is None or last[2] or before.rstrip()[-1:] in ",;(" or fold(last[1]) in _LEADING
                ):
                    return True
        return False

    def _names_moment(self, text: str) -> bool:
        moment = MOMENT.match(text)
        if moment is not None:
            day = dt.date.fromisoformat(moment[1]) if is_day(moment[1]) else None
            if day is None or not (self._names_day(day) or self._reaches(day)):
                return False
            return (
                moment[2] is None
                or not self._times
                or self._names_minute(int(moment[2]) * 60 + int(moment[3]))
            )
        time = TIME.match(text)
        return time is not None and self._names_minute(int(time[1]) * 60 + int(time[2]))

    def _names_day(self, day: dt.date) -> bool:
        """Say whether a day was said: with its year, without it, or as the nth of a month near by."""
        if (day.year, day.month, day.day) in self._days:
            return True
        if self.today is not None and abs(day.year - self.today.year) > 1:
            return False
        if (None, day.month, day.day) in self._days:
            return True
        near = self.today is not None and 0 <= (day - self.today).days < _NEAR_DAYS
        if day.day not in self._ordinals or (self._weekdays and day.weekday() not in self._weekdays):
            return False
        return near or any(month == day.month for _, month, _ in self._days)

    def _reaches(self, day: dt.date) -> bool:
        """Say whether a day is so many nights, days or weeks as were said from a day that was said."""
        return any(self._names_day(day - dt.timedelta(days=nights)) for nights in self._nights)

    def ends_by(self, moment: str) -> bool:
        """Say whether a moment's time of day was not said, and is as far behind one that was as something may last."""
        match = MOMENT.match(fold(moment))
        if match is None or match[2] is None:
            return False
        minute = int(match[2]) * 60 + int(match[3])
        return bool(self._times) and minute not in self._times and self._names_minute(minute)

    def _names_minute(self, minute: int) -> bool:
        if minute in self._times:
            return True
        spans = self._spans or {30, 60}
        return any((start + span) % 1440 == minute for start in self._times for span in spans)

    def has(self, figure: Figure) -> bool:
        """Say whether this number, day or time was said; cents count as what they are hundredths of."""
        if figure.day is not None:
            year, month, day = figure.day
            if any(
                (y is None or year is None or y == year) and (m, d) == (month, day) for y, m, d in self._days
            ):
                return True
            if number(figure.text.rstrip(".")) in self._numbers:
                return True  # a figure with a point, at the end of a sentence
            full = day_of(year or (self.today.year if self.today else 0), month, day)
            return full is not None and (self._names_day(full) or self._reaches(full))
        if figure.minute is not None:
            return self._names_minute(figure.minute)
        return figure.number in self._numbers or (
            figure.number is not None and self._counts_time(figure.number)
        )

    def _counts_time(self, value: Decimal) -> bool:
        """Say whether a bare number is a day of the month or an hour that was said."""
        if value != int(value) or not 0 < value <= 31:
            return False
        whole = int(value)
        hours = {minute // 60 for minute in self._times}
        return (
            whole in self._ordinals
            or any(day == whole for _, _, day in self._days)
            or not hours.isdisjoint({whole, whole + 12})
        )

    def runs(self, three: tuple[str, ...]) -> bool:
        """Say whether these three stems were said in a row."""
        return three in self._runs

    def shares(self, figure: Figure, text: str) -> bool:
        """Say whether a number stands in a folded text among words that were around it here, or was alone here."""
        mine = self._around.get(figure.number or Decimal(), set())
        theirs = (around for about, around in surroundings(text) if about == figure.number)
        return "" in mine or any(not mine.isdisjoint(around) for around in theirs)

    def distinct(self, text: str) -> set[str]:
        """Return the words of a folded text that were said and tell one thing from another.

        What was said last counts more: its words alone are looked for, and those of before where it has none.
        """
        told = {
            stem(word) for word in words(text) if len(word) >= 3 and word not in _VAGUE and not word.isdigit()
        }
        return (told & self._latest) or {one + _EARLIER for one in told & self._stems}


def pull(found: Iterable[str]) -> tuple[int, int]:
    """Return how strongly words that ``distinct`` found point at a thing: by what was said last, and by all."""
    late = early = 0
    for word in found:
        if word.endswith(_EARLIER):
            early += 1
        else:
            late += 1
    return late, early


def _is_name(word: str) -> bool:
    """Say whether a word stands as part of a name or of an address: with a capital letter, or a number."""
    return word[0].isupper() or word[0].isdigit()
