"""Mail as a model reads it, from a real IMAP server: what came, one message as text, a search; nothing is changed."""

import base64
import json
from collections.abc import AsyncIterator
from email.message import EmailMessage
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

from freehold.kernel.labels import Confidentiality, Integrity
from freehold.kernel.rights import right
from freehold.kernel.rooms import Rooms
from freehold.reader.mail import read
from freehold.runtime.bindings import Bindings
from freehold.runtime.bound import Bound
from freehold.runtime.brokered import Errand
from freehold.testing.estates import AGENT, OWNER, ThrowawayEstate
from freehold.wire.permits import Binding
from tests.tools.conftest import Desk
from tests.vault.conftest import House
from tests.vault.servers import certificate, dovecot
from tests.vault.test_servers import login

SECRET = "canary-9dW2mXkq41"


def letter(subject: str, text: str, html: str = "", attach: bytes = b"") -> bytes:
    message = EmailMessage()
    message["From"] = "Ben Müller <ben@example.org>"
    message["To"] = "audrey@example.org"
    message["Subject"] = subject
    message["Date"] = "Sat, 21 Nov 2026 10:00:00 +0100"
    message["Message-ID"] = f"<{len(subject)}@example.org>"
    if text:
        message.set_content(text)
        if html:
            message.add_alternative(html, subtype="html")
    else:
        message.set_content(html, subtype="html")
    if attach:
        message.add_attachment(attach, maintype="application", subtype="pdf", filename="Rechnung März.pdf")
    return message.as_bytes()


MAILS = (
    letter("Invoice 1", "Please pay 40 EUR.", attach=b"%PDF" * 100),
    letter("Grüße", "", "<p>Bis morgen.</p><p style='display:none'>HIDDEN</p>"),
    letter("Lunch", "Pizza\u200b at noon?"),
)


@pytest_asyncio.fixture
async def post(tmp_path: Path) -> AsyncIterator[Desk]:
    """An estate with a vault, and a secret that is bound to a mailbox with three mails."""
    (tmp_path / "vault-house").mkdir()
    house = House(tmp_path / "vault-house")
    await house.vault.start()
    shown = certificate(tmp_path / "tls")
    with dovecot(tmp_path / "dovecot", shown, SECRET) as server:
        binding: Binding = login(server.port, shown, "imaps", "FETCH", "APPEND")
        await house.door.set("crm-key", SECRET, "127.0.0.1")
        bindings = Bindings()
        (tmp_path / "estate").mkdir()
        estate = ThrowawayEstate(tmp_path / "estate")

        def made(rooms: Rooms) -> Bound:
            return Bound(rooms.settings, bindings, house.brokered)

        estate.bound = made
        await estate.open()
        await estate.rooms.ledger.commit(
            estate.rooms.settings.change({"premises_hosts": ["127.0.0.1"]}, by=OWNER)
        )
        binding = msgspec.structs.replace(binding, agents=(AGENT,))
        await estate.rooms.ledger.commit(bindings.bind(binding, by=OWNER))
        await house.vault.bind(bindings.all())
        for data in MAILS:
            errand = Errand(
                binding, AGENT, "a1", "mailbox.draft", "APPEND", f"{binding.origin}/INBOX", (), data
            )
            delivered = await house.brokered.deliver(errand)
            assert delivered.status == "done", delivered
        desk = Desk(estate)
        desk.may = (right("mailbox.fetch", "127.0.0.1/INBOX"),)
        yield desk
        await estate.close()
        await house.brokered.stop()
        await house.vault.stop()


async def test_a_mailbox_is_listed_searched_and_read(post: Desk) -> None:
    listed, found, umlaut, sender, nobody, first, second, third = await post.ask(
        ("mail.list", {}),
        ("mail.search", {"text": "40 EUR", "server": "127.0.0.1"}),
        ("mail.search", {"text": "Grüße"}),
        ("mail.search", {"sender": "ben@example.org", "since": "2020-01-01", "limit": 2}),
        ("mail.search", {"text": "nobody wrote this"}),
        ("mail.read", {"id": 1}),
        ("mail.read", {"id": 2}),
        ("mail.read", {"id": 3}),
    )
    assert [mail["subject"] for mail in listed["messages"]] == ["Lunch", "Grüße", "Invoice 1"]
    assert listed["messages"][2]["from"] == ["Ben Müller <ben@example.org>"]
    assert listed["messages"][0]["received"].endswith("+00:00") or listed["messages"][0]["received"]
    assert not listed["more"]
    assert "text" not in listed["messages"][0]
    assert [mail["subject"] for mail in found["messages"]] == ["Invoice 1"]
    assert [mail["subject"] for mail in umlaut["messages"]] == ["Grüße"]
    assert ([mail["subject"] for mail in sender["messages"]], sender["more"]) == (["Lunch", "Grüße"], True)
    assert nobody["messages"] == []
    assert first["text"].strip() == "Please pay 40 EUR."
    assert first["attachments"] == [{"name": "Rechnung März.pdf", "type": "application/pdf", "size": 400}]
    assert (second["text"], second["hidden_elements"]) == ("Bis morgen.", 1)
    assert (third["text"].strip(), third["hidden_characters"]) == ("Pizza at noon?", 1)
    label = post.label(6)
    assert (label.integrity, label.confidentiality) == (Integrity.STRANGER, Confidentiality.CONFIDENTIAL)
    assert "imap:127.0.0.1" in label.sources
    assert SECRET not in post.said()


async def test_reading_marks_nothing_as_seen(post: Desk) -> None:
    await post.one("mail.read", id=1)
    listed = await post.one("mail.list")
    assert [mail["seen"] for mail in listed["messages"]] == [False, False, False]


async def test_what_cannot_be_looked_for_gets_a_sentence(post: Desk) -> None:
    assert "There is no such message" in await post.refused("mail.read", id=99)
    assert "is not a day" in await post.refused("mail.list", since="yesterday")
    assert "does not open" in await post.refused("mail.list", folder="INBOX2") or "may" in post.said()
    said = await post.refused("mail.search", sender='x" NOT SEEN "')
    assert "a sender is looked for by plain letters" in said


async def test_a_mailbox_that_no_right_names_is_not_read(post: Desk) -> None:
    post.may = ()
    assert "mailbox.fetch: 127.0.0.1/INBOX" in await post.refused("mail.list")


def wrapped(data: bytes) -> bytes:
    one = {
        "uid": 1,
        "size": len(data),
        "data": base64.b64encode(data).decode(),
        "received": "",
        "seen": False,
    }
    return json.dumps({"messages": [one]}).encode()


@pytest.mark.parametrize(
    "data",
    [b"", b"\r\n", b"Subject: =?x-unknown?B?////?=\r\n\r\nx", b"From: \xff\xfe\r\n\r\n\xff",
     b"Content-Type: multipart/mixed; boundary=a\r\n\r\n" + b"--a\r\n\r\nx\r\n" * 150,
     b"Content-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\n!!!!",
     b"Content-Type: text/plain; charset=\"idna\"\r\n\r\nx.y", b"To: " + b"a@b.c, " * 5_000 + b"\r\n\r\nx",
     b"Date: 99 Foo 99999 99:99\r\nMessage-ID: <\r\n\r\nx", b"Subject:" + b" x" * 100_000 + b"\r\n\r\n",
     b"Content-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\nhello",
     b"Content-Disposition: attachment; filename*=utf-9''%ff\r\n\r\nx"],
)  # fmt: skip
def test_no_mail_breaks_the_reader(data: bytes) -> None:
    (message,) = read(wrapped(data), {"whole": True})["messages"]
    assert len(message["subject"]) <= 1_000
    assert json.dumps(message)
