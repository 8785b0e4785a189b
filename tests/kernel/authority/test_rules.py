"""No rule means no; every decision names its rules, and a refusal says what would have allowed it."""

import pytest

from freehold.base import BadInput, NotFound
from freehold.kernel.rights import EVERYTHING, Resource, http_target, mail_address, named, right
from freehold.kernel.rules import Rules
from tests.kernel.authority.house import House, office

FINANCE = mail_address("finance@example.org")
MAIL_FINANCE = right("mail.send", "finance@example.org")


def test_without_any_rule_everything_is_denied() -> None:
    house = House(house=())
    house.add_human("anna")
    house.add_agent("bookkeeper", "anna")
    chain = house.registry.chain_of("bookkeeper", "expenses")
    for action, thing in (
        ("mail.send", FINANCE),
        ("step.run", named("step", "read")),
        ("noop", named("tool", "noop")),
    ):
        decision = house.rules.decide(chain, action, thing)
        assert not decision.allowed
        assert decision.lacking == ("agent bookkeeper", "owner anna")


def test_what_stays_inside_the_run_needs_no_line_in_the_job() -> None:
    house = office()
    chain = house.registry.chain_of("bookkeeper", "expenses")
    decision = house.rules.decide(chain, "step.run", named("step", "read"))
    assert decision.allowed
    assert "house#step.run" in decision.rules


def test_a_decision_names_the_rule_of_every_one_who_agreed() -> None:
    house = office()
    house.employ("expenses", "bookkeeper", right("source.read", "receipts"), MAIL_FINANCE)
    chain = house.registry.chain_of("bookkeeper", "expenses")
    decision = house.rules.decide(chain, "mail.send", FINANCE)
    assert decision.allowed
    assert decision.rules == ("job:expenses#may.2", "human:anna#allow.1")
    assert house.rules.rule("job:expenses#may.2").right == MAIL_FINANCE


def test_a_refusal_says_what_would_have_allowed_it_and_who_lacks_it() -> None:
    house = House()
    house.add_human("anna")
    house.add_agent("bookkeeper", "anna")
    chain = house.registry.chain_of("bookkeeper", "expenses")
    both = house.rules.decide(chain, "mail.send", FINANCE)
    assert both.why == "No rule lets agent bookkeeper send mail to finance@example.org."
    assert both.remedy == (
        "Add `mail.send: finance@example.org` under `may` in job expenses, "
        "and owner anna must be allowed to as well."
    )
    house.employ("expenses", "bookkeeper", MAIL_FINANCE)
    owner = house.rules.decide(chain, "mail.send", FINANCE)
    assert owner.lacking == ("owner anna",)
    assert owner.why.endswith("so agent bookkeeper may not either.")
    assert owner.remedy == "Allow owner anna `mail.send: finance@example.org` in settings."
    house.allow("anna", MAIL_FINANCE)
    assert house.rules.decide(chain, "mail.send", FINANCE).allowed


def test_what_the_remedy_says_does_allow_it() -> None:
    house = office()
    for action, thing in (
        ("mail.send", FINANCE),
        ("http.request", http_target("POST", "https://api.example.org:8443/v1/x?secret=1")),
        ("source.change", named("source", "receipts 2026")),
    ):
        chain = house.registry.chain_of("bookkeeper", "job-x")
        remedy = house.rules.decide(chain, action, thing).remedy
        line = remedy.split("`")[1]
        house.employ("job-x", "bookkeeper", right(action, line.partition(": ")[2]))
        assert house.rules.decide(chain, action, thing).allowed


def test_a_jobs_rights_count_in_that_job_only_and_an_agents_allowance_in_all() -> None:
    house = office()
    house.employ("expenses", "bookkeeper", MAIL_FINANCE)
    other = house.registry.chain_of("bookkeeper", "travel")
    assert not house.rules.decide(other, "mail.send", FINANCE).allowed
    assert not house.rules.decide(house.registry.chain_of("bookkeeper"), "mail.send", FINANCE).allowed
    house.allow("bookkeeper", right("mail.send", "@example.org"))
    assert house.rules.decide(other, "mail.send", FINANCE).rules[0] == "agent:bookkeeper#allow.1"


def test_a_job_of_one_agent_gives_another_nothing() -> None:
    house = office()
    house.add_agent("clerk", "anna")
    house.employ("expenses", "bookkeeper", MAIL_FINANCE)
    assert not house.rules.decide(house.registry.chain_of("clerk", "expenses"), "mail.send", FINANCE).allowed


def test_the_owner_is_judged_as_they_are_now() -> None:
    house = office()
    house.employ("expenses", "bookkeeper", MAIL_FINANCE)
    chain = house.registry.chain_of("bookkeeper", "expenses")
    assert house.rules.decide(chain, "mail.send", FINANCE).allowed
    house.make(house.rules.revoke("human:anna#allow.1", by="berta"))
    assert not house.rules.decide(chain, "mail.send", FINANCE).allowed
    house.allow("berta")
    house.make(house.registry.change_agent("bookkeeper", owner="berta", by="berta"))
    assert house.rules.decide(chain, "mail.send", FINANCE).allowed
    house.make(house.registry.retire("berta", by="anna"))
    stale = house.rules.decide(chain, "mail.send", FINANCE)
    assert stale.why.startswith("Agent bookkeeper does nothing")


@pytest.mark.parametrize("holder", ["estate", "bookkeeper", "anna"])
def test_a_rule_that_forbids_wins_over_every_permission(holder: str) -> None:
    house = office()
    house.employ("expenses", "bookkeeper", MAIL_FINANCE)
    rule = house.allow(holder, right("mail.send", "@example.org", "forbid"))
    decision = house.rules.decide(house.registry.chain_of("bookkeeper", "expenses"), "mail.send", FINANCE)
    assert not decision.allowed
    assert decision.rules == (rule,)
    assert f"`{rule}` forbids it" in decision.why
    house.make(house.rules.revoke(rule, by="anna"))
    assert house.rules.decide(house.registry.chain_of("bookkeeper", "expenses"), "mail.send", FINANCE).allowed


@pytest.mark.parametrize(
    ("pattern", "method", "url", "allowed"),
    [
        ("GET https://api.example.org/v1", "GET", "https://api.example.org/v1", True),
        ("GET https://api.example.org/v1/", "GET", "https://api.example.org/v1/a/b?q=1", True),
        ("GET https://api.example.org/v1", "GET", "https://api.example.org/v1x", False),
        ("GET https://api.example.org/v1", "POST", "https://api.example.org/v1", False),
        ("GET,POST https://api.example.org/", "POST", "https://api.example.org/", True),
        ("* https://api.example.org", "DELETE", "https://API.example.org:443/x", True),
        ("* https://api.example.org", "GET", "http://api.example.org/x", False),
        ("* https://api.example.org", "GET", "https://api.example.org:444/x", False),
        ("* https://example.org", "GET", "https://api.example.org/x", False),
        ("* https://api.example.org", "GET", "https://api.example.org.evil.net/x", False),
        ("*", "GET", "https://anywhere.net/x", True),
    ],
)
def test_an_http_right_covers_a_host_methods_and_what_lies_below_a_path(
    pattern: str, method: str, url: str, allowed: bool
) -> None:
    house = office()
    house.employ("expenses", "bookkeeper", right("http.request", pattern))
    chain = house.registry.chain_of("bookkeeper", "expenses")
    assert house.rules.decide(chain, "http.request", http_target(method, url)).allowed is allowed


@pytest.mark.parametrize(
    ("pattern", "address", "allowed"),
    [
        ("finance@example.org", "finance@EXAMPLE.org", True),
        ("finance@example.org", "Finance@example.org", False),
        ("@example.org", "x@example.org", True),
        ("@example.org", "x@sub.example.org", False),
        ("@*.example.org", "x@a.b.example.org", True),
        ("@*.example.org", "x@example.org", False),
        ("@*.example.org", "x@evilexample.org", False),
        ("@example.org", "x@example.org.evil.net", False),
        ("*", "x@evil.net", True),
    ],
)
def test_a_mail_right_covers_a_mailbox_a_domain_or_the_domains_below(
    pattern: str, address: str, allowed: bool
) -> None:
    house = office()
    house.employ("expenses", "bookkeeper", right("mail.send", pattern))
    chain = house.registry.chain_of("bookkeeper", "expenses")
    assert house.rules.decide(chain, "mail.send", mail_address(address)).allowed is allowed


@pytest.mark.parametrize("kind", ["source", "outbox", "model", "tool"])
def test_a_right_by_name_covers_that_name_or_what_begins_with_it(kind: str) -> None:
    action = {"source": "source.read", "outbox": "outbox.write", "model": "model.call", "tool": "tool.call"}[
        kind
    ]
    house = office()
    house.employ("expenses", "bookkeeper", right(action, "one"), right(action, "many/*"))
    chain = house.registry.chain_of("bookkeeper", "expenses")
    assert house.rules.decide(chain, action, named(kind, "one")).allowed
    assert house.rules.decide(chain, action, named(kind, "many/x")).allowed
    assert not house.rules.decide(chain, action, named(kind, "one/x")).allowed
    assert not house.rules.decide(chain, action, named(kind, "many")).allowed


def test_to_read_a_source_is_not_to_change_it() -> None:
    house = office()
    house.employ("expenses", "bookkeeper", right("source.read", "receipts"))
    chain = house.registry.chain_of("bookkeeper", "expenses")
    assert house.rules.decide(chain, "source.read", named("source", "receipts")).allowed
    assert not house.rules.decide(chain, "source.change", named("source", "receipts")).allowed


def test_an_action_on_the_wrong_kind_of_thing_and_an_unknown_one_are_denied() -> None:
    house = office()
    house.allow("bookkeeper", right("mail.send", "*"))
    chain = house.registry.chain_of("bookkeeper", "expenses")
    assert not house.rules.decide(chain, "mail.send", named("source", "x")).allowed
    assert not house.rules.decide(chain, "format.disk", named("tool", "x")).allowed
    assert not house.rules.decide(chain, "mail.send", Resource("nonsense", "x")).allowed


def test_a_name_that_the_engine_cannot_take_is_denied_not_raised() -> None:
    house = office()
    house.allow("bookkeeper", right("mail.send", "*"))
    chain = house.registry.chain_of("bookkeeper", "expenses")
    decision = house.rules.decide(chain, "mail.send", Resource("mail", "\ud800", "\ud800", "x"))
    assert not decision.allowed
    assert decision.why.startswith("Denied: the rules could not be evaluated")


def test_only_a_human_can_be_allowed_everything_and_the_estate_only_forbids() -> None:
    house = office()
    with pytest.raises(BadInput, match="Only a human"):
        house.rules.allow("bookkeeper", EVERYTHING, by="anna")
    with pytest.raises(BadInput, match="one by one"):
        house.rules.employ("expenses", "bookkeeper", [EVERYTHING], by="anna")
    with pytest.raises(BadInput, match="can only forbid"):
        house.rules.allow("estate", MAIL_FINANCE, by="anna")


def test_rules_are_the_same_after_a_restart_and_a_number_is_never_used_twice() -> None:
    house = office()
    house.employ("expenses", "bookkeeper", MAIL_FINANCE)
    first = house.allow("bookkeeper", MAIL_FINANCE)
    house.make(house.rules.revoke(first, by="anna"))
    again = house.reopened()
    assert again.rules.all() == house.rules.all()
    assert again.rules.version == house.rules.version
    assert again.allow("bookkeeper", MAIL_FINANCE) == "agent:bookkeeper#allow.2"
    assert again.rules.version != house.rules.version


def test_employing_again_with_the_same_lines_changes_nothing() -> None:
    house = office()
    house.employ("expenses", "bookkeeper", MAIL_FINANCE)
    again = house.rules.employ("expenses", "bookkeeper", [MAIL_FINANCE], by="anna")
    assert again.value == ("job:expenses#may.1",)
    assert (again.notes, again.writes, again.after) == ([], [], [])
    house.make(house.rules.dismiss("expenses", by="anna"))
    assert house.rules.rights_of_job("expenses") == ()
    house.employ("expenses", "bookkeeper", MAIL_FINANCE)
    with pytest.raises(BadInput, match="stands in a job file"):
        house.rules.revoke("job:expenses#may.1", by="anna")
    with pytest.raises(NotFound):
        house.rules.revoke("job:expenses#may.7", by="anna")


def test_a_decision_comes_from_the_memo_until_authority_changes() -> None:
    house = office()
    house.employ("expenses", "bookkeeper", MAIL_FINANCE)
    chain = house.registry.chain_of("bookkeeper", "expenses")
    for _ in range(3):
        assert house.rules.decide(chain, "mail.send", FINANCE).allowed
    assert (house.rules.stats.hits, house.rules.stats.misses) == (2, 1)
    house.freezes.freeze("tool:noop", "", by="anna", at_us=1)
    house.rules.decide(chain, "mail.send", FINANCE)
    assert (house.rules.stats.hits, house.rules.stats.misses) == (2, 2)


def test_the_memo_is_bounded_under_a_flood_of_different_questions() -> None:
    house = office()
    house.rules = Rules(house.epoch, house.registry, memo_size=10)
    chain = house.registry.chain_of("bookkeeper", "expenses")
    for number in range(50):
        house.rules.decide(chain, "mail.send", mail_address(f"x{number}@example.org"))
    assert house.rules.stats.size == 10
