"""What people and accidents do to a session: edited arguments, a call broken off, a freeze, a kill, a flood."""

import asyncio
import os
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest

from freehold.base import Refused
from freehold.sdk.remote import Parked, connect
from freehold.testing.processes import until
from tests.external.conftest import JOB, Owner
from tests.external.test_mcp import LETTER, client_of
from tests.external.test_sessions import PROGRAM, mine


def test_a_function_gets_the_arguments_as_a_person_changed_them(owner: Owner) -> None:
    owner.writes_job("errands", JOB.replace("spend: act", "spend: ask"))
    paid: list[int] = []
    with connect(url=owner.url, token=owner.token, wait_s=60) as session, ThreadPoolExecutor() as threads:

        @session.governed
        def pay(cents: int) -> str:
            paid.append(cents)
            return f"paid {cents}"

        paying = threads.submit(pay, 250)
        card = owner.waits_for("own.pay")
        shown = owner.types("approve", card["id"]).out
        digest = next(line.split()[1] for line in shown.splitlines() if line.startswith("digest"))
        owner.does("approve", card["id"], "--digest", digest, "--edit", "cents=100")
        assert paying.result(30) == "paid 100"
    owner.writes_job("errands", JOB)
    assert paid == [100]


async def test_a_call_by_mcp_that_is_broken_off_ends_the_waiting_and_leaves_the_card(owner: Owner) -> None:
    letter = LETTER | {"subject": "Broken off"}
    outbox = owner.folder / "outbox" / "errands"
    before = len(list(outbox.glob("*.eml")))
    async with client_of(owner, "legacy") as client:
        waiting = asyncio.create_task(client.call_tool("mail.send", letter))
        await until(lambda: bool(owner.cards()), limit_s=30)
        waiting.cancel()
        await asyncio.wait([waiting])
        assert waiting.cancelled()
        assert (await client.list_tools()).tools
        (card,) = [card for card in owner.cards() if card["tool"] == "mail.send"]
        assert len(list(outbox.glob("*.eml"))) == before
        owner.approves(card)
        done = await client.call_tool("mail.send", letter)
        assert not done.is_error
    assert len(list(outbox.glob("*.eml"))) == before + 1


async def test_a_body_over_the_limit_is_answered_413_whether_it_says_its_size_or_not(owner: Owner) -> None:
    head = {"authorization": f"Bearer {owner.token}"}

    async def flood() -> Any:
        for _ in range(25):
            yield b" " * (1 << 20)

    async with httpx2.AsyncClient(headers=head, timeout=60) as http:
        unsaid = await http.post(f"{owner.url}/v1/sessions", content=flood())
    assert (unsaid.status_code, unsaid.headers["content-type"]) == (413, "application/problem+json")
    assert "over 24 MiB" in unsaid.json()["title"]
    with socket.create_connection(("127.0.0.1", owner.port), timeout=30) as line:
        said = (
            f"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:{owner.port}\r\nAuthorization: Bearer {owner.token}\r\n"
        )
        line.sendall(f"{said}Content-Length: {25 << 20}\r\n\r\n".encode())
        answer = line.recv(4_096)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"application/problem+json" in answer


def test_a_program_that_reads_elsewhere_begins_as_if_strangers_had_steered_it(owner: Owner) -> None:
    def pays() -> str:
        with connect(url=owner.url, token=owner.token, wait_s=0) as session:

            @session.governed
            def pay(cents: int) -> str:
                return "paid"

            return pay(250)

    assert pays() == "paid"
    owner.writes_job("errands", JOB.replace("params:\n", "params:\n  reads_elsewhere: yes\n"))
    with pytest.raises(Parked):
        pays()
    owner.writes_job("errands", JOB)
    assert owner.cards() == []  # the session is over, and nobody waits for it any more


def test_a_freeze_stops_a_session_that_is_open_and_a_thaw_lets_it_go_on(owner: Owner) -> None:
    ran: list[int] = []
    with connect(url=owner.url, token=owner.token, wait_s=0) as session:

        @session.governed
        def look_up(cents: int) -> str:
            ran.append(cents)
            return "seen"

        look_up(1)
        owner.does("freeze", "agent:outsider", "--why", "Something is odd.")
        try:
            with pytest.raises(Refused, match="The run is frozen"):
                look_up(2)
        finally:
            owner.does("thaw", "agent:outsider")
        look_up(3)
    assert ran == [1, 3]


async def test_a_daemon_that_is_killed_while_a_program_runs_what_is_done_once_asks_a_person(
    owner: Owner, tmp_path: Path
) -> None:
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    program = owner.starts_program(path)
    assert program.stdout is not None
    session = program.stdout.readline().strip()
    os.kill(owner.types("status", "--json").value["pid"], signal.SIGKILL)
    owner.does("up")
    await until(lambda: bool(mine(owner, session)), limit_s=30)
    (card,) = mine(owner, session)
    assert "Outcome unknown" in card["title"]
    (action,) = owner.run_of(session)["actions"]
    assert (action["tool"], action["status"]) == ("own.pay", "open")  # an INTENT without a RESULT
    program.communicate("\n", timeout=60)
    assert program.returncode != 0
    assert [one["status"] for one in owner.run_of(session)["actions"]] == ["open"]
