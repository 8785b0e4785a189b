"""Where data came from and who may see it: a small lattice that only the gate computes.

A label only rises as data flows together; lowering one is the business of ``freehold.kernel.flow``, which the
gate runs and journals. Anyone in the trusted tower may read a label; nothing a runner says becomes one.
"""

import enum
import hashlib
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec

from freehold.base import BadInput

MAX_INLINE: Final = 16


class Integrity(enum.IntEnum):
    """Who could have written the data; a higher number is less to be trusted, so that a join is a maximum."""

    OWNER = 0
    ESTATE = 1
    STRANGER = 2


class Confidentiality(enum.IntEnum):
    """Who may see the data."""

    PUBLIC = 0
    INTERNAL = 1
    CONFIDENTIAL = 2
    RESTRICTED = 3


class Label:
    """An immutable point of the lattice; equal points compare and hash equal.

    ``sources`` names where the data was read (a mounted source, a mail box, a web host), never a file or a
    person; ``subjects`` are the opaque ids of the subjects whose keys protect it. Both are written into the
    journal's public part. Both only grow; either may hold thousands.
    """

    __slots__ = ("_form", "_hash", "confidentiality", "integrity", "sources", "subjects")

    integrity: Integrity
    confidentiality: Confidentiality
    sources: frozenset[str]
    subjects: frozenset[str]

    def __init__(
        self,
        integrity: Integrity = Integrity.OWNER,
        confidentiality: Confidentiality = Confidentiality.PUBLIC,
        sources: Iterable[str] = (),
        subjects: Iterable[str] = (),
    ) -> None:
        put = object.__setattr__
        put(self, "integrity", integrity)
        put(self, "confidentiality", confidentiality)
        put(self, "sources", frozenset(sources))
        put(self, "subjects", frozenset(subjects))
        put(self, "_form", None)
        put(self, "_hash", hash((integrity, confidentiality, self.sources, self.subjects)))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a label does not change; {name} was to be set")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a label does not change; {name} was to be removed")

    def __hash__(self) -> int:
        return self._hash  # type: ignore[attr-defined,no-any-return]

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Label):
            return NotImplemented
        return (
            hash(self) == hash(other)
            and self.integrity == other.integrity
            and self.confidentiality == other.confidentiality
            and self.sources == other.sources
            and self.subjects == other.subjects
        )

    def __repr__(self) -> str:
        sets = f"{len(self.sources)} sources, {len(self.subjects)} subjects"
        return f"Label({self.integrity.name}, {self.confidentiality.name}, {sets})"

    def leq(self, other: "Label") -> bool:
        """Say whether ``other`` is at least as restrictive in every part."""
        return self is other or (
            self.integrity <= other.integrity
            and self.confidentiality <= other.confidentiality
            and (self.sources is other.sources or self.sources <= other.sources)
            and (self.subjects is other.subjects or self.subjects <= other.subjects)
        )

    def join(self, other: "Label") -> "Label":
        """Return the least label above both; one of the two themselves, where it absorbs the other."""
        if other.leq(self):
            return self
        if self.leq(other):
            return other
        return Label(
            max(self.integrity, other.integrity),
            max(self.confidentiality, other.confidentiality),
            _union(self.sources, other.sources),
            _union(self.subjects, other.subjects),
        )

    def of_nobody(self) -> "Label":
        """Return the label without its subjects."""
        return Label(self.integrity, self.confidentiality, self.sources) if self.subjects else self

    def about(self, subjects: frozenset[str]) -> "Label":
        """Return the label with these subjects and no other."""
        if subjects == self.subjects:
            return self
        return Label(self.integrity, self.confidentiality, self.sources, subjects)

    def encode(self) -> dict[str, Any]:
        """Return the compact form for the journal; callers share the object and must not change it.

        A set of more than sixteen members is written as its digest; ``LabelSets`` keeps the members.
        """
        form: dict[str, Any] | None = self._form  # type: ignore[attr-defined]
        if form is None:
            form = {"c": self.confidentiality.name.lower(), "i": self.integrity.name.lower()}
            if self.sources:
                form["src"] = _members(self.sources)
            if self.subjects:
                form["sub"] = _members(self.subjects)
            object.__setattr__(self, "_form", form)
        return form

    @staticmethod
    def decode(
        form: object, members: Callable[[str], Iterable[str]] = lambda name: _unknown_set(name)
    ) -> "Label":
        """Return the label that ``encode`` wrote; ``members`` looks up a set that was written as its digest.

        Raises BadInput for anything else.
        """
        try:
            table = dict(form)  # type: ignore[call-overload]
            sets = [table.get("src", ()), table.get("sub", ())]
            sources, subjects = (frozenset(members(s) if isinstance(s, str) else s) for s in sets)
            if not all(type(name) is str for name in sources | subjects):
                raise ValueError
            return Label(
                Integrity[table["i"].upper()], Confidentiality[table["c"].upper()], sources, subjects
            )
        except (AttributeError, KeyError, TypeError, ValueError):
            raise BadInput("The stored label is not one.", remedy="Run `freehold doctor`.") from None


BOTTOM: Final = Label()


def _union(one: frozenset[str], other: frozenset[str]) -> frozenset[str]:
    """Return the union, and one of the two themselves where it holds the other, so that identity survives."""
    if one is other or other <= one:
        return one
    return other if one <= other else one | other


def _members(names: frozenset[str]) -> list[str] | str:
    """Return the members, or for a large set its digest."""
    return sorted(names) if len(names) <= MAX_INLINE else set_id(names)


def set_id(names: frozenset[str]) -> str:
    """Return the digest under which the members of a large set are kept."""
    return hashlib.sha256("\0".join(sorted(names)).encode()).hexdigest()


def _unknown_set(name: str) -> Iterable[str]:
    raise KeyError(name)


def join_all(labels: Iterable[Label]) -> Label:
    """Return the least label above all of them; ``BOTTOM`` for none."""
    result = BOTTOM
    for label in labels:
        result = result.join(label)
    return result


def parse_confidentiality(text: object) -> Confidentiality:
    """Return the class that ``text`` names; raises BadInput with the possible words."""
    for level in Confidentiality:
        if text == level.name.lower():
            return level
    words = ", ".join(f"`{level.name.lower()}`" for level in Confidentiality)
    raise BadInput(f"{text!r} is not a class of data.", remedy=f"Write one of {words}.")


class Context:
    """What one run's processes were shown: whatever comes out of them carries all of that, whatever they claim.

    A runner keeps what it saw, and runners of one run may leave each other files, also over a restart; so a run
    has one. It keeps no subjects: whom data is about follows the data. A branch, a count or a retry shows its
    condition.
    """

    __slots__ = ("_label",)

    def __init__(self, label: Label = BOTTOM) -> None:
        self._label = label.of_nobody()

    @property
    def label(self) -> Label:
        """The label of anything that these processes return or ask for now, without whom it is about."""
        return self._label

    def show(self, label: Label) -> Label:
        """Record that data with ``label`` goes in, before it goes; return the label of what may come out."""
        self._label = self._label.join(label.of_nobody())
        return self._label

    def fork(self) -> "Context":
        """Return the context of processes that begin with what these know."""
        return Context(self._label)


class Zone(enum.IntEnum):
    """How far away a sink is; a higher number is further from the owner's hands."""

    DEVICE = 0
    PREMISES = 1
    PEOPLE = 2
    PARTNER = 3
    FOREIGN = 4


# The furthest zone that data of each class may reach, whatever a sink is cleared for.
FURTHEST: Final[Mapping[Confidentiality, Zone]] = MappingProxyType(
    {
        Confidentiality.PUBLIC: Zone.FOREIGN,
        Confidentiality.INTERNAL: Zone.PARTNER,
        Confidentiality.CONFIDENTIAL: Zone.PEOPLE,
        Confidentiality.RESTRICTED: Zone.PREMISES,
    }
)


class Sink(msgspec.Struct, frozen=True):
    """Where an action sends data. ``name`` is for people; ``clearance`` the highest class it may be given.

    ``zones`` may lower or raise, for one estate, how far a class may go. ``consequential`` says that the
    action does something in the world; ``False`` is for what stays inside the run.
    """

    zone: Zone
    clearance: Confidentiality = Confidentiality.RESTRICTED
    consequential: bool = False
    name: str = ""
    zones: Mapping[Confidentiality, Zone] = FURTHEST

    def join(self, other: "Sink") -> "Sink":
        """Return the sink of an action that reaches both: the further zone, the lower clearance."""
        return Sink(
            max(self.zone, other.zone),
            min(self.clearance, other.clearance),
            self.consequential or other.consequential,
            ", ".join(dict.fromkeys(part for part in (self.name, other.name) if part)),
            {level: min(self.zones[level], other.zones[level]) for level in Confidentiality},
        )


class FlowDecision(msgspec.Struct, frozen=True):
    """Whether data may go there or steer that. ``code`` is "", "zone", "clearance" or "steered"."""

    ok: bool
    why: str = ""
    remedy: str = ""
    code: str = ""


FLOWS: Final = FlowDecision(True)


def flows(label: Label, sink: Sink, trusted: bool) -> FlowDecision:
    """Judge one action: may data of ``label`` reach ``sink``, and may what it came from steer the action?

    ``trusted`` says that every value that chooses whom or what the action hits (recipient, host, path, tool)
    equals one in a trusted record; see ``freehold.kernel.provenance``.
    """
    level = label.confidentiality
    word = level.name.lower()
    where = sink.name or f"the zone `{sink.zone.name.lower()}`"
    if sink.zone > sink.zones[level]:
        return FlowDecision(
            False,
            f"Data of class `{word}` may not reach {where}: it is in the zone `{sink.zone.name.lower()}`, "
            f"and that class goes no further than `{sink.zones[level].name.lower()}`.",
            "Send it within that zone, or have the data lowered by a declassifier that the gate runs.",
            "zone",
        )
    if level > sink.clearance:
        return FlowDecision(
            False,
            f"Data of class `{word}` may not reach {where}, cleared for `{sink.clearance.name.lower()}`.",
            "Raise that clearance, or have the data lowered by a declassifier that the gate runs.",
            "clearance",
        )
    if sink.consequential and label.integrity is Integrity.STRANGER and not trusted:
        return FlowDecision(
            False,
            f"Text from strangers was read before, and it may not choose where {where} is: "
            "no trusted record names that recipient, host, path or tool.",
            "Name it in the job file, or let a human approve the value in answer to a question.",
            "steered",
        )
    return FLOWS


def may_see(label: Label, clearance: Confidentiality, who: str) -> FlowDecision:
    """Judge whether ``who``, whose effective clearance is given, may be shown data of ``label``."""
    return flows(label, Sink(Zone.DEVICE, clearance, name=who), trusted=True)
