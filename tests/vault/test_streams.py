"""A reply that is taken as it comes: in order and at once, bounded in bytes and time, and without the secret."""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from freehold.runtime.brokered import Errand
from freehold.runtime.couriers import Couriers
from freehold.runtime.couriers import Errand as Plain
from freehold.runtime.walls import Walls
from freehold.testing.estates import reach
from freehold.testing.processes import until
from freehold.testing.search import forms_of
from freehold.wire.messages import Delivered
from freehold.wire.permits import Binding
from tests.vault.conftest import House
from tests.vault.servers import Running, running
from tests.vault.test_replies import FORMS, SECRET, ready

FIRST = b"data: first\n\n"


class Asker:
    """Asks the server for one path and keeps what comes."""

    def __init__(self, server: Running, deliver: "Deliver") -> None:
        self.port = server.port
        self.got = b""
        self.pieces = 0
        self.began = asyncio.Event()
        self._deliver = deliver

    def take(self, data: bytes) -> None:
        self.got += data
        self.pieces += 1
        if FIRST in self.got:
            self.began.set()

    async def ask(self, path: str, *, timeout_s: float = 20.0, most: int = 1 << 20) -> Delivered:
        return await self._deliver(path, self.take, timeout_s, most)


Deliver = Callable[[str, Callable[[bytes], None], float, int], "asyncio.Future[Delivered]"]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Running]:
    with running("web_server.py", tmp_path / "web") as found:
        yield found


@pytest_asyncio.fixture
async def bound(house: House, server: Running) -> Asker:
    binding: Binding = await ready(house, server.port)

    def deliver(
        path: str, take: Callable[[bytes], None], timeout_s: float, most: int
    ) -> "asyncio.Future[Delivered]":
        errand = Errand(
            binding, "audrey", "a1", "http.request", "GET", f"{binding.origin}{path}", timeout_s=timeout_s,
            on_chunk=take, most=most,
        )  # fmt: skip
        return asyncio.ensure_future(house.brokered.deliver(errand))

    return Asker(server, deliver)


@pytest_asyncio.fixture
async def plain(server: Running) -> AsyncIterator[Asker]:
    couriers = Couriers(walls=Walls(tries=reach))

    def deliver(
        path: str, take: Callable[[bytes], None], timeout_s: float, most: int
    ) -> "asyncio.Future[Delivered]":
        request = {"method": "GET", "host": f"127.0.0.1:{server.port}", "path": path}
        errand = Plain(
            "http", "127.0.0.1", server.port, "http.request", request, timeout_s=timeout_s, on_chunk=take, most=most
        )  # fmt: skip
        return asyncio.ensure_future(couriers.deliver(errand))

    yield Asker(server, deliver)
    await couriers.stop()


@pytest.fixture(params=["bound", "plain"])
def asker(request: pytest.FixtureRequest, bound: Asker, plain: Asker) -> Asker:
    return bound if request.param == "bound" else plain


async def test_what_has_come_is_there_before_the_rest_is_sent(asker: Asker) -> None:
    asked = asyncio.ensure_future(asker.ask("/slow"))
    await asyncio.wait_for(asker.began.wait(), 20)
    assert b"last" not in asker.got
    assert not asked.done()
    await asker.ask("/go")
    delivered = await asked
    assert (delivered.status, delivered.value["status"], delivered.value["body"]) == ("done", 200, "")
    assert delivered.value["headers"]["content-type"] == "text/event-stream"
    assert asker.got == FIRST + b": filler\n" * 200 + b"data: last\n\n"
    assert delivered.value["streamed"] == len(asker.got)


async def test_a_reply_that_never_ends_is_bounded_in_bytes(asker: Asker) -> None:
    delivered = await asker.ask("/endless", most=200_000)
    assert delivered.status == "unknown"
    assert "200,000 bytes" in delivered.message
    assert 100_000 < len(asker.got) <= 200_000
    assert asker.got.startswith(b"data: more\n\n")


async def test_a_reply_that_never_ends_is_bounded_in_time(asker: Asker) -> None:
    delivered = await asker.ask("/silent", timeout_s=4.0)
    assert delivered.status == "unknown"
    assert FIRST in asker.got
    again = await asker.ask("/slow", timeout_s=0.5)
    assert again.status == "unknown"


async def test_a_reply_that_is_cut_for_its_time_is_not_taken_for_whole(asker: Asker) -> None:
    delivered = await asker.ask("/stalls", timeout_s=4.0)
    assert (delivered.status, FIRST in asker.got) == ("unknown", True), delivered


async def test_nor_is_one_that_is_asked_for_whole(house: House, server: Running) -> None:
    binding = await ready(house, server.port)
    errand = Errand(binding, "audrey", "a1", "http.request", "GET", f"{binding.origin}/stalls", timeout_s=2.0)
    delivered = await house.brokered.deliver(errand)
    assert delivered.status == "unknown"


@pytest.mark.parametrize("way", ["dies", "short"])
async def test_a_server_that_dies_in_the_middle_leaves_it_unknown(asker: Asker, way: str) -> None:
    delivered = await asker.ask(f"/{way}")
    assert delivered.status == "unknown"
    assert FIRST in asker.got


async def test_a_refusal_comes_whole_and_is_not_streamed(asker: Asker) -> None:
    delivered = await asker.ask("/busy")
    assert (delivered.status, delivered.value["status"], asker.pieces) == ("done", 429, 0)
    assert b"too many requests" in base64.b64decode(delivered.value["body"])


async def test_the_secret_is_taken_out_over_the_borders_of_pieces(bound: Asker) -> None:
    for form in FORMS:
        bound.got, bound.pieces = b"", 0
        delivered = await bound.ask(f"/drip/{form}")
        assert delivered.status == "done"
        for name, shape in forms_of(SECRET.encode()):
            assert shape not in bound.got, (form, name, bound.got)
        assert bound.got.count(b"[secret]") == 2, (form, bound.got)
        assert b"before" in bound.got
        assert b"after" in bound.got


async def test_a_server_that_dies_in_the_middle_of_the_secret_brings_none_of_it(
    bound: Asker, server: Running
) -> None:
    delivered = await bound.ask("/half")
    assert delivered.status == "unknown"
    assert SECRET[:6].encode() not in bound.got
    assert SECRET[:6] not in repr(delivered)


async def test_tokens_in_a_stream_are_withheld_though_they_come_in_parts(bound: Asker) -> None:
    delivered = await bound.ask("/tokens")
    assert delivered.status == "done"
    assert b"made-" not in bound.got
    assert b"signed" not in bound.got
    assert bound.got.count(b"[secret of this reply]") == 2


async def test_a_packed_body_that_says_it_is_text_is_withheld(bound: Asker) -> None:
    delivered = await bound.ask("/packed")
    assert (delivered.status, bound.got) == ("unknown", b"")
    assert "packed" in delivered.message


async def test_whoever_stops_waiting_cuts_the_connection_and_others_go_on(bound: Asker) -> None:
    asked = asyncio.ensure_future(bound.ask("/endless", most=64 << 20))
    await until(lambda: bound.pieces >= 3)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert (await bound.ask("/body/none")).status == "done"
