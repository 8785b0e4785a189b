"""A person at a real terminal: passphrases are asked for there, and nowhere else."""

import contextlib
import fcntl
import os
import pty
import select
import socket
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from freehold.control.address import short_path
from tests.cli.conftest import Person

pytestmark = pytest.mark.timeout(120)
LONG_S = 40.0


class Terminal:
    """One command at a terminal of its own; answers what it asks."""

    def __init__(
        self, person: Person, *words: str, program: tuple[str, ...] = ("-m", "freehold.cli.main")
    ) -> None:
        self._ours, theirs = pty.openpty()

        def own_terminal() -> None:
            fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)

        self._process = subprocess.Popen(
            [sys.executable, *program, *words],
            stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True, preexec_fn=own_terminal,
            env=person.environment, cwd=person.folder.parent,
        )  # fmt: skip
        os.close(theirs)
        self.said = ""
        self._looked = 0

    def answers(self, question: str, answer: str) -> None:
        """Wait until the command has asked, then type."""
        self.shows(question)
        self.types(f"{answer}\n")

    def shows(self, text: str) -> None:
        """Wait until the command has printed a text that it had not printed when it was last looked for."""
        end = time.monotonic() + LONG_S
        while (found := self.said.find(text, self._looked)) < 0:
            assert time.monotonic() < end, self.said
            self._read(end)
        self._looked = found + len(text)

    def types(self, keys: str) -> None:
        """Type, without waiting for anything."""
        os.write(self._ours, keys.encode())

    def ends(self) -> int:
        """Wait for the end; returns the exit code."""
        end = time.monotonic() + LONG_S
        while self._read(end):
            pass
        os.close(self._ours)
        return self._process.wait(LONG_S)

    def _read(self, end: float) -> bool:
        if not select.select([self._ours], [], [], max(0.0, end - time.monotonic()))[0]:
            return False
        try:
            data = os.read(self._ours, 65_536)
        except OSError:
            return False
        self.said += data.decode(errors="replace")
        return bool(data)


def test_a_passphrase_is_asked_for_at_the_terminal_and_scripts_can_decide_nothing(person: Person) -> None:
    making = Terminal(person, "init", str(person.folder), "--human", "anna", "--email", "anna@example.com")
    making.answers("Your name", "Anna")
    making.answers("your own people alone?", "y")
    making.answers("New passphrase", "short")
    making.answers("New passphrase", "correct horse")
    making.answers("Once more", "correct horse")
    assert making.ends() == 0, making.said
    key = (person.folder / "keys" / "people" / "anna.key").read_text()
    assert '"passphrase"' in key

    script = person.types("agents", "add", "audrey", "--owner", "anna")
    assert (script.code, "asks for its passphrase" in script.err) == (3, True)

    adding = Terminal(person, "agents", "add", "audrey", "--owner", "anna")
    adding.answers("Passphrase of anna", "wrong horse")
    adding.answers("Passphrase of anna", "correct horse")
    assert adding.ends() == 0, adding.said
    assert "Added agent audrey" in adding.said
    assert "correct horse" not in adding.said
    assert person.types("settings", "--json").value["own_domains"] == ["example.com"]

    changing = Terminal(person, "humans", "passphrase")
    changing.answers("Passphrase of anna", "correct horse")
    changing.answers("New passphrase", "another staple")
    changing.answers("Once more", "another staple")
    assert changing.ends() == 0, changing.said
    retiring = Terminal(person, "agents", "retire", "audrey")
    retiring.answers("Passphrase of anna", "correct horse")
    retiring.answers("Passphrase of anna", "another staple")
    assert retiring.ends() == 0, retiring.said


def test_a_vault_that_a_person_opens_is_asked_for_when_the_daemon_starts(owner: Person) -> None:
    sealing = Terminal(owner, "secrets", "seal", "passphrase")
    sealing.answers("New passphrase", "vaulting horse")
    sealing.answers("Once more", "vaulting horse")
    assert sealing.ends() == 0, sealing.said
    assert not (owner.folder / "keys" / "vault.pass").exists()
    assert "a person types" in owner.does("status")
    owner.does("down")
    script = owner.types("up")
    assert (script.code, "wants a passphrase" in script.err) == (4, True)
    wrong = Terminal(owner, "up")
    wrong.answers("Passphrase of the vault", "wrong horse")
    assert wrong.ends() == 3
    assert "does not open the vault" in wrong.said
    starting = Terminal(owner, "up")
    starting.answers("Passphrase of the vault", "vaulting horse")
    assert starting.ends() == 0, starting.said
    assert "vaulting horse" not in starting.said
    owner.does("secrets", "seal", "file")
    owner.does("down")
    owner.does("up")


def test_a_lost_key_is_replaced_by_another_human_and_by_nobody_alone(owner: Person) -> None:
    owner.does("humans", "add", "ben", "--email", "ben@example.com", "--presence", "none", "--as", "anna")
    lost = owner.folder / "keys" / "people" / "anna.key"
    before = lost.read_text()
    alone = owner.types("humans", "rekey", "anna", "--presence", "none", "--as", "anna")
    assert (alone.code, "cannot replace their own key" in alone.err) == (3, True)
    unfit = owner.types("humans", "rekey", "anna", "--presence", "none", "--as", "ben")
    assert (unfit.code, "ben may not replace the key" in unfit.err) == (3, True)
    assert lost.read_text() == before
    owner.does("agents", "allow", "ben", "*: *", "--as", "anna")
    owner.does("humans", "rekey", "anna", "--presence", "none", "--as", "ben")
    new = lost.read_text()
    assert new != before
    owner.does("settings", "set", "freeze_grace_s", "11", "--as", "anna")
    lost.write_text(before)
    old = owner.types("settings", "set", "freeze_grace_s", "12", "--as", "anna")
    assert (old.code, "not that of anna" in old.err) == (3, True)


TWICE = """
import subprocess, sys
for number in "123":
    print("do", number, flush=True)
    sys.stdin.readline()
    subprocess.run([sys.executable, "-m", "freehold.cli.main", "settings", "set", "freeze_grace_s", number])
print("done", flush=True)
"""


def test_a_passphrase_counts_for_some_minutes_at_its_own_terminal_alone(person: Person) -> None:
    making = Terminal(person, "init", str(person.folder), "--human", "anna", "--email", "anna@example.com")
    making.answers("Your name", "Anna")
    making.answers("your own people alone?", "n")
    making.answers("New passphrase", "correct horse")
    making.answers("Once more", "correct horse")
    assert making.ends() == 0, making.said
    setting = Terminal(person, "settings", "set", "presence_minutes", "5")
    setting.answers("Passphrase of anna", "correct horse")
    assert setting.ends() == 0, setting.said

    sitting = Terminal(person, program=("-c", TWICE))
    sitting.answers("do 1", "")
    sitting.answers("Passphrase of anna", "correct horse")
    sitting.answers("do 2", "")
    (held,) = (person.folder / "keys" / "people").glob(".anna.*.sock")
    assert held.stat().st_mode & 0o077 == 0

    script = person.types("settings", "set", "freeze_grace_s", "9")
    assert (script.code, "asks for its passphrase" in script.err) == (3, True)
    with socket.socket(socket.AF_UNIX) as attacker, short_path(held) as name:
        attacker.connect(name)
        said = b""
        with contextlib.suppress(ConnectionError):
            attacker.sendall(b"anything")
            said = attacker.recv(1)
        assert said == b""
    elsewhere = Terminal(person, "settings", "set", "freeze_grace_s", "8")
    elsewhere.answers("Passphrase of anna", "correct horse")
    assert elsewhere.ends() == 0, elsewhere.said

    sitting.answers(
        "do 3", ""
    )  # the second was not asked for; after the third the session ends, and what it held
    assert sitting.ends() == 0, sitting.said
    assert sitting.said.count("Passphrase of anna") == 1
    assert person.types("settings", "--json").value["freeze_grace_s"] == 3
    person.does("humans", "lock")
    assert list((person.folder / "keys" / "people").glob(".anna.*.sock")) == []


def test_silence_is_never_consent(owner: Person) -> None:
    owner.employs("errand")
    run = owner.types("run", "errand", "--json").value["id"]
    card = owner.waits_for_card(run)
    for said in ("", "perhaps", "n"):
        asking = Terminal(owner, "approve", card["id"])
        asking.answers("Allow this, once?", said)
        assert asking.ends() == 3
        assert "still waits" in asking.said
    asking = Terminal(owner, "approve", card["id"])
    asking.answers("Allow this, once?", "y")
    assert asking.ends() == 0, asking.said


def test_a_yes_that_was_typed_before_the_card_was_shown_is_none(owner: Person) -> None:
    owner.employs("errand")
    run = owner.types("run", "errand", "--json").value["id"]
    card = owner.waits_for_card(run)
    asking = Terminal(owner, "approve", card["id"])
    asking.types("y\n")
    asking.answers("Allow this, once?", "n")
    assert asking.ends() == 3
    assert "still waits" in asking.said


def test_a_dropped_file_starts_an_accepted_job_once(owner: Person, tmp_path: Path) -> None:
    path = owner.folder / "jobs" / "errand.md"
    owner.employs("errand")
    (owner.folder / "jobs" / "inbox").mkdir()
    text = path.read_text().replace(
        "budget:", "sources:\n  inbox: ./inbox\ntriggers:\n  - {drop: inbox, still: 0 s}\nbudget:"
    )
    path.write_text(text)
    owner.does(
        "jobs",
        "accept",
        "errand",
        "--digest",
        owner.types("jobs", "check", "errand", "--json").value["digest"],
    )
    by_hand = owner.types("run", "errand")
    assert (by_hand.code, "not started by hand" in by_hand.err) == (3, True)
    watching = Terminal(owner, "watch")
    (owner.folder / "jobs" / "inbox" / "a.txt").write_text("hello")
    watching.answers("waits for you", "\x03")
    watching.ends()
    assert [run["trigger"] for run in owner.types("runs", "--json").value] == ["drop"]
