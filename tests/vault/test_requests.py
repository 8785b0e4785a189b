"""What an agent brings along, and where a request may go, before any secret is asked for."""

import asyncio
import socket
from typing import Any

import pytest

from freehold.base import BadInput, Refused, Unavailable
from freehold.kernel.tools import Intent, Prepared
from freehold.runtime import web
from freehold.runtime.bindings import Bindings
from freehold.runtime.brokered import Errand
from freehold.runtime.couriers import connect, is_public
from freehold.wire.permits import check_binding
from tests.vault.conftest import House
from tests.vault.test_use import SECRET, bound


def intent(url: str, headers: dict[str, str] | None = None) -> Intent:
    args: dict[str, Any] = {"method": "GET", "url": url, "headers": headers or {}}
    return Intent("a" * 32, 1, args, None, Prepared(), 0, b"", 0)


BROUGHT = (
    "Authorization", "authorization", "Proxy-Authorization", "Cookie", "X-Api-Key", "Api-Key", "X-Auth-Token",
    "PRIVATE-TOKEN", "X-Amz-Security-Token", "Ocp-Apim-Subscription-Key", "X-Goog-Api-Key", "X-Signature", "Password",
    "Accept-Encoding",
)  # fmt: skip


def test_keys_in_headers_are_taken_away_and_named() -> None:
    for name in BROUGHT:
        clean = web.clean(intent("https://api.example/x", {name: "mine", "Accept": "*/*"}))
        assert clean.headers == (("Accept", "*/*"), ("Idempotency-Key", "a" * 32)), name
        assert clean.stripped == (f"header {name}",)


@pytest.mark.parametrize(
    "name", ["key", "api_key", "apikey", "access_token", "token", "sig", "X-Amz-Signature", "%6Bey"]
)
def test_keys_in_the_query_are_taken_away_and_named(name: str) -> None:
    clean = web.clean(intent(f"https://api.example/x?q=1&{name}=mine&page=2"))
    assert clean.url == "https://api.example/x?q=1&page=2"
    assert len(clean.stripped) == 1


def test_what_is_no_key_stays() -> None:
    kept = {"Accept": "a", "Content-Type": "b", "X-Request-Id": "c", "If-Match": "d", "X-Keyboard": "e"}
    clean = web.clean(intent("https://api.example/x?q=monkey&page=2&keyword=x&next=y", kept))
    assert dict(clean.headers) == kept | {"Idempotency-Key": "a" * 32}
    assert clean.url.endswith("?q=monkey&page=2&keyword=x&next=y")
    assert clean.stripped == ()


def test_the_slot_of_a_binding_is_nobody_elses_to_fill() -> None:
    clean = web.clean(intent("https://api.example/x?Tenant=evil&q=1", {"Tenant": "evil"}), "tenant")
    assert (clean.url, clean.stripped) == ("https://api.example/x?q=1", ("header Tenant", "parameter Tenant"))


PRIVATE = (
    "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "::1",
    "fe80::1%eth0", "fc00::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "2002:7f00:1::",
    "224.0.0.1", "255.255.255.255", "not an address",
)  # fmt: skip


def test_no_private_address_passes_as_one_of_the_internet() -> None:
    assert [address for address in PRIVATE if is_public(address)] == []
    assert all(is_public(address) for address in ("9.9.9.9", "2620:fe::fe"))


async def test_a_name_that_changes_between_check_and_use_gains_nothing() -> None:
    """What was looked at is what is connected to: the name is resolved once, and the address passed on."""
    asked: list[str] = []
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        loop = asyncio.get_running_loop()
        resolve = loop.getaddrinfo

        async def changing(*words: Any, **more: Any) -> Any:
            asked.append("resolved")
            if len(asked) > 1:
                return await resolve("127.0.0.1", port, type=socket.SOCK_STREAM)
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", port))]

        loop.getaddrinfo = changing  # type: ignore[method-assign]
        looked_at: list[str] = []

        def look(address: str) -> bool:
            looked_at.append(address)
            return is_public(address)

        with pytest.raises(Unavailable, match="no address that may be connected to"):
            await connect("changing.example", port, look)
        assert (asked, looked_at) == (["resolved"], ["192.0.2.1"])


async def test_a_request_under_two_bindings_is_refused() -> None:
    bindings = Bindings()
    for name in ("one", "two"):
        for move in bindings.bind(bound(80, name=name), by="anna").after:
            move()
    with pytest.raises(Refused, match="falls under two bindings: one, two"):
        bindings.for_request("audrey", "GET", "http://127.0.0.1/effects")
    assert bindings.for_request("bert", "GET", "http://127.0.0.1/effects") is None
    assert bindings.for_request("audrey", "GET", "http://127.0.0.1/other") is None


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"private": False}, "encrypted connection"),
        ({"slot": "login"}, "goes into"),
        ({"field": ""}, "name is missing"),
        ({"slot": "basic", "account": ""}, "account is missing"),
        ({"slot": "oauth2"}, "tokens come from"),
        ({"scheme": "smtp", "slot": "login", "account": "a"}, "methods must be of SEND"),
        ({"agents": ()}, "must be named"),
        ({"field": "X\r\nY"}, "plain ASCII"),
    ],
)
def test_a_binding_that_says_nothing_or_two_things_is_refused(fields: dict[str, Any], why: str) -> None:
    with pytest.raises(BadInput, match=why):
        check_binding(bound(80, **fields))


async def test_a_request_is_held_back_when_its_turn_has_come_under_a_freeze(house: House) -> None:
    await house.door.set("crm-key", SECRET, "127.0.0.1")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        binding = bound(listener.getsockname()[1])
        await house.vault.bind([binding])
        errand = Errand(
            binding,
            "audrey",
            "a1",
            "http.request",
            "GET",
            f"{binding.origin}/effects",
            held=lambda: "frozen by hand",
        )
        delivered = await house.brokered.deliver(errand)
        assert (delivered.status, delivered.message) == ("not_done", "frozen by hand")
