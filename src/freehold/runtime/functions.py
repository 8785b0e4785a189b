"""What a job says of a program from elsewhere: which tools it may be shown, and what its own functions are to the gate.

A function that a program governs is an action like any other: the gate judges it and writes the INTENT, the program
runs it, and tells the result. What the job file does not classify is `once` and outward, and answers as a stranger.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, TypeVar

import msgspec

from freehold.base import BadInput, Json
from freehold.kernel.grades import Category, parse_category
from freehold.kernel.labels import Confidentiality, Integrity, Label, Sink, Zone, parse_confidentiality
from freehold.kernel.rights import named
from freehold.kernel.tools import EffectKind, Face, Tool
from freehold.runtime.job import Job, is_external, texts

OWN: Final = "own."
"""What the names of a program's own functions begin with in rights, cards and records."""
TIME_LIMIT_S: Final = 600
MAX_TIME_LIMIT_S: Final = 86_400
_KINDS: Final = (EffectKind.READ, EffectKind.IDEMPOTENT, EffectKind.KEYED, EffectKind.ONCE)
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
_KEYS: Final = ("kind", "category", "zone", "written_by", "class", "time_limit_s")
_PARAMS: Final = ("functions", "tools", "reads_elsewhere")
_T = TypeVar("_T")


class Function(msgspec.Struct, frozen=True):
    """A program's own function, as its job classifies it.

    ``written_by`` says who may have written its result, ``secrecy`` the class of that: the key `class` in the job.
    """

    name: str
    kind: EffectKind = EffectKind.ONCE
    category: Category | None = Category.SEND
    zone: Zone = Zone.FOREIGN
    written_by: Integrity = Integrity.STRANGER
    time_limit_s: int = TIME_LIMIT_S
    secrecy: Confidentiality = Confidentiality.PUBLIC

    def label(self) -> Label:
        """Return the label of what it returned."""
        return Label(self.written_by, self.secrecy, (f"program:{self.name}",))

    def tool(self) -> Tool:
        """Return it as the gate knows it."""
        name = f"{OWN}{self.name}"
        outward = self.zone is Zone.FOREIGN
        sink = Sink(
            self.zone, Confidentiality.PUBLIC if outward else Confidentiality.RESTRICTED,
            outward or self.kind is not EffectKind.READ, f"the program's function {self.name}",
        )  # fmt: skip
        face = Face(
            f"The program's own function {self.name}.", {"type": "object"}, {}, {"": self.written_by},
            by=Integrity.OWNER,
        )  # fmt: skip
        return Tool(
            name, self.kind, lambda args: (named("tool", name),), self.category, sink=lambda args: sink,
            control=lambda args: (("tool.call", name), *((name, text) for text in texts(dict(args)))),
            timeout_s=None, right="tool.call", face=face,
        )  # fmt: skip


class Terms(msgspec.Struct, frozen=True):
    """What a job says of its program. ``tools`` None shows every tool that its rights allow.

    ``reads_elsewhere`` says that the program reads what strangers write without asking here.
    """

    functions: dict[str, Function] = {}
    tools: frozenset[str] | None = None
    reads_elsewhere: bool = False

    def function(self, name: str) -> Function:
        """Return a function as it is classified, or as what nobody classified; raises BadInput for no name."""
        if not _NAME.fullmatch(name):
            raise BadInput(
                f"{name[:80]!a} is no name for a function.", remedy="Use letters, digits, `_` and `-`."
            )
        return self.functions.get(name) or Function(name)


def own_tool(job: Job, name: str) -> Tool | None:
    """Return a function of a job's own program as the gate knows it; None for any other tool."""
    if not is_external(job) or not name.startswith(OWN):
        return None
    return read_terms(job.params).function(name.removeprefix(OWN)).tool()


def read_terms(params: Mapping[str, Any]) -> Terms:
    """Return what the params of a job say of its program; raises BadInput naming the first mistake."""
    for key in params:
        if key not in _PARAMS:
            raise BadInput(
                f"`params.{key}` is nothing that a program from elsewhere has.",
                remedy=f"Known: {', '.join(_PARAMS)}.",
            )
    tools, elsewhere = params.get("tools"), params.get("reads_elsewhere", False)
    if tools is not None and not (isinstance(tools, list) and all(isinstance(name, str) for name in tools)):
        raise BadInput("`params.tools` is not a list of names.", remedy="Write: tools: [mail.send]")
    if not isinstance(elsewhere, bool):
        raise BadInput("`params.reads_elsewhere` is not true or false.", remedy="Write one of them.")
    functions = params.get("functions") or {}
    if not isinstance(functions, Mapping):
        raise BadInput(
            "`params.functions` is not a table.",
            remedy="Write lines such as `lookup: {kind: read}` below it.",
        )
    found = {str(name): _function(str(name), said) for name, said in functions.items()}
    return Terms(found, None if tools is None else frozenset(tools), elsewhere)


def _function(name: str, said: object) -> Function:
    where = f"`params.functions.{name}`"
    if not _NAME.fullmatch(name):
        raise BadInput(
            f"{where} is no name for a function.", remedy="Use letters, digits, `_` and `-`, at most 64."
        )
    if not isinstance(said, Mapping):
        raise BadInput(f"{where} is not a table.", remedy="Write it like: {kind: read, zone: device}")
    for key in said:
        if key not in _KEYS:
            raise BadInput(
                f"{where} has `{key}`, which is nothing of a function.", remedy=f"Known: {', '.join(_KEYS)}."
            )
    kind = _one_of(where, "kind", said.get("kind", "once"), {one.value: one for one in _KINDS})
    zone = _one_of(where, "zone", said.get("zone", "foreign"), {one.name.lower(): one for one in Zone})
    written = {one.name.lower(): one for one in Integrity}
    written_by = _one_of(where, "written_by", said.get("written_by", "stranger"), written)
    category: Category | None = None if kind is EffectKind.READ else Category.SEND
    if "category" in said:
        category = parse_category(said["category"])
    limit = said.get("time_limit_s", TIME_LIMIT_S)
    if type(limit) is not int or not 1 <= limit <= MAX_TIME_LIMIT_S:
        raise BadInput(f"{where} has no such time limit.", remedy=f"Write 1 to {MAX_TIME_LIMIT_S} seconds.")
    secrecy = parse_confidentiality(said.get("class", "public"))
    return Function(name, kind, category, zone, written_by, limit, secrecy)


def _one_of(where: str, key: str, word: Json, words: Mapping[str, _T]) -> _T:
    found = words.get(word) if isinstance(word, str) else None
    if found is None:
        shown = ", ".join(f"`{one}`" for one in words)
        raise BadInput(f"{where} has no such `{key}`.", remedy=f"Write one of {shown}.")
    return found
