"""What a thinking step was told and has gone past, when it is started anew: refusals and failures are handed
back too.

A model has drawn its conclusions from a refusal. Were the same action judged again in the step's next life it
might be let through, at a place in the conversation where it was given up. So once something was begun after
the model had been told, it is told the same again. The last thing a step asked for is asked again as ever.
Called by ``asks`` alone.
"""

import contextlib
from typing import Final

import msgspec

from freehold.base import FreeholdError, Json, action_id
from freehold.base.canonical import decode
from freehold.kernel.labels import Label
from freehold.kernel.scope import Record, Request, Scope
from freehold.kernel.subjects import ESTATE
from freehold.runtime.house import House
from freehold.store.interface import Entry, EntryKind

_TOLD: Final = ("not_done", "unknown")


class _Refusal(msgspec.Struct, frozen=True):
    index: int
    status: str
    code: str
    message: str
    remedy: str
    digest: str


class Passed:
    """The refusals of one run, and what its thinking steps are told of them again."""

    def __init__(self, house: House, scope: Scope) -> None:
        self._house = house
        self._scope = scope
        self._refusals: dict[str, _Refusal] = {}
        self._about: dict[str, frozenset[str]] = {}

    def restore(self) -> None:
        """Read what was refused in earlier lives of the run."""
        rooms = self._house.rooms
        for entry in rooms.store.entries_of_run(self._scope.run):
            draft = entry.draft
            private = rooms.ledger.open_payload(entry) if draft.kind is EntryKind.REFUSAL else None
            if private is None:
                continue
            head, said = decode(draft.body), decode(private)
            self._refusals[draft.action] = _Refusal(
                entry.index, draft.status, str(head.get("code", "")), str(said.get("message", "")),
                str(said.get("remedy", "")), str(head.get("digest", "")),
            )  # fmt: skip
            self._keep_about(draft.action, entry)

    def waits(self, card: str) -> None:
        """Keep whom an action is about that waits for a person."""
        cards = self._house.rooms.cards
        with contextlib.suppress(FreeholdError):  # forgotten, or gone: then it is about whom it is about now
            found = cards.get(card)
            self._about[found.action] = frozenset(cards.show(found).subjects) - {ESTATE}

    def about(self, node: str, item: int, ordinal: int, label: Label) -> Label:
        """Return ``label`` for an action: with the subjects it had when it was first asked for, where it was."""
        identifier = action_id(self._scope.run, node, item, ordinal)
        known = self._scope.known.get(identifier)
        if known is not None and identifier not in self._about:
            entry = self._house.rooms.store.entry(known.intent_index)
            if entry is not None:
                self._keep_about(identifier, entry)
        subjects = self._about.get(identifier)
        return label if subjects is None else label.about(subjects)

    def _keep_about(self, action: str, entry: Entry) -> None:
        head = decode(entry.draft.body)
        if "label" in head and "pay" in head:
            with contextlib.suppress(FreeholdError):
                self._about[action] = self._house.rooms.pen.label(head["label"], head["pay"]["s"]).subjects

    def note(self, record: Record) -> None:
        """Keep a refusal of this life."""
        if record.result_index >= 0:
            self._refusals[record.action] = _Refusal(
                record.result_index, record.status, record.code, record.message, record.remedy, ""
            )

    def told(self, request: Request) -> Record | None:
        """Return what the step was told of this very request and has gone past; None where it is to be judged."""
        scope = self._scope
        identifier = action_id(scope.run, request.node, request.item, request.ordinal)
        known, refusal = scope.known.get(identifier), self._refusals.get(identifier)
        if known is not None and known.status in _TOLD and known.result_index is not None:
            if not self._gone_past(request, known.result_index) or not self._same(
                request, known.digest.hex()
            ):
                return None
            value = self._house.records.value(known.result_index)
            return Record(
                identifier, known.status, known.attempt, value.data, value.label, known.intent_index,
                known.result_index, message=value.message, replayed=True,
            )  # fmt: skip
        if known is not None or refusal is None or not self._gone_past(request, refusal.index):
            return None
        if not self._same(request, refusal.digest):
            return None
        return Record(
            identifier, refusal.status, code=refusal.code, message=refusal.message, remedy=refusal.remedy,
            result_index=refusal.index, replayed=True,
        )  # fmt: skip

    def _gone_past(self, request: Request, index: int) -> bool:
        """Say whether the step asked for something more once it had been told what stands at ``index``."""
        return any(
            action.node == request.node
            and action.item == request.item
            and action.ordinal > request.ordinal
            and action.intent_index > index
            for action in self._scope.known.values()
        )

    def _same(self, request: Request, digest: str) -> bool:
        args: dict[str, Json] = request.args
        return not digest or self._house.gate.digest_of(request, args) == digest
