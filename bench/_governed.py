"""An agent's calls taken through the real gate, for the replays: an owner's file says what each tool is.

Everything is real but the tools' effects, which the caller brings: estate, gate, journal, cards, labels. A session is a
run of one job whose agent chooses its actions itself; what the owner said is all that it is told in trust.
"""

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
import yaml

from freehold.kernel.books import Accounts
from freehold.kernel.grades import Category, Grade, parse_category
from freehold.kernel.labels import Context, Integrity, Label, Sink, Zone
from freehold.kernel.origins import Origins
from freehold.kernel.provenance import Trusted
from freehold.kernel.rights import named, right
from freehold.kernel.said import Said
from freehold.kernel.scope import ApprovalRule, Request, Scope
from freehold.kernel.tools import EffectKind, Face, Intent, Outcome, Role, Tool
from freehold.store.interface import Cost
from freehold.testing.estates import AGENT, OWNER, ThrowawayEstate

JOB: Final = "replay"
_ONE: Final = Cost(actions=1)
_WHO: Final = {who.name.lower(): who for who in Integrity}


class _ToolWords(msgspec.Struct, forbid_unknown_fields=True):
    """One tool as the owner describes it: ``does`` is a category, ``asks`` says that its question leaves the house.

    ``writes`` says of one without a category that it leaves something behind, where only the owner sees it.
    """

    does: str = ""
    asks: bool = False
    writes: bool = False
    target: list[str] = []
    item: list[str] = []
    content: list[str] = []
    inner: list[str] = []
    written_by: dict[str, str] = {}
    words: list[str] = []
    meanings: dict[str, dict[str, list[str]]] = {}
    audience: str = ""
    names: list[str] = []
    authors: dict[str, str] = {}


class _FileWords(msgspec.Struct, forbid_unknown_fields=True):
    tools: dict[str, _ToolWords]
    owner: str = ""
    called: list[str] = []


@dataclass(frozen=True, slots=True)
class OwnerFile:
    """The tools that an owner describes, and who the owner is."""

    tools: Mapping[str, Tool]
    owner: str = ""
    called: tuple[str, ...] = ()


def owner_file(path: Path) -> OwnerFile:
    """Return what an owner's file says; raises msgspec.ValidationError with what is wrong."""
    words = msgspec.convert(yaml.safe_load(path.read_text()), _FileWords)
    return OwnerFile(
        {name: _tool(name, tool) for name, tool in words.tools.items()}, words.owner, tuple(words.called)
    )


def _tool(name: str, words: _ToolWords) -> Tool:
    roles = dict.fromkeys(words.target, Role.TARGET) | dict.fromkeys(words.item, Role.ITEM)
    roles |= dict.fromkeys(words.content, Role.CONTENT) | dict.fromkeys(words.inner, Role.INNER)
    meanings = {
        argument: {value: tuple(asked) for value, asked in values.items()}
        for argument, values in words.meanings.items()
    }
    face = Face(
        name, {}, roles, {path: _WHO[who] for path, who in words.written_by.items()}, tuple(words.words), meanings,
        words.audience, tuple(words.names), words.authors,
    )  # fmt: skip
    category = parse_category(words.does) if words.does else None
    sink = Sink(Zone.FOREIGN, consequential=category is not None, name=name)
    return Tool(
        name,
        EffectKind.IDEMPOTENT if category is not None or words.writes else EffectKind.READ,
        lambda args: (named("tool", name),),
        category,
        sink=(lambda args: sink) if category is not None or words.asks else None,
        right="tool.call",
        timeout_s=None,
        face=face,
    )


@dataclass(frozen=True, slots=True)
class Called:
    """What became of a call; ``why`` are the reasons on the card when it was not executed."""

    executed: bool
    value: Any = None
    why: tuple[str, ...] = ()


class Governed:
    """One estate whose agent has the tools of an owner's file. ``today`` is the day that the owner speaks on."""

    def __init__(self, folder: Path, suite: OwnerFile, today: dt.date | None = None) -> None:
        self.suite = suite
        self.today = today
        self.estate = ThrowawayEstate(folder, spare=0)

    async def open(self) -> "Governed":
        """Open the estate and employ the agent."""
        await self.estate.open()
        rights = tuple(right("tool.call", name) for name in self.suite.tools)
        await self.estate.rooms.ledger.commit(self.estate.rooms.rules.employ(JOB, AGENT, rights, by=OWNER))
        return self

    async def close(self) -> None:
        """Close the estate."""
        await self.estate.close()

    async def session(self, prompt: str) -> "Session":
        """Begin a run whose owner says ``prompt``; of earlier ones it has what the estate remembers."""
        rooms = self.estate.rooms
        run, now_us = self.estate.kernel.ids.new(), rooms.ledger.now_us()
        accounts = Accounts(run=run, job=JOB, agent=AGENT, owner=OWNER, limits=(), opened_us=now_us)
        await rooms.ledger.commit(rooms.budget.open_run(accounts))
        origins = Origins(Said(self.today), rooms.hearsay.holds)
        scope = Scope(
            run=run,
            job=JOB,
            principals=rooms.registry.chain_of(AGENT, JOB),
            accounts=accounts,
            grades=dict.fromkeys(Category, Grade.ACT),
            approval=ApprovalRule(),
            trusted=Trusted.from_rights(()),
            started_us=now_us,
            settings={},
            artifact=_no_artifact,
            origins=origins,
        )
        session = Session(self, scope, origins)
        origins.said.be(*self.suite.called)
        if self.suite.owner:
            origins.said.say(self.suite.owner, order=False)
        session.also(prompt)
        return session


class Session:
    """One run of the agent."""

    def __init__(self, house: Governed, scope: Scope, origins: Origins) -> None:
        self._house = house
        self._scope = scope
        self._origins = origins
        self._context = Context()
        self._ordinal = 0

    def also(self, text: str) -> None:
        """Take in what the owner says next."""
        self._origins.said.say(text)

    async def call(self, function: str, args: Mapping[str, Any], effect: Callable[[], Any]) -> Called:
        """Take a call to the gate; ``effect`` runs only when it lets it through. What ``effect`` raises is raised."""
        tool, sent = self._house.suite.tools[function], _plain(args)
        face = tool.face
        assert face is not None
        kept: list[Any] = []
        failed: list[Exception] = []

        async def enter(intent: Intent) -> Outcome:
            try:
                kept.append(effect())
            except Exception as error:
                failed.append(error)
                return Outcome("done", spent=_ONE)
            return Outcome("done", spent=_ONE, label=Label())

        self._ordinal += 1
        request = Request(self._scope, "work", 0, self._ordinal, tool, sent, self._context.label)
        record = await self._house.estate.gate.perform(request, enter)
        if record.status == "parked":
            card = self._house.estate.rooms.cards.show(self._house.estate.rooms.cards.get(record.card))
            lines = [line for line in card.facts.lines if line.name == "why you are asked"]
            return Called(False, why=tuple(f"{line.value} {line.provenance!r}" for line in lines))
        if failed:
            raise failed[0]
        if record.status != "done":
            raise RuntimeError(f"{function}: {record.status}: {record.message} {record.remedy}")
        who = self._origins.saw(function, face, sent, _plain(kept[0]))
        self._context.show(Label(who, sources=(function,)))
        return Called(True, kept[0])


def _plain(value: Any) -> Any:
    """Return a value as the JSON of the house: no floats, structures as tables."""
    if hasattr(value, "model_dump"):
        return _plain(value.model_dump(mode="json"))
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(inner) for inner in value]
    if value is None or isinstance(value, bool | int | str):
        return value
    return f"{value:g}" if isinstance(value, float) else str(value)


def _no_artifact(address: str) -> Any:
    raise LookupError(address)
