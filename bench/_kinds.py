"""Counting what the replays of honest work and of attacks ended in."""

import re
from collections.abc import Iterable, Sequence
from typing import Final

_SENTENCE: Final = re.compile(r"^(.*?\.)(?=\s|$)", re.DOTALL)


def kind(reasons: Sequence[str]) -> str:
    """Reasons without the values that follow them, so that they can be counted and give nothing of a task away."""
    found = (_SENTENCE.match(reason) for reason in reasons)
    return " + ".join(dict.fromkeys(match[1] if match else "another reason" for match in found))


def part(truths: Iterable[bool]) -> float:
    """The part of them that holds; 0 where there are none."""
    found = list(truths)
    return sum(found) / max(1, len(found))
