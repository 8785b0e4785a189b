"""What a trusted text names: words, values, numbers, days and times, compared in their parsed form.

Pure functions and one accumulating reader, ``Said``. ``freehold.kernel.origins`` asks it whether the owner's own words
hold a value that an agent under the influence of strangers wants to use.
"""

import datetime as dt
import re
import unicodedata
from collections.abc import Iterable, Iterator, Set
from decimal import Decimal, InvalidOperation
from typing import Final, NamedTuple

from freehold.base import Json
from freehold.kernel.vocabulary import COMMON, GENERIC, MONTHS, NUMBER_WORDS, WEEKDAYS

_WORD: Final = re.compile(r"[^\W_]+(?:[’'][^\W_]+)?")
_NUMBER: Final = re.compile(r"(?<![\w.,])[-+]?\d+(?:[.,'’ ]\d{3})*(?:[.,]\d+)?(?!\w*\d)")
_ISO_DAY: Final = re.compile(r"\b(\d{4})-(\d{1,2})-(\d{1,2})")
_DOTTED_DAY: Final = re.compile(r"\b(\d{1,2})[./](\d{1,2})[./](\d{4}|\d{2})?(?!\d)")
_NAMES: Final = "|".join(sorted(MONTHS, key=len, reverse=True))
_MONTH_FIRST: Final = re.compile(
    rf"\b({_NAMES})\.?\s+(?:the\s+)?(\d{{1,2}})(?:st|nd|rd|th)?\b(?:,?\s+(\d{{4}}))?"
)
_DAY_FIRST: Final = re.compile(
    rf"\b(\d{{1,2}})(?:st|nd|rd|th|\.|er)?\s+(?:of\s+)?({_NAMES})\b\.?(?:,?\s+(\d{{4}}))?"
)
_BETWEEN: Final = re.compile(r"(?<=\d)t(?=\d)")
_RANGE: Final = re.compile(
    rf"\b(\d{{1,2}})(?:st|nd|rd|th|\.)?\s*(?:-|–|to|until|and|bis|und|au|et)\s*\d{{1,2}}(?:st|nd|rd|th|\.)?\s+(?:of\s+)?({_NAMES})\b"
    r"\.?(?:,?\s+(\d{4}))?"
)
_CLOCK: Final = re.compile(r"\b(\d{1,2})(?:[:.h](\d{2}))?\s*(a\.?m\.?|p\.?m\.?|uhr|h\b|o'?clock)?(?!\d)")
_SPAN: Final = re.compile(
    r"\b(\d+(?:[.,]\d+)?|[a-zà-ÿ]+)[- ]?(hours?|h|stunden?|heures?|minutes?|mins?|minuten)\b"
)
_MOMENT: Final = re.compile(
    r"(\d{4}-\d{2}-\d{2})(?:[t ](\d{2}):(\d{2})(?::\d{2})?(?:z|[+-]\d{2}:?\d{2})?)?\Z"
)
_TIME: Final = re.compile(r"(\d{1,2}):(\d{2})(?::\d{2})?\Z")
_MARKED: Final = re.compile(
    r"(?:https?://|www\.)[^\s<>\"')\]]+|[\w.+-]+@[\w-]+(?:\.[\w-]+)+|\b[\w-]+(?:\.[\w-]+)*\.(?!\d)[a-z]{2,}(?:/[^\s<>\"')\]]*)?"
    r"|\b[A-Z]{2}\d{2}[A-Z0-9 ]{8,}\b|\+?\d[\d ()/-]{6,}\d",
    re.IGNORECASE,
)
_CODE: Final = re.compile(r"(?=(?:\D*\d){4})[a-z0-9 ]{10,}")
_AMOUNT: Final = re.compile(
    r"(?<![\w.,#-])[-+]?\d+(?:[.,'’ ]\d{3})*(?:[.,]\d+)?(?![\w%]|\s*(?:%|percent|prozent|pour))"
)
_NEAR: Final = 4
_EARLIER: Final = "<"
_VAGUE: Final = COMMON | GENERIC
_DIGITS: Final = re.compile(r"\d[\d.,'’]*\d|\d")
_ENDINGS: Final = ("ings", "ing", "edly", "ies", "ied", "ed", "es", "ly", "s", "en", "e", "n")
_LONGEST_NAME: Final = 120


def fold(text: str) -> str:
    """Return ``text`` as it is compared: compatible characters made one, no case, single spaces."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().replace("’", "'").split())


def stem(word: str) -> str:
    """Return a word without its ending, roughly: enough that `meetings` is `meeting` and `paid` is not `pay`."""
    word = word.split("'")[0]
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word[: -len(ending)]
            break
    return word[:-1] if len(word) > 3 and word[-1] == word[-2] else word


def words(text: str) -> list[str]:
    """Return the words of a folded text."""
    return _WORD.findall(text)


def marked(text: str) -> list[str]:
    """Return what in a text can be acted upon: links, addresses, account and telephone numbers."""
    seen = re.sub(
        r"\s*[\[(]?\s*(?:\bdot\b|(?<=[\[(])\.)\s*[\])]\s*|\s+dot\s+|[。．]",
        ".",
        unicodedata.normalize("NFKC", text),
    )
    found = (match.rstrip(".,;:!?") for match in _MARKED.findall(seen))
    return [mark for mark in found if not _ISO_DAY.match(mark) and number(mark) is None]


class Figure(NamedTuple):
    """A number, a day or a time in a text: as written, and parsed."""

    text: str
    number: Decimal | None = None
    day: tuple[int | None, int, int] | None = None
    minute: int | None = None


def figures_of(text: str, today: dt.date | None) -> tuple[list[Figure], str]:
    """Return the days, times and numbers of a folded text, and the text without them."""
    found: list[Figure] = []

    def day(match: re.Match[str]) -> str:
        days = list(_days(match[0], None))
        found.extend(Figure(match[0], day=one) for one in days[:1])
        return " " if days else match[0]

    def clock(match: re.Match[str]) -> str:
        minutes = list(_times(match[0])) if _tells_time(match) else []
        found.extend(Figure(match[0].strip(), minute=minute) for minute in minutes)
        return " " if minutes else match[0]

    def plain(match: re.Match[str]) -> str:
        found.append(Figure(match[0], number=number(match[0])))
        return " "

    text = _BETWEEN.sub(" ", text)
    for pattern in (_ISO_DAY, _DOTTED_DAY, _MONTH_FIRST, _DAY_FIRST):
        text = pattern.sub(day, text)
    text = _CLOCK.sub(clock, text)
    return found, _DIGITS.sub(plain, text)


def without_moments(text: str) -> str:
    """Return a folded text without its days and times of day."""
    for pattern in (_ISO_DAY, _DOTTED_DAY, _RANGE, _MONTH_FIRST, _DAY_FIRST):
        text = pattern.sub(" ", text)
    return _CLOCK.sub(lambda match: " " if _tells_time(match) else match[0], _BETWEEN.sub(" ", text))


def _tells_time(match: re.Match[str]) -> bool:
    """Say whether what looks like a clock is one: a point alone makes a sum of money."""
    return bool(match[3]) or (bool(match[2]) and not re.match(r"\d+\.", match[0]))


def kind_of(value: str) -> str:
    """Return what kind of thing that can be acted upon a value is: `mail`, `link`, `account`, or "" for none."""
    folded = fold(value)
    if re.fullmatch(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+", folded):
        return "mail"
    if re.fullmatch(r"(?:https?://)?[\w-]+(?:\.[\w-]+)*\.[a-z]{2,}(?:/\S*)?", folded):
        return "link"
    return "account" if re.fullmatch(r"[a-z]{2}\d{2}[a-z0-9 ]{8,}", folded) else ""


def number(text: str) -> Decimal | None:
    """Return the number that a text is, however it is written; None for no number."""
    plain = re.sub(r"[\s'’$€£%]", "", text)
    if not re.fullmatch(r"[-+]?\d[\d.,]*", plain):
        return None
    last = max(plain.rfind("."), plain.rfind(","))
    if last >= 0 and (
        len(plain) - last - 1 != 3
        or (plain.count(".") + plain.count(",") > 1 and plain.count(plain[last]) == 1)
    ):
        plain = re.sub(r"[.,]", "", plain[:last]) + "." + plain[last + 1 :]
    else:
        plain = re.sub(r"[.,]", "", plain)
    try:
        return Decimal(plain).normalize()
    except InvalidOperation:
        return None


def is_part(value: str, text: str) -> bool:
    """Say whether the folded ``value`` stands in the folded ``text``, not inside of a longer word or address."""
    start = text.find(value)
    while start >= 0:
        end = start + len(value)
        before, after = text[max(start - 2, 0) : start], text[end : end + 2]
        inside = _joined(before[-1:]) or (
            before[-1:] in ".@-" and _joined(before[:-1]) and not text[:start].endswith("www.")
        )
        if not inside and not (_joined(after[:1]) or (after[:1] in ".@-" and _joined(after[1:]))):
            return True
        start = text.find(value, start + 1)
    return False


def is_moment(text: str) -> bool:
    """Say whether a value is a day, a time of day, or both, as machines write them."""
    folded = fold(text)
    return bool(_MOMENT.match(folded) or _TIME.match(folded))


def _joined(character: str) -> bool:
    return bool(character) and (character.isalnum() or character in "_@")


def is_plain(text: str) -> bool:
    """Say whether a value is written with the characters that it seems to be: one sent is the one compared."""
    return unicodedata.normalize("NFKC", text) == text


def hidden(text: str) -> bool:
    """Say whether a text holds characters that nobody would see: of control, of format, of no width."""
    return any(unicodedata.category(one) in ("Cc", "Cf", "Co", "Cn") and one not in "\n\t\r" for one in text)


def as_link(text: str) -> str:
    """Return an address of a page as it is compared: without scheme and closing slash."""
    return re.sub(r"\Ahttps?://", "", text).rstrip("/")


class Said:
    """The words of people whom a run may trust: the owner's goal, the job file, answers, standing rules."""

    def __init__(self, today: dt.date | None = None) -> None:
        self.today = today
        self._texts: list[str] = []
        self._written: list[str] = []
        self._bare: list[str] = []
        self._amounts: set[Decimal] = set()
        self._stems: set[str] = set()
        self._latest: set[str] = set()
        self._called: set[str] = set()
        self._given: set[tuple[str, str]] = set()
        self._numbers: set[Decimal] = set()
        self._days: set[tuple[int | None, int, int]] = set()
        self._times: set[int] = set()
        self._spans: set[int] = set()

    def say(self, text: str, *, order: bool = True) -> None:
        """Take in a text: an ``order``, or what goes without saying (who the owner is, what the job file allows)."""
        folded = fold(text)
        if order:
            self._given.update((kind_of(mark), mark) for mark in marked(folded))
        self._texts.append(folded)
        self._written.append(" ".join(text.split()))
        self._called.update(stem(fold(word)) for word in _WORD.findall(text) if not word[0].islower())
        bare = without_moments(folded)
        self._bare.append(bare)
        self._amounts.update(amount for amount in map(number, _AMOUNT.findall(bare)) if amount is not None)
        found = words(folded)
        self._latest = {stem(word) for word in found}
        self._stems |= self._latest
        for match in _NUMBER.findall(folded):
            value = number(match)
            if value is not None:
                self._numbers.add(value)
        counted = [Decimal(NUMBER_WORDS[word]) for word in found if word in NUMBER_WORDS]
        self._numbers.update(counted)
        self._amounts.update(count for count in counted if count > 1)
        self._days.update(_days(folded, self.today))
        self._times.update(_times(folded))
        self._spans.update(_spans(folded))

    @property
    def texts(self) -> tuple[str, ...]:
        """All that was said, folded."""
        return tuple(self._texts)

    def holds(self, word: str) -> bool:
        """Say whether a word was said, in whatever form."""
        return stem(word) in self._stems

    def asks(self, verbs: Iterable[str]) -> bool:
        """Say whether one of these was said; one of several words stands as it is written."""
        return any(
            any(is_part(verb, text) for text in self._texts) if " " in verb else stem(verb) in self._stems
            for verb in verbs
        )

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
            return any(is_part(link, text) for text in self._texts)
        if _CODE.fullmatch(folded):
            code = re.compile(r"(?<!\w)" + " ?".join(folded.replace(" ", "")) + r"(?!\w)")
            return any(code.search(text) for text in self._texts)
        amount = number(folded)
        if amount is not None:
            return amount in self._numbers
        return self._names_moment(folded)

    def gives(self, kind: str) -> bool:
        """Say whether an order names something of this kind, so that no other may stand in for it."""
        return any(kind == given for given, _ in self._given)

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
            return self.names(value)
        if not (set(words(folded)) - COMMON):
            return any(f'"{value}"' in text or f"'{value}'" in text for text in self._written)
        texts = self._texts if offered else self._written
        return any(_stands(folded if offered else str(value), text, cues) for text in texts)

    def _names_moment(self, text: str) -> bool:
        moment = _MOMENT.match(text)
        if moment is not None:
            day = dt.date.fromisoformat(moment[1]) if _is_day(moment[1]) else None
            if day is None or not self.names_day(day):
                return False
            return moment[2] is None or self._names_minute(int(moment[2]) * 60 + int(moment[3]))
        time = _TIME.match(text)
        return time is not None and self._names_minute(int(time[1]) * 60 + int(time[2]))

    def names_day(self, day: dt.date) -> bool:
        """Say whether a day was said, with its year or without."""
        return bool({(day.year, day.month, day.day), (None, day.month, day.day)} & self._days)

    def _names_minute(self, minute: int) -> bool:
        if minute in self._times:
            return True
        spans = self._spans or {30, 60}
        return any((start + span) % 1440 == minute for start in self._times for span in spans)

    def has(self, figure: Figure) -> bool:
        """Say whether this number, day or time was said; cents count as what they are hundredths of."""
        if figure.day is not None:
            year, month, day = figure.day
            return any(
                (y is None or year is None or y == year) and (m, d) == (month, day) for y, m, d in self._days
            )
        if figure.minute is not None:
            return self._names_minute(figure.minute)
        return figure.number in self._numbers

    def distinct(self, text: str) -> set[str]:
        """Return the words of a folded text that were said and tell one thing from another.

        What was said last counts more: its words alone are looked for, and those of before where it has none.
        """
        told = {
            stem(word) for word in words(text) if len(word) >= 3 and word not in _VAGUE and not word.isdigit()
        }
        return (told & self._latest) or {one + _EARLIER for one in told & self._stems}


def spelled_out(found: list[str]) -> list[str]:
    """Return the words of a row of numbers, which could be a telephone number; fewer than three tell of nothing."""
    rows = "".join("x" if word in NUMBER_WORDS and len(word) > 2 else "." for word in found)
    return [word for match in re.finditer("x{3,}", rows) for word in found[match.start() : match.end()]]


def pull(found: Iterable[str]) -> tuple[int, int]:
    """Return how strongly words that ``distinct`` found point at a thing: by what was said last, and by all."""
    late = early = 0
    for word in found:
        if word.endswith(_EARLIER):
            early += 1
        else:
            late += 1
    return late, early


def _stands(value: str, text: str, cues: Set[str] | None) -> bool:
    """Say whether a value stands in a text, and with ``cues`` a little behind one of them."""
    if not is_part(value, text):
        return False
    if cues is None:
        return True
    start = text.find(value)
    while start >= 0:
        before = re.findall(r"[\w'@.-]+|,", fold(text[:start]))[-_NEAR:]
        if any(word in cues or stem(word) in {stem(cue) for cue in cues} for word in before):
            return True
        start = text.find(value, start + 1)
    return False


def leaves(value: Json) -> Iterator[Json]:
    """Yield the scalars of a JSON value."""
    if isinstance(value, dict):
        for inner in value.values():
            yield from leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner)
    else:
        yield value


# ---- days and times --------------------------------------------------------------------------------------


def _is_day(text: str) -> bool:
    try:
        dt.date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _ranges(text: str) -> Iterator[tuple[int | None, int, int]]:
    """Yield the first days of `18 to 25 July`, whose month stands behind the second."""
    for first, name, year in _RANGE.findall(text):
        yield int(year) if year else None, MONTHS[name], int(first)


def _days(text: str, today: dt.date | None) -> Iterator[tuple[int | None, int, int]]:
    for year, month, day in _ISO_DAY.findall(text):
        yield int(year), int(month), int(day)
    for one, other, year in _DOTTED_DAY.findall(text):
        full = (int(year) + (2000 if len(year) == 2 else 0)) if year else None
        yield full, int(other), int(one)
        yield full, int(one), int(other)
    for name, day, year in _MONTH_FIRST.findall(text):
        yield int(year) if year else None, MONTHS[name], int(day)
    for day, name, year in _DAY_FIRST.findall(text):
        yield int(year) if year else None, MONTHS[name], int(day)
    yield from _ranges(text)
    if today is not None:
        yield from _relative_days(text, today)


def _relative_days(text: str, today: dt.date) -> Iterator[tuple[int, int, int]]:
    near = {"today": 0, "tonight": 0, "tomorrow": 1, "yesterday": -1, "heute": 0, "morgen": 1, "übermorgen": 2,
            "gestern": -1, "aujourd'hui": 0, "demain": 1, "hier": -1}  # fmt: skip
    for word in re.findall(r"[\w']+", text):
        shifts = [near[word]] if word in near else []
        if word in WEEKDAYS:
            ahead = (WEEKDAYS[word] - today.weekday()) % 7
            shifts = [ahead, ahead + 7] if ahead else [0, 7]
        for shift in shifts:
            day = today + dt.timedelta(days=shift)
            yield day.year, day.month, day.day


def _times(text: str) -> Iterator[int]:
    for hour, minute, half in _CLOCK.findall(_BETWEEN.sub(" ", text)):
        hours, half = int(hour), half.replace(".", "")
        if hours > 24 or not (
            minute or half or re.search(rf"\b(?:at|um|à|from|to|until|by|bis|and|-|–)\s*{hour}\b", text)
        ):
            continue
        if half == "pm" and hours < 12:
            hours += 12
        elif half == "am" and hours == 12:
            hours = 0
        yield hours % 24 * 60 + int(minute or 0)
    for word, minute_of_day in (
        ("noon", 720),
        ("midday", 720),
        ("mittag", 720),
        ("midi", 720),
        ("midnight", 0),
    ):
        if re.search(rf"\b{word}\b", text):
            yield minute_of_day


def _spans(text: str) -> Iterator[int]:
    for much, unit in _SPAN.findall(text):
        each = 60 if unit.startswith(("h", "st")) else 1
        if much in NUMBER_WORDS:
            yield NUMBER_WORDS[much] * each or each // 2
        elif much[0].isdigit():
            yield int(float(much.replace(",", ".")) * each)
