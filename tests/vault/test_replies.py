"""What a hostile server does with a secret that it was sent: no reply brings it back, none leads it elsewhere."""

import base64
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from freehold.runtime.brokered import Errand
from freehold.testing.search import forms_of
from freehold.wire.messages import Delivered
from freehold.wire.permits import Binding
from tests.vault.conftest import House
from tests.vault.servers import Running, certificate, running
from tests.vault.test_use import bound

SECRET = 'canary/"7hT4k\\P0qXz+s w&e<=='
FORMS = (
    "raw", "reversed", "hex", "HEX", "percent", "all-percent", "json", "unicode", "html", "base64-0", "base64-1",
    "base64-2", "urlsafe-0", "urlsafe-1", "urlsafe-2", "mime",
)  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running("web_server.py", tmp_path_factory.mktemp("web")) as found:
        yield found


async def ready(house: House, port: int, **given: Any) -> Binding:
    values = {"paths": ("/*",)} | given
    binding = bound(port, **values)
    await house.door.set("crm-key", SECRET, binding.host)
    await house.vault.bind([binding])
    return binding


async def ask(
    house: House, binding: Binding, path: str, headers: tuple[tuple[str, str], ...] = ()
) -> Delivered:
    return await house.brokered.deliver(
        Errand(binding, "audrey", "a1", "http.request", "GET", f"{binding.origin}{path}", headers)
    )


def check_clean(delivered: Delivered) -> None:
    """No form of the secret in the value or the sentence, the body decoded and as it is."""
    body = base64.b64decode(delivered.value.get("body", ""))
    whole = repr(delivered).encode() + body
    for name, form in forms_of(SECRET.encode()):
        assert form not in whole, (name, delivered, body)


async def test_no_reply_brings_the_secret_back_in_any_common_form(house: House, server: Running) -> None:
    binding = await ready(house, server.port)
    for form in FORMS:
        for way in ("body", "chunks", "gzip"):
            delivered = await ask(house, binding, f"/{way}/{form}")
            assert delivered.status == "done"
            check_clean(delivered)
            assert b"[secret]" in base64.b64decode(delivered.value["body"]), (way, form)
    sent = [dict(one["headers"]).get("Authorization") for one in server.seen()]
    assert set(sent) == {f"Bearer {SECRET}"}


@pytest.mark.parametrize("way", ["header", "status", "trailer", "archive", "error", "brotli", "redirect"])
async def test_nor_does_any_other_part_of_a_reply(house: House, server: Running, way: str) -> None:
    binding = await ready(house, server.port)
    for form in ("raw", "base64-1", "percent", "hex"):
        delivered = await ask(house, binding, f"/{way}/{form}")
        check_clean(delivered)
        assert delivered.status == ("unknown" if way == "error" else "done")


async def test_a_redirect_is_an_answer_and_is_not_followed(house: House, server: Running) -> None:
    binding = await ready(house, server.port)
    before = len(server.seen())
    delivered = await ask(house, binding, "/redirect")
    assert delivered.value["status"] == 302
    assert len(server.seen()) == before + 1


async def test_a_body_that_grows_without_end_when_it_is_unpacked_is_withheld(
    house: House, server: Running
) -> None:
    binding = await ready(house, server.port)
    delivered = await ask(house, binding, "/bomb")
    assert delivered.status == "done"
    assert "withheld" in delivered.value["note"]


async def test_tokens_cookies_and_signed_addresses_in_a_reply_are_secrets_too(
    house: House, server: Running
) -> None:
    binding = await ready(house, server.port)
    delivered = await ask(house, binding, "/token")
    whole = repr(delivered) + base64.b64decode(delivered.value["body"]).decode()
    for made in ("made-for-you-1", "made-for-you-2", "signed-address-1", "cookie-value-1", "cookie-value-2"):
        assert made not in whole
    again = await ask(house, binding, "/body/raw?said=made-for-you-1")
    assert again.status == "done"


@pytest.mark.parametrize(
    ("slot", "given"),
    [
        ("query", {"field": "key", "prefix": ""}), ("header", {"field": "X-Api-Key", "prefix": ""}),
        ("basic", {"account": "anna"}),
        ("body", {"field": "api_key", "prefix": "", "methods": ("POST",)}),
    ],
)  # fmt: skip
async def test_each_slot_is_filled_by_the_courier_alone(
    house: House, server: Running, slot: str, given: dict[str, Any]
) -> None:
    binding = await ready(house, server.port, slot=slot, **given)
    errand = Errand(
        binding, "audrey", "a1", "http.request", binding.methods[0], f"{binding.origin}/none?key=mine&q=1",
        (("Authorization", "Bearer mine"), ("X-Api-Key", "mine")), b'{"api_key": "mine", "n": 1}',
    )  # fmt: skip
    assert (await house.brokered.deliver(errand)).status == "done"
    seen = server.seen()[-1]
    headers = dict(seen["headers"])
    if slot == "query":
        assert seen["path"].startswith("/none?q=1&key=canary%2F")
    elif slot == "header":
        assert headers["X-Api-Key"] == SECRET
    elif slot == "basic":
        said = base64.b64decode(headers["Authorization"].removeprefix("Basic "))
        assert said.decode() == f"anna:{SECRET}"
    else:
        assert json.loads(seen["body"]) == {"api_key": SECRET, "n": 1}


async def test_a_certificate_that_does_not_hold_gets_no_secret(house: House, tmp_path: Path) -> None:
    shown = certificate(tmp_path / "tls")
    with running("web_server.py", tmp_path / "web", str(shown.file), str(shown.key)) as server:
        trusting = await ready(house, server.port, scheme="https", ca=shown.text)
        first = await ask(house, trusting, "/none")
        assert first.status == "done", first
        stranger = bound(server.port, scheme="https", paths=("/*",))
        await house.vault.bind([stranger])
        delivered = await ask(house, stranger, "/none")
        assert delivered.status == "not_done"
        assert "certificate" in delivered.message.lower()
        assert len(server.seen()) == 1


async def test_a_private_address_is_connected_to_only_where_the_binding_says_so(house: House) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.setblocking(False)
        port = listener.getsockname()[1]
        binding = await ready(house, port, scheme="https", host="localhost", private=False)
        delivered = await ask(house, binding, "/none")
        assert (delivered.status, delivered.value["phase"]) == ("not_done", "start")
        with pytest.raises(BlockingIOError):
            listener.accept()
