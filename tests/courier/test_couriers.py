"""What becomes of an effect: done, not done only on an explicit refusal, else unknown; counted over there."""

import asyncio
import base64
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

from freehold.runtime.couriers import Couriers, Errand
from freehold.testing.http import HttpServer
from freehold.testing.processes import below, descriptors, until
from freehold.testing.server import Behaviour
from freehold.testing.smtp import SmtpServer
from freehold.wire.messages import Delivered

MESSAGE = b"Message-ID: <one@test>\r\nSubject: Report\r\n\r\n.a line that begins with a dot\r\nlast\r\n"


@pytest_asyncio.fixture
async def couriers() -> AsyncIterator[Couriers]:
    made = Couriers(idle_s=30)
    yield made
    await made.stop()
    assert made.running == 0


def mail(server: SmtpServer, *recipients: str, timeout_s: float = 10.0) -> Errand:
    request = {"sender": "agent@example.org", "recipients": list(recipients or ["finance@example.org"])}
    return Errand("smtp", "127.0.0.1", server.port, "mail.send", request, {"message": MESSAGE}, timeout_s)


def post(server: HttpServer, body: bytes = b'{"id": "e1"}', key: str = "", timeout_s: float = 10.0) -> Errand:
    headers = [["Content-Type", "application/json"], *([["Idempotency-Key", key]] if key else [])]
    request = {"method": "POST", "host": f"127.0.0.1:{server.port}", "path": "/effects", "headers": headers}
    return Errand("http", "127.0.0.1", server.port, "http.request", request, {"body": body}, timeout_s)


async def test_a_message_that_is_taken_is_done_and_arrives_byte_for_byte(
    tmp_path: Path, couriers: Couriers
) -> None:
    with SmtpServer(tmp_path) as server:
        delivered = await couriers.deliver(mail(server, "a@example.org", "b@example.org"))
        assert delivered.status == "done"
        assert delivered.value["body_sent"]
        (entry,) = server.taken()
        assert entry["message_id"] == "<one@test>"
        assert entry["recipients"] == ["a@example.org", "b@example.org"]
        assert (tmp_path / f"{entry['digest']}.eml").read_bytes() == MESSAGE


async def test_a_refused_message_is_not_done(tmp_path: Path, couriers: Couriers) -> None:
    with SmtpServer(tmp_path, behaviour=Behaviour(refuse=True)) as server:
        delivered = await couriers.deliver(mail(server))
        assert delivered.status == "not_done"
        assert "550 5.7.1 Not wanted here" in delivered.message
        assert server.taken() == []


@pytest.mark.parametrize(("drop", "count"), [("before", 0), ("after", 1)])
async def test_a_connection_lost_after_the_message_leaves_it_unknown(
    tmp_path: Path, couriers: Couriers, drop: str, count: int
) -> None:
    with SmtpServer(tmp_path, behaviour=Behaviour(drop=drop)) as server:
        delivered = await couriers.deliver(mail(server))
        assert (delivered.status, delivered.value["body_sent"]) == ("unknown", True)
        assert server.count("<one@test>") == count


async def test_a_server_that_dies_on_the_message_leaves_it_unknown(
    tmp_path: Path, couriers: Couriers
) -> None:
    with SmtpServer(tmp_path, behaviour=Behaviour(crash_at=1)) as server:
        delivered = await couriers.deliver(mail(server))
        assert delivered.status == "unknown"
        assert server.wait() == -9
        assert server.count("<one@test>") == 1
        server.behave(Behaviour())
        server.start()
        assert (await couriers.deliver(mail(server))).status == "done"
        assert server.count("<one@test>") == 2  # it never deduplicates


async def test_a_server_that_is_too_slow_leaves_it_unknown(tmp_path: Path, couriers: Couriers) -> None:
    with SmtpServer(tmp_path, behaviour=Behaviour(delay_ms=5_000)) as server:
        delivered = await couriers.deliver(mail(server, timeout_s=0.2))
        assert delivered.status == "unknown"
        assert server.count("<one@test>") == 1


async def test_a_line_break_in_an_address_is_not_sent(tmp_path: Path, couriers: Couriers) -> None:
    with SmtpServer(tmp_path) as server:
        delivered = await couriers.deliver(mail(server, "a@example.org>\r\nRCPT TO:<b@example.org"))
        assert delivered.status == "not_done"
        assert server.taken() == []


@pytest.mark.parametrize("end", [b"\n.\r\n", b"\r.\r", b"\n.\n", b"\r\n.\n"])
async def test_a_message_with_line_ends_that_are_not_mails_is_not_sent(
    tmp_path: Path, couriers: Couriers, end: bytes
) -> None:
    with SmtpServer(tmp_path) as server:
        errand = msgspec.structs.replace(mail(server), contents={"message": MESSAGE + end + b"RSET"})
        assert (await couriers.deliver(errand)).status == "not_done"
        assert server.taken() == []


async def test_one_refused_recipient_means_that_nobody_gets_it(tmp_path: Path, couriers: Couriers) -> None:
    with SmtpServer(tmp_path) as server:
        delivered = await couriers.deliver(mail(server, "a@example.org", "not an address@@"))
        assert delivered.status == "not_done"
        assert server.taken() == []


async def test_nobody_listening_is_not_done_and_starts_no_courier(couriers: Couriers) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    delivered = await couriers.deliver(Errand("smtp", "127.0.0.1", port, "mail.send", {}))
    assert delivered.status == "not_done"
    assert "Nothing was sent" in delivered.message
    assert couriers.running == 0


async def test_an_address_that_may_not_be_connected_to_is_not_done(tmp_path: Path) -> None:
    picky = Couriers(may_connect=lambda address: not address.startswith("127."))
    with SmtpServer(tmp_path) as server:
        delivered = await picky.deliver(mail(server))
        assert (delivered.status, server.taken()) == ("not_done", [])
    await picky.stop()


async def test_a_courier_that_is_killed_while_it_waits_leaves_it_unknown(
    tmp_path: Path, couriers: Couriers
) -> None:
    with SmtpServer(tmp_path, behaviour=Behaviour(delay_ms=60_000)) as server:
        errand = asyncio.ensure_future(couriers.deliver(mail(server)))
        await until(lambda: bool(server.taken()))
        stopped = asyncio.ensure_future(couriers.stop())
        delivered = await errand
        await stopped
        assert delivered.status == "unknown"


async def test_a_courier_is_used_again_and_let_go(tmp_path: Path, couriers: Couriers) -> None:
    with SmtpServer(tmp_path) as server:
        for _ in range(3):
            assert (await couriers.deliver(mail(server))).status == "done"
        assert couriers.running == 1
        couriers.unload()
        await until(lambda: couriers.running == 0)


async def test_a_courier_holds_its_socket_and_nothing_else(tmp_path: Path, couriers: Couriers) -> None:
    with SmtpServer(tmp_path) as server, (tmp_path / "secret").open("w") as secret:
        os.set_inheritable(secret.fileno(), True)
        assert (await couriers.deliver(mail(server))).status == "done"
        (pid,) = [pid for pid, name in below(os.getpid()).items() if name == "freehold-smtp"]
        held = list(descriptors(pid).values())
        assert sum(name.startswith("socket:") for name in held) == 1
        assert {name for name in held if not name.startswith("socket:")} == {"/dev/null"}


async def test_many_messages_to_one_host_share_a_few_couriers(tmp_path: Path) -> None:
    couriers = Couriers(most=2)
    with SmtpServer(tmp_path) as server:
        delivered = await asyncio.gather(*(couriers.deliver(mail(server)) for _ in range(12)))
        assert [one.status for one in delivered] == ["done"] * 12
        assert couriers.running <= 2
        assert len(server.taken()) == 12
    await couriers.stop()


# ---- HTTP


async def test_any_whole_response_is_an_answer(tmp_path: Path, couriers: Couriers) -> None:
    with HttpServer(tmp_path) as server:
        taken = await couriers.deliver(post(server))
        server.behave(Behaviour(refuse=True))
        refused = await couriers.deliver(post(server))
        assert (taken.status, taken.value["status"]) == ("done", 200)
        assert base64.b64decode(taken.value["body"]) == b'{"id": "e1", "repeated": false}'
        assert taken.value["headers"]["content-type"] == "application/json"
        assert (refused.status, refused.value["status"]) == ("done", 409)
        assert server.count("e1") == 1


@pytest.mark.parametrize(("drop", "count"), [("before", 0), ("after", 1)])
async def test_no_response_leaves_a_request_unknown_and_the_server_can_be_asked(
    tmp_path: Path, couriers: Couriers, drop: str, count: int
) -> None:
    with HttpServer(tmp_path, behaviour=Behaviour(drop=drop)) as server:
        assert (await couriers.deliver(post(server))).status == "unknown"
        request = {"method": "GET", "host": f"127.0.0.1:{server.port}", "path": "/effects/e1"}
        asked = await couriers.deliver(Errand("http", "127.0.0.1", server.port, "http.request", request))
        assert asked.value["status"] == (200 if count else 404)


async def test_a_key_is_honoured_only_where_the_server_was_told_to(
    tmp_path: Path, couriers: Couriers
) -> None:
    with HttpServer(tmp_path) as server:
        for keyed in (False, True):
            server.behave(Behaviour(keyed=keyed))
            for _ in range(2):
                body = b'{"id": "e%d"}' % keyed
                assert (await couriers.deliver(post(server, body, key=f"k{keyed}"))).status == "done"
        assert (server.count("e0"), server.count("e1")) == (2, 1)


async def test_a_header_with_a_line_break_is_not_sent(tmp_path: Path, couriers: Couriers) -> None:
    with HttpServer(tmp_path) as server:
        errand = post(server)
        errand.request["headers"] = [["X-Note", "a\r\nX-Forged: b"]]
        delivered: Delivered = await couriers.deliver(errand)
        assert (delivered.status, server.taken()) == ("not_done", [])
