"""A real kernel with effects that the test makes itself: no runner, no courier, one human and one agent."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from freehold.base import Clock, Json, action_id
from freehold.kernel import people
from freehold.kernel.books import Accounts
from freehold.kernel.card import Card
from freehold.kernel.constraints import Constraint
from freehold.kernel.grades import Category, Grade
from freehold.kernel.grants import Grant
from freehold.kernel.grants import Scope as GrantScope
from freehold.kernel.labels import BOTTOM, Label, Sink, Zone
from freehold.kernel.limits import Limit
from freehold.kernel.principals import Human
from freehold.kernel.provenance import Trusted
from freehold.kernel.rights import named, right
from freehold.kernel.scope import ApprovalRule, Record, Request, Scope
from freehold.kernel.together import Asked
from freehold.kernel.tools import ArtifactView, EffectKind, Intent, Outcome, PrepareContext, Prepared, Tool
from freehold.store.interface import Batch, Cost, Entry, EntryKind
from freehold.testing.estates import AGENT, ESTATE, OWNER, ThrowawayEstate

JOB: Final = "errands"
HOUR_US: Final = 3_600_000_000
KINDS: Final = tuple(EffectKind)
REPEATED: Final = (EffectKind.READ, EffectKind.IDEMPOTENT, EffectKind.KEYED)
DONE: Final = Outcome("done", b'{"n":1}', spent=Cost(actions=1))
NOT_DONE: Final = Outcome("not_done", spent=Cost(), message="No.")
UNKNOWN: Final = Outcome("unknown", message="Nobody answered.")


class Killed(BaseException):
    """The process ends here; nothing catches it."""


class Counting:
    """An effector that counts, and does what it is told for each call (the last one for all that follow)."""

    def __init__(self, *plan: Outcome | Exception | Killed | Callable[[Intent], Awaitable[Outcome]]) -> None:
        self.intents: list[Intent] = []
        self._plan = plan or (DONE,)

    @property
    def calls(self) -> int:
        return len(self.intents)

    async def __call__(self, intent: Intent) -> Outcome:
        step = self._plan[min(self.calls, len(self._plan) - 1)]
        self.intents.append(intent)
        if isinstance(step, BaseException):
            raise step
        return step if isinstance(step, Outcome) else await step(intent)


def prepare(context: PrepareContext, args: Mapping[str, Json]) -> Prepared:
    return Prepared(b"to %s by %s" % (str(args.get("to")).encode(), context.action.encode()))


def a_tool(kind: EffectKind, category: Category | None = None, **more: Any) -> Tool:
    """Return a tool that does something to the thing that ``to`` names."""
    return Tool(
        "tool.call",
        kind,
        lambda args: (named("tool", str(args.get("to", "printer"))),),
        category,
        prepare=prepare,
        **more,
    )


SENDS: Final = a_tool(
    EffectKind.ONCE,
    Category.SEND,
    sink=lambda args: Sink(Zone.PEOPLE, consequential=True, name="the printer"),
    control=lambda args: (("tool.call", str(args.get("to"))),),
)


@dataclass
class Desk:
    """An estate's gate, and what a test does at it; ``together`` takes the lane for many at once."""

    folder: Path
    store: str = ""
    clock: Clock | None = None
    commit_delay_s: float = 0.0
    together: bool = False
    estate: ThrowawayEstate = field(init=False)

    async def open(self) -> "Desk":
        first = not (self.folder / "keys").exists()
        self.estate = ThrowawayEstate(
            self.folder, store=self.store, clock=self.clock, commit_delay_s=self.commit_delay_s, spare=0
        )
        await self.estate.open()
        if first:
            rights = tuple(right("tool.call", thing) for thing in ("printer", "scanner", "door"))
            await self.commit(self.rooms.rules.employ(JOB, AGENT, rights, by=OWNER))
        return self

    async def restart(self) -> None:
        """Open the estate again, as after the end of the process; what was in memory alone is gone."""
        await self.estate.close()
        await self.open()

    async def close(self) -> None:
        await self.estate.close()

    @property
    def rooms(self) -> Any:
        return self.estate.rooms

    async def commit(self, change: Any) -> Any:
        return await self.rooms.ledger.commit(change)

    # ---- asking the gate -----------------------------------------------------------------------------

    async def scope(
        self,
        *,
        grades: Mapping[Category, Grade] | None = None,
        approval: ApprovalRule | None = None,
        limits: tuple[Limit, ...] = (),
        trusted: tuple[str, ...] = (),
        job: str = JOB,
    ) -> Scope:
        """Open a run and return its scope."""
        run = self.estate.kernel.ids.new()
        now_us = self.rooms.ledger.now_us()
        accounts = Accounts(run=run, job=job, agent=AGENT, owner=OWNER, limits=limits, opened_us=now_us)
        await self.commit(self.rooms.budget.open_run(accounts))
        return self.again(
            Scope(
                run=run,
                job=job,
                principals=self.rooms.registry.chain_of(AGENT, job),
                accounts=accounts,
                grades=grades or {},
                approval=approval or ApprovalRule(),
                trusted=Trusted.from_rights(right("tool.call", name) for name in trusted),
                started_us=now_us,
                settings={},
                artifact=_no_artifact,
            )
        )

    def again(self, scope: Scope) -> Scope:
        """Return the scope as the engine makes it anew when a run is taken up."""
        return Scope(
            run=scope.run,
            job=scope.job,
            principals=self.rooms.registry.chain_of(AGENT, scope.job),
            accounts=self.rooms.budget.accounts(scope.run),
            grades=scope.grades,
            approval=scope.approval,
            trusted=scope.trusted,
            started_us=scope.started_us,
            settings={},
            artifact=_no_artifact,
            policy_digest=scope.policy_digest,
            known={action.action: action for action in self.rooms.store.actions_of_run(scope.run)},
        )

    async def perform(
        self,
        scope: Scope,
        tool: Tool,
        effect: Counting,
        *,
        ordinal: int = 1,
        label: Label = BOTTOM,
        max_cost: Cost | None = None,
        blob: bytes | None = None,
        **args: Json,
    ) -> Record:
        request = Request(scope, "node", 0, ordinal, tool, {"to": "printer", **args}, label, blob, max_cost)
        if not self.together:
            return await self.estate.gate.perform(request, effect)
        records: list[Record | None] = []
        await self.estate.gate.perform_many(
            [Asked(request, effect)], lambda number, record: records.append(record)
        )
        (found,) = records
        assert found is not None
        return found

    def digest(self, scope: Scope, tool: Tool, **args: Json) -> str:
        """Return the digest of the first action with other arguments."""
        request = Request(scope, "node", 0, 1, tool, {"to": "printer"}, BOTTOM)
        return self.estate.gate.digest_of(request, {"to": "printer", **args})

    def during_commit(self, of: EntryKind, move: Callable[[], None]) -> None:
        """Do something while the next entry of a kind is being made durable."""
        store, real = self.rooms.store, self.rooms.store.commit

        async def commit(batch: Batch) -> int:
            if not any(draft.kind is of for draft in batch.entries):
                return int(await real(batch))
            store.commit = real
            index = int(await real(batch))
            move()
            return index

        store.commit = commit

    # ---- looking -------------------------------------------------------------------------------------

    def entries(self, scope: Scope, *kinds: EntryKind) -> list[Entry]:
        found = self.rooms.store.entries_of_run(scope.run)
        return [entry for entry in found if not kinds or entry.draft.kind in kinds]

    def said(self, entry: Entry) -> dict[str, Any]:
        """Return what an entry keeps private."""
        private = self.rooms.ledger.open_payload(entry)
        assert private is not None
        said: dict[str, Any] = msgspec.json.decode(private)
        return said

    def head(self, entry: Entry) -> dict[str, Any]:
        head: dict[str, Any] = msgspec.json.decode(entry.draft.body)
        return head

    def spent(self, scope: Scope) -> tuple[int, int]:
        """Return how many actions a run was charged with, and how many it holds."""
        bill = self.rooms.budget.bill(scope.run, self.rooms.ledger.now_us())
        return bill.spent.actions, bill.reserved.actions

    def cards(self) -> list[Card]:
        found: list[Card] = self.rooms.cards.waiting(self.rooms.ledger.now_us())
        return found

    def card(self) -> Card:
        (card,) = self.cards()
        return card

    def reports(self) -> list[dict[str, Any]]:
        return [msgspec.json.decode(document.body) for document in self.rooms.store.documents("report")]

    # ---- what people do ------------------------------------------------------------------------------

    async def decide(
        self,
        card: Card,
        what: people.What,
        content: dict[str, Any] | None = None,
        *,
        by: people.SigningKey | None = None,
        edited: str = "",
    ) -> Card:
        key, said = by or self.estate.key, content or {}
        now_us = self.rooms.ledger.now_us()
        statement = people.make_statement(
            what, estate=ESTATE, by=key.human, about=card.id, digest=card.digest, content=said, at=now_us
        )
        versions = (self.rooms.rules.version_for(card.agent, card.job, card.owner), card.policy)
        change = self.rooms.cards.decide(card.id, key.sign(statement), said, now_us, versions, edited=edited)
        decided: Card = await self.commit(change)
        return decided

    async def grant(self, count: int, *, until_us: int = HOUR_US, to: str = "printer") -> Grant:
        now_us = self.rooms.ledger.now_us()
        scope = GrantScope("tool.call", AGENT, count, now_us + until_us, (Constraint("to", "equals", to),))
        statement = people.make_statement(
            "grant.add", estate=ESTATE, by=OWNER, about=AGENT, digest="", content=scope.plain(), at=now_us
        )
        made: Grant = await self.commit(
            self.rooms.grants.add(self.estate.key.sign(statement), scope, now_us, ("to",))
        )
        return made

    async def hire(self, name: str) -> people.SigningKey:
        """Add another human and return their key."""
        stored = people.make_key(name, None)
        human = Human(name, name.title(), f"{name}@example.org", stored.public_key.hex(), presence="none")
        await self.commit(self.rooms.registry.add_human(human, by=OWNER))
        return stored.unlock()


def action_of(scope: Scope, ordinal: int = 1) -> str:
    return action_id(scope.run, "node", 0, ordinal)


def forever() -> Counting:
    """Return an effector that never answers."""
    return Counting(lambda intent: asyncio.get_running_loop().create_future())


def _no_artifact(address: str) -> ArtifactView:
    raise AssertionError(address)
