"""The first day as `docs/first-agent.md` tells it: each of its commands at a real terminal, with a real mailbox.

The model is a scripted stand-in, as the page says; all else is real.
"""

import imaplib
import json
import shlex
import ssl
import sys
from pathlib import Path
from typing import Any

import pytest

from freehold.testing.brains import Reply, Says, Seen
from freehold.testing.models import ModelServer
from freehold.testing.smtp import SmtpServer
from tests.cli.conftest import Person
from tests.cli.test_terminal import Terminal
from tests.repo import docs, tree
from tests.vault.servers import certificate, dovecot

pytestmark = pytest.mark.timeout(300)

PASSWORD = "pw-of-the-mailbox-71"
GOAL = "Note in papers what Ben's invoice costs, and mail the note to books@example.com."
MAIL = b"""From: Ben <ben@example.org>\r\nTo: anna@example.com\r\nSubject: Invoice 7\r
Date: Sat, 21 Nov 2026 10:00:00 +0000\r\n\r\nDear Anna, the work costs 40 EUR.\r\n"""
EDITS = {
    "papers: ./papers ": "papers: {folder: ./papers, access: change} ",
    "change source: ask": "change source: act",
    "  # - change: papers": "  - change: papers",
    "  # - mailbox.fetch: imap.example.com/INBOX": "  - mailbox.fetch: 127.0.0.1/INBOX",
    '  # - mail.send: "@example.com"': "  - mail.send: books@example.com",
    "# mail: {host: localhost, port: 25,": "mail: {host: 127.0.0.1, port: PORT,",
    "way: loop": "way: plan",
}
EDITOR = """\
import pathlib, sys
file = pathlib.Path(sys.argv[-1])
text = file.read_text()
for old, new in {edits!r}.items():
    assert text.count(old) == 1, old
    text = text.replace(old, new)
file.write_text(text)
"""
TYPED = {
    "init": [("Your name [anna]:", ""), ("your own people alone?", "y")],
    "set": [("Value (not shown):", PASSWORD)],
    "accept": [("Accept this job as it stands?", "y")],
    "chat": [
        ("you> ", GOAL),
        ("Allow this, once?", "y"),
        ("Allow this, once?", "y"),
        ("you> ", "/quit"),
    ],
}


def use(name: str, tool: str, **args: Any) -> dict[str, Any]:
    return {"id": name, "does": {"do": "use", "tool": tool, "args": args}}


PLAN = [
    use("found", "mail.search", text="Invoice"),
    use("invoice", "mail.read", id={"$from": "found", "path": "messages.0.id"}),
    {"id": "costs", "does": {
        "do": "read", "text": {"$from": "invoice", "path": "text"}, "kind": "number", "question": "What does it cost?",
    }},
    {"id": "note", "does": {"do": "write", "instruction": "One line.", "texts": [{"$from": "costs"}]}},
    use("filed", "files.write", source="papers", path="ben.txt", text={"$from": "note"}),
    use("sent", "mail.send", to=["books@example.com"], subject="Ben's invoice", text={"$from": "note"}),
]  # fmt: skip


def stand_in(seen: Seen) -> Reply:
    """Answer as a model would that plans, reads one number and writes one line."""
    if seen.number == 0:
        return Reply(json.dumps({"nodes": PLAN, "result": "note"}), tokens=(900, 300))
    amount = "40" if "costs 40 EUR" in json.dumps(seen.messages) else "0"
    line = f"Ben's invoice: {'40' if '40' in json.dumps(seen.messages) else '?'} EUR."
    return Reply(f'{{"value": {amount}}}' if seen.number == 1 else line, tokens=(200, 20))


def shown() -> list[docs.Command]:
    """Return the page's commands and what it shows of each."""
    page = (tree.ROOT / "docs" / "first-agent.md").read_text(encoding="utf-8")
    consoles = [block for block in docs.blocks(page) if block.language == "console"]
    return [command for block in consoles for command in docs.commands(block)]


def play(person: Person, command: docs.Command, places: dict[str, str]) -> str:
    """Type one command of the page, with this machine's places, and what it asks for; returns the screen."""
    text = command.text.removesuffix(" && cd office")
    for place, here in places.items():
        text = text.replace(place, here)
    program, *words = shlex.split(text)
    assert program == "freehold"
    terminal = Terminal(person, *words)
    for question, answer in next((TYPED[word] for word in words[:2] if word in TYPED), []):
        terminal.answers(question, answer)
    assert terminal.ends() == 0, terminal.said
    return terminal.said.replace("\r", "")


def put_mail(port: int, trusted: Path) -> None:
    with imaplib.IMAP4_SSL(
        "127.0.0.1", port, ssl_context=ssl.create_default_context(cafile=str(trusted))
    ) as box:
        box.login("ada", PASSWORD)
        box.append("INBOX", "", "", MAIL)


def test_the_first_day_is_as_its_page_tells_it_in_ten_commands(tmp_path: Path) -> None:
    commands = shown()
    assert len(commands) <= 10
    (tmp_path / "home").mkdir()
    person, tls = Person(tmp_path / "home" / "office"), certificate(tmp_path / "tls")
    post = SmtpServer(tmp_path / "post")
    with dovecot(tmp_path / "imap", tls, PASSWORD) as imap, post, ModelServer(Says(stand_in)) as model:
        put_mail(imap.port, tls.file)
        editor = tmp_path / "editor.py"
        edits = {old: new.replace("PORT", str(post.port)) for old, new in EDITS.items()}
        editor.write_text(EDITOR.format(edits=edits))
        person.environment["EDITOR"] = f"{sys.executable} {editor}"
        places = {
            "http://127.0.0.1:11434/v1": model.url, "127.0.0.1:993": f"127.0.0.1:{imap.port}", "imap.pem": str(tls.file)
        }  # fmt: skip
        try:
            for command in commands:
                said = play(person, command, places)
                missing = docs.first_missing(command.prints, said)
                assert missing is None, f"`{command.text}` does not print: {missing}\nbut:\n{said}"
        finally:
            person.types("down")
        (mail,) = post.taken()
    assert mail["recipients"] == ["books@example.com"]
    assert (person.folder / "jobs" / "papers" / "ben.txt").read_text() == "Ben's invoice: 40 EUR."
    assert len(model.calls) == 3
    assert "Dear Anna" not in json.dumps([model.calls[0], model.calls[2]])
