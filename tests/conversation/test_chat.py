"""A conversation at a real terminal: text as it comes, cards in place, nothing allowed before its end was shown."""

from pathlib import Path

import pytest

from freehold.testing.brains import Reply, Scripted
from freehold.testing.models import ModelServer
from freehold.testing.smtp import SmtpServer
from tests.cli.test_terminal import Terminal
from tests.conversation.conftest import House

pytestmark = pytest.mark.timeout(240)


def letter(lines: int) -> Reply:
    text = "\n".join(["Hello Ben.", *(f"Line {number} of it." for number in range(lines))])
    args = {"to": ["ben@example.com"], "subject": "Hello", "text": text}
    return Reply(calls=[("mail__send", args)])


def test_a_card_is_answered_in_place_and_the_mail_is_sent(house: House, folder: Path) -> None:
    mail = SmtpServer(folder / "mail")
    with mail, ModelServer(Scripted([letter(1), "I wrote to Ben."])) as server:
        house.meets(server)
        house.employs(port=mail.port)
        chat = Terminal(house.person, "chat", "audrey")
        chat.answers("you> ", "Write to ben@example.com: Hello Ben.")
        chat.answers("Allow this, once? [y/n, Enter: later]", "y")
        chat.answers("you> ", "/bill")
        chat.answers("you> ", "/quit")
        assert chat.ends() == 0, chat.said
        assert len(mail.taken()) == 1
    assert "ben@example.com   [from your own words]" in chat.said
    assert "│ Hello Ben." in chat.said
    assert "audrey> I wrote to Ben." in chat.said
    assert "1 turn: 0.0" in chat.said
    assert "Traceback" not in chat.said


def test_a_long_card_is_decided_only_after_its_end_was_shown(house: House) -> None:
    with ModelServer(Scripted([letter(80), "It was not sent."])) as server:
        house.meets(server)
        house.employs()
        run = house.person.types("ask", "Write to ben@example.com.", "--json").value["id"]
        card = house.person.waits_for_card(run)
        leaving = Terminal(house.person, "approve", card["id"])
        leaving.answers("more lines: Enter shows them, q leaves", "q")
        assert leaving.ends() == 3
        assert "was not shown to its end" in leaving.said
        assert "Allow this" not in leaving.said
        reading = Terminal(house.person, "approve", card["id"])
        for _ in range(4):
            reading.answers("more line", "")
        reading.answers("Allow this, once?", "n")
        assert reading.ends() == 3
        assert "Line 79 of it." in reading.said
        house.person.does("runs", "cancel", run, "--yes")


def test_a_turn_that_waits_can_be_stopped_and_the_conversation_goes_on(house: House) -> None:
    with ModelServer(Scripted([letter(1), "Done."])) as server:
        house.meets(server)
        house.employs()
        chat = Terminal(house.person, "chat", "audrey")
        chat.answers("you> ", "Write to ben@example.com.")
        chat.answers("Allow this, once?", "")
        chat.answers("It waits for you", "/stop")
        chat.answers("Stopped: the run is cancelled", "/cards")
        chat.answers("Nothing waits for you here.", "/quit")
        assert chat.ends() == 0, chat.said


def test_a_card_that_another_terminal_decided_first_waits_for_nobody_and_the_turn_goes_on(
    house: House, folder: Path
) -> None:
    mail = SmtpServer(folder / "mail")
    with mail, ModelServer(Scripted([letter(1), "I wrote to Ben."])) as server:
        house.meets(server)
        house.employs(port=mail.port)
        chat = Terminal(house.person, "chat", "audrey")
        chat.answers("you> ", "Write to ben@example.com.")
        chat.shows("Allow this, once?")
        (card,) = house.person.types("inbox", "--json").value["cards"]
        refused = house.person.types("approve", card["id"])
        digest = refused.err.split("--digest ")[1].split()[0]
        house.person.does("approve", card["id"], "--digest", digest)
        chat.types("y\n")
        chat.shows("This card is ")  # approved, or used by now
        chat.shows("audrey> I wrote to Ben.")
        chat.answers("you> ", "/quit")
        assert chat.ends() == 0, chat.said
        assert len(mail.taken()) == 1
    assert "It waits for you" not in chat.said
