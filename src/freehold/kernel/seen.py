"""What tools told of, cut into records whose fields are sorted by who could have written them.

``freehold.kernel.origins`` keeps one ``Read`` for each answer of a tool and looks in it for the origin of a value.
"""

import datetime as dt
import re
from collections.abc import Callable
from typing import Final, NamedTuple

from freehold.base import Json
from freehold.kernel.labels import Integrity
from freehold.kernel.said import Said
from freehold.kernel.tools import Face
from freehold.kernel.wording import as_link, as_text, fold, is_part, kind_of, marked, words

Written = Callable[[str], bool]
_LAST_NUMBER: Final = re.compile(r"(?<![\d.-])(\d+(?:[.,]\d+)*)[^\w.,]*\Z")
_NAME: Final = re.compile(r"[\w.#@+-]{1,40}")


class Record:
    """One thing that a tool told of: its fields, by who could have written them.

    ``fields`` are the trusted values by path, of several there the first; ``links`` are those of strangers as they
    wrote them, ``below`` the trusted numbers at the end of lines. ``called`` are the words by which people speak of a
    trusted value: its field's, or those of its tool. Records of one ``shape`` are of one kind.
    """

    __slots__ = (
        "_heard",
        "_known",
        "_today",
        "below",
        "called",
        "fields",
        "links",
        "shape",
        "strange",
        "trusted",
    )

    def __init__(self, shape: str = "", today: dt.date | None = None) -> None:
        self.trusted: list[str] = []
        self.strange: list[str] = []
        self.called: dict[str, set[str]] = {}
        self.fields: dict[str, str] = {}
        self.links: set[str] = set()
        self.below: list[str] = []
        self.shape = shape
        self._heard: Said | None = None
        self._known: Said | None = None
        self._today = today

    @property
    def heard(self) -> Said:
        """What stands in it, parsed once."""
        if self._heard is None:
            self._heard = Said(self._today)
            for text in (*self.strange, *self.trusted):
                self._heard.say(text)
        return self._heard

    @property
    def known(self) -> Said:
        """What stands in its trusted fields, parsed once."""
        if self._known is None:
            self._known = Said(self._today)
            for text in self.trusted:
                self._known.say(text)
        return self._known

    def holds(self, value: str) -> bool:
        """Say whether a trusted field is this folded value, or names it."""
        return any(
            text == value or (len(text) > len(value) and is_part(value, text)) for text in self.trusted
        )

    def distrust(self, item: str) -> None:
        """Take all but the ``item`` itself for what strangers could have put there."""
        self.strange += [text for text in self.trusted if text != item]
        self.trusted = [text for text in self.trusted if text == item]
        self.fields = {path: text for path, text in self.fields.items() if text == item}


class Read(NamedTuple):
    """One answer of a tool: what it was asked with, its records, whether all of the question led from the owner.

    ``cut`` says that it has just as many records as were asked for, so that there may be more.
    """

    tool: str
    asked: tuple[str, ...]
    records: list[Record]
    followed: bool
    cut: bool


class Walk:
    """Sorts the fields of one answer of ``tool`` into records, by who could have written them.

    A field among the face's ``names`` that is one short word is data, whoever chose it; longer, it is a text.
    """

    def __init__(self, tool: str, face: Face, written: Written, said: Said) -> None:
        self.worst = Integrity.OWNER
        self.records: list[Record] = []
        self._tool = tool
        self._patterns = [(_steps(path), who) for path, who in face.written_by.items()]
        self._names = [_steps(path) for path in face.names]
        self._written = written
        self._said = said
        self._authors = {_steps(path): author for path, author in face.authors.items()}

    def take(self, value: Json, path: tuple[str, ...] = (), record: Record | None = None) -> None:
        """Sort one value that stands at ``path``, in ``record`` where it is part of one."""
        if isinstance(value, dict):
            self._table(value, path, record)
        elif isinstance(value, list):
            for inner in value:
                self.take(inner, (*path, "*"), record)
        elif value is not None and not isinstance(value, bool) and value != "":
            self._leaf(as_text(value), path, record)

    def _table(self, value: dict[str, Json], path: tuple[str, ...], record: Record | None) -> None:
        if record is None and self._keyed(path):
            for key, inner in value.items():
                own = self._new("*")
                own.trusted.append(fold(key))
                self.take(inner, (*path, "*"), own)
            return
        record = record or self._new(" ".join(sorted(value)))
        mine = self._own(value, path)
        for key, inner in value.items():
            if key in mine and isinstance(inner, str) and inner:
                self._leaf(inner, (*path, key), record, Integrity.OWNER)
                continue
            if kind_of(key):
                self._leaf(key, path, record)  # a key that is an address is data
            self.take(inner, (*path, key), record)

    def _own(self, value: dict[str, Json], path: tuple[str, ...]) -> set[str]:
        """Return the fields of a table beside which the owner stands as who wrote them."""
        return {
            field[-1]
            for field, author in self._authors.items()
            if _match(field[:-1], path) and self._said.is_owner(value.get(author))
        }

    def _keyed(self, path: tuple[str, ...]) -> bool:
        """Say whether the keys of a table are data themselves: a pattern has a star where they stand."""
        return any(
            len(pattern) > len(path) and pattern[len(path)] == "*" and _match(pattern[: len(path)], path)
            for pattern, _ in self._patterns
        )

    def _leaf(
        self, text: str, path: tuple[str, ...], record: Record | None, who: Integrity | None = None
    ) -> None:
        who = self._who(path) if who is None else who
        if any(_match(name, path) for name in self._names):
            who = Integrity.ESTATE if _NAME.fullmatch(text) else Integrity.STRANGER
        if who is not Integrity.STRANGER and any(self._written(fold(line)) for line in text.splitlines()):
            who = Integrity.STRANGER
        self.worst = max(self.worst, who)
        if who is Integrity.STRANGER:
            place = record or self._new()
            place.strange.append(fold(text))
            place.links.update(as_link(mark) for mark in marked(text) if kind_of(mark) == "link")
            return
        if record is not None:
            record.below += [last for line in text.splitlines() for last in _LAST_NUMBER.findall(fold(line))]
        for line in [text] if record is not None else text.splitlines():
            folded, place = fold(line), record or self._new()
            place.trusted.append(folded)
            place.fields.setdefault(".".join(path), folded)
            named = path[-1] if path and path[-1] != "*" else self._tool
            place.called.setdefault(folded, set()).update(words(fold(named.replace("_", " "))))

    def _who(self, path: tuple[str, ...]) -> Integrity:
        """Return who could have written the field: what the longest path that covers it says, else a stranger."""
        best, found = -1, Integrity.STRANGER
        for pattern, who in self._patterns:
            if best < len(pattern) <= len(path) and _match(pattern, path[: len(pattern)]):
                best, found = len(pattern), who
        return found

    def _new(self, shape: str = "") -> Record:
        record = Record(shape or self._tool, self._said.today)
        self.records.append(record)
        return record


def _steps(path: str) -> tuple[str, ...]:
    return tuple(path.split(".")) if path else ()


def _match(pattern: tuple[str, ...], path: tuple[str, ...]) -> bool:
    return len(pattern) == len(path) and all(p in ("*", step) for p, step in zip(pattern, path, strict=True))
