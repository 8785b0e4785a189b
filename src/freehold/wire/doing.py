"""What a node of a proposed plan does, as data: one tool call, one value read, one text written; all fixed by
the plan.

A model proposes it, the daemon validates and shows it, a runner carries it out. Values that are read later fill
in where the plan says so; they cannot add a node, a tool or an argument.
"""

from collections.abc import Iterator
from typing import Any, Final, Literal, TypeAlias

import msgspec

FROM: Final = "$from"
"""An object with this key, and "path" or not, stands for a value of another node's result."""
MAX_NUMBER: Final = 10**12
READ_TRIES: Final = 2
"""How often a reader is asked whose answer is not of its kind."""


class Ref(msgspec.Struct, frozen=True, omit_defaults=True):
    """All of an earlier node's result, or what stands at ``path`` in it (names and numbers, dots between)."""

    node: str
    path: str = ""


class When(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A condition on what a reading node read: ``node`` compared with ``to``. `there` says that there was a value."""

    node: str
    test: Literal["is", "is not", "over", "under", "there", "not there"]
    to: str | int | None = None


class Doing(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, tag_field="do"):
    """Any of the three. A node whose conditions do not all hold does nothing, nor do those that take its result."""


class Use(Doing, frozen=True, tag="use"):
    """Call ``tool`` once; ``args`` hold literals and references."""

    tool: str
    args: dict[str, Any] = {}
    when: list[When] = []


class Read(Doing, frozen=True, tag="read"):
    """Have a model without tools read one narrow value out of ``text`` (a reference)."""

    text: dict[str, str]
    kind: Literal["number", "date", "choice", "name"]
    question: str
    choices: list[str] = []
    minimum: int = -MAX_NUMBER
    maximum: int = MAX_NUMBER
    when: list[When] = []


class Write(Doing, frozen=True, tag="write"):
    """Have a model without tools write one text, out of ``texts`` (references), as ``instruction`` says."""

    instruction: str
    texts: list[dict[str, str]] = []
    when: list[When] = []


AnyDoing: TypeAlias = Use | Read | Write


def ref_in(value: Any) -> Ref | None:
    """Return the reference that a value of an argument is; None for a literal."""
    if not isinstance(value, dict) or FROM not in value:
        return None
    path = value.get("path", "")
    if set(value) - {FROM, "path"} or not isinstance(value[FROM], str) or not isinstance(path, str):
        return None
    return Ref(value[FROM], path)


def refs(doing: AnyDoing) -> list[Ref]:
    """Return every reference that a node takes values by, its conditions' too."""
    found = [Ref(when.node) for when in doing.when]
    if isinstance(doing, Use):
        found += _refs_within(doing.args)
    elif isinstance(doing, Read):
        found += _refs_within(doing.text)
    else:
        found += _refs_within(doing.texts)
    return found


def _refs_within(value: Any) -> Iterator[Ref]:
    ref = ref_in(value)
    if ref is not None:
        yield ref
        return
    members = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for member in members:
        yield from _refs_within(member)
