"""The words of the gate: the standing facts of one run, what is asked, and the record that comes back."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import msgspec

from freehold.base import Json
from freehold.base.canonical import encode
from freehold.kernel.books import Accounts
from freehold.kernel.change import Change
from freehold.kernel.grades import Category, Grade
from freehold.kernel.labels import Label
from freehold.kernel.origins import Origins, Reason
from freehold.kernel.provenance import Trusted
from freehold.kernel.registry import Principals
from freehold.kernel.tools import ArtifactView, Prepared, Tool
from freehold.store.interface import Cost, RunAction

MAX_REFUSALS = 1_000
"""After so many refusals the gate answers a run no more, and the engine stops it."""


@dataclass(frozen=True, slots=True)
class ApprovalRule:
    """Who must approve what a job asks for, and for how long a card waits (microseconds)."""

    four_eyes: bool = False
    expires_us: int = 7 * 86_400 * 1_000_000


@dataclass(slots=True)
class Scope:
    """One run as the gate sees it; made by the engine from trusted data, never from a runner's words.

    ``trusted`` holds the values that the owner wrote into the job file: under text of strangers an
    action may only choose a recipient or host that stands there. ``known`` maps action ids to what an
    earlier life of a step already did. ``policy_digest`` binds approvals to the policy that was pinned. ``origins`` is
    there where an agent chooses its actions itself: what strangers could have chosen is then asked for. ``told`` holds
    the actions whose answers it was shown, each with the label of what strangers could have put there. ``waiting`` are
    those that the budget bears once another of the run is over.
    """

    run: str
    job: str
    principals: Principals
    accounts: Accounts
    grades: Mapping[Category, Grade]
    approval: ApprovalRule
    trusted: Trusted
    started_us: int
    settings: Mapping[str, Json]
    artifact: Callable[[str], ArtifactView]
    policy_digest: str = ""
    known: dict[str, RunAction] = field(default_factory=dict)
    in_flight: set[str] = field(default_factory=set)
    refusals: int = 0
    origins: Origins | None = None
    told: dict[str, Label | None] = field(default_factory=dict)
    who: str = ""
    waiting: "list[asyncio.Future[None]]" = field(default_factory=list)

    def left(self, action: str) -> None:
        """Take note that an action is over; what waits for what it held may try again."""
        self.in_flight.discard(action)
        if self.waiting:
            waiting, self.waiting = self.waiting, []
            for one in waiting:
                if not one.done():
                    one.set_result(None)

    async def freed(self) -> None:
        """Wait until an action that is under way is over."""
        one: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiting.append(one)
        await one

    def __post_init__(self) -> None:
        """Write down once who acts, in the form that every record of the run will say it in."""
        principals = self.principals
        who: dict[str, Json] = {"agent": principals.agent, "owner": principals.owner}
        if principals.delegators:
            who["chain"] = list(principals.delegators)
        self.who = encode(who).decode()


class Request(msgspec.Struct, frozen=True):
    """What is asked of the gate. ``label`` is what the asker was shown, as the gate computed it.

    ``planned`` are the texts that the fixed plan gave this step.
    Its subjects are the people (or files) whom the action is about; its contents are sealed for them.
    """

    scope: Scope
    node: str
    item: int
    ordinal: int
    tool: Tool
    args: dict[str, Json]
    label: Label
    blob: bytes | None = None
    max_cost: Cost | None = None
    planned: frozenset[str] = frozenset()


class Ready(msgspec.Struct, frozen=True):
    """An action whose bytes are fixed.

    ``asked`` is the digest of what was asked, ``sent`` of what will be done: they differ where a human edited it.
    ``private`` is the canonical form, sealed in the INTENT.
    """

    action: str
    args: dict[str, Json]
    private: bytes
    asked: str
    sent: str
    prepared: Prepared


class Judgement(msgspec.Struct):
    """What the stages before the write decided, and what the write has to consume."""

    ready: Ready
    rules: tuple[str, ...] = ()
    grade: Grade = Grade.ACT
    approvers: tuple[str, ...] = ()
    answer: bytes = b""
    card: str | None = None
    grant: str | None = None
    edited: dict[str, Json] | None = None
    consume: Change | None = None
    waits_for: str = ""
    propose: bool = False
    steered: tuple[Reason, ...] = ()
    park: Change | None = None


class Record(msgspec.Struct, frozen=True):
    """What became of an action: its place in the journal and its value, or why there is none.

    ``status``: done, not_done, unknown, refused, proposed, or parked (then ``card`` waits for a human).
    ``replayed`` says that it was answered from the journal.
    """

    action: str
    status: str
    attempt: int = 1
    value: bytes = b"null"
    label: Label | None = None
    intent_index: int = -1
    result_index: int = -1
    spent: Cost = Cost()
    card: str = ""
    code: str = ""
    message: str = ""
    remedy: str = ""
    replayed: bool = False
