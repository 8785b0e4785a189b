"""A secret is used for exactly what a person bound it to; the daemon never sees it."""

from freehold.runtime.brokered import Errand
from freehold.testing.http import HttpServer
from freehold.wire.permits import Binding
from tests.vault.conftest import House

SECRET = "canary-7hT4kP0qXz"


def bound(port: int, **given: object) -> Binding:
    values: dict[str, object] = {
        "name": "crm", "secret": "crm-key", "scheme": "http", "host": "127.0.0.1", "port": port,
        "methods": ("GET", "POST"), "paths": ("/effects", "/effects/*"), "slot": "header", "agents": ("audrey",),
        "field": "Authorization", "prefix": "Bearer ", "private": True,
    }  # fmt: skip
    return Binding(**(values | given))  # type: ignore[arg-type]


async def test_a_secret_reaches_the_server_and_no_reply_brings_it_back(house: House) -> None:
    await house.door.set("crm-key", SECRET, "127.0.0.1")
    with HttpServer(house.folder / "server") as server:
        binding = bound(server.port)
        await house.vault.bind([binding])
        errand = Errand(
            binding, "audrey", "a1", "http.request", "POST", f"{binding.origin}/effects", (), b'{"id": "e1"}'
        )
        delivered = await house.brokered.deliver(errand)
        assert delivered.status == "done", delivered
        assert server.count("e1") == 1
        assert SECRET not in str(delivered)
