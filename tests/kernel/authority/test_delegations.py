"""Delegation only narrows: random people, links, revocations and clearances against a plain model."""

from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    consumes,
    initialize,
    multiple,
    rule,
)

from freehold.base import BadInput, FreeholdError, NotFound, Refused
from freehold.kernel.delegations import Delegation
from freehold.kernel.labels import Confidentiality
from freehold.kernel.rights import EVERYTHING, Resource, Right, http_target, mail_address, named, right
from tests.kernel.authority.house import FAR, House, office

HUMANS = ("anna", "berta", "carla")
AGENTS = ("chief", "clerk", "scout")
JOBS = ("audit", "travel")

ASKED: tuple[tuple[str, Resource], ...] = (
    ("mail.send", mail_address("x@a.org")),
    ("mail.send", mail_address("y@b.org")),
    ("source.read", named("source", "receipts")),
    ("http.request", http_target("GET", "https://h.org/v1/p")),
)
# Each pattern with the questions above that it covers, worked out by hand.
COVERS: tuple[tuple[Right, frozenset[int]], ...] = (
    (right("mail.send", "x@a.org"), frozenset({0})),
    (right("mail.send", "@a.org"), frozenset({0})),
    (right("mail.send", "*"), frozenset({0, 1})),
    (right("mail.send", "@*.b.org"), frozenset()),
    (right("source.read", "rec*"), frozenset({2})),
    (right("source.change", "receipts"), frozenset()),
    (right("http.request", "GET,PUT https://h.org/v1"), frozenset({3})),
    (right("http.request", "PUT https://h.org/v1"), frozenset()),
)
PATTERN = st.integers(0, len(COVERS) - 1)
PATTERNS = st.lists(PATTERN, min_size=1, max_size=4, unique=True)
LEVEL = st.sampled_from(Confidentiality)
ANYONE = st.sampled_from(HUMANS + AGENTS)


def covered(patterns: list[int]) -> frozenset[int]:
    return frozenset[int]().union(*(COVERS[number][1] for number in patterns))


@dataclass
class Model:
    """What is so, in plain sets; ``holds`` maps a rule's id to (holder, questions), likewise ``bans``."""

    owner: dict[str, str] = field(default_factory=dict)
    active: set[str] = field(default_factory=set)
    level: dict[str, Confidentiality] = field(default_factory=dict)
    holds: dict[str, tuple[str, frozenset[int]]] = field(default_factory=dict)
    bans: dict[str, tuple[str, frozenset[int]]] = field(default_factory=dict)
    jobs: dict[str, tuple[str, frozenset[int]]] = field(default_factory=dict)
    links: dict[str, tuple[Delegation, frozenset[int]]] = field(default_factory=dict)

    def may(self, who: str, job: str, question: int) -> bool:
        if any(question in asked for holder, asked in self.bans.values() if holder in (who, "estate")):
            return False
        agent, asked = self.jobs.get(job, ("", frozenset[int]()))
        allowed = any(question in asked for holder, asked in self.holds.values() if holder == who)
        return allowed or (agent == who and question in asked)

    def acts(self, who: str) -> bool:
        return who in self.active and (who not in self.owner or self.owner[who] in self.active)

    def chain(self, agent: str, names: list[str], now_us: int) -> list[Delegation] | None:
        found, seen, below = [], {agent}, agent
        for name in names:
            link = self.links[name][0]
            if link.to != below or link.giver in seen or link.revoked or link.until_us <= now_us:
                return None
            seen.add(below := link.giver)
            found.append(link)
        return found if all(self.acts(who) for who in seen) else None

    def effective(self, agent: str, job: str, links: list[Delegation], question: int) -> bool:
        terms = [(agent, job), *((link.giver, link.job) for link in links)]
        owners = [self.owner[who] for who, _ in terms if who in self.owner]
        banned = any(question in asked for holder, asked in self.bans.values() if holder == "estate")
        return (
            not banned
            and all(self.may(who, j, question) for who, j in terms)
            and all(self.may(owner, "", question) for owner in owners)
            and all(question in self.links[link.id][1] for link in links)
        )

    def clearance(self, agent: str, links: list[Delegation]) -> Confidentiality:
        people = [agent, *(link.giver for link in links)]
        people += [self.owner[who] for who in people if who in self.owner]
        return min([self.level[who] for who in people] + [link.clearance for link in links])


class Narrowing(RuleBasedStateMachine):
    rules_made: Bundle[str] = Bundle("rules_made")
    links_made: Bundle[str] = Bundle("links_made")

    @initialize(target=links_made, patterns=PATTERNS, level=LEVEL)
    def people(self, patterns: list[int], level: Confidentiality) -> MultipleResults[str]:
        """Begin with chains that reach from a human or the chief down, so that something can narrow."""
        self.house, self.model, self.count = House(house=()), Model(), 0
        for human in HUMANS:
            self.house.add_human(human)
        for agent, owner in zip(AGENTS, HUMANS, strict=True):
            self.house.add_agent(agent, owner)
            self.model.owner[agent] = owner
        self.model.active = {*HUMANS, *AGENTS}
        self.model.level = dict.fromkeys(HUMANS, Confidentiality.RESTRICTED)
        self.model.level |= dict.fromkeys(AGENTS, Confidentiality.CONFIDENTIAL)
        for human in HUMANS:
            self.allow_all(human)
        for agent, pattern in (("chief", 2), ("chief", 4), ("clerk", 2), ("clerk", 6), ("scout", 1)):
            self.permit(agent, pattern)
        self.employment("audit", "clerk", [2, 4, 6])
        self.employment("travel", "chief", [6])
        whole, high = [2, 4, 6], Confidentiality.RESTRICTED
        return multiple(
            self.link("chief", "clerk", whole, "travel", FAR, high),
            self.link("clerk", "scout", whole, "audit", 1_500, high),
            self.link("carla", "chief", whole, "", 2_500, high),
            self.link("berta", "clerk", patterns, "", FAR, level),
        )

    @rule(target=rules_made, who=ANYONE, pattern=PATTERN)
    def allow(self, who: str, pattern: int) -> str:
        return self.permit(who, pattern)

    def permit(self, who: str, pattern: int) -> str:
        made = self.house.allow(who, COVERS[pattern][0])
        self.model.holds[made] = (who, COVERS[pattern][1])
        return made

    @rule(target=rules_made, human=st.sampled_from(HUMANS))
    def allow_everything(self, human: str) -> str:
        return self.allow_all(human)

    def allow_all(self, human: str) -> str:
        made = self.house.allow(human)
        self.model.holds[made] = (human, frozenset(range(len(ASKED))))
        return made

    @rule(target=rules_made, pattern=PATTERN)
    def forbid_everyone(self, pattern: int) -> str:
        return self.ban("estate", pattern)

    @rule(target=rules_made, who=ANYONE, pattern=PATTERN)
    def forbid(self, who: str, pattern: int) -> str:
        return self.ban(who, pattern)

    def ban(self, who: str, pattern: int) -> str:
        allowed, questions = COVERS[pattern]
        made = self.house.allow(who, right(allowed.action, allowed.pattern, "forbid"))
        self.model.bans[made] = (who, questions)
        return made

    @rule(made=consumes(rules_made))
    def revoke(self, made: str) -> None:
        self.house.make(self.house.rules.revoke(made, by="anna"))
        self.model.holds.pop(made, None)
        self.model.bans.pop(made, None)

    @rule(job=st.sampled_from(JOBS), agent=st.sampled_from(AGENTS), patterns=PATTERNS)
    def employ(self, job: str, agent: str, patterns: list[int]) -> None:
        self.employment(job, agent, patterns)

    def employment(self, job: str, agent: str, patterns: list[int]) -> None:
        self.house.employ(job, agent, *(COVERS[number][0] for number in patterns))
        self.model.jobs[job] = (agent, covered(patterns))

    @rule(
        target=links_made,
        giver=ANYONE,
        to=st.sampled_from(AGENTS),
        patterns=PATTERNS,
        job=st.sampled_from(("", *JOBS)),
        until_us=st.sampled_from((1_500, 2_500, FAR)),
        level=LEVEL,
    )
    def delegate(
        self, giver: str, to: str, patterns: list[int], job: str, until_us: int, level: Confidentiality
    ) -> MultipleResults[str] | str:
        made = self.link(giver, to, patterns, job, until_us, level)
        return made or multiple()

    def link(
        self, giver: str, to: str, patterns: list[int], job: str, until_us: int, level: Confidentiality
    ) -> str:
        self.count += 1
        name = f"link{self.count}"
        rights = tuple(COVERS[number][0] for number in patterns)
        link = Delegation(name, giver, to, rights, until_us, job if giver in AGENTS else "", level)
        try:
            self.house.make(self.house.registry.delegate(link, by="anna"))
        except FreeholdError:
            assert (
                giver == to
                or until_us <= self.house.now_us
                or not (self.model.acts(giver) and self.model.acts(to))
            )
            return ""
        self.model.links[name] = (link, covered(patterns))
        return name

    @rule(name=links_made)
    def revoke_link(self, name: str) -> None:
        self.house.make(self.house.registry.delegations.revoke(name, by="anna"))
        link, questions = self.model.links[name]
        again = Delegation(
            link.id, link.giver, link.to, link.rights, link.until_us, link.job, link.clearance, True
        )
        self.model.links[name] = (again, questions)

    @rule(who=ANYONE)
    def retire(self, who: str) -> None:
        if self.model.active.intersection(HUMANS) != {who}:
            self.house.make(self.house.registry.retire(who, by="anna"))
            self.model.active.discard(who)

    @rule(agent=st.sampled_from(AGENTS), owner=st.sampled_from(HUMANS))
    def give_to(self, agent: str, owner: str) -> None:
        if owner in self.model.active:
            self.house.make(self.house.registry.change_agent(agent, owner=owner, by="anna"))
            self.model.owner[agent] = owner

    @rule(who=ANYONE, level=LEVEL)
    def clear(self, who: str, level: Confidentiality) -> None:
        registry = self.house.registry
        change = registry.change_agent if who in AGENTS else registry.change_human
        self.house.make(change(who, clearance=level, by="anna"))
        self.model.level[who] = level

    @rule()
    def time_passes(self) -> None:
        self.house.now_us += 600

    @rule(agent=st.sampled_from(AGENTS), job=st.sampled_from(JOBS))
    def judge(self, agent: str, job: str) -> None:
        self.compare_all(agent, job)

    @rule()
    def judge_where_most_is_allowed(self) -> None:
        self.compare_all("clerk", "audit")
        self.compare_all("scout", "")

    def compare_all(self, agent: str, job: str) -> None:
        """Hold every chain that reaches up from ``agent`` against the model."""
        chains: list[list[str]] = [[]]
        for names in chains:
            self.compare(agent, job, names)
            below = self.model.links[names[-1]][0].giver if names else agent
            if len(names) < 3 and len(chains) < 20:
                chains.extend(
                    [*names, name] for name, (link, _) in self.model.links.items() if link.to == below
                )

    @rule(agent=st.sampled_from(AGENTS), names=st.lists(st.integers(1, 9), max_size=3))
    def judge_any(self, agent: str, names: list[int]) -> None:
        """Hold links in any order against the model: nearly all of these are broken."""
        self.compare(agent, "", [f"link{number}" for number in names if f"link{number}" in self.model.links])

    def compare(self, agent: str, job: str, names: list[str]) -> None:
        registry, rules = self.house.registry, self.house.rules
        links = self.model.chain(agent, names, self.house.now_us)
        if links is None:
            with pytest.raises((Refused, NotFound)):
                registry.chain_of(agent, job, names)
            return
        principals = registry.chain_of(agent, job, names)
        assert principals.clearance == self.model.clearance(agent, links)
        for number, (action, resource) in enumerate(ASKED):
            allowed = rules.decide(principals, action, resource).allowed
            assert allowed == self.model.effective(agent, job, links, number)
            assert allowed == rules.decide(principals, action, resource).allowed
            if allowed and names:
                shorter = registry.chain_of(agent, job, names[:-1])
                assert rules.decide(shorter, action, resource).allowed, "a link has added a right"
                assert principals.clearance <= shorter.clearance


Narrowing.TestCase.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)
TestNarrowing = Narrowing.TestCase


def chained() -> House:
    """Return an office in which anna's chief passes a part of its job on to bookkeeper."""
    house = office()
    house.add_agent("chief", "anna")
    house.employ("lead", "chief", right("mail.send", "@example.org"))
    house.employ("expenses", "bookkeeper", right("mail.send", "*"))
    house.delegate("d1", "chief", "bookkeeper", right("mail.send", "finance@example.org"), job="lead")
    return house


FINANCE = mail_address("finance@example.org")


def test_a_decision_under_a_link_names_the_link_and_whoever_gave_it() -> None:
    house = chained()
    decision = house.rules.decide(
        house.registry.chain_of("bookkeeper", "expenses", ["d1"]), "mail.send", FINANCE
    )
    assert decision.rules == (
        "job:expenses#may.1",
        "delegation:d1#1",
        "job:lead#may.1",
        "human:anna#allow.1",
    )


def test_a_refusal_under_a_link_says_that_the_link_lacks_it() -> None:
    house = chained()
    chain = house.registry.chain_of("bookkeeper", "expenses", ["d1"])
    decision = house.rules.decide(chain, "mail.send", mail_address("x@evil.net"))
    assert decision.lacking == ("delegation d1 from chief", "agent chief")
    assert decision.remedy.startswith("Ask chief for a delegation that names `mail.send: x@evil.net`")


def test_a_link_is_over_when_it_expires_also_for_a_decision_that_was_made_before() -> None:
    house = office()
    house.add_human("carla")
    house.allow("carla")
    house.employ("expenses", "bookkeeper", right("mail.send", "*"))
    house.delegate("d1", "carla", "bookkeeper", right("mail.send", "*"), until_us=2_000)
    chain = house.registry.chain_of("bookkeeper", "expenses", ["d1"])
    assert house.rules.decide(chain, "mail.send", FINANCE).allowed
    house.now_us = 2_000
    decision = house.rules.decide(chain, "mail.send", FINANCE)
    assert decision.why == "The delegation d1 from carla to bookkeeper has expired."
    with pytest.raises(Refused):
        house.registry.check(chain)


def test_a_chain_that_is_unknown_broken_or_circular_is_refused() -> None:
    house = chained()
    house.delegate("d2", "bookkeeper", "chief", right("mail.send", "*"))
    for names, words in (
        (["d9"], "not known"),
        (["d2"], "is not for bookkeeper but for chief"),
        (["d1", "d2"], "circle at bookkeeper"),
        (["d1"] * 9, "longer than 8"),
    ):
        with pytest.raises(Refused, match=words):
            house.registry.chain_of("bookkeeper", "expenses", names)


def test_links_are_the_same_after_a_restart() -> None:
    house = chained()
    house.make(house.registry.delegations.revoke("d1", by="anna"))
    assert house.reopened().registry.delegations.all() == house.registry.delegations.all()
    with pytest.raises(Refused, match="was revoked"):
        house.reopened().registry.chain_of("bookkeeper", "expenses", ["d1"])


@pytest.mark.parametrize(
    ("link", "words"),
    [
        (Delegation("d2", "bookkeeper", "bookkeeper", (right("mail.send", "*"),), FAR), "to themselves"),
        (Delegation("d2", "anna", "berta", (right("mail.send", "*"),), FAR), "agent or a service"),
        (Delegation("d2", "anna", "bookkeeper", (), FAR), "1 to 200 rights"),
        (
            Delegation("d2", "anna", "bookkeeper", (right("mail.send", "*", "forbid"),), FAR),
            "only says what may",
        ),
        (Delegation("d2", "anna", "bookkeeper", (EVERYTHING,), 5), "expired already"),
        (Delegation("d1", "anna", "bookkeeper", (EVERYTHING,), FAR), "a delegation d1 already"),
    ],
)
def test_a_link_that_says_nothing_is_refused(link: Delegation, words: str) -> None:
    house = chained()
    with pytest.raises(BadInput, match=words):
        house.registry.delegate(link, by="anna")
