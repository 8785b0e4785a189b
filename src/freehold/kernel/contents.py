"""Whether what an action would say or keep is made of what the owner said and of what was to be passed on.

Pure functions; ``freehold.kernel.origins`` calls them. The owner's words count one by one. Words of others count one by
one only where they tell of a thing; common ones, and those by which people are made to give something away or a
sentence is turned round, only as they stand there, in their order.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from freehold.kernel.computed import is_count, is_result
from freehold.kernel.moments import Figure, figures_of
from freehold.kernel.said import Said
from freehold.kernel.vocabulary import COMMON, DEMANDING, NUMBER_WORDS, TURNING
from freehold.kernel.wording import fold, is_part, stem, words

OWN_WORDS: Final = 8
"""One word in so many may be the agent's own: neither the owner's nor a stranger's, in no record and no common one."""
OWN_LEAST: Final = 3
"""From so many words on, one may be the agent's own."""
TOLD: Final = 3
"""One in so many of the longer words has to be the owner's or of what they spoke of: the rest may be common ones."""
RUN: Final = 3
"""So many words in a row are passed on as they stand."""
_SMALL: Final = 3
_LISTED: Final = re.compile(r"^\s*\d{1,2}[.)]\s+", re.MULTILINE)
_TOKEN: Final = re.compile(r"[^\W_]+")
_TURNS: Final = re.compile(r"\d+|[^\W\d_]+")
_TURNING: Final = frozenset(stem(word) for word in TURNING)
_DEMANDING: Final = frozenset(stem(word) for word in DEMANDING)


def wrong_figures(
    texts: Sequence[str], said: Said, heard: Sequence[Said], most: int, columns: Sequence[Sequence[str]] = ()
) -> list[str]:
    """Return the figures of these texts that nobody gave whom the owner named, as they are written.

    ``most`` is how many things could have been counted; ``columns`` are trusted numbers below each other.
    """
    found: list[str] = []
    known = [[f"{value:f}" for one in heard for value in one.counted], *columns]
    for text in texts:
        folded = fold(_LISTED.sub("", text))
        figures, rest = figures_of(folded, said.today)
        found += [one.text for one in figures if not _given(one, folded, said, heard, most, known)]
        found += _spelled_out(words(rest))
    return found


def _given(
    figure: Figure, text: str, said: Said, heard: Sequence[Said], most: int, known: Sequence[Sequence[str]]
) -> bool:
    if said.has(figure):
        return True
    if figure.number is None:
        return any(one.has(figure) for one in heard)
    if figure.number <= most and is_count(figure.number, said):
        return True
    if any(is_result(figure.number, said, numbers) for numbers in known):
        return True
    strict = said.counts  # where the owner gave a number, a stranger's stands among the stranger's words
    return any(one.has(figure) and (not strict or one.shares(figure, text)) for one in heard)


def foreign_words(
    texts: Sequence[str], said: Said, heard: Sequence[Said], strange: Iterable[str]
) -> list[str]:
    """Return the words that are neither the owner's nor of what was to be passed on, where they are too many.

    ``strange`` is all that strangers wrote, folded: a word of theirs is never just the agent's own.
    """
    rest: list[str] = []
    passed: list[bool] = []
    for text in texts:
        found = words(figures_of(fold(text), said.today)[1])
        rest += found
        passed += _passed_on(found, heard)
    told = [
        ran or said.holds(word) or (not _common(word) and any(one.holds(word) for one in heard))
        for word, ran in zip(rest, passed, strict=True)
    ]
    guarded = [
        word
        for word, ran in zip(rest, passed, strict=True)
        if not said.holds(word)
        and ((stem(word) in _DEMANDING and not _common(word)) or (not ran and stem(word) in _TURNING))
    ]
    own = [
        word
        for word, known in zip(rest, told, strict=True)
        if not known and not _common(word) and len(word) > 1
    ]
    fields = list(strange)
    theirs = [word for word in own if any(is_part(word, text) for text in fields)]
    telling = [known for word, known in zip(rest, told, strict=True) if len(word) > _SMALL]
    codes = [code for text in texts for code in _codes(text) if not said.names(code)]
    if guarded or theirs or codes:
        return [*codes, *guarded, *theirs]
    if len(own) > max(len(rest) // OWN_WORDS, len(rest) >= OWN_LEAST) or sum(telling) * TOLD < len(telling):
        return own or [word for word in rest if len(word) > _SMALL]
    return []


def _common(word: str) -> bool:
    return word in COMMON or word.split("'")[0] in COMMON


def _codes(text: str) -> list[str]:
    """Return what of a text is digits and letters in turn, as keys and codes are."""
    return [one for one in _TOKEN.findall(fold(text)) if len(_TURNS.findall(one)) > 2]


def _passed_on(found: list[str], heard: Sequence[Said]) -> list[bool]:
    """Say of each word whether it stands in a row of words that was heard just so."""
    stems = [stem(word) for word in found]
    passed = [False] * len(found)
    for at in range(len(stems) - RUN + 1):
        if any(one.runs(tuple(stems[at : at + RUN])) for one in heard):
            passed[at : at + RUN] = [True] * RUN
    return passed


def _spelled_out(found: list[str]) -> Iterator[str]:
    """Yield the words of a row of numbers, which could be a telephone number; fewer than three tell of nothing."""
    row: list[str] = []
    for word in [*found, ""]:
        if (word in NUMBER_WORDS and len(word) > 2) or len(word) == 1:
            row.append(word)
            continue
        if sum(len(one) > 1 for one in row) >= _SMALL:
            yield from row
        row = []
