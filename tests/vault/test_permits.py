"""Permits: each altered field, each replay and each race is refused by the vault, and the refusal is told."""

import asyncio
import socket
import time
from typing import Any

import msgspec
import pytest

from freehold.runtime.brokered import Errand
from freehold.runtime.vault import Life
from freehold.testing.http import HttpServer
from freehold.wire.permits import LIFETIME_NS, Asked, Handed, HandReader, Permit
from tests.vault.conftest import House
from tests.vault.test_use import SECRET, bound

ASKED = Asked("POST", "http://127.0.0.1:8080/effects", (("Accept", "*/*"),), "0" * 64)


class Line:
    """A courier's end of the vault's line, held by the test: what the vault hands over is read here."""

    def __init__(self, life: Life, binding: str) -> None:
        self._sock, theirs = socket.socketpair()
        self._sock.setblocking(False)
        self._reader = HandReader()
        self._found: list[Handed] = []
        with theirs:
            self.link = life.link(binding, theirs)

    async def next(self) -> Handed:
        async with asyncio.timeout(10):
            while not self._found:
                data = await asyncio.get_running_loop().sock_recv(self._sock, 65_536)
                assert data, "the vault closed the line"
                self._found += self._reader.feed(data)
        return self._found.pop(0)

    def close(self) -> None:
        self._sock.close()


async def prepared(house: House) -> tuple[Life, Line]:
    await house.door.set("crm-key", SECRET, "127.0.0.1")
    await house.vault.bind([bound(8080), bound(8080, name="other", agents=("bert",))])
    life = await house.vault.life(5)
    return life, Line(life, "crm")


def signed(life: Life, permit: Permit) -> str:
    return permit.mac(bytes.fromhex(life.awake.key)).hex()


async def test_a_good_permit_hands_the_secret_over_once(house: House) -> None:
    life, line = await prepared(house)
    permit, mac = life.permit("crm", "audrey", "a1", ASKED)
    life.use(line.link, permit, mac)
    handed = await line.next()
    assert (handed.secrets, handed.version, handed.request) == ((SECRET.encode(),), 1, permit.request)
    life.use(line.link, permit, mac)
    assert "used before" in (await line.next()).refused
    line.close()


ALTERED: list[tuple[str, Any]] = [
    ("boot", "0" * 32), ("counter", 77), ("expires_ns", 2**62), ("binding", "other"), ("agent", "bert"),
    ("action", "a2"), ("method", "GET"), ("url", "http://127.0.0.1:8080/effects/other"),
    ("url", "http://127.0.0.1:8081/effects"), ("headers", (("Accept", "x"),)), ("headers", ()), ("body", "1" * 64),
]  # fmt: skip


@pytest.mark.parametrize(("field", "value"), ALTERED)
async def test_a_permit_that_was_altered_in_any_field_is_refused(
    house: House, field: str, value: Any
) -> None:
    life, line = await prepared(house)
    permit, mac = life.permit("crm", "audrey", "a1", ASKED)
    life.use(line.link, msgspec.structs.replace(permit, **{field: value}), mac)
    assert "MAC does not hold" in (await line.next()).refused
    life.use(line.link, permit, mac)  # the one that it was made from has not been used up
    assert (await line.next()).secrets == (SECRET.encode(),)
    line.close()


async def test_a_mac_of_any_other_form_is_refused(house: House) -> None:
    life, line = await prepared(house)
    permit, mac = life.permit("crm", "audrey", "a1", ASKED)
    for forged in ("", "zz", mac[:-2], mac + "00", mac[::-1], "00" * 32, mac.upper()[:-1] + "g"):
        life.use(line.link, permit, forged)
        assert (await line.next()).refused
    line.close()


WRONG: list[tuple[str, str, dict[str, Any]]] = [
    ("another life", "another life", {"boot": "0" * 32}),
    ("expired", "time is over", {"expires_ns": 1}),
    ("too far ahead", "time is over", {"expires_ns": time.monotonic_ns() + 100 * LIFETIME_NS}),
    ("unknown binding", "no binding", {"binding": "nothing"}),
    ("another line's binding", "no binding other on this line", {"binding": "other", "agent": "bert"}),
    ("another agent", "not for agent bert", {"agent": "bert"}),
    ("another host", "not http://evil.example:80", {"url": "http://evil.example/effects"}),
    ("another port", "not http://127.0.0.1:1", {"url": "http://127.0.0.1:1/effects"}),
    ("encrypted", "not https://127.0.0.1:8080", {"url": "https://127.0.0.1:8080/effects"}),
    ("another method", "not DELETE", {"method": "DELETE"}),
    ("another path", "does not reach", {"url": "http://127.0.0.1:8080/admin"}),
    ("climbing", "does not reach", {"url": "http://127.0.0.1:8080/effects/%2e%2e/admin"}),
    ("somebody else in front", "not", {"url": "http://127.0.0.1:8080@evil.example/effects"}),
    ("half an address", "not", {"url": "http://[::1/effects"}),
]


async def test_a_permit_with_a_good_mac_that_the_binding_does_not_cover_is_refused(house: House) -> None:
    life, line = await prepared(house)
    for what, why, fields in WRONG:
        permit = msgspec.structs.replace(life.permit("crm", "audrey", "a1", ASKED)[0], **fields)
        life.use(line.link, permit, signed(life, permit))
        refused = (await line.next()).refused
        assert refused.startswith("The vault refused the permit"), what
        assert why in refused, what
    line.close()


async def test_of_sixty_four_that_race_with_one_permit_one_gets_the_secret(house: House) -> None:
    life, line = await prepared(house)
    permit, mac = life.permit("crm", "audrey", "a1", ASKED)
    for _ in range(64):
        life.use(line.link, permit, mac)
    got = [await line.next() for _ in range(64)]
    assert [bool(handed.secrets) for handed in got] == [True] + [False] * 63
    line.close()


async def test_a_permit_is_void_after_the_vault_was_started_again(house: House) -> None:
    life, line = await prepared(house)
    permit, mac = life.permit("crm", "audrey", "a1", ASKED)
    line.close()
    await house.kills_the_vault()
    after = await house.vault.life(10)
    again = Line(after, "crm")
    after.use(again.link, permit, mac)
    assert "MAC does not hold" in (await again.next()).refused  # its key is gone with that life
    renewed = msgspec.structs.replace(permit, counter=99)
    after.use(again.link, renewed, signed(after, renewed))
    assert "another life" in (await again.next()).refused
    again.close()


@pytest.mark.parametrize("verb", ["secrets.revoke", "secrets.forget"])
async def test_a_secret_that_was_revoked_or_forgotten_is_not_handed_over(house: House, verb: str) -> None:
    life, line = await prepared(house)
    await house.door.ask(verb, "crm-key")
    life.use(line.link, *life.permit("crm", "audrey", "a1", ASKED))
    assert (await line.next()).refused
    assert SECRET.encode() not in (house.folder / "vault" / "sealed").read_bytes()
    line.close()


async def test_a_secret_that_has_expired_is_not_handed_over(house: House) -> None:
    await house.door.set("crm-key", SECRET, "127.0.0.1", expires_us=1)
    await house.vault.bind([bound(8080)])
    life = await house.vault.life(5)
    line = Line(life, "crm")
    life.use(line.link, *life.permit("crm", "audrey", "a1", ASKED))
    assert "has expired" in (await line.next()).refused
    line.close()


async def test_a_new_value_is_used_at_once_and_the_old_one_still_scrubbed(house: House) -> None:
    life, line = await prepared(house)
    await house.door.ask("secrets.rotate", "crm-key", "another-value-9", overlap_us=10**9)
    life.use(line.link, *life.permit("crm", "audrey", "a1", ASKED))
    handed = await line.next()
    assert (handed.version, handed.secrets) == (2, (b"another-value-9", SECRET.encode()))
    line.close()


async def test_a_courier_that_is_handed_a_secret_for_another_request_sends_nothing(house: House) -> None:
    await house.door.set("crm-key", SECRET, "127.0.0.1")
    with HttpServer(house.folder / "server") as server:
        binding = bound(server.port)
        await house.vault.bind([binding])
        life = await house.vault.life(5)
        real = life.permit

        def other(name: str, agent: str, action: str, asked: Asked) -> tuple[Permit, str]:
            return real(
                name, agent, action, msgspec.structs.replace(asked, url=f"{binding.origin}/effects/e9")
            )

        life.permit = other  # type: ignore[assignment, method-assign]
        errand = Errand(
            binding, "audrey", "a1", "http.request", "POST", f"{binding.origin}/effects", (), b'{"id": "e1"}'
        )
        delivered = await house.brokered.deliver(errand)
        assert (delivered.status, server.taken()) == ("not_done", [])
        assert "another request" in delivered.message
