"""How the gate writes: the bodies of INTENT, RESULT and REFUSAL, with what is personal sealed for its subjects.

The public head of an entry stays readable for ever, so it holds ids, names of rules and tools, classes of data
and keyed digests; arguments, values, reasons and whom they are about go into the sealed payload.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, TypeAlias

import msgspec

from freehold.base import Corrupt, FreeholdError, Json
from freehold.base.canonical import encode, encode_trusted
from freehold.kernel.artifacts import Artifacts
from freehold.kernel.blank import Blank, number, text, word
from freehold.kernel.journal import Ledger
from freehold.kernel.label_sets import LABEL_SETS, LabelSets
from freehold.kernel.labels import MAX_INLINE, Label
from freehold.kernel.scope import Judgement, Ready, Request
from freehold.kernel.sealing import SubjectKey
from freehold.kernel.subjects import ESTATE, SubjectKeys
from freehold.kernel.tools import EffectKind, Intent, Outcome
from freehold.store.interface import Cost, Entry, EntryDraft, EntryKind

INLINE_BYTES: Final = 32 * 1024
"""Results up to this size ride in the RESULT's commit; larger ones become files before it."""

NO_COST: Final = Cost()
_ONE: Final = Cost(actions=1)
_MINUS_ONE: Final = Cost(actions=-1)
_MEMO: Final = 4_096
_IntentKind: TypeAlias = tuple[str, EffectKind, str, str, tuple[str, ...], tuple[str, ...]]
"""What INTENTs with one form agree in: tool and its kind, job, who acts, rules, and which costs they reserve."""
_ResultKind: TypeAlias = tuple[str, tuple[str, ...]]
"""What RESULTs with one form agree in: status, and which costs they charge."""
_BLANKS: Final = 64


@dataclass(frozen=True, slots=True)
class Value:
    """What a RESULT kept private: the value as JSON, its label, and the sentence of one that was not done."""

    data: bytes
    label: Label
    message: str = ""


class _LabelForm:
    """A label written once: its public part, the key of its subjects, and the bodies that carry both.

    A body with blanks is made for the second entry of its kind; None stands for the first.
    """

    __slots__ = ("intents", "key", "public", "results")

    def __init__(self, public: msgspec.Raw, key: SubjectKey) -> None:
        self.public = public
        self.key = key
        self.intents: dict[_IntentKind, Blank | None] = {}
        self.results: dict[_ResultKind, Blank | None] = {}


class _Sealed(msgspec.Struct):
    v: msgspec.Raw = msgspec.Raw(b"null")
    m: str = ""


_decode_sealed: Final = msgspec.json.Decoder(_Sealed).decode


def cost_json(cost: Cost) -> dict[str, int]:
    """Return the non-zero dimensions of a cost, by the names that the journal uses and in their order."""
    found: dict[str, int] = {}
    if cost.actions:
        found["actions"] = cost.actions
    if cost.cpu_us:
        found["cpu_us"] = cost.cpu_us
    if cost.money_micro:
        found["money_micro"] = cost.money_micro
    if cost.tokens:
        found["tokens"] = cost.tokens
    return found


class Pen:
    """Drafts the entries of one estate's gate, and reads them back."""

    def __init__(self, ledger: Ledger, keys: SubjectKeys, artifacts: Artifacts, sets: LabelSets) -> None:
        self._ledger = ledger
        self._keys = keys
        self._artifacts = artifacts
        self._sets = sets
        self._forms: dict[Label, _LabelForm] = {}
        self._labels: dict[tuple[str, str, str, str], Label] = {}
        self._rules: dict[tuple[str, ...], msgspec.Raw] = {}
        self._texts: dict[str, str] = {}
        self._last: Label | None = None
        self._last_form: _LabelForm

    def key(self, label: Label) -> SubjectKey:
        """Return the key for whom data of this label is about; the estate's own where it is about nobody."""
        return self._form(label).key

    def forget(self) -> None:
        """Drop what is remembered of labels and keys: a subject was forgotten."""
        self._forms.clear()
        self._labels.clear()
        self._last = None

    def _form(self, label: Label) -> _LabelForm:
        if label is self._last and self._last_form.key.alive:
            return self._last_form
        found = self._forms.get(label)
        if found is None or not found.key.alive:
            key = self._keys.key(tuple(sorted(label.subjects)) or (ESTATE,))
            public = label.of_nobody().encode()
            if len(label.sources) > MAX_INLINE:
                self._ledger.keep_set(LABEL_SETS, public["src"], tuple(sorted(label.sources)))
            found = _LabelForm(msgspec.Raw(encode(public)), key)
            if len(self._forms) >= _MEMO:
                del self._forms[next(iter(self._forms))]
            self._forms[label] = found
        self._last, self._last_form = label, found
        return found

    def _named(self, rules: tuple[str, ...]) -> msgspec.Raw:
        """Return the names of rules as JSON, written once for each set of them."""
        found = self._rules.get(rules)
        if found is None:
            if len(self._rules) >= _MEMO:
                self._rules.clear()
            found = self._rules[rules] = msgspec.Raw(encode(list(rules)))
        return found

    # ---- writing -------------------------------------------------------------------------------------

    def intent(self, request: Request, judgement: Judgement, attempt: int, reserved: Cost) -> EntryDraft:
        """Return the INTENT of one attempt."""
        ready, tool, scope = judgement.ready, request.tool, request.scope
        form = self._form(request.label)
        cost = cost_json(reserved)
        known = None
        if tool.category is None and not judgement.approvers and ready.sent == ready.asked:
            known = self._intent_form(request, judgement, cost, form)
        if known is None:
            head = self._intent_head(request, judgement, cost, form)
            head |= {"id": ready.action, "item": request.item, "ord": request.ordinal, "try": attempt}
            head["digest"] = ready.asked
            return self._ledger.draft(
                EntryKind.INTENT, "intent", head, ready.private, form.key, action=ready.action, run=scope.run,
                node=request.node, item=request.item, ordinal=request.ordinal, attempt=attempt,
                digest=bytes.fromhex(ready.asked), reserved=reserved,
            )  # fmt: skip
        ledger = self._ledger
        payload = ledger.seal(form.key, ready.private)
        body = known.filled(
            ledger.time(), *cost.values(), ready.asked, ledger.epoch, ready.action, request.item,
            self._written(request.node), request.ordinal, sha256(payload).hexdigest(), len(payload), scope.run, attempt,
        )  # fmt: skip
        return EntryDraft(
            EntryKind.INTENT, body, sha256(b"\0" + body).digest(), payload, ready.action, scope.run,
            request.node, request.item, request.ordinal, attempt, "", reserved, None, bytes.fromhex(ready.asked),
        )  # fmt: skip

    def _intent_form(
        self, request: Request, judgement: Judgement, cost: dict[str, int], form: _LabelForm
    ) -> Blank | None:
        """Return the INTENT with blanks, from the second of its kind on; None for the first."""
        scope, tool = request.scope, request.tool
        kind = (tool.name, tool.kind, scope.job, scope.who, judgement.rules, tuple(cost))
        known = form.intents.get(kind)
        if known is None:
            if kind not in form.intents:
                if len(form.intents) >= _BLANKS:
                    form.intents.clear()
                form.intents[kind] = None
                return None
            head = self._intent_head(request, judgement, dict.fromkeys(cost, number()), form)
            head |= {"digest": word(), "id": word(), "item": number(), "ord": number(), "try": number()}
            head |= {"node": text(), "run": word()}
            known = form.intents[kind] = self._ledger.blank("intent", head, form.key)
        return known

    def _written(self, words: str) -> str:
        """Return a text as the encoder writes it."""
        found = self._texts.get(words)
        if found is None:
            if len(self._texts) >= _MEMO:
                self._texts.clear()
            found = self._texts[words] = encode(words).decode()
        return found

    def _intent_head(
        self, request: Request, judgement: Judgement, cost: Mapping[str, object], form: _LabelForm
    ) -> dict[str, Any]:
        """Return what an INTENT says besides its place and its digest."""
        ready, tool = judgement.ready, request.tool
        head = _head(request)
        head["kind"] = tool.kind.value
        head["rules"] = self._named(judgement.rules)
        head["label"] = form.public
        head["cost"] = cost
        if tool.category is not None:
            head["cat"] = tool.category.value
            head["grade"] = judgement.grade.word
        if judgement.approvers:
            head["approver"] = judgement.approvers
            if judgement.card is not None:
                head["card"] = judgement.card
            if judgement.grant is not None:
                head["grant"] = judgement.grant
        if ready.sent != ready.asked:
            head["sent"] = ready.sent
        return head

    def result(
        self, request: Request, intent: Intent, outcome: Outcome, reserved: Cost, charge: Cost | None
    ) -> EntryDraft:
        """Return the RESULT that closes an INTENT; writes a large value into a durable file first.

        ``charge`` None leaves the reservation standing: the outcome is unknown and not settled.
        """
        form = self._form(request.label if outcome.label is None else outcome.label)
        value, message = outcome.value, outcome.message
        over = charge is not None and charge != reserved and _exceeds(charge, reserved)
        if charge is None or over or outcome.by or message or len(value) > INLINE_BYTES:
            return self._rare_result(request, intent, outcome, reserved, charge, form)
        run, status, ledger = request.scope.run, outcome.status, self._ledger
        cost = cost_json(charge)
        kind = (status, tuple(cost))
        known = form.results.get(kind)
        if known is None:
            if kind not in form.results:
                form.results[kind] = None
                return self._rare_result(request, intent, outcome, reserved, charge, form)
            head: dict[str, Any] = {"id": word(), "intent": word(), "try": number()}
            head |= {
                "run": word(),
                "status": status,
                "label": form.public,
                "cost": dict.fromkeys(cost, number()),
            }
            known = form.results[kind] = ledger.blank("result", head, form.key)
        payload = ledger.seal(form.key, b'{"v":%b}' % value)
        body = known.filled(
            ledger.time(), *cost.values(), ledger.epoch, intent.action, intent.leaf.hex(),
            sha256(payload).hexdigest(), len(payload), run, intent.attempt,
        )  # fmt: skip
        return EntryDraft(
            EntryKind.RESULT, body, sha256(b"\0" + body).digest(), payload, intent.action, run, request.node,
            request.item, request.ordinal, intent.attempt, status, _negative(reserved), charge,
        )  # fmt: skip

    def _rare_result(
        self, request: Request, intent: Intent, outcome: Outcome, reserved: Cost, charge: Cost | None,
        form: _LabelForm,
    ) -> EntryDraft:  # fmt: skip
        """Return a RESULT that has something to say which most have not, or is the first of its kind."""
        head: dict[str, Any] = {
            "id": intent.action,
            "try": intent.attempt,
            "run": request.scope.run,
            "intent": intent.leaf.hex(),
            "status": outcome.status,
            "label": form.public,
        }
        value = outcome.value
        if len(value) > INLINE_BYTES:
            head["file"] = self._artifacts.put(value, form.key)
            value = b"null"
        if charge is not None:
            head["cost"] = cost_json(charge)
            if _exceeds(charge, reserved):
                head["over"] = True
        if outcome.by:
            head["by"] = outcome.by
        if outcome.message:
            message = msgspec.json.encode(outcome.message)
            private = b'{"m":%b,"v":%b}' % (message, value)
        else:
            private = b'{"v":%b}' % value
        return self._ledger.draft(
            EntryKind.RESULT, "result", head, private, form.key, action=intent.action, run=request.scope.run,
            node=request.node, item=request.item, ordinal=request.ordinal, attempt=intent.attempt,
            status=outcome.status, reserved=None if charge is None else NO_COST - reserved, spent=charge,
        )  # fmt: skip

    def refusal(
        self, request: Request, action: str, ready: Ready | None, error: FreeholdError, status: str
    ) -> EntryDraft:
        """Return the entry that says what was refused, why, and by which code; nothing was done."""
        form = self._form(request.label)
        head = _head(request)
        head |= {"id": action, "item": request.item, "ord": request.ordinal, "try": 0}
        head["status"] = status
        head["code"] = error.code
        head["label"] = form.public
        private: dict[str, Json] = {"message": error.message, "remedy": error.remedy}
        if ready is not None:
            head["digest"] = ready.asked
            private["asked"] = ready.args
        return self._ledger.draft(
            EntryKind.REFUSAL, "refusal", head, encode_trusted(private), form.key, action=action,
            run=request.scope.run, node=request.node, item=request.item, ordinal=request.ordinal, status=status,
        )  # fmt: skip

    # ---- reading -------------------------------------------------------------------------------------

    def value(self, entry: Entry) -> Value | None:
        """Return what a RESULT kept; None when one of its subjects was forgotten."""
        private = self._ledger.open_payload(entry)
        if private is None:
            return None
        try:
            sealed = _decode_sealed(private)
            head = msgspec.json.decode(entry.draft.body)
        except msgspec.DecodeError as error:
            raise Corrupt(f"Journal entry {entry.index} holds no value that can be read.") from error
        label = self.label(head["label"], head["pay"]["s"])
        data = self._artifacts.get(head["file"]) if "file" in head else bytes(sealed.v)
        return Value(data, label, sealed.m)

    def public_label(self, public: dict[str, Any]) -> Label:
        """Return the label that an entry's public part names, which says nothing of whom it is about."""
        return Label.decode(public, self._sets.members)

    def label(self, public: dict[str, Any], set_id: str) -> Label:
        """Return the label whose public part and subject set a RESULT names."""
        key = (public["c"], public["i"], str(public.get("src", "")), set_id)
        found = self._labels.get(key)
        if found is None:
            bare = self.public_label(public)
            names = frozenset(self._keys.name_of(member) for member in self._ledger.members_of(set_id)) - {
                ESTATE
            }
            found = Label(bare.integrity, bare.confidentiality, bare.sources, names)
            if len(self._labels) >= _MEMO:
                del self._labels[next(iter(self._labels))]
            self._labels[key] = found
        return found


def _exceeds(charge: Cost, reserved: Cost) -> bool:
    """Say whether more was used than had been reserved: it is charged all the same, and said in the record."""
    return (
        charge.cpu_us > reserved.cpu_us
        or charge.money_micro > reserved.money_micro
        or charge.tokens > reserved.tokens
        or charge.actions > reserved.actions
    )


def _negative(cost: Cost) -> Cost:
    """Return what a RESULT gives back of a reservation; nearly every action reserves one action and no more."""
    return _MINUS_ONE if cost == _ONE else NO_COST - cost


def _head(request: Request) -> dict[str, Any]:
    return {
        "run": request.scope.run,
        "node": request.node,
        "who": msgspec.Raw(request.scope.who.encode()),
        "job": request.scope.job,
        "tool": request.tool.name,
    }
