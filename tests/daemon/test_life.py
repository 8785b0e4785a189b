"""The daemon's life: lock, signals, socket, log, and what it says when it cannot start."""

import os
import resource
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from freehold.base import BadInput, Unavailable
from freehold.control.client import Client
from freehold.control.estate import Estate, choose_folder, make_estate, open_estate
from freehold.daemon.found import Founder, found
from freehold.daemon.lock import DaemonLock, holder
from freehold.daemon.start import start_daemon, wait_until_stopped
from freehold.kernel import people

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def estate(tmp_path: Path) -> Estate:
    made = make_estate(tmp_path / "estate", name="test")
    key = people.make_key("anna", None)
    found(made, Founder("anna", "Anna", "anna@example.com", key.public, "none", "EUR"))
    people.write_key(made.key_of("anna"), key)
    return made


def stop(estate: Estate) -> None:
    with Client(estate.socket, timeout_s=20) as client:
        client.call("estate.stop")
    wait_until_stopped(estate)


def test_it_tells_when_it_is_ready_and_a_second_one_is_refused(estate: Estate) -> None:
    pid = start_daemon(estate)
    assert holder(estate.lock) == pid
    with pytest.raises(Unavailable, match=f"process {pid}") as caught:
        start_daemon(estate)
    assert caught.value.code == "unavailable.running"
    stop(estate)
    assert holder(estate.lock) is None
    assert not estate.socket.exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order(estate: Estate, number: signal.Signals) -> None:
    os.kill(start_daemon(estate), number)
    wait_until_stopped(estate)
    assert "stopped" in estate.log.read_text()
    assert not estate.socket.exists()


def test_after_a_kill_the_next_one_starts_over_lock_and_socket(estate: Estate) -> None:
    os.kill(start_daemon(estate), signal.SIGKILL)
    wait_until_stopped(estate)
    assert estate.socket.exists()
    start_daemon(estate)
    stop(estate)


def test_its_files_are_for_its_owner_alone(estate: Estate) -> None:
    start_daemon(estate)
    stop(estate)
    for path in (estate.log, estate.lock, *(p for p in estate.keys.rglob("*") if p.suffix != ".pub")):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_a_folder_that_others_may_enter_is_refused(estate: Estate) -> None:
    estate.folder.chmod(0o755)
    with pytest.raises(Exception, match="chmod 700"):
        start_daemon(estate)


def test_something_in_the_socket_s_place_is_named(estate: Estate) -> None:
    estate.socket.write_text("not a socket")
    with pytest.raises(BadInput, match="in the way"):
        start_daemon(estate)
    assert holder(estate.lock) is None


def test_a_store_that_another_process_holds_is_named(estate: Estate) -> None:
    import fcntl

    (lock,) = Path(estate.store).glob("*.lock")
    with lock.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(Unavailable, match="in use") as caught:
            start_daemon(estate)
    assert caught.value.remedy


def test_a_store_of_a_newer_version_is_refused_and_left_alone(estate: Estate) -> None:
    (database,) = [
        path for path in Path(estate.store).iterdir() if path.suffix in (".db", ".sqlite", ".sqlite3")
    ]
    connection = sqlite3.connect(database)
    with connection:
        connection.execute("UPDATE freehold_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(BadInput, match=r"newer"):
        start_daemon(estate)


def test_an_estate_of_a_newer_format_is_refused(estate: Estate) -> None:
    path = estate.folder / "estate.toml"
    path.write_text(path.read_text().replace("format = 1", "format = 2"))
    with pytest.raises(BadInput, match="newer Freehold"):
        open_estate(estate.folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "format"), ("format = 1\n", "lacks"), ("format = x", "not valid TOML"), ("format = 0", "format")],
)
def test_a_broken_estate_file_gets_a_sentence(estate: Estate, text: str, message: str) -> None:
    (estate.folder / "estate.toml").write_text(text)
    with pytest.raises(BadInput, match=message) as caught:
        open_estate(estate.folder)
    assert caught.value.remedy


def test_without_its_vault_it_does_not_start_and_makes_no_other(estate: Estate) -> None:
    (estate.folder / "vault" / "sealed").unlink()
    with pytest.raises(BadInput, match="journal's key and every secret"):
        start_daemon(estate)
    assert not (estate.folder / "vault" / "sealed").exists()


def test_an_estate_is_made_in_an_empty_folder_only(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("")
    with pytest.raises(BadInput, match="not empty"):
        make_estate(tmp_path / "full", name="x")
    with pytest.raises(BadInput, match="cannot be an estate's name"):
        make_estate(tmp_path / "new", name="../x")
    with pytest.raises(Unavailable, match="cannot be made"):
        make_estate(tmp_path / "full" / "file" / "below", name="x")


def test_a_disk_without_room_is_a_sentence_and_the_estate_stays_whole(estate: Estate) -> None:
    def little_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))

    signal_was = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "freehold.cli.main", "--estate", str(estate.folder), "up"],
            capture_output=True, text=True, preexec_fn=little_room, timeout=50, check=False,
        )  # fmt: skip
    finally:
        signal.signal(signal.SIGXFSZ, signal_was)
    assert done.returncode == 4, done
    assert "Traceback" not in done.stderr
    start_daemon(estate)
    stop(estate)


def test_the_lock_is_of_a_process_and_ends_with_it(tmp_path: Path) -> None:
    lock = DaemonLock(tmp_path / "lock")
    lock.take()
    with pytest.raises(Unavailable):
        DaemonLock(tmp_path / "lock").take()
    lock.release()
    DaemonLock(tmp_path / "lock").take()


def test_a_lock_that_cannot_be_made_gets_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="cannot be made"):
        DaemonLock(tmp_path / "absent" / "lock").take()
    assert holder(tmp_path / "absent" / "lock") is None


def test_the_folder_is_the_one_named_else_here_else_at_home(
    estate: Estate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("FREEHOLD_ESTATE", raising=False)
    monkeypatch.chdir(tmp_path)
    assert choose_folder(None) == tmp_path / "freehold"
    monkeypatch.chdir(estate.folder)
    assert choose_folder(None) == estate.folder
    monkeypatch.setenv("FREEHOLD_ESTATE", str(tmp_path / "named"))
    assert choose_folder(None) == tmp_path / "named"
    assert choose_folder(Path("other")) == estate.folder / "other"


def test_a_caller_that_sends_noise_leaves_the_daemon_up(estate: Estate) -> None:
    start_daemon(estate)
    for noise in (b"\xff" * 100, b"\x00\x00\x00\x02\x01{}", b"\x7f\xff\xff\xff\x01"):
        with socket.socket(socket.AF_UNIX) as caller:
            caller.connect(str(estate.socket))
            caller.sendall(noise)
            assert caller.recv(100) == b""
    with Client(estate.socket) as client:
        assert client.call("estate.status")["humans"] == 1
    stop(estate)
