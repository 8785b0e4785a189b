"""The vault as a unit of its own, with the two sockets that systemd would make: checked peers, a new life for each."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from freehold.runtime.vault import Vault, VaultPlace
from tests.needs import leave_out
from tests.vault.door import Door
from tests.vault.test_closed import by_another
from tests.vault.test_use import SECRET

ACTIVATE = """
import os, sys
for given, wanted in zip(map(int, sys.argv[1:3]), (3, 4)):
    os.dup2(given, wanted)
os.execv(sys.executable, [sys.executable, "-P", "-m", "freehold.vault", sys.argv[3]])
"""


@pytest.fixture
def unit(tmp_path: Path) -> Iterator[Path]:
    """The socket of a vault that runs as systemd would start it."""
    (tmp_path / "state").mkdir(mode=0o700)
    (tmp_path / "passphrase").write_text("a passphrase that systemd brings")
    setup = {
        "listen": True, "estate": "estate-1", "origin": "freehold/estate-1", "folder": str(tmp_path / "state"),
        "owner_uid": os.geteuid(), "passphrase_file": str(tmp_path / "passphrase"),
    }  # fmt: skip
    numbers = []
    for name in ("vault.sock", "door.sock"):
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(tmp_path / name))
            listener.listen()
            numbers.append(os.dup(listener.fileno()))
    words = [*map(str, numbers), msgspec.json.encode(setup).decode()]
    with subprocess.Popen([sys.executable, "-c", ACTIVATE, *words], pass_fds=numbers) as process:
        for number in numbers:
            os.close(number)
        yield tmp_path / "vault.sock"
        process.kill()


async def test_each_daemon_that_connects_gets_a_life_of_its_own_and_the_same_secrets(unit: Path) -> None:
    place = VaultPlace(
        unit.parent / "nothing", unit.parent / "none", "estate-1", "freehold/estate-1", socket=unit
    )
    lives = []
    for number in range(2):
        vault, door = Vault(place), Door(unit.with_name("door.sock"))
        vault.judge = door.allow
        lives.append(await vault.start())
        assert vault.pid == 0
        if number == 0:
            await door.set("crm-key", SECRET, "127.0.0.1")
        else:
            assert [secret.name for secret in vault.secrets] == ["crm-key"]
        await vault.stop()
    assert lives[0].journal == lives[1].journal
    assert lives[0].boot != lives[1].boot
    assert lives[0].key != lives[1].key


async def test_another_user_gets_no_life_and_no_key(unit: Path) -> None:
    if os.geteuid() != 0:
        leave_out("becoming another user takes root (run as root)")
    opened = {one: one.stat().st_mode for one in (unit, *unit.parents[:3])}
    for one in opened:
        one.chmod(0o777)
    said = by_another(
        65_534, f"s = socket.socket(socket.AF_UNIX); s.connect({str(unit)!r}); print(s.recv(1))"
    )
    for one, mode in opened.items():
        one.chmod(mode)
    assert said.stdout.strip() == "b''", said
