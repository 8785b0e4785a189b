"""Who may do what, now: agent ∩ each delegator ∩ each link ∩ the human owner, by Cedar, and no rule means no.

Rights come from job files (``may``), from what agents and humans are allowed, and from delegations. The gate
asks ``decide``; every decision names its rules, and a refusal says in words what would have allowed it.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from freehold.base import BadInput, Corrupt, Internal, NotFound, Refused
from freehold.base.canonical import decode, encode
from freehold.kernel import cedar
from freehold.kernel.cedar import EVERYONE, Policy, Uid
from freehold.kernel.change import Change, Note
from freehold.kernel.documents import Documents
from freehold.kernel.epoch import Epoch
from freehold.kernel.refusals import Lack, explain
from freehold.kernel.registry import Agent, Human, Principals, Registry, check_slug
from freehold.kernel.rights import ACTIONS, Resource, Right, right_from_json, right_to_json
from freehold.store.interface import Drop, Put

__all__ = ["HOUSE_RIGHTS", "Decision", "Resource", "Right", "Rule", "Rules", "Stats"]

MAX_MEMO: Final = 8_192
MAX_HANDLES: Final = 4_096
MAX_RIGHTS: Final = 1_000

# What every principal may do, because it stays inside the run: the gate sees to it that it does.
HOUSE_RIGHTS: Final = tuple(
    Right(action, "*") for action in ("step.run", "artifact.get", "artifact.put", "question.ask")
)


class Decision(msgspec.Struct, frozen=True):
    """May they, by which rules; or why not, and what would have allowed it.

    ``lacking`` names the principals that lack the right ("agent clerk"); what forbids is in ``rules``.
    """

    allowed: bool
    rules: tuple[str, ...] = ()
    why: str = ""
    remedy: str = ""
    lacking: tuple[str, ...] = ()


class Rule(msgspec.Struct, frozen=True):
    """One rule as people see it: its stable id, whose it is ("agent bookkeeper"), what it says."""

    id: str
    holder: str
    right: Right


class Stats(msgspec.Struct, frozen=True):
    """How often a decision came from the memo since start, and how many it holds."""

    hits: int
    misses: int
    size: int


class _Set(msgspec.Struct, frozen=True):
    """The rules of one holder as stored; ``next`` is the number of the next one, never used twice."""

    key: str
    holder: Uid
    agent: str
    next: int
    rows: tuple[tuple[str, Right], ...]
    version: int


class _Term(msgspec.Struct, frozen=True):
    """One who must agree: its entity, the entity whose rules it also has, and its name in words."""

    uid: Uid
    above: Uid
    lack: Lack


class Rules:
    """The rules of the estate. ``house`` is what everyone may do; the tests take it away.

    ``memo_size`` 0 evaluates every decision afresh.
    """

    def __init__(
        self,
        epoch: Epoch,
        registry: Registry,
        *,
        house: Iterable[Right] = HOUSE_RIGHTS,
        memo_size: int = MAX_MEMO,
    ) -> None:
        self._epoch = epoch
        self._registry = registry
        self._house = tuple(Policy(f"house#{right.action}", EVERYONE, right) for right in house)
        self._sets: dict[str, _Set] = {}
        self._held: dict[Uid, tuple[Policy, ...]] = {}
        self._handles: dict[tuple[Uid, str], Any] = {}
        self._version = ""
        self._memo_size = memo_size
        self._memo: dict[tuple[str, str, tuple[str, ...], str, Resource], Decision] = {}
        self._memo_epoch = -1
        self._chains: dict[tuple[str, str, tuple[str, ...]], list[_Term]] = {}
        self._hits = 0
        self._misses = 0
        self._index()

    def load(self, store: Documents) -> None:
        """Read all rules again; raises Corrupt for a document that is not one."""
        found: dict[str, _Set] = {}
        for document in store.documents("rule"):
            try:
                found[document.key] = _read(document.key, decode(document.body), document.version)
            except (AttributeError, KeyError, TypeError, ValueError, BadInput):
                raise Corrupt(
                    f"The stored rules {document.key} cannot be read.", remedy="Restore a backup."
                ) from None
        self._sets = found
        self._index()
        self._epoch.bump()

    # ---- asking ------------------------------------------------------------------------------------------

    def decide(self, principals: Principals, action: str, resource: Resource, *, job: str = "") -> Decision:
        """Say whether all of ``principals`` may do ``action`` to ``resource`` in ``job``, at this moment.

        Never raises for a refusal: whoever may not act any more, and whatever cannot be evaluated, is denied.
        """
        job = job or principals.job
        if principals.epoch != self._epoch.value or principals.links or principals.job != job:
            try:
                principals = self._registry.chain_of(principals.agent, job, principals.link_ids)
            except (Refused, NotFound) as error:
                return Decision(False, why=error.message, remedy=error.remedy)
        return self.decide_for(principals, action, resource)

    def decide_for(self, principals: Principals, action: str, resource: Resource) -> Decision:
        """Say the same of a chain that the registry has just returned: it is not looked at again."""
        job = principals.job
        if self._memo_epoch != self._epoch.value:
            self._memo.clear()
            self._chains.clear()
            self._memo_epoch = self._epoch.value
        key = (principals.agent, job, principals.link_ids, action, resource)
        known = self._memo.get(key)
        if known is not None:
            self._hits += 1
            return known
        self._misses += 1
        decision = self._evaluate(principals, action, resource)
        if self._memo_size:
            if len(self._memo) >= self._memo_size:
                del self._memo[next(iter(self._memo))]
            self._memo[key] = decision
        return decision

    @property
    def stats(self) -> Stats:
        """The memo's figures."""
        return Stats(self._hits, self._misses, len(self._memo))

    @property
    def version(self) -> str:
        """A digest of every stored rule, the same after a restart."""
        if not self._version:
            text = b"\0".join(_body(self._sets[key]) for key in sorted(self._sets))
            self._version = hashlib.sha256(text).hexdigest()
        return self._version

    def version_for(self, agent: str, job: str, owner: str) -> str:
        """Return a digest of the rules that this agent's work in this job stands on; cards are bound to it.

        Another job's rules are not among them, so that employing somebody else makes no waiting card stale.
        """
        keys = ("estate", f"job:{job}", f"agent:{agent}", f"human:{owner}")
        text = b"\0".join(_body(self._sets[key]) for key in keys if key in self._sets)
        return hashlib.sha256(text).hexdigest()

    def all(self) -> list[Rule]:
        """Return every stored rule, by holder and number."""
        return [Rule(i, _words(s), r) for _, s in sorted(self._sets.items()) for i, r in s.rows]

    def rule(self, rule_id: str) -> Rule:
        """Return one rule by the id that decisions name; raises NotFound."""
        found = next((rule for rule in self.all() if rule.id == rule_id), None)
        if found is None:
            raise NotFound(
                f"There is no rule {rule_id[:200]!a}.", remedy="`freehold agents show` lists them."
            )
        return found

    def rights_of_job(self, job: str) -> tuple[Right, ...]:
        """Return what the job's ``may`` allows; empty for an unknown job."""
        found = self._sets.get(f"job:{job}")
        return () if found is None else tuple(right for _, right in found.rows)

    # ---- changing ----------------------------------------------------------------------------------------

    def employ(self, job: str, agent: str, rights: Sequence[Right], *, by: str) -> Change:
        """Make ``rights`` what ``agent`` may do in ``job``, in place of what was; value is the rules' ids.

        Rule n is the n-th line of ``may``. Nothing changes where all is as it was. Raises NotFound, BadInput.
        """
        check_slug(job, "a job")
        self._registry.agent(agent)
        if len(rights) > MAX_RIGHTS:
            raise BadInput(f"A job has at most {MAX_RIGHTS} rights.", remedy="Write patterns.")
        if any(right.action == "*" for right in rights):
            raise BadInput(
                "A job names what its agent may do one by one.", remedy="Write each action that it needs."
            )
        key = f"job:{job}"
        rows = tuple((f"{key}#may.{number}", right) for number, right in enumerate(rights, 1))
        old = self._sets.get(key)
        ids = tuple(name for name, _ in rows)
        if old is not None and old.agent == agent and old.rows == rows:
            return Change(value=ids)
        new = _Set(
            key,
            ("Employment", f"{job}/{agent}"),
            agent,
            len(rows) + 1,
            rows,
            0 if old is None else old.version,
        )
        head = {"job": job, "agent": agent, "by": by, "rights": [right_to_json(right) for right in rights]}
        return self._put(
            new, Note("rules.job", {k: v for k, v in head.items() if k != "rights"}, head, ("estate",)), ids
        )

    def dismiss(self, job: str, *, by: str) -> Change:
        """Take away every right of a job; raises NotFound."""
        key = f"job:{job}"
        if key not in self._sets:
            raise NotFound(
                f"There are no rules of a job {job[:80]!a}.", remedy="`freehold jobs` lists the jobs."
            )

        def after() -> None:
            self._sets.pop(key, None)
            self._index()
            self._epoch.bump()

        return Change([Note("rules.job", {"job": job, "agent": "", "by": by})], [Drop("rule", key)], [after])

    def allow(self, holder: str, right: Right, *, by: str) -> Change:
        """Give a principal a right in everything it does, or with effect ``forbid`` take it; value is the id.

        ``holder`` is a name, or ``estate`` for a rule that forbids everyone. Raises NotFound, BadInput.
        """
        key, uid = self._holder(holder)
        if uid == EVERYONE and right.effect == "permit":
            raise BadInput("A rule for the whole estate can only forbid.", remedy="Allow one principal.")
        if right.action == "*" and right.effect == "permit" and uid[0] != "Human":
            raise BadInput("Only a human can be allowed everything.", remedy="Name each action.")
        old = self._sets.get(key) or _Set(key, uid, "", 1, (), 0)
        if len(old.rows) >= MAX_RIGHTS:
            raise BadInput(
                f"{holder} has {MAX_RIGHTS} rules already.", remedy="Revoke some, or write patterns."
            )
        word = "allow" if right.effect == "permit" else "forbid"
        rule_id = f"{key}#{word}.{old.next}"
        new = msgspec.structs.replace(old, next=old.next + 1, rows=(*old.rows, (rule_id, right)))
        note = Note("rules.added", {"rule": rule_id, "by": by}, right_to_json(right), ("estate",))
        return self._put(new, note, rule_id)

    def revoke(self, rule_id: str, *, by: str) -> Change:
        """Take back a rule that ``allow`` made; value is the Rule. Raises NotFound, BadInput for a job's."""
        rule = self.rule(rule_id)
        old = self._sets[rule_id.partition("#")[0]]
        if old.agent:
            raise BadInput(
                f"{rule_id} stands in a job file.", remedy="Remove the line there and check the job again."
            )
        new = msgspec.structs.replace(old, rows=tuple(row for row in old.rows if row[0] != rule_id))
        return self._put(new, Note("rules.revoked", {"rule": rule_id, "by": by}), rule)

    # ---- inside ------------------------------------------------------------------------------------------

    def _put(self, new: _Set, note: Note, value: object) -> Change:
        stored = msgspec.structs.replace(new, version=new.version + 1)

        def after() -> None:
            self._sets[new.key] = stored
            self._index()
            self._epoch.bump()

        put = Put("rule", new.key, _body(new), expect=new.version)
        return Change([note], [put], [after], value)

    def _holder(self, holder: str) -> tuple[str, Uid]:
        if holder == "estate":
            return "estate", EVERYONE
        found = self._registry.principal(holder)
        kind = type(found).__name__
        return f"{kind.lower()}:{holder}", (kind, holder)

    def _index(self) -> None:
        """Sort the policies by holder and drop what was compiled from others."""
        self._held = {EVERYONE: self._house}
        for item in self._sets.values():
            policies = tuple(Policy(name, item.holder, right) for name, right in item.rows)
            self._held[item.holder] = self._held.get(item.holder, ()) + policies
        self._handles.clear()
        self._version = ""

    def _terms(self, principals: Principals) -> list[_Term]:
        """Return everyone who must agree, each once; found once under one epoch."""
        chain = (principals.agent, principals.job, principals.link_ids)
        known = self._chains.get(chain)
        if known is None:
            if len(self._chains) >= MAX_HANDLES:
                self._chains.clear()
            known = self._chains[chain] = self._all_terms(principals)
        return known

    def _all_terms(self, principals: Principals) -> list[_Term]:
        terms = [_acting(principals.agent, principals.job)]
        for link in principals.links:
            uid = ("Delegation", link.id)
            self._held.setdefault(
                uid,
                tuple(
                    Policy(f"delegation:{link.id}#{n}", uid, right) for n, right in enumerate(link.rights, 1)
                ),
            )
            terms.append(_Term(uid, uid, Lack("delegation", link.id, giver=link.giver)))
            giver = self._registry.principal(link.giver)
            if isinstance(giver, Agent):
                terms.append(_acting(giver.slug, link.job))
            else:
                kind = "Human" if isinstance(giver, Human) else "Service"
                terms.append(_Term((kind, giver.slug), (kind, giver.slug), Lack(kind.lower(), giver.slug)))
        for owner in principals.owners:
            uid = ("Human", owner)
            terms.append(_Term(uid, uid, Lack("owner", owner)))
        return list({term.uid: term for term in terms}.values())

    def _handle(self, term: _Term, action: str) -> Any:
        """Return the parsed policies that can speak about this principal and action."""
        key = (term.uid, action)
        handle = self._handles.get(key)
        if handle is None:
            own = [
                policy for uid in dict.fromkeys((term.above, term.uid)) for policy in self._held.get(uid, ())
            ]
            held = [Policy(policy.id, term.uid, policy.right) for policy in own] + [*self._held[EVERYONE]]
            handle = cedar.compile_set([policy for policy in held if policy.right.action in (action, "*")])
            if len(self._handles) >= MAX_HANDLES:
                del self._handles[next(iter(self._handles))]
            self._handles[key] = handle
        return handle

    def _evaluate(self, principals: Principals, action: str, resource: Resource) -> Decision:
        """Ask Cedar once for everyone who must agree."""
        if ACTIONS.get(action) != resource.type:
            return Decision(False, why=f"No rule speaks of {action!a} on a {resource.type!a}.")
        rules: dict[str, None] = {}
        lacking: list[Lack] = []
        forbidden: dict[str, None] = {}
        try:
            known = cedar.entity(resource)
            for term in self._terms(principals):
                verdict = cedar.ask(self._handle(term, action), term.uid, action, resource, known)
                if verdict.error:
                    return Decision(False, why=f"Denied: {verdict.error}.", remedy="Run `freehold doctor`.")
                if not verdict.allowed and not verdict.rules:
                    lacking.append(term.lack)
                named = rules if verdict.allowed else forbidden
                named.update(dict.fromkeys(verdict.rules))
        except (ValueError, TypeError, Internal) as error:
            return Decision(False, why=f"Denied: the rules could not be evaluated ({type(error).__name__}).")
        if not lacking and not forbidden:
            return Decision(True, tuple(rules))
        why, remedy = explain(principals, action, resource, lacking, tuple(forbidden))
        return Decision(False, tuple(forbidden), why, remedy, tuple(lack.words for lack in lacking))


def _acting(agent: str, job: str) -> _Term:
    """Return an agent as it acts in a job, with what it is allowed in every job besides."""
    above = ("Agent", agent)
    uid = ("Employment", f"{job}/{agent}") if job else above
    return _Term(uid, above, Lack("agent", agent, job=job))


def _words(item: _Set) -> str:
    if item.agent:
        return f"agent {item.agent} in {item.key.replace(':', ' ')}"
    return "everyone" if item.holder == EVERYONE else item.key.replace(":", " ")


def _body(item: _Set) -> bytes:
    rows = [{"id": name, **right_to_json(right)} for name, right in item.rows]
    return encode({"agent": item.agent, "next": item.next, "rights": rows})


def _read(key: str, stored: Mapping[str, Any], version: int) -> _Set:
    kind, _, name = key.partition(":")
    rows = tuple((str(row["id"]), right_from_json(row)) for row in stored["rights"])
    agent = str(stored["agent"])
    holders = {
        "estate": EVERYONE,
        "job": ("Employment", f"{name}/{agent}"),
        "agent": ("Agent", name),
        "human": ("Human", name),
        "service": ("Service", name),
    }
    if any(not name.startswith(f"{key}#") for name, _ in rows):
        raise ValueError(key)
    return _Set(key, holders[kind], agent, int(stored["next"]), rows, version)
