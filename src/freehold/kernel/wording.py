"""How texts are compared: folded, in words, by kind, and whether one stands in another.

Pure functions. ``freehold.kernel.said`` and ``freehold.kernel.moments`` build on them.
"""

import functools
import re
import unicodedata
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from freehold.base import Json
from freehold.base.canonical import encode

WORD: Final = re.compile(r"[^\W_]+(?:[’'][^\W_]+)?")
ISO_DAY: Final = re.compile(r"\b(\d{4})-(\d{1,2})-(\d{1,2})")
_MARKED: Final = re.compile(
    r"(?:https?://|www\.)[^\s<>\"')\]]+|[\w.+-]+@[\w-]+(?:\.[\w-]+)+|\b[\w-]+(?:\.[\w-]+)*\.(?!\d)[a-z]{2,}(?:/[^\s<>\"')\]]*)?"
    r"|\b[A-Z]{2}\d{2}[A-Z0-9 ]{8,}\b|\+?\d[\d ()/-]{6,}\d",
    re.IGNORECASE,
)
_ENDINGS: Final = ("ings", "ing", "edly", "ies", "ied", "ed", "es", "ly", "s", "en", "e", "n")


def fold(text: str) -> str:
    """Return ``text`` as it is compared: compatible characters made one, no case, single spaces."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().replace("’", "'").split())


def unaccented(word: str) -> str:
    """Return a word as an address spells it: without accents."""
    return "".join(one for one in unicodedata.normalize("NFD", word) if not unicodedata.combining(one))


@functools.lru_cache(maxsize=1 << 14)
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
    return WORD.findall(text)


def marked(text: str) -> list[str]:
    """Return what in a text can be acted upon: links, addresses, account and telephone numbers."""
    seen = re.sub(
        r"\s*[\[(]?\s*(?:\bdot\b|(?<=[\[(])\.)\s*[\])]\s*|\s+dot\s+|[。．]",
        ".",
        unicodedata.normalize("NFKC", text),
    )
    found = (match.rstrip(".,;:!?") for match in _MARKED.findall(seen))
    return [mark for mark in found if not ISO_DAY.match(mark) and number(mark) is None]


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


def _joined(character: str) -> bool:
    return bool(character) and (character.isalnum() or character in "_@")


def is_plain(text: str) -> bool:
    """Say whether a value is written with the characters that it seems to be: one sent is the one compared."""
    return unicodedata.normalize("NFKC", text) == text


def hidden(text: str) -> bool:
    """Say whether a text holds characters that nobody would see: of control, of format, of no width."""
    return any(unicodedata.category(one) in ("Cc", "Cf", "Co", "Cn") and one not in "\n\t\r" for one in text)


def as_link(text: str) -> str:
    """Return an address of a page as it is compared: without scheme and one closing slash."""
    return re.sub(r"\Ahttps?://", "", text).removesuffix("/")


def as_text(value: Json) -> str:
    """Return a scalar as it is written: a text itself, anything else as JSON."""
    return value if isinstance(value, str) else encode(value).decode()


def folded(value: Json) -> str:
    """Return a scalar as it is compared."""
    return fold(as_text(value))


def texts_in(value: Any) -> list[str]:
    """Return the texts among the scalars of a JSON value, without empty ones."""
    return [leaf for leaf in leaves(value) if isinstance(leaf, str) and leaf]


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
