"""What a card shows: facts read back out of the very bytes that would be sent. Rendered by the gate.

A stranger may have written parts of those bytes, so whatever could make a line look like another one (control
characters, text that runs backwards, characters without width) is spelled out, and nothing is cut in silence. Where
a word or an address mixes alphabets whose letters look alike, the letters of the rarer one are marked.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from freehold.base import Json, canonical

LONGEST_LINE: Final = 200
LONGEST_BODY: Final = 64 * 1024
_BLANK: Final = frozenset("\u115f\u1160\u2800\u3164\uffa0")  # printable to Unicode, empty to the eye


_ALPHABETS: Final = (
    "LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC", "LISU", "MATHEMATICAL", "FULLWIDTH",
)  # fmt: skip
_WORD: Final = re.compile(r"[\w.@+-]+")


class Fact(msgspec.Struct, frozen=True):
    """One line: a field, its value as text, and where the value came from."""

    name: str
    value: str
    provenance: str = ""


class Attachment(msgspec.Struct, frozen=True):
    """A file that goes along, by name, size in bytes and SHA-256."""

    name: str
    size: int
    digest: str


class Body(msgspec.Struct, frozen=True):
    """A longer text that goes along, and where it came from."""

    name: str
    text: str
    provenance: str = ""


class Facts(msgspec.Struct, frozen=True):
    """All that a person is shown of one action."""

    title: str
    lines: tuple[Fact, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    bodies: tuple[Body, ...] = ()

    def plain(self) -> dict[str, Any]:
        """Return the facts as JSON."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain


def visible(text: str, *, lines: bool = False) -> str:
    """Return ``text`` with what would not show spelled out; line breaks stay where ``lines``."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        character
        if (character.isprintable() and character not in _BLANK) or (lines and character in "\n\t")
        else f"⟨U+{ord(character):04X}⟩"
        for character in _WORD.sub(_mark_mixed, text)
    )


def _mark_mixed(match: re.Match[str]) -> str:
    """Return a word with the letters marked that are of another alphabet than most of it."""
    word = match[0]
    if word.isascii():
        return word
    alphabets = [_alphabet(character) for character in word]
    known = [one for one in alphabets if one]
    if len(set(known)) < 2:
        return word
    most = max(_ALPHABETS, key=known.count)
    return "".join(
        f"{character}⟨{one.capitalize()} U+{ord(character):04X}⟩" if one and one != most else character
        for character, one in zip(word, alphabets, strict=True)
    )


def _alphabet(character: str) -> str:
    """Return which alphabet with look-alikes a letter is of; "" for none of them, and for what is no letter."""
    if not character.isalpha():
        return ""
    first = unicodedata.name(character, "").partition(" ")[0]
    return first if first in _ALPHABETS else ""


def attachment(name: str, data: bytes) -> Attachment:
    """Return how a file is shown."""
    return Attachment(visible(name), len(data), canonical.digest(data))


def body(name: str, text: str, provenance: str = "") -> Body:
    """Return how a longer text is shown: clipped only with a note that says how much is missing."""
    if len(text) > LONGEST_BODY:
        whole = text.encode("utf-8", "surrogatepass")
        more, digest = len(text) - LONGEST_BODY, canonical.digest(whole)
        rest = f"\n[{more} more characters are sent; SHA-256 of all: {digest}]"
        return Body(visible(name), visible(text[:LONGEST_BODY], lines=True) + rest, provenance)
    return Body(visible(name), visible(text, lines=True), provenance)


def read_back(
    title: str,
    sent: bytes,
    blobs: Sequence[tuple[str, bytes]] = (),
    provenance: Callable[[str, Json], str] = lambda path, value: "",
) -> Facts:
    """Return the facts of an action whose canonical arguments are ``sent`` and whose files are ``blobs``.

    ``provenance`` says of a field's path (``to.0``) and value where it came from. Raises BadInput where
    ``sent`` is not JSON.
    """
    lines: list[Fact] = []
    bodies: list[Body] = []

    def walk(path: str, value: Json) -> None:
        if isinstance(value, dict) and value:
            for name, inner in value.items():
                walk(f"{path}.{name}" if path else name, inner)
        elif isinstance(value, list) and value:
            for number, inner in enumerate(value):
                walk(f"{path}.{number}", inner)
        elif isinstance(value, str) and (len(value) > LONGEST_LINE or "\n" in value):
            bodies.append(body(path, value, provenance(path, value)))
        else:
            text = value if isinstance(value, str) else canonical.encode(value).decode()
            lines.append(Fact(visible(path), visible(text), provenance(path, value)))

    walk("", canonical.decode(sent))
    return Facts(visible(title), tuple(lines), tuple(attachment(*blob) for blob in blobs), tuple(bodies))
