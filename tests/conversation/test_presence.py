"""A conversation under a passphrase, one that plans first, and what of it lies in the inbox."""

import json

import pytest

from freehold.testing.brains import Reply, Says, Scripted, Seen
from freehold.testing.models import ModelServer
from freehold.testing.smtp import SmtpServer
from tests.cli.conftest import Person
from tests.cli.test_terminal import Terminal
from tests.conversation.conftest import JOB, House

pytestmark = pytest.mark.timeout(240)

WORDS = "correct horse"
ASKS = "Passphrase of anna"


def letter(to: str, text: str) -> Reply:
    args = {"to": [to], "subject": "Hello", "text": text}
    return Reply(calls=[("mail__send", args)])


class Locked(House):
    """An estate whose owner's key asks for a passphrase."""

    def __init__(self, person: Person) -> None:
        self.person = person
        self.signs("init", str(person.folder), "--human", "anna", "--email", "anna@example.com", first=True)
        self.signs("agents", "add", "audrey", "--owner", "anna")

    def signs(self, *words: str, first: bool = False, then: str = "") -> Terminal:
        """Type a command that a key signs, and its passphrase."""
        typing = Terminal(self.person, *words)
        if first:
            typing.answers("Your name", "Anna")
            typing.answers("your own people alone?", "y")
            typing.answers("New passphrase", WORDS)
            typing.answers("Once more", WORDS)
        else:
            if then:
                typing.answers(then, "y")
            typing.answers(ASKS, WORDS)
        assert typing.ends() == 0, typing.said
        return typing

    def meets(self, server: ModelServer, *more: str) -> None:
        """Add the model that ``server`` serves."""
        self.signs("models", "add", "tiny", "--url", server.url, "--model", "tiny", "--zone", "device",
                   "--price-in", "1", "--price-out", "2", *more)  # fmt: skip

    def employs(self, name: str = "desk", *, send: str = "ask", port: int = 2525) -> None:
        """Write the job file of an assistant and accept it."""
        (self.person.folder / "jobs" / f"{name}.md").write_text(JOB.format(send=send, port=port))
        self.signs("jobs", "accept", name, then="Accept this job as it stands?")


def test_a_key_with_a_passphrase_is_opened_once_for_what_is_said_and_again_for_each_card(
    person: Person,
) -> None:
    locked = Locked(person)
    mail = SmtpServer(person.folder.parent / "mail")
    with (
        mail,
        ModelServer(
            Scripted([letter("ben@example.com", "Hello Ben."), "Sent.", "And that."], by="call")
        ) as server,
    ):
        locked.meets(server)
        locked.employs(port=mail.port)
        chat = Terminal(person, "chat", "audrey")
        chat.answers(ASKS, "wrong horse")
        chat.answers(ASKS, WORDS)
        chat.answers("you> ", "Write to ben@example.com: Hello Ben.")
        chat.answers("Allow this, once?", "y")
        chat.answers(ASKS, WORDS)
        chat.shows("audrey> Sent.")
        chat.answers("you> ", "Thank you.")
        chat.shows("audrey> And that.")
        chat.answers("you> ", "/quit")
        assert chat.ends() == 0, chat.said
        taken = mail.taken()
    assert len(taken) == 1
    assert chat.said.count(ASKS) == 3
    assert WORDS not in chat.said
    script = person.types("chat", "audrey")
    assert (script.code, "asks for its passphrase" in script.err) == (3, True)


def test_a_wrong_passphrase_at_a_card_leaves_the_card_and_the_conversation(person: Person) -> None:
    locked = Locked(person)
    with ModelServer(Scripted([letter("ben@example.com", "Hello Ben."), "Not sent."])) as server:
        locked.meets(server)
        locked.employs()
        chat = Terminal(person, "chat", "audrey")
        chat.answers(ASKS, WORDS)
        chat.answers("you> ", "Write to ben@example.com: Hello Ben.")
        chat.answers("Allow this, once?", "y")
        for _ in range(3):
            chat.answers(ASKS, "wrong horse")
        chat.shows("It waits for you: /cards")
        chat.answers("you> ", "/cards")
        chat.answers("Allow this, once?", "n")
        chat.answers("Why not?", "Not today.")
        chat.answers(ASKS, WORDS)
        chat.shows("audrey> Not sent.")
        chat.answers("you> ", "/quit")
        assert chat.ends() == 0, chat.said
    assert "Traceback" not in chat.said


PLAN = [
    {"id": "line", "does": {"do": "write", "instruction": "Greet Ben in one line.", "texts": []}},
    {"id": "sent", "does": {"do": "use", "tool": "mail.send", "args": {
        "to": ["ben@example.com"], "subject": "Hello", "text": {"$from": "line"},
    }}},
]  # fmt: skip


def plans(seen: Seen) -> Reply:
    """Plan, then write the one line; of a plan that was turned down make none again."""
    if "You write one text" in str(seen.messages[0]["content"]):
        return Reply("Hello Ben.")
    return Reply(json.dumps({"nodes": PLAN, "result": "line"}))


def test_a_job_that_plans_shows_its_plan_in_the_chat_and_follows_it_or_not_as_it_is_told(
    house: House,
) -> None:
    mail = SmtpServer(house.person.folder.parent / "mail")
    with mail, ModelServer(Says(plans)) as server:
        house.meets(server)
        path = house.person.folder / "jobs" / "desk.md"
        path.write_text(
            JOB.format(send="act", port=mail.port).replace("model: tiny", "model: tiny\n  way: plan")
        )
        digest = house.person.types("jobs", "check", "desk", "--json").value["digest"]
        house.person.does("jobs", "accept", "desk", "--digest", digest)
        chat = Terminal(house.person, "chat", "audrey")
        chat.answers("you> ", "Mail a greeting to ben@example.com.")
        chat.shows("Follow this plan")
        chat.shows("to = ['ben@example.com']")
        chat.answers("Allow this, once?", "n")
        chat.answers("Why not?", "In the evening.")
        chat.shows("anna denied it")
        chat.answers("you> ", "Mail a greeting to ben@example.com now.")
        chat.answers("Allow this, once?", "y")
        chat.shows("line done")
        chat.shows("audrey> Hello Ben.")
        chat.answers("you> ", "/plan")
        chat.shows("sent  after line")
        chat.answers("you> ", "/quit")
        assert chat.ends() == 0, chat.said
        taken = mail.taken()
        second = str(server.calls[1]["messages"][-1]["content"])
    assert [one["recipients"] for one in taken] == [["ben@example.com"]]
    assert "Before that your owner said:\n- Mail a greeting to ben@example.com." in second
    assert "Traceback" not in chat.said


def test_cards_of_one_conversation_that_are_alike_are_one_line_of_the_inbox_and_each_is_decided_alone(
    house: House,
) -> None:
    letters = [
        ("ben@example.com", "Hello."),
        ("ben@example.com", "Hello again."),
        ("eva@example.com", "Hello."),
    ]
    every = Reply(calls=[call for to, text in letters for call in letter(to, text).calls])
    mail = SmtpServer(house.person.folder.parent / "mail")
    with mail, ModelServer(Scripted([every, "All went."])) as server:
        house.meets(server)
        house.employs(port=mail.port)
        chat = Terminal(house.person, "chat", "audrey")
        chat.answers("you> ", "Write Hello to ben@example.com, twice, and to eva@example.com.")
        for _ in letters:
            chat.answers("Allow this, once?", "")
        chat.shows("It waits for you: /cards")
        said = house.person.does("inbox")
        assert said.count("Send mail to") == 2
        assert "Send mail to ben@example.com (2 alike: --all)" in said
        assert house.person.does("inbox", "--all").count("Send mail to") == 3
        chat.answers("you> ", "/cards")
        for _ in letters:
            chat.answers("Allow this, once?", "y")
        chat.shows("audrey> All went.")
        chat.answers("you> ", "/quit")
        assert chat.ends() == 0, chat.said
        taken = mail.taken()
    assert sorted(one["recipients"][0] for one in taken) == sorted(to for to, _ in letters)


def test_a_card_that_asks_what_one_of_an_earlier_turn_asked_is_alike_and_both_are_taken_in_one_sitting(
    house: House,
) -> None:
    def writes(seen: Seen) -> Reply:
        last = seen.messages[-1]
        if last["role"] == "tool":
            return Reply("It went.")
        if "to eva" in str(last["content"]):
            return letter("eva@example.com", "Hello.")
        return letter("ben@example.com", f"Hello, for the time {len(str(last['content']))}.")

    mail = SmtpServer(house.person.folder.parent / "mail")
    with mail, ModelServer(Says(writes)) as server:
        house.meets(server)
        house.employs(port=mail.port)
        chat = Terminal(house.person, "chat", "audrey")
        for said in ("Greet ben@example.com.", "Do write to ben@example.com.", "Write to eva@example.com."):
            chat.answers("you> ", said)
            chat.answers("Allow this, once?", "")
            chat.shows("It waits for you: /cards")
        first = chat.said.index("1 card of an earlier turn asks the same: /cards")
        assert chat.said.index("Do write to ben") < first < chat.said.index("Write to eva")
        assert chat.said.count("of an earlier turn") == 1
        assert "Send mail to ben@example.com (2 alike: --all)" in house.person.does("inbox")
        ben = next(c for c in house.person.types("inbox", "--json").value["cards"] if "ben@" in c["title"])
        approving = Terminal(house.person, "approve", ben["id"], "--alike")
        for number in (1, 2):
            approving.shows(f"Card {number} of 2")
            approving.answers("Allow this, once?", "y")
        assert approving.ends() == 0, approving.said
        chat.answers("you> ", "/cards")
        chat.answers("Allow this, once?", "y")
        chat.shows("audrey> It went.")
        chat.answers("you> ", "/quit")
        assert chat.ends() == 0, chat.said
        for run in house.person.types("runs", "--json").value:
            house.person.does("watch", run["id"])
        taken = mail.taken()
    assert sorted(one["recipients"][0] for one in taken) == [
        "ben@example.com",
        "ben@example.com",
        "eva@example.com",
    ]
