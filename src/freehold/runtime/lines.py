"""YAML read with the line of every value, and a list that collects every mistake instead of the first.

For the job file alone. Values are taken as the text that was written (YAML's own guesses, such as `no` for
false, surprise people); aliases are refused, so a small file cannot stand for a huge one.
"""

import difflib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

import msgspec
import yaml

from freehold.base import BadInput, Json
from freehold.base.canonical import MAX_INT

_WHOLE: Final = re.compile(r"[-+]?\d+")
_MAX_DEPTH: Final = 32
_FRACTION: Final = re.compile(r"[-+]?(\d+\.\d*|\.\d+)([eE][-+]?\d+)?|[-+]?\d+[eE][-+]?\d+")


class Mistake(msgspec.Struct, frozen=True, order=True):
    """One thing that is wrong in a file: its line (from 1), what is wrong, and the remedy."""

    line: int
    message: str
    remedy: str


@dataclass(slots=True)
class Mistakes:
    """The mistakes found so far."""

    found: list[Mistake] = field(default_factory=list)

    def add(self, line: int, message: str, remedy: str) -> None:
        """Note one."""
        self.found.append(Mistake(line, message, remedy))

    def take(self, line: int, where: str, error: BadInput) -> None:
        """Note a mistake that another parser raised about the value at ``where``."""
        self.add(line, f"`{where}`: {error.message}", error.remedy)


def read_yaml(text: str, first_line: int, mistakes: Mistakes) -> yaml.Node | None:
    """Return the node tree of ``text`` that begins on ``first_line``, or None after noting what is wrong."""
    depth = 0
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > _MAX_DEPTH:  # the parser's time grows with the square of it
                raise RecursionError
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
                mistakes.add(
                    first_line + int(getattr(event.start_mark, "line", 0)),
                    "Anchors and aliases (`&`, `*`) are not taken.",
                    "Write it out.",
                )
                return None
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = first_line + int(getattr(mark, "line", 0))
        mistakes.add(
            line,
            f"This is not valid YAML: {error.problem or error.context}.",
            _yaml_remedy(str(error.problem)),
        )
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        what = "nested too deep" if isinstance(error, RecursionError) else str(error).splitlines()[0]
        mistakes.add(
            first_line,
            f"The front matter cannot be read: {what}.",
            "Write it as YAML, one `key: value` a line.",
        )
    return None


def _yaml_remedy(problem: str) -> str:
    if "\\t" in problem or "tab" in problem:
        return "Indent with spaces, not tabs."
    if "mapping values" in problem or "':'" in problem:
        return "Put a value that holds `: ` into quotes, and indent lines of one table alike."
    return "Check quotes, brackets and indentation on this line and the one above."


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that ``word`` was probably meant to be."""
    close = difflib.get_close_matches(word.lower(), list(known), n=1, cutoff=0.6)
    return close[0] if close else None


@dataclass(slots=True)
class Value:
    """A value in the file, where it stands, and how it is called in a sentence."""

    node: yaml.Node
    first_line: int
    where: str
    mistakes: Mistakes

    @property
    def line(self) -> int:
        """Its line in the file, from 1."""
        return self.first_line + int(self.node.start_mark.line)

    @property
    def empty(self) -> bool:
        """Whether nothing was written."""
        return isinstance(self.node, yaml.ScalarNode) and self.node.value.strip() in ("", "~", "null")

    def wrong(self, message: str, remedy: str) -> None:
        """Note a mistake about this value."""
        self.mistakes.add(self.line, f"`{self.where}`: {message}" if self.where else message, remedy)

    def text(self, example: str) -> str | None:
        """Return the text that was written, or None after noting that it is a table, a list or nothing."""
        if not isinstance(self.node, yaml.ScalarNode) or self.empty:
            found = (
                "nothing"
                if self.empty
                else "a list"
                if isinstance(self.node, yaml.SequenceNode)
                else "a table"
            )
            self.wrong(f"Text is expected here, and {found} stands there.", f"Write it like `{example}`.")
            return None
        return str(self.node.value).strip()

    def number(self, example: str) -> int | None:
        """Return a whole number that is not negative, or None after noting that it is none."""
        text = self.text(example)
        if text is None:
            return None
        digits = re.sub(r"[_,']", "", text)
        if not digits.isascii() or not digits.isdigit() or len(digits) > 15:
            self.wrong(f"{text!r} is not a whole number.", f"Write it like `{example}`.")
            return None
        return int(digits)

    def items(self) -> Iterator["Value"]:
        """Yield the members of a list; a single value counts as a list of one."""
        if isinstance(self.node, yaml.SequenceNode):
            for place, node in enumerate(self.node.value, 1):
                yield Value(node, self.first_line, f"{self.where}[{place}]", self.mistakes)
        elif not self.empty:
            yield self

    def table(self, example: str) -> "list[tuple[str, Value]] | None":
        """Return the keys and values of a table in order, or None after noting that it is none."""
        if not isinstance(self.node, yaml.MappingNode):
            found = (
                "nothing" if self.empty else "a list" if isinstance(self.node, yaml.SequenceNode) else "text"
            )
            self.wrong(
                f"A table is expected here, and {found} stands there.", f"Write lines such as `{example}`."
            )
            return None
        found_keys: dict[str, Value] = {}
        for key, node in self.node.value:
            if not isinstance(key, yaml.ScalarNode):
                self.mistakes.add(
                    self.first_line + key.start_mark.line,
                    "A key is not a word.",
                    f"Write lines such as `{example}`.",
                )
                continue
            name = str(key.value).strip()
            where = f"{self.where}.{name}" if self.where else name
            value = Value(node, self.first_line, where, self.mistakes)
            if name in found_keys:
                line = self.first_line + int(key.start_mark.line)
                self.mistakes.add(
                    line,
                    f"`{where}` is there twice, first on line {found_keys[name].line}.",
                    "Keep one of them.",
                )
                continue
            found_keys[name] = value
        return list(found_keys.items())

    def fields(self, known: Iterable[str], example: str) -> "dict[str, Value]":
        """Return a table's values by known key, after noting every key that is not known."""
        names = list(known)
        found: dict[str, Value] = {}
        for name, value in self.table(example) or ():
            key = name.lower().replace("-", "_").replace(" ", "_")
            if key in names:
                found[key] = value
                continue
            guess = nearest(key, names)
            remedy = (
                f"Did you mean `{guess}`?"
                if guess
                else "Known here: " + ", ".join(f"`{n}`" for n in names) + "."
            )
            self.mistakes.add(
                self.first_line + self._key_line(name), f"`{value.where}` is not known here.", remedy
            )
        return found

    def json(self) -> Json:
        """Return the value as data for a pack; notes fractions and what has no single form."""
        node = self.node
        if isinstance(node, yaml.MappingNode):
            return {
                name: value.json() for name, value in self.table("key: value") or () if value._ascii_key(name)
            }
        if isinstance(node, yaml.SequenceNode):
            return [item.json() for item in self.items()]
        text = str(node.value)
        if isinstance(node, yaml.ScalarNode) and node.style in ("'", '"', "|", ">"):
            return text
        if text in ("", "~", "null"):
            return None
        if text.lower() in ("true", "yes", "on", "false", "no", "off"):
            return text.lower() in ("true", "yes", "on")
        if _WHOLE.fullmatch(text):
            if len(text) > 17 or abs(int(text)) > MAX_INT:
                self.wrong(f"The number {text[:40]} is too large.", "Put it into quotes.")
                return None
            return int(text)
        if _FRACTION.fullmatch(text):
            self.wrong(
                f"{text} is a fraction, which has no single written form.", f'Put it into quotes: "{text}".'
            )
            return None
        return text

    def _ascii_key(self, name: str) -> bool:
        if name.isascii():
            return True
        self.wrong(f"The name {name!r} is not plain ASCII text.", "Use letters, digits and underscores.")
        return False

    def _key_line(self, name: str) -> int:
        for key, _ in self.node.value:
            if isinstance(key, yaml.ScalarNode) and str(key.value).strip() == name:
                return int(key.start_mark.line)
        return int(self.node.start_mark.line)
