"""The gate's stage "ask": what the autonomy grade demands of people before an effect, and what is kept for them.

Rules and flow were judged before; nothing here lifts a refusal of theirs. A grade can only hold back.
"""

from typing import Final

from freehold.base import Json
from freehold.base.canonical import encode, encode_trusted
from freehold.kernel.card import Ask, Card, Kind, Role
from freehold.kernel.cards import Versions
from freehold.kernel.change import Change
from freehold.kernel.facts import Body, Fact, Facts, read_back, visible
from freehold.kernel.grades import Category, Grade, grade_for
from freehold.kernel.grants import Use
from freehold.kernel.origins import Reason
from freehold.kernel.questions import Question, read_question
from freehold.kernel.rooms import Rooms
from freehold.kernel.scope import Judgement, Ready, Request
from freehold.kernel.subjects import ESTATE
from freehold.kernel.telling import told_of
from freehold.kernel.tools import Outcome
from freehold.store.interface import Drop, Put

PARKED: Final = "parked"
"""Documents: which step of which run a card holds up, by the card's id."""
REPORTS: Final = "report"
"""Documents: what was done under `act-and-report`, and what was only proposed, until somebody has read it."""


class Asking:
    """Cards, grants and grades, as the gate uses them."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    def ask(self, request: Request, judgement: Judgement, attempt: int) -> None:
        """Fill in how far the agent may go alone and what has to be consumed; raises Refused where people said no."""
        if request.tool.question:
            self._decide(request, judgement, attempt, "question")
            return
        category = request.tool.category
        grade = Grade.ASK
        if category is not None:
            grade = grade_for(request.scope.grades, category, self._rooms.settings.now.grade_ceiling)
        judgement.grade = grade
        if grade is Grade.PROPOSE:
            judgement.propose = True
        elif grade is Grade.ASK or judgement.steered:
            self._decide(request, judgement, attempt, "approval")

    def _versions(self, request: Request) -> Versions:
        return rules_and_policy(self._rooms, request)

    def _decide(self, request: Request, judgement: Judgement, attempt: int, kind: Kind) -> None:
        cards, now_us, ready = self._rooms.cards, self._rooms.ledger.now_us(), judgement.ready
        card = cards.find(ready.action, ready.asked, now_us, self._versions(request), kind=kind)
        if card is None or card.state == "stale":
            if kind == "approval" and not judgement.steered and self._granted(request, judgement):
                return
            judgement.park = self._propose(request, judgement, kind)
        elif card.state == "open":
            judgement.waits_for = card.id
        elif card.state == "consumed" and attempt > 1:
            cards.recheck(card.id, card.sends, now_us, self._versions(request))
            self._use(judgement, card)
        else:
            judgement.consume = cards.consume(card.id, card.sends, now_us, self._versions(request))
            self._use(judgement, card)

    def _use(self, judgement: Judgement, card: Card) -> None:
        """Take over who said yes, and what they made of it."""
        judgement.card = card.id
        judgement.approvers = card.who
        reply = self._rooms.cards.show(card).reply
        if card.edited:
            judgement.edited = reply["args"]
        if card.kind == "question":
            judgement.answer = encode_trusted(reply["value"])

    def _granted(self, request: Request, judgement: Judgement) -> bool:
        scope, ready = request.scope, judgement.ready
        needs: tuple[Role, ...] = ("confirm", "four_eyes") if self._four_eyes(request) else ("confirm",)
        use = Use(
            action=ready.action, tool=request.tool.name, agent=scope.principals.agent, job=scope.job,
            args=ready.args, needs=needs,
        )  # fmt: skip
        now_us = self._rooms.ledger.now_us()
        found = self._rooms.grants.find(use, now_us)
        if found is None:
            return False
        judgement.consume = self._rooms.grants.consume(found.id, use, now_us)
        judgement.grant, judgement.approvers = found.id, (found.by,)
        return True

    def _propose(self, request: Request, judgement: Judgement, kind: Kind) -> Change:
        """Return the change that puts the card before people, with where its step waits."""
        ready = judgement.ready
        scope, registry, tool = request.scope, self._rooms.registry, request.tool
        agent = scope.principals.agent
        question: Question | None = read_question(ready.args) if kind == "question" else None
        needs: tuple[Role, ...] = ("confirm",)
        approvers = registry.approvers_confirm(agent)
        if kind == "approval" and self._four_eyes(request):
            needs, approvers = ("confirm", "four_eyes"), (*approvers, *registry.approvers_four_eyes(agent))
        subjects = tuple(sorted(request.label.subjects)) or (ESTATE,)
        rules, policy = self._versions(request)
        change = self._rooms.cards.propose(
            Ask(
                action=ready.action, digest=ready.asked, run=scope.run, job=scope.job, agent=agent, tool=tool.name,
                rules=rules, policy=policy, approvers=approvers, subjects=subjects,
                expires_us=self._rooms.ledger.now_us() + scope.approval.expires_us,
                facts=_with_reasons(facts_of(request, ready, question), judgement.steered),
                category=tool.category.value if tool.category else "",
                needs=needs, args=ready.args, question=question,
            ),
            self._rooms.ledger.now_us(),
        )  # fmt: skip
        place = {"run": scope.run, "node": request.node, "item": request.item}
        change.writes.append(Put(PARKED, change.value.id, encode(place), scope.run))
        return change

    def _four_eyes(self, request: Request) -> bool:
        category: Category | None = request.tool.category
        return request.scope.approval.four_eyes or category in self._rooms.settings.now.four_eyes

    # ---- afterwards ----------------------------------------------------------------------------------

    def give_back(self, judgement: Judgement) -> Change | None:
        """Return the change that gives back what an effect that was not done had consumed."""
        if judgement.card is not None:
            return self._rooms.cards.give_back(judgement.card)
        if judgement.grant is not None:
            return self._rooms.grants.give_back(judgement.grant, judgement.ready.action)
        return None

    def report(self, request: Request, judgement: Judgement, outcome: Outcome) -> list[Put | Drop]:
        """Return what the RESULT's commit also writes: the line for the owner under `act-and-report`."""
        writes: list[Put | Drop] = list(outcome.writes)
        if judgement.grade is Grade.ACT_AND_REPORT and request.tool.category is not None:
            writes.append(self._report(request, judgement.ready, outcome.status))
        return writes

    def proposal(self, request: Request, ready: Ready) -> tuple[Put, bool]:
        """Return the document that keeps a proposal, and whether it was not kept before."""
        known = self._rooms.store.document(REPORTS, ready.action)
        return self._report(request, ready, "proposed"), known is None

    def _report(self, request: Request, ready: Ready, status: str) -> Put:
        scope = request.scope
        subjects = tuple(sorted(request.label.subjects)) or (ESTATE,)
        facts = facts_of(request, ready, None)
        row = {
            "run": scope.run, "job": scope.job, "agent": scope.principals.agent, "tool": request.tool.name,
            "status": status, "at": self._rooms.ledger.now_us(), "action": ready.action,
        }  # fmt: skip
        sealed = self._rooms.sealer.seal(encode(facts.plain()), subjects)
        return Put(REPORTS, ready.action, encode({**row, "facts": sealed.decode()}), "unread")


def rules_and_policy(rooms: Rooms, request: Request) -> Versions:
    """Return the versions that a card about this action is bound to: its own rules', and its policy's."""
    principals, scope = request.scope.principals, request.scope
    return rooms.rules.version_for(principals.agent, scope.job, principals.owner), scope.policy_digest


def facts_of(request: Request, ready: Ready, question: Question | None) -> Facts:
    """Return what a person is shown: read out of the bytes that would be sent, else out of the arguments."""
    if question is not None:
        lines = tuple(
            (f"reading of {reading.source}", f"{reading.value} ({reading.confidence_permille / 10:g} %)")
            for reading in question.readings
        )
        return _question_facts(question, lines)
    if ready.prepared.facts is not None:
        return _with_provenance(request, ready.prepared.facts)
    blobs = [("contents", request.blob)] if request.blob is not None else []
    return read_back(
        f"{request.tool.name}", encode(ready.args), blobs, lambda path, value: _origin(request, value)
    )


def _with_provenance(request: Request, facts: Facts) -> Facts:
    lines = tuple(
        Fact(line.name, line.value, line.provenance or _origin(request, line.value) or "the agent")
        for line in facts.lines
    )
    bodies = tuple(
        Body(body.name, body.text, body.provenance or _origin(request, body.text.rstrip("\n")) or "the agent")
        for body in facts.bodies
    )
    return Facts(facts.title, lines, facts.attachments, bodies)


def _with_reasons(facts: Facts, reasons: tuple[Reason, ...]) -> Facts:
    """Return the facts with why strangers could have chosen this: those lines come first."""
    if not reasons:
        return facts
    lines = tuple(
        Fact("why you are asked", visible(reason.why if not reason.argument else f"{reason.argument}: {reason.why}"),
             visible(reason.value))
        for reason in reasons
    )  # fmt: skip
    return Facts(facts.title, (*lines, *facts.lines), facts.attachments, facts.bodies)


def _origin(request: Request, value: Json) -> str:
    """Return where a value came from: the job file, the plan, or what the run's origins know of it; else nothing."""
    scope = request.scope
    if isinstance(value, str):
        if scope.trusted.names(value) or value in scope.settings.values():
            return "the job file"
        if value in request.planned:
            return "the plan"
    if scope.origins is None or value is None or isinstance(value, bool | list | dict):
        return ""
    return told_of(scope.origins, value)


def _question_facts(question: Question, lines: tuple[tuple[str, str], ...]) -> Facts:
    shown = tuple(Fact(name, visible(value), "the pack") for name, value in lines)
    return Facts(visible(question.text), shown)
