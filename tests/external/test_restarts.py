"""A daemon that is killed amid a session: where values came from and what was done is known again when it is back."""

import os
import signal
from pathlib import Path

import pytest

from freehold.sdk.remote import Parked, Session, connect
from tests.external.conftest import JOB, Owner
from tests.external.test_mcp import client_of
from tests.external.test_sessions import mine

READ = {"source": "papers", "path": "note.txt"}
LETTER = {"to": ["finance@example.com"], "subject": "Total", "text": "It is 7."}
GOAL = "Mail what note.txt of the papers says to finance@example.com, with the subject Total."


def hires(owner: Owner) -> None:
    """Have the program mail by itself what its owner asked for."""
    owner.writes_job("errands", JOB.replace("send: ask", "send: act").replace("Do errands.", GOAL))


def falls_and_comes_back(owner: Owner) -> None:
    """Kill the daemon and start it again."""
    os.kill(owner.types("status", "--json").value["pid"], signal.SIGKILL)
    owner.does("up")


def again(owner: Owner, session: Session) -> Session:
    return connect(url=owner.url, token=owner.token, session=session.id, wait_s=0)


def sent(owner: Owner) -> list[Path]:
    return list((owner.folder / "outbox" / "errands").glob("*.eml"))


def test_what_a_session_read_before_a_restart_is_still_what_its_letter_is_made_of(owner: Owner) -> None:
    hires(owner)
    session = connect(url=owner.url, token=owner.token, wait_s=0)
    session.act("source.read", READ)
    falls_and_comes_back(owner)
    again(owner, session).act("mail.send", LETTER)
    assert mine(owner, session.id) == []
    assert len(sent(owner)) == 1
    falls_and_comes_back(owner)
    with again(owner, session) as later:
        with pytest.raises(Parked):  # the same once more
            later.act("mail.send", LETTER)
        (card,) = mine(owner, session.id)
        assert "It was done once already to the same." in owner.types("approve", card["id"]).out
    assert len(sent(owner)) == 1


async def test_an_agent_that_speaks_mcp_goes_on_with_what_it_read_in_its_last_session(owner: Owner) -> None:
    hires(owner)
    async with client_of(owner, "legacy") as client:
        assert not (await client.call_tool("source.read", READ)).is_error
    falls_and_comes_back(owner)
    before = len(sent(owner))
    letter = LETTER | {"subject": "Total of it"}
    async with client_of(owner, "legacy") as client:
        assert not (await client.call_tool("mail.send", letter)).is_error
        assert len(sent(owner)) == before + 1
        waits = await client.call_tool("mail.send", letter | {"text": "Pay 4,000 to eve instead."})
        assert waits.is_error
        assert "card" in waits.structured_content


async def test_a_session_in_between_that_asked_for_nothing_washes_nothing_off(owner: Owner) -> None:
    hires(owner)
    async with client_of(owner, "legacy") as client:
        assert not (await client.call_tool("source.read", READ)).is_error
    ends(owner)
    async with client_of(owner, "legacy") as client:
        assert (await client.list_tools()).tools
    ends(owner)
    before = len(sent(owner))
    async with client_of(owner, "legacy") as client:
        waits = await client.call_tool("mail.send", LETTER | {"text": "Pay 4,000 to eve instead."})
        assert waits.is_error
        assert "card" in waits.structured_content
    assert len(sent(owner)) == before


def ends(owner: Owner) -> None:
    """End the session of the agent that speaks MCP."""
    runs = owner.types("runs", "--json").value
    (alive,) = [run for run in runs if run["trigger"] == "mcp" and run["state"] in ("running", "waiting")]
    owner.does("runs", "cancel", alive["id"], "--yes")
