"""Verbs on what waits for people: cards, reports, grants. A decision is a signed statement."""

import base64
from typing import Any, Final

import msgspec

from freehold.base import BadInput, NotFound
from freehold.base.canonical import decode, digest, encode
from freehold.control.resolve import resolve
from freehold.control.server import Call, Handler
from freehold.control.verbs.desk import Desk, Named, Nothing, Signable
from freehold.kernel.asking import REPORTS
from freehold.kernel.card import Card
from freehold.kernel.grants import Grant, Scope
from freehold.kernel.people import Signed
from freehold.kernel.tools import Role
from freehold.runtime.conversation import Conversations
from freehold.runtime.edits import digest_of_edit
from freehold.runtime.functions import OWN
from freehold.store.interface import Put

MAX_EVIDENCE_BYTES: Final = 32 << 20
CONTROL: Final = {
    "mail.send": ("to",),
    "http.request": ("method", "url"),
    "outbox.write": ("folder",),
}
"""The fields that choose whom a tool hits; a grant must say something of each."""
_CHUNK: Final = 500_000
_TOOLS: Final = "Name one that a job's rights name, such as mail.send; those of tool servers: freehold tools"


class _Decide(msgspec.Struct, forbid_unknown_fields=True):
    card: str
    signed: Signed
    content: dict[str, Any] = {}


class _AddGrant(Signable):
    scope: Scope


class _RevokeGrant(Signable):
    name: str


class _Read(msgspec.Struct, forbid_unknown_fields=True):
    actions: list[str]


class CardVerbs:
    """The verbs, over one desk."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._rooms = desk.rooms
        self._conversations = Conversations(desk.rooms)

    def table(self) -> dict[str, Handler]:
        """Return the verbs by name."""
        return {
            "inbox.list": self._inbox, "inbox.read": self._mark_read,
            "cards.list": self._cards, "cards.show": self._card, "cards.decide": self._decide,
            "cards.evidence": self._evidence,
            "grants.list": self._grants, "grants.add": self._add_grant, "grants.revoke": self._revoke_grant,
        }  # fmt: skip

    # ---- looking -----------------------------------------------------------------------------------------

    def _waiting(self) -> list[Card]:
        return self._rooms.cards.waiting(self._desk.now_us())

    def _find(self, given: str) -> Card:
        cards = self._rooms.cards
        if len(given) == 32:
            return cards.get(given)
        ids = [card.id for card in self._waiting()]
        return cards.get(resolve(given, ids, "card", "freehold inbox"))

    def _view(self, card: Card, *, whole: bool) -> dict[str, Any]:
        shown = self._rooms.cards.show(card)
        view: dict[str, Any] = {
            "id": card.id, "kind": card.kind, "state": card.state, "run": card.run, "job": card.job,
            "agent": card.agent, "owner": card.owner, "tool": card.tool, "category": card.category,
            "opened_us": card.opened_us, "expires_us": card.expires_us, "approvers": list(card.approvers),
            "needs": list(card.needs), "why": card.why, "because": card.because,
            "approvals": [msgspec.to_builtins(approval) for approval in card.approvals],
            "title": shown.facts.title, "about": self._about(card, shown.args),
        }  # fmt: skip
        if whole:
            view |= {
                "digest": card.digest, "action": card.action, "facts": shown.facts.plain(), "args": shown.args,
                "question": shown.question.plain() if shown.question else None, "reply": shown.reply,
            }  # fmt: skip
        return view

    def _about(self, card: Card, args: dict[str, Any]) -> str:
        """Return what cards of one conversation, or one run, share that ask the same of the same target.

        What an action hits counts, not its contents; each is still decided alone.
        """
        live = self._desk.engine.live(card.run)
        tool = self._desk.house.tools.tool(card.tool, live.job, args) if live is not None else None
        face = tool.face if tool is not None else None
        if card.tool in CONTROL:
            hit = {name: args.get(name) for name in CONTROL[card.tool]}
        else:
            hit = {name: args[name] for name in args if face is None or face.role(name) is not Role.CONTENT}
        talk = self._conversations.of_run(card.run) or card.run
        return digest(encode([talk, card.kind, card.tool, hit]))[:16]

    async def _inbox(self, call: Call) -> dict[str, Any]:
        call.read(Nothing)
        reports = []
        for document in self._rooms.store.documents(REPORTS, state="unread", limit=500):
            row = decode(document.body)
            facts = decode(self._rooms.sealer.open(row.pop("facts").encode()))
            reports.append({**row, "title": facts["title"], "facts": facts})
        return {"cards": [self._view(card, whole=False) for card in self._waiting()], "reports": reports}

    async def _mark_read(self, call: Call) -> dict[str, Any]:
        args = call.read(_Read)
        puts = []
        for action in args.actions:
            document = self._rooms.store.document(REPORTS, action)
            if document is not None and document.state == "unread":
                puts.append(Put(REPORTS, action, document.body, "read", expect=document.version))
        if puts:
            await self._rooms.ledger.write([], puts)
        return {"read": len(puts)}

    async def _cards(self, call: Call) -> list[dict[str, Any]]:
        call.read(Nothing)
        return [self._view(card, whole=False) for card in self._waiting()]

    async def _card(self, call: Call) -> dict[str, Any]:
        card = self._find(call.read(Named).name)
        return self._view(card, whole=True)

    async def _evidence(self, call: Call) -> dict[str, Any]:
        """Send a question's evidence in pieces: events with id, name, media_type, data in base64."""
        card = self._find(call.read(Named).name)
        question = self._rooms.cards.show(card).question
        names = []
        for address in question.evidence if question is not None else ():
            view = self._desk.house.tools.artifact(card.run, address)
            if len(view.data) > MAX_EVIDENCE_BYTES:
                raise BadInput(f"The evidence {view.name} is over {MAX_EVIDENCE_BYTES >> 20} MiB.")
            names.append(view.name)
            for start in range(0, max(len(view.data), 1), _CHUNK):
                piece = base64.b64encode(view.data[start : start + _CHUNK]).decode()
                await call.emit(
                    {"id": address, "name": view.name, "media_type": view.media_type, "data": piece}
                )
        return {"names": names}

    # ---- deciding ----------------------------------------------------------------------------------------

    async def _decide(self, call: Call) -> dict[str, Any]:
        args = call.read(_Decide)
        card = self._rooms.cards.get(args.card)
        edited = ""
        if "args" in args.content:
            desk, shown = self._desk, self._rooms.cards.show(card)
            edited = digest_of_edit(desk.engine, desk.house, desk.kernel.gate, shown, args.content["args"])
        change = self._rooms.cards.decide(
            card.id,
            args.signed,
            args.content,
            self._desk.now_us(),
            self._desk.versions_of(card),
            edited=edited,
        )
        decided: Card = await self._desk.commit(change)
        if decided.state != "open":
            self._desk.engine.decided(decided.id)
        return self._view(decided, whole=False)

    # ---- grants ------------------------------------------------------------------------------------------

    def _grant_view(self, grant: Grant) -> dict[str, Any]:
        plain: dict[str, Any] = msgspec.to_builtins(grant)
        return {**plain, "left": self._rooms.grants.left(grant.id)}

    async def _grants(self, call: Call) -> list[dict[str, Any]]:
        call.read(Nothing)
        return [self._grant_view(grant) for grant in self._rooms.grants.all()]

    async def _add_grant(self, call: Call) -> dict[str, Any]:
        args = call.read(_AddGrant)
        tool = args.scope.tool
        if tool not in self._desk.house.tools.names and not tool.startswith(OWN):
            raise NotFound(f"There is no tool {tool[:80]!r}, so nothing was granted.", remedy=_TOOLS)
        control = CONTROL.get(tool, ())
        change = self._rooms.grants.add(args.signed, args.scope, self._desk.now_us(), control)
        return self._grant_view(await self._desk.commit(change))

    async def _revoke_grant(self, call: Call) -> dict[str, Any]:
        args = call.read(_RevokeGrant)
        ids = [grant.id for grant in self._rooms.grants.all()]
        if args.name not in ids:
            raise NotFound("There is no grant of this id.", remedy="List them: freehold grants")
        await self._desk.commit(self._rooms.grants.revoke(args.name, args.signed, self._desk.now_us()))
        return {"id": args.name, "state": "revoked"}
