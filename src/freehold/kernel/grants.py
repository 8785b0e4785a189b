"""Grants: what a human allowed in advance, scoped, counted, expiring: so forty equal cards become one.

The gate consults grants where it would otherwise ask (stage *ask*), after who, may and flow: a grant stands
for a card and for nothing else, so it lifts no refusal of rules, flow, budget or freeze. A use is a document
of its own, numbered; it is new or the commit fails, so the count holds and uses do not stand in each
other's way.
"""

from collections.abc import Collection, Mapping
from typing import Any, Final

import msgspec

from freehold.base import BadInput, Corrupt, Json, NotFound, Refused, canonical
from freehold.kernel.card import Role
from freehold.kernel.change import Change, Note
from freehold.kernel.constraints import Constraint
from freehold.kernel.limits import utc
from freehold.kernel.people import Signed
from freehold.kernel.statements import Approvers, Documents, Witness
from freehold.store.interface import Document, Drop, Put

GRANTS: Final = "grant"
USES: Final = "grant.use"
MOST_USES: Final = 10_000
LONGEST_US: Final = 366 * 86_400_000_000


class Scope(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a human signs: which actions, how many, until when (microseconds). An empty ``job`` means any."""

    tool: str
    agent: str
    count: int
    expires_us: int
    constraints: tuple[Constraint, ...]
    job: str = ""

    def plain(self) -> dict[str, Any]:
        """Return the scope as the JSON that the statement's ``args`` covers."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain


class Grant(msgspec.Struct, frozen=True):
    """A grant as it is kept. ``state`` is ``open`` or ``revoked``; spent and expired follow from it."""

    id: str
    scope: Scope
    by: str
    at_us: int
    state: str = "open"
    version: int = 0


class Use(msgspec.Struct, frozen=True, kw_only=True):
    """The action that a grant is sought for. ``needs`` are the roles that a card would have to fill."""

    action: str
    tool: str
    agent: str
    job: str
    args: Mapping[str, Json]
    needs: tuple[Role, ...] = ("confirm",)


class _Uses:
    """Who used a grant, under which number from 1 to its count; ``taken``: their commit is under way."""

    def __init__(self) -> None:
        self.number_of: dict[str, int] = {}
        self.taken: set[int] = set()
        self._free: list[int] = []
        self._next = 1

    def __len__(self) -> int:
        return len(self.number_of) + len(self.taken)

    def take(self) -> int:
        """Return a number that nobody has."""
        number = self._free.pop() if self._free else self._next
        self._next = max(self._next, number + 1)
        self.taken.add(number)
        return number

    def keep(self, number: int, action: str) -> None:
        """The use is durable."""
        self.taken.discard(number)
        self.number_of[action] = number

    def drop(self, number: int) -> None:
        """The use was not made."""
        if number in self.taken:
            self.taken.discard(number)
            self._free.append(number)

    def forget(self, action: str) -> None:
        """The use is given back."""
        number = self.number_of.pop(action, None)
        if number is not None:
            self._free.append(number)

    def load(self, numbers: Mapping[str, int]) -> None:
        """Take the uses that are kept."""
        self.number_of = dict(numbers)
        used = set(numbers.values())
        self._next = max(used, default=0) + 1
        self._free = [number for number in range(self._next - 1, 0, -1) if number not in used]


class Grants:
    """The estate's grants. Every method is synchronous and called from the daemon's loop."""

    def __init__(self, witness: Witness, approvers: Approvers) -> None:
        self._witness = witness
        self._approvers = approvers
        self._grants: dict[str, Grant] = {}
        self._uses: dict[str, _Uses] = {}
        self._closing: set[str] = set()

    def load(self, store: Documents) -> None:
        """Read the grants that are not revoked, and their uses."""
        self._grants = {document.key: _decode(document) for document in store.documents(GRANTS, state="open")}
        self._closing = set()
        numbers: dict[str, dict[str, int]] = {identifier: {} for identifier in self._grants}
        for document in store.documents(USES):
            identifier, _, number = document.key.partition("/")
            if identifier in numbers:
                numbers[identifier][str(canonical.decode(document.body)["action"])] = int(number)
        self._uses = {identifier: _Uses() for identifier in self._grants}
        for identifier, uses in self._uses.items():
            uses.load(numbers[identifier])

    # ---- making ------------------------------------------------------------------------------------------

    def add(self, signed: Signed, scope: Scope, now_us: int, control: Collection[str] = ()) -> Change:
        """Return the change that makes a grant (statement ``grant.add``, about the agent); value: the grant.

        ``control`` names the fields that choose whom the tool hits: each must be constrained. Raises Refused
        for anyone but a human, BadInput for a scope that says too little.
        """
        _check(scope, now_us, control)
        used = self._witness.check(
            signed, what=("grant.add",), about=scope.agent, digest="", content=scope.plain(), now_us=now_us
        )
        if self._approvers.owner_of(scope.agent) is None:
            raise Refused(
                f"Agent {scope.agent} does not exist or has no active owner.",
                remedy="Name an agent of this estate (`freehold agents`).",
                code="refused.approver",
            )
        identifier = canonical.digest(b"freehold/grant/v1\0" + signed.statement.encoded())[:32]
        grant = Grant(identifier, scope, str(used.value), now_us, version=1)
        head = {
            "grant": identifier,
            "tool": scope.tool,
            "agent": scope.agent,
            "by": grant.by,
            "count": scope.count,
        }
        head["expires"] = scope.expires_us
        subjects = (f"human:{grant.by}",)
        private = {"signed": msgspec.to_builtins(signed), "scope": scope.plain()}
        put = Put(GRANTS, identifier, _encode(grant), "open", expect=0)

        def after() -> None:
            self._grants[identifier] = grant
            self._uses[identifier] = _Uses()

        return used.join(Change([Note("grant.added", head, private, subjects)], [put], [after], grant))

    def revoke(self, identifier: str, signed: Signed, now_us: int) -> Change:
        """Return the change that ends a grant (statement ``grant.revoke``); any active human may.

        From this call on the grant is not given out, unless the commit fails.
        """
        grant = self.get(identifier)
        used = self._witness.check(
            signed, what=("grant.revoke",), about=identifier, digest="", content={}, now_us=now_us
        )
        revoked = msgspec.structs.replace(grant, state="revoked", version=grant.version + 1)
        put = Put(GRANTS, identifier, _encode(revoked), "revoked", expect=grant.version)
        note = Note("grant.revoked", {"grant": identifier, "by": used.value})
        # only towards no: an action that is judged between now and the commit must not slip in behind it
        self._closing.add(identifier)

        def after() -> None:
            self._grants.pop(identifier, None)
            self._uses.pop(identifier, None)
            self._closing.discard(identifier)

        undo = [lambda: self._closing.discard(identifier)]
        return used.join(Change([note], [put], [after], revoked, undo))

    # ---- looking -----------------------------------------------------------------------------------------

    def get(self, identifier: str) -> Grant:
        """Return a grant that is not revoked; raises NotFound."""
        grant = self._grants.get(identifier)
        if grant is None:
            raise NotFound("There is no grant of this id.", remedy="Look it up with `freehold grants`.")
        return grant

    def all(self) -> list[Grant]:
        """Return every grant that is not revoked, oldest first."""
        return sorted(self._grants.values(), key=lambda grant: (grant.at_us, grant.id))

    def left(self, identifier: str) -> int:
        """Return how many uses are left, with those under way counted as used."""
        return self.get(identifier).scope.count - len(self._uses[identifier])

    def find(self, use: Use, now_us: int) -> Grant | None:
        """Return the grant that stands for the card of ``use``, the one that ends first; else None."""
        fitting = [grant for grant in self._grants.values() if self._fits(grant, use, now_us)]
        return min(fitting, key=lambda grant: (grant.scope.expires_us, grant.id), default=None)

    def _fits(self, grant: Grant, use: Use, now_us: int) -> bool:
        scope = grant.scope
        if scope.tool != use.tool or scope.agent != use.agent or scope.job not in ("", use.job):
            return False
        if now_us >= scope.expires_us or grant.id in self._closing or not self._may(grant.by, use):
            return False
        again = use.action in self._uses[grant.id].number_of
        return (again or self.left(grant.id) > 0) and all(one.fits(use.args) for one in scope.constraints)

    def _may(self, by: str, use: Use) -> bool:
        """Whether the person who made the grant could now fill every role that the card would need."""
        owner = self._approvers.owner_of(use.agent)
        if owner is None or not self._approvers.is_active_human(by) or len(use.needs) != 1:
            return False
        return use.needs[0] == ("confirm" if by == owner else "four_eyes") or use.needs[0] == "anyone"

    # ---- using -------------------------------------------------------------------------------------------

    def consume(self, identifier: str, use: Use, now_us: int) -> Change:
        """Return the change that counts one use, to be made in one commit with the INTENT; value: the grant.

        An action that used the grant before, in an earlier attempt, is not counted again. Raises Refused when
        the grant holds no more. Run ``undo`` when the commit fails or is never tried, or the use counts until
        a restart.
        """
        grant = self.get(identifier)
        if not self._fits(grant, use, now_us):
            raise Refused(
                f"The grant of {grant.by} (until {utc(grant.scope.expires_us)}) holds no more.",
                remedy="Ask for a card, or for another grant.",
                code="refused.grant",
            )
        uses = self._uses[identifier]
        if use.action in uses.number_of:
            return Change(value=grant)
        number = uses.take()
        row = canonical.encode({"action": use.action, "at": now_us})
        put = Put(USES, f"{identifier}/{number:05d}", row, expect=0)
        after, undo = lambda: uses.keep(number, use.action), lambda: uses.drop(number)
        return Change(writes=[put], after=[after], value=grant, undo=[undo])

    def give_back(self, identifier: str, action: str) -> Change:
        """Return the change that gives a use back: the effect was explicitly not done."""
        uses = self._uses.get(identifier)
        if uses is None or action not in uses.number_of:
            return Change()
        drop = Drop(USES, f"{identifier}/{uses.number_of[action]:05d}")
        return Change(writes=[drop], after=[lambda: uses.forget(action)])


def _check(scope: Scope, now_us: int, control: Collection[str]) -> None:
    """Raise BadInput unless the scope is narrow, finite and says whom it may hit."""
    if not 1 <= scope.count <= MOST_USES:
        raise BadInput(f"A grant counts from 1 to {MOST_USES:,}.", remedy="Change its count.")
    if not now_us < scope.expires_us <= now_us + LONGEST_US:
        raise BadInput("A grant ends between now and a year from now.", remedy="Change when it expires.")
    if not scope.tool or not scope.agent:
        raise BadInput("A grant names one tool and one agent.", remedy="Name both.")
    for constraint in scope.constraints:
        constraint.check()
    named = {constraint.field for constraint in scope.constraints}
    missing = [field for field in control if field not in named]
    if missing or not scope.constraints:
        fields = ", ".join(missing) or "any field"
        raise BadInput(
            f"The grant for {scope.tool} does not constrain {fields}.",
            remedy="Say which values it may have: equals, one_of, at_most, prefix or domain.",
        )


def _encode(grant: Grant) -> bytes:
    row = msgspec.to_builtins(grant)
    del row["version"]
    return canonical.encode(row)


def _decode(document: Document) -> Grant:
    try:
        grant = msgspec.json.decode(document.body, type=Grant)
    except msgspec.DecodeError as error:
        raise Corrupt(
            f"The grant {document.key} cannot be read.", remedy="Restore the estate's backup."
        ) from error
    return msgspec.structs.replace(grant, version=document.version)
