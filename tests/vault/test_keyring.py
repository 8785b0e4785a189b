"""A vault that is opened by a real keyring: kept there, asked for at each start, and missed in a sentence."""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import needs
from tests.cli.conftest import Person


class Keyring:
    """gnome-keyring on a bus of its own, unlocked as a login does it."""

    def __init__(self, folder: Path) -> None:
        bus = needs.program("dbus-daemon", package="dbus")
        keyring = needs.program("gnome-keyring-daemon", package="gnome-keyring")
        self._tool = needs.program("secret-tool", package="libsecret-tools")
        folder.mkdir(mode=0o700)
        (folder / "home").mkdir()
        self._bus = subprocess.Popen(
            [bus, "--session", "--nofork", "--nopidfile", "--print-address", f"--address=unix:dir={folder}"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        assert self._bus.stdout is not None
        address = self._bus.stdout.readline().strip()
        self.environment = {"DBUS_SESSION_BUS_ADDRESS": address, "XDG_RUNTIME_DIR": str(folder)}
        self._environment = {**os.environ, **self.environment, "HOME": str(folder / "home")}
        self._keyring = subprocess.Popen(
            [keyring, "--unlock", "--foreground", "--components=secrets"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=self._environment,
        )  # fmt: skip
        assert self._keyring.stdin is not None
        assert self._keyring.stdout is not None
        self._keyring.stdin.write(b"the password of a login")
        self._keyring.stdin.close()
        self._keyring.stdout.readline()

    def holds(self, name: str, estate: str) -> str:
        done = subprocess.run(
            [self._tool, "lookup", name, estate], env=self._environment, capture_output=True, text=True
        )
        return done.stdout

    def keeps(self, name: str, estate: str, value: str) -> None:
        words = [self._tool, "store", "--label", "test", name, estate]
        subprocess.run(words, env=self._environment, input=value, text=True, check=True)

    def close(self) -> None:
        for process in (self._keyring, self._bus):
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()


@pytest.fixture
def keyring(tmp_path: Path) -> Iterator[Keyring]:
    made = Keyring(tmp_path / "bus")
    yield made
    made.close()


@pytest.fixture
def person(tmp_path: Path, keyring: Keyring) -> Iterator[Person]:
    """A person at that desktop, with an estate whose vault the keyring opens."""
    found = Person(tmp_path / "estate")
    found.environment |= keyring.environment
    found.founds()
    found.does("secrets", "seal", "keyring")
    yield found
    found.types("down")


def estate_of(person: Person) -> str:
    return str(json.loads(person.does("status", "--json"))["id"])


def test_the_keyring_opens_the_vault_at_each_start(person: Person, keyring: Keyring) -> None:
    estate = estate_of(person)
    assert len(keyring.holds("freehold", estate)) > 40
    assert keyring.holds("freehold-next", estate) == ""
    assert not (person.folder / "keys" / "vault.pass").exists()
    person.does("down")
    person.does("up")
    vault = person.types("status", "--json").value["vault"]
    assert (vault["serves"], vault["unlocked_by"]) == (True, "a passphrase in this machine's keyring")


def test_one_that_was_kept_just_before_a_crash_opens_it_too(person: Person, keyring: Keyring) -> None:
    estate = estate_of(person)
    person.does("down")
    keyring.keeps("freehold-next", estate, keyring.holds("freehold", estate))
    keyring.keeps("freehold", estate, "the passphrase from before it was sealed anew")
    person.does("up")
    assert person.types("status", "--json").value["vault"]["serves"]


def test_a_seal_that_is_refused_leaves_the_one_in_force(person: Person, keyring: Keyring) -> None:
    estate = estate_of(person)
    before = keyring.holds("freehold", estate)
    assert person.types("secrets", "seal", "keyring", "--as", "nobody").code != 0
    assert keyring.holds("freehold", estate) == before
    person.does("down")
    person.does("up")


def test_a_wrong_or_missing_keyring_is_one_sentence_and_nothing_is_lost(
    person: Person, keyring: Keyring
) -> None:
    estate = estate_of(person)
    person.does("down")
    right, sealed = keyring.holds("freehold", estate), (person.folder / "vault" / "sealed").read_bytes()
    keyring.keeps("freehold", estate, "the passphrase of another machine")
    wrong = person.types("up")
    assert (wrong.code, "does not open the vault" in wrong.err) == (3, True), wrong
    del person.environment["DBUS_SESSION_BUS_ADDRESS"], person.environment["XDG_RUNTIME_DIR"]
    begun = time.monotonic()
    none = person.types("up")
    assert (none.code, "keyring" in none.err) == (4, True), none
    assert time.monotonic() - begun < 30
    assert (person.folder / "vault" / "sealed").read_bytes() == sealed
    person.environment |= keyring.environment
    keyring.keeps("freehold", estate, right)
    person.does("up")
