"""What a tool is to the gate: its effect kind, its category, its sink and the most that it can cost.

A runner names a tool and brings arguments; everything else about an action comes from here, so a runner
cannot call a send a read. The concrete tools are built by ``runtime``; the gate only reads these facts.
"""

import enum
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import msgspec

from freehold.base import Json
from freehold.kernel.facts import Facts
from freehold.kernel.grades import Category
from freehold.kernel.labels import Integrity, Label, Sink
from freehold.kernel.rules import Resource
from freehold.store.interface import Cost, Put

DEFAULT_TIMEOUT_S = 60.0
ONE_ACTION: Final = Cost(actions=1)


class EffectKind(enum.StrEnum):
    """What may be done after a crash, or when the outcome is unknown (DESIGN, "Intent and result")."""

    READ = "read"
    IDEMPOTENT = "idempotent"
    KEYED = "keyed"
    RECONCILABLE = "reconcilable"
    ONCE = "once"


NOT_REPEATED: Final = (EffectKind.ONCE, EffectKind.RECONCILABLE)
"""Kinds that are not simply done again when nobody knows the outcome: the other side is asked, or a human."""


class Prepared(msgspec.Struct, frozen=True):
    """An action made ready: the very bytes that would leave, and how a person is shown them."""

    data: bytes = b""
    facts: Facts | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an effector says happened: ``done``, ``not_done`` (an explicit refusal), or ``unknown``.

    ``value`` is canonical JSON; ``label`` joins what the asker already holds; ``spent`` None means that
    it could not be measured and the reservation is charged. ``by`` names the human who settled an
    unknown outcome; ``settled`` closes the books on one that nobody will settle (a read). ``writes`` are
    documents that belong to the RESULT and are committed with it. ``code`` and ``remedy`` tell whoever asked why it was
    not done, where it can do something about it.
    """

    status: str
    value: bytes = b"null"
    label: Label | None = None
    spent: Cost | None = None
    message: str = ""
    by: str = ""
    settled: bool = False
    writes: tuple[Put, ...] = ()
    code: str = ""
    remedy: str = ""


class Intent(msgspec.Struct, frozen=True):
    """What an effector is handed once the INTENT is durable; ``index`` and ``leaf`` are its journal place.

    ``answer`` is what a human said to a question, as JSON.
    """

    action: str
    attempt: int
    args: Mapping[str, Json]
    blob: bytes | None
    prepared: Prepared
    index: int
    leaf: bytes
    at_us: int
    answer: bytes = b""


class Effector(Protocol):
    """Makes an effect happen. Entered only with a durable intent, with no await in between."""

    def __call__(self, intent: Intent) -> Awaitable[Outcome]:
        """Do it and say what happened; anything raised counts as unknown."""
        ...


Reconcile = Callable[[Intent], Awaitable[Outcome]]


def no_cost(args: Mapping[str, Json]) -> Cost:
    """Return the cost of an action that counts as one action and nothing else."""
    return ONE_ACTION


class Role(enum.StrEnum):
    """What an argument of a tool is to the flow of data."""

    TARGET = "target"
    """It chooses whom or what the action hits: a recipient, an account, an amount, a host, a moment."""
    ITEM = "item"
    """It chooses which of the owner's own things is meant: a message, an entry, a file."""
    CONTENT = "content"
    """What those whom it hits come to see or keep: a subject, a body, what a file will hold."""
    INNER = "inner"
    """Neither: how many, in which order."""


@dataclass(frozen=True, slots=True)
class Face:
    """How a tool shows itself to a model, and what its arguments and its results are to the flow of data.

    ``parameters`` is a JSON Schema of an object. An argument that ``roles`` does not name is a TARGET. ``written_by``
    says who may have written a field of the result, by its path (``messages.*.body``); a path covers what is below
    it, the longest path wins, "" is the whole result, and what nothing names is a stranger's. ``words`` are those by
    which people ask for the tool (`book+table` asks for both): beside those of its category where it sends, shares or
    deletes, else in their place; ``meanings`` says the same for an argument's values out of a closed set, where an
    empty one needs no asking for. ``audience`` is the argument that says who gets to see what is made; while it is
    empty only the owner does, and it needs no origin. ``names`` are fields that are data while they are one short
    word, whoever chose it. ``authors`` says which field beside another names who wrote that one: where it names the
    owner, theirs are the words. ``by`` is who wrote the description and the schema.
    """

    description: str
    parameters: Mapping[str, Any]
    roles: Mapping[str, Role] = field(default_factory=dict)
    written_by: Mapping[str, Integrity] = field(default_factory=dict)
    words: tuple[str, ...] = ()
    meanings: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    audience: str = ""
    names: tuple[str, ...] = ()
    authors: Mapping[str, str] = field(default_factory=dict)
    by: Integrity = Integrity.ESTATE

    def role(self, argument: str) -> Role:
        """Return what an argument is; one that nobody classified chooses what is hit."""
        return self.roles.get(argument, Role.TARGET)


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool as the gate knows it. ``face`` is what a model is shown of it; a tool without one is no model's.

    ``resources`` name what the rules judge, each of them; ``sink`` says where data would go (None: it stays in the
    run); ``control`` lists, as (field, value), what in the arguments chooses whom or what the effect hits.
    ``right`` is the name that the rules know it by, where that is not its own. ``key_ttl_s`` is how long the
    other side honours an idempotency key, ``settle_s`` how long an effect may still surface before "absent" counts.
    ``quick`` says that the effect is made in the daemon and never waits.
    """

    name: str
    kind: EffectKind
    resources: Callable[[Mapping[str, Json]], tuple[Resource, ...]]
    category: Category | None = None
    sink: Callable[[Mapping[str, Json]], Sink] | None = None
    control: Callable[[Mapping[str, Json]], tuple[tuple[str, str], ...]] = field(default=lambda args: ())
    max_cost: Callable[[Mapping[str, Json]], Cost] = no_cost
    prepare: Callable[["PrepareContext", Mapping[str, Json]], Prepared] | None = None
    reconcile: Reconcile | None = None
    timeout_s: float | None = DEFAULT_TIMEOUT_S
    key_ttl_s: float = 86_400.0
    settle_s: float = 0.0
    right: str = ""
    question: bool = False
    quick: bool = False
    face: Face | None = None


@dataclass(frozen=True, slots=True)
class PrepareContext:
    """What a tool may use to make an action ready: fixed for the run, so every attempt gets the same bytes."""

    action: str
    run: str
    job: str
    agent: str
    started_us: int
    blob: bytes | None
    artifact: Callable[[str], "ArtifactView"]
    settings: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ArtifactView:
    """An artifact as a tool sees it."""

    data: bytes
    media_type: str
    name: str
    label: Label
