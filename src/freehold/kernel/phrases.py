"""How words stand in what people say: in quotes, in questions, behind a word of direction, beside a number.

Pure functions over texts; ``freehold.kernel.said`` asks them.
"""

import re
from collections.abc import Iterator, Mapping, Set
from decimal import Decimal
from typing import Final

from freehold.kernel.moments import DIGITS
from freehold.kernel.vocabulary import ALL_OF, ASKED_BY, COMMON, PLACED, SOURCES, TOWARDS, UNITS
from freehold.kernel.wording import fold, is_part, number, stem, unaccented, words

QUOTED: Final = re.compile(r"\"[^\"]*\"|“[^”]*”|„[^“]*“|«[^»]*»|(?<!\w)'[^']*'(?!\w)")
_ROW: Final = re.compile(r"[^\W\d_a-zß-ÿ][^\W\d_]+(?: [^\W\d_a-zß-ÿ][^\W\d_]+)*")
_BEGINNING: Final = COMMON | frozenset().union(*ASKED_BY.values())
_SENTENCE: Final = re.compile(r"(?<=[.!?])\s+|\n+")
_QUESTION: Final = re.compile(
    r"\W*(?:what|when|where|who|whom|whose|which|how(?! about)|is|are|was|were|do|does|did|has|have|had|am"
    r"|was|wann|wo|wer|wem|wen|wessen|welche[rsnm]?|wie|ist|sind|war|waren|hat|habe|haben"
    r"|qu'est|quel(?:le)?s?|quand|où|qui|combien|comment|est-ce)\b"
)
_REQUEST: Final = re.compile(
    r"\b(?:please|can you|could you|would you|will you|bitte|s'il"
    r"|and (?:then )?(?:send|add|put|create|book|tell|write))\b"
)
_REMINDED: Final = re.compile(
    r"(?<=\bremind)(?:er|ers)?\b[^.;!?]*?\b(?:to|about)\b"
    r"(?! (?:the|my|our|his|her|their|a|an|all|every|everyone)\b)[^.;!?]*"
)
"""What somebody is to be reminded of is not ordered."""
_NEAR: Final = 4
_AROUND: Final = 3
_ALONE: Final = frozenset(
    ["everyone", "everybody", "both", "alle", "allen", "tous", "toutes", "jedem", "jeden"]
)
_TOKEN: Final = re.compile(r"[$€£%]|[^\W_]+")


def orders_in(text: str) -> list[str]:
    """Return the sentences of a folded text that are no mere questions, without what somebody is to be reminded of."""
    return [_REMINDED.sub(" ", one) for one in _SENTENCE.split(text) if not _asks_only(one)]


def stands(value: str, text: str, cues: Set[str] | None) -> bool:
    """Say whether a value stands in a text: with ``cues`` right behind one, or a little behind a word of direction."""
    if not is_part(value, text):
        return False
    if cues is None:
        return True
    wanted = {stem(cue) for cue in cues} | cues
    start = text.find(value)
    while start >= 0:
        before = re.findall(r"[\w'@.-]+|,", fold(text[:start]))[-_NEAR:]
        last = before[-1] if before else ""
        led = any(word in wanted or stem(word) in wanted for word in before[-2:])
        cued = led or last in PLACED or not TOWARDS.isdisjoint(before)
        if cued and last not in SOURCES:
            return True
        start = text.find(value, start + 1)
    return False


def _asks_only(sentence: str) -> bool:
    """Say whether a folded sentence asks to be told something, and orders nothing."""
    return bool(
        sentence.rstrip().endswith("?") and _QUESTION.match(sentence) and not _REQUEST.search(sentence)
    )


def people_in(text: str) -> list[set[str]]:
    """Return the names in a text, each as the stems of its words: rows of words with a capital letter.

    The first word of a sentence has one anyhow: it counts where it stands alone.
    """
    found = []
    for match in _ROW.finditer(text):
        row = match[0].split()
        if (
            len(row) > 1
            and not text[: match.start()].rstrip(" \n").strip("\"'")[-1:].isalnum()
            and fold(row[0]) in _BEGINNING
        ):
            row = row[1:]
        found.append({unaccented(stem(fold(word))) for word in row})
    return found


def means_all(text: str, called: Set[str]) -> bool:
    """Say whether a folded text means each thing of a list whose things are ``called`` so: `all hotels`, `everyone`."""
    stems = {stem(word) for word in called}
    found = words(text)
    return any(
        word in ALL_OF
        and (word in _ALONE or not stems.isdisjoint(stem(one) for one in found[at + 1 : at + 1 + _AROUND]))
        for at, word in enumerate(found)
    )


def measures(text: str, superlatives: Mapping[str, Set[str]], called: Set[str]) -> bool:
    """Say whether a folded text has a superlative that measures what is ``called`` so, by stems.

    One that measures nothing by itself has to stand a little before or behind such a word.
    """
    for word, measured in superlatives.items():
        for match in re.finditer(rf"(?<!\w){word}(?!\w)", text):
            near = words(text[match.end() :])[:_AROUND] + words(text[: match.start()])[-_AROUND:]
            if not called.isdisjoint(map(stem, measured or near)):
                return True
    return False


def placed(value: str, text: str, cues: Set[str]) -> bool:
    """Say whether a common word stands where only a name does: right behind a word of place or a cue, or before one."""
    wanted = PLACED | cues - {",", "and", "und", "et"}
    for match in re.finditer(
        rf"(?:([\w']+)\s+)?(?:the\s+)?(?<![\w#]){re.escape(value)}(?!\w)(?:\s+([\w']+))?", text
    ):
        if match[1] in wanted or match[2] in ("channel", "group", "kanal", "canal"):
            return True
    return False


def surroundings(text: str) -> Iterator[tuple[Decimal, set[str]]]:
    """Yield each number of a folded text, and the words and signs of money right before and behind it."""
    for match in DIGITS.finditer(text):
        value = number(match[0])
        if value is not None:
            near = [
                *_TOKEN.findall(text[: match.start()][-40:])[-_AROUND:],
                *_TOKEN.findall(text[match.end() :][:40])[:_AROUND],
            ]
            yield (
                value,
                {
                    stem(word)
                    for word in near
                    if not word.isdigit() and (len(word) > _AROUND or word in UNITS)
                },
            )
