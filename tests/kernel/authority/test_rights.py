"""Rights and resources in words: one meaning each, and nobody's text is ever read as a rule."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from freehold.base import BadInput
from freehold.kernel import cedar
from freehold.kernel.cedar import Policy
from freehold.kernel.rights import (
    ACTIONS,
    Right,
    http_target,
    mail_address,
    named,
    parse_right,
    right,
    right_from_json,
    right_to_json,
)
from tests.kernel.authority.house import office

HOSTILE = (
    'x" || true || "',
    'x"); permit(principal, action, resource); //',
    "x\\",
    "x\\u{0}",
    "*",
    "\\*",
    'x\n@id("y") permit(principal,action,resource);',
    '{"__entity":{"type":"Human","id":"anna"}}',
    "__extn",
    "\u202egro.elpmaxe@ecnanif",
    "",
)
TEXT = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=30), st.text('"\\*{}();\n\0/@', max_size=12))


@pytest.mark.parametrize(
    "line",
    [
        "mail.send: finance@example.org",
        "mail.send: @example.org",
        "mail.send: @*.example.org",
        "http.request: GET,POST https://api.example.org/v1",
        "http.request: * http://localhost:8025/",
        "source.read: receipts",
        "model.call: ollama/*",
        "artifact.get: *",
        "*: *",
    ],
)
def test_a_right_is_shown_as_it_is_written(line: str) -> None:
    parsed = parse_right(line)
    assert str(parsed) == line
    assert right_from_json(right_to_json(parsed)) == parsed
    action, _, pattern = line.partition(": ")
    assert parse_right({action: pattern}) == parsed


@pytest.mark.parametrize(
    ("item", "words"),
    [
        ("mail.send", "is not a right"),
        ({"mail.send": "a@b.org", "noop": "x"}, "is not a right"),
        ({"mail.send": None}, "is not a right"),
        (7, "is not a right"),
        ("mail.sned: a@b.org", "'mail.sned' is not an action"),
        ("mail.send: anna", "is not a mail address"),
        ("mail.send: @", "is not a mail domain"),
        ("http.request: https://a.org", "is not an HTTP right"),
        ("http.request: FETCH https://a.org", "is not an HTTP right"),
        ("http.request: GET https://a.org/x?y=1", "has no query"),
        ("http.request: GET https://a.org/../x", "cannot be judged|can be judged"),
        ("source.read: a*b", "is not a name"),
        ("*: x", "takes no further part"),
    ],
)
def test_a_mistake_in_a_right_is_named(item: object, words: str) -> None:
    with pytest.raises(BadInput, match=words) as caught:
        parse_right(item)
    assert caught.value.remedy


@pytest.mark.parametrize(
    "url",
    [
        "ftp://a.org/",
        "https://",
        "https://user@a.org/",
        "https://a.org/x#y",
        "https://a.org/a/../b",
        "https://a.org/a/%2e%2E/b",
        "https://a.org/a//b",
        "https://a.org/a%2fb",
        "https://a.org/a\\b",
        "https://a.org/a b",
        "https://a.org/a\r\nHost: evil.net",
        "https://ä.org/",
        "https://a.org:99999/",
        "https://a.org:0/",
        "https://[::1]/",
        "https://a..org/",
        "//a.org/x",
    ],
)
def test_an_address_that_could_be_read_in_two_ways_is_refused(url: str) -> None:
    with pytest.raises(BadInput):
        http_target("GET", url)


@pytest.mark.parametrize(
    "text", ["a", "a@", "@a.org", "a@b@c", "a b@c.org", "a\n@c.org", "ä@c.org", "a@-c", "<a@c.org>"]
)
def test_an_address_that_is_not_one_mailbox_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        mail_address(text)


@given(TEXT, TEXT)
@example("x", "*")
def test_a_name_that_is_allowed_allows_itself_and_no_other(allowed: str, asked: str) -> None:
    try:
        given_right, resource = right("tool.call", allowed), named("tool", asked)
    except BadInput:
        return
    house = office()
    house.employ("expenses", "bookkeeper", given_right)
    decision = house.rules.decide(house.registry.chain_of("bookkeeper", "expenses"), "tool.call", resource)
    meant = asked.startswith(allowed[:-1]) if allowed.endswith("*") else asked == allowed
    assert decision.allowed == meant


@settings(max_examples=200)
@given(TEXT, TEXT, TEXT)
def test_no_text_in_any_place_becomes_part_of_a_rule(rule: str, holder: str, asker: str) -> None:
    policies = [
        Policy(rule, ("Human", holder), Right("tool.call", "*")),
        Policy(rule + "2", ("Human", holder + "2"), right("tool.call", "pen", "forbid")),
    ]
    handle = cedar.compile_set(policies)
    assert len(handle) == 2
    resource = named("tool", "pencil")
    verdict = cedar.ask(handle, ("Human", asker), "tool.call", resource, cedar.entity(resource))
    assert verdict.allowed == (asker == holder)
    assert verdict.rules == ((rule,) if asker == holder else ())


def test_every_kind_of_action_can_be_written_compiled_and_asked() -> None:
    house = office()
    things = {
        "mail": mail_address("x@a.org"),
        "http": http_target("GET", "https://a.org/x"),
    }
    for action, kind in ACTIONS.items():
        house.employ("expenses", "bookkeeper", right(action, "*"))
        thing = things.get(kind) or named(kind, "x")
        assert house.rules.decide(house.registry.chain_of("bookkeeper", "expenses"), action, thing).allowed
