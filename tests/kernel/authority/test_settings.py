"""What holds for the whole estate: typed, with every mistake named; and how far away a sink is."""

import pytest

from freehold.base import BadInput, Corrupt
from freehold.kernel.grades import Category, Grade
from freehold.kernel.labels import Confidentiality, Zone
from freehold.kernel.settings import EstateSettings, written
from freehold.store.interface import Put
from tests.kernel.authority.house import House

EXAMPLE: dict[str, object] = {
    "presence": "none",
    "currency": "CHF",
    "retention_days": "400",
    "own_domains": "example.org, example.com",
    "partner_domains": ["tax.example.net"],
    "clearances": {"finance@example.org": "restricted", "example.com": "internal"},
    "zones": {"restricted": "people"},
    "grade_ceiling": {"spend": "ask"},
    "four_eyes": ["spend", "delete"],
    "mail_host": "localhost",
    "mail_port": 2525,
    "mail_from": "audit@example.org",
}


def test_settings_are_typed_and_the_same_after_a_restart() -> None:
    house = House()
    changed: EstateSettings = house.make(house.settings.change(EXAMPLE, by="anna"))
    assert changed.grade_ceiling == {Category.SPEND: Grade.ASK}
    assert changed.four_eyes == (Category.SPEND, Category.DELETE)
    assert changed.retention_days == 400
    assert house.reopened().settings.now == changed == house.settings.now
    assert house.make(house.settings.change(written(changed), by="anna")) == changed


def test_a_change_keeps_what_it_does_not_name_and_moves_the_epoch() -> None:
    house = House()
    house.make(house.settings.change(EXAMPLE, by="anna"))
    before = house.epoch.value
    house.make(house.settings.change({"mail_port": 26}, by="anna"))
    assert house.epoch.value > before
    assert (house.settings.now.mail_port, house.settings.now.mail_host) == (26, "localhost")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("presnce", "none", "no setting 'presnce'"),
        ("presence", "sometimes", "Setting `presence`: 'sometimes' is not possible"),
        ("currency", "Euro", "Setting `currency`: 'Euro' is not a currency"),
        ("retention_days", 30, "Setting `retention_days`: 30 is not a number that fits"),
        ("retention_days", "1e3", "not a number that fits"),
        ("mail_port", True, "not a number that fits"),
        ("own_domains", "@example.org", "'@example.org' is not a domain"),
        ("own_domains", 5, "5 is not a list"),
        ("zones", {"restricted": "moon"}, "'moon' is not a zone"),
        ("zones", {"restricted": "foreign"}, "A higher class would go further"),
        ("clearances", {"x@example.org": "secret"}, "'secret' is not a class"),
        ("grade_ceiling", {"send": "always"}, "'always' is not a grade"),
        ("four_eyes", "sned", "'sned' is not a category"),
        ("mail_from", "anna", "not a mail address"),
    ],
)
def test_a_mistake_in_a_setting_is_named_with_its_remedy(name: str, value: object, words: str) -> None:
    house = House()
    with pytest.raises(BadInput, match=words) as caught:
        house.settings.change({name: value}, by="anna")
    assert caught.value.remedy


def test_an_estate_does_not_change_its_currency_once_it_has_one() -> None:
    house = House()
    house.make(house.settings.change({"currency": "CHF"}, by="anna"))
    with pytest.raises(BadInput, match="counts in CHF"):
        house.settings.change({"currency": "EUR"}, by="anna")


def test_a_domain_is_ours_or_a_partners_not_both() -> None:
    with pytest.raises(BadInput, match="both an own and a partner's"):
        House().settings.change({"own_domains": "a.org", "partner_domains": "a.org"}, by="anna")


def test_a_recipient_is_as_far_away_as_its_domain() -> None:
    house = House()
    house.make(house.settings.change(EXAMPLE, by="anna"))
    sink = house.settings.mail_sink
    assert sink(["a@example.org"]).zone is Zone.PEOPLE
    assert sink(["a@sub.example.org"]).zone is Zone.PEOPLE
    assert sink(["a@evilexample.org"]).zone is Zone.FOREIGN
    assert sink(["a@tax.example.net"]).zone is Zone.PARTNER
    assert sink(["a@example.com"]).clearance is Confidentiality.INTERNAL
    assert sink(["finance@example.org"]).clearance is Confidentiality.RESTRICTED
    assert sink(["a@evil.net"]).clearance is Confidentiality.PUBLIC
    assert sink(["a@example.org", "a@evil.net"]).zone is Zone.FOREIGN
    assert sink([]).zone is Zone.FOREIGN
    assert sink(["a@example.org"]).zones[Confidentiality.RESTRICTED] is Zone.PEOPLE


def test_a_host_is_as_far_away_as_settings_say_and_even_a_get_sends_its_address_out() -> None:
    house = House()
    house.make(house.settings.change(EXAMPLE, by="anna"))
    sink = house.settings.http_sink
    assert sink("GET", "http://127.0.0.1:8025/x").zone is Zone.PREMISES
    assert sink("GET", "https://api.example.org/x").zone is Zone.PARTNER
    assert sink("GET", "https://evil.net/?q=secret").zone is Zone.FOREIGN
    assert sink("GET", "https://evil.net/").consequential
    assert not house.settings.device_sink("outbox reports").consequential


def test_a_tenant_or_repository_of_a_host_is_a_sink_of_its_own() -> None:
    house = House()
    clearances = {"git.example.com/acme": "confidential", "git.example.com/acme/public": "public"}
    house.make(house.settings.change({"clearances": clearances}, by="anna"))
    sink = house.settings.http_sink
    assert sink("POST", "https://git.example.com/acme/site.git").clearance is Confidentiality.CONFIDENTIAL
    assert sink("POST", "https://git.example.com/acme/public/x").clearance is Confidentiality.PUBLIC
    assert sink("POST", "https://git.example.com/acmes/site.git").clearance is Confidentiality.PUBLIC
    assert sink("POST", "https://git.example.com/evil/site.git").clearance is Confidentiality.PUBLIC
    assert sink("POST", "https://git.example.com/acme/site.git").name == "git.example.com/acme"
    for wrong in ("git.example.com/", "git.example.com/a//b", "git.example.com/a b"):
        with pytest.raises(BadInput):
            house.settings.change({"clearances": {wrong: "public"}}, by="anna")


def test_stored_settings_that_cannot_be_read_are_an_alarm() -> None:
    house = House()
    change = house.settings.change({"currency": "CHF"}, by="anna")
    change.writes = [Put("setting", "estate", b'{"currency":"francs"}')]
    house.shelf.commit(change)
    with pytest.raises(Corrupt):
        house.reopened()
