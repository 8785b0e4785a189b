"""A program from elsewhere, through the SDK: used, denied, parked and approved, killed in the middle."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from freehold.base import BadInput, Refused
from freehold.sdk.remote import AsyncSession, NotDone, Parked, Session, connect
from freehold.testing.processes import until
from tests.external.conftest import Owner


@pytest.fixture
def session(owner: Owner) -> Iterator[Session]:
    """A session that does not wait for people."""
    made = connect(url=owner.url, token=owner.token, wait_s=0)
    yield made
    made.close()


def test_a_governed_function_runs_and_its_record_names_the_agent(owner: Owner, session: Session) -> None:
    @session.governed
    def look_up(name: str, most: float = 2.5) -> dict[str, float]:
        return {name: most}

    assert look_up("tea") == {"tea": 2.5}
    shown = owner.run_of(session.id)
    (action,) = shown["actions"]
    assert (shown["agent"], shown["owner"], action["tool"]) == ("outsider", "anna", "own.look_up")
    assert action["status"] == "done"


def test_an_async_function_is_awaited_as_before(session: Session) -> None:
    @session.governed
    async def look_up(name: str) -> str:
        await asyncio.sleep(0)
        return name.upper()

    async def both() -> list[str]:
        return list(await asyncio.gather(look_up("tea"), look_up("milk")))

    assert asyncio.run(both()) == ["TEA", "MILK"]


async def test_a_loop_of_ones_own_needs_no_thread(owner: Owner) -> None:
    session = await AsyncSession(owner.url, owner.token, wait_s=0).open()

    @session.governed
    async def look_up(name: str) -> str:
        return name

    assert await look_up("tea") == "tea"
    await session.close()


def test_what_no_rule_allows_does_not_run(session: Session) -> None:
    ran = []

    @session.governed
    def wipe(path: str) -> None:
        ran.append(path)

    with pytest.raises(Refused, match=r"Add `tool\.call: own\.wipe` under `may` in job errands"):
        wipe("everything")
    with pytest.raises(Refused, match=r"mail\.send: x@elsewhere\.org"):
        session.act("mail.send", {"to": ["x@elsewhere.org"], "subject": "a", "text": "b"})
    with pytest.raises(Refused, match="has no tool 'nothing'"):
        session.act("nothing")
    assert ran == []


def test_what_nobody_classified_asks_first(owner: Owner, session: Session) -> None:
    ran = []

    @session.governed
    def post(text: str) -> None:
        ran.append(text)

    with pytest.raises(Parked):
        post("Hello")
    (card,) = mine(owner, session.id)
    assert (card["tool"], ran) == ("own.post", [])
    owner.does("deny", card["id"], "--why", "Not now.")


def test_what_a_person_approves_runs_once_and_the_program_gets_its_answer(owner: Owner) -> None:
    letter = {"to": ["finance@example.com"], "subject": "Total", "text": "It is 7."}
    ran: list[str] = []
    with connect(url=owner.url, token=owner.token, wait_s=60) as patient, ThreadPoolExecutor() as threads:

        @patient.governed
        def post(text: str) -> str:
            ran.append(text)
            return "posted"

        posting, sending = threads.submit(post, "Hello"), threads.submit(patient.act, "mail.send", letter)
        for tool in ("own.post", "mail.send"):
            owner.approves(owner.waits_for(tool))
        assert posting.result(30) == "posted"
        assert sending.result(30).status == "done"
    assert ran == ["Hello"]
    assert len(list((owner.folder / "outbox" / "errands").glob("*.eml"))) == 1


def test_a_function_that_did_nothing_says_so_and_any_other_failure_is_unknown(
    owner: Owner, session: Session
) -> None:
    @session.governed
    def pay(cents: int) -> None:
        raise NotDone("The shop is closed.") if cents == 1 else ValueError("something")

    with pytest.raises(NotDone):
        pay(1)
    with pytest.raises(ValueError, match="something"):
        pay(2)
    shown = owner.run_of(session.id)
    assert [action["status"] for action in shown["actions"]] == ["not_done", "unknown"]
    (card,) = [card for card in owner.cards() if card["run"].endswith(session.id[-8:])]
    assert "Outcome unknown" in card["title"]


def test_another_agents_session_is_nobody_elses(owner: Owner, session: Session) -> None:
    other = str(
        owner.types("agents", "add", "stranger", "--owner", "anna", "--external", "--json").value["token"]
    )
    with pytest.raises(BadInput, match="There is no run of this id"):
        connect(url=owner.url, token=other, session=session.id)
    with pytest.raises(BadInput, match="has no job for its program"):
        connect(url=owner.url, token=other)


PROGRAM = """\
import sys
from freehold.sdk.remote import connect

session = connect(session=sys.argv[1] if len(sys.argv) > 1 else "", wait_s=0)


@session.governed
def pay(cents: int) -> str:
    print(session.id, flush=True)
    sys.stdin.readline()
    return "paid"


pay(250)
"""


async def test_a_program_that_is_killed_in_the_middle_leaves_its_effect_unknown_and_a_person_says(
    owner: Owner, tmp_path: Path
) -> None:
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    program = owner.starts_program(path)
    assert program.stdout is not None
    session = program.stdout.readline().strip()
    program.kill()
    program.communicate()
    await until(lambda: bool(mine(owner, session)), limit_s=30)
    (card,) = mine(owner, session)
    assert "Outcome unknown" in card["title"]
    (action,) = owner.run_of(session)["actions"]
    assert action["status"] == "unknown"


def mine(owner: Owner, session: str) -> list[dict[str, str]]:
    return [card for card in owner.cards() if str(card["run"]).endswith(session[-8:])]


def test_a_token_of_the_wrong_shape_or_place_is_said_in_a_sentence(owner: Owner) -> None:
    with pytest.raises(BadInput, match="FREEHOLD_TOKEN"):
        connect(url=owner.url, token="")
    with pytest.raises(BadInput, match="on this machine"):
        connect(url="https://example.com", token=owner.token)
    with pytest.raises(Refused, match="does not count"):
        connect(url=owner.url, token="a.b.c")


def test_its_job_is_spoken_of_as_a_programs_and_not_as_a_packs(owner: Owner) -> None:
    said = owner.does("jobs", "check", "errands")
    assert "outsider works for anna as a program from elsewhere." in said
    assert "when its program opens a session with its token" in said
    assert "ungoverned" in said
    assert "pack" not in said
    digest = owner.types("jobs", "check", "errands", "--json").value["digest"]
    accepted = owner.does("jobs", "accept", "errands", "--digest", digest)
    assert "Start its program" in accepted
    assert "freehold run" not in accepted
