"""What the vault's process is closed to, how little it loads, and that its door is nobody else's."""

import json
import os
import re
import shutil
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from freehold.base import BadInput, FreeholdError, NotFound, Refused
from freehold.sandbox import landlock
from freehold.testing.processes import below, descriptors
from freehold.vault import walls
from freehold.wire import child
from freehold.wire import vault as v
from freehold.wire.blocking import BlockingChannel
from tests.needs import leave_out
from tests.vault.conftest import House
from tests.vault.door import FROM_DOOR
from tests.vault.test_use import SECRET

GOLDEN = Path(__file__).with_name("modules.txt")


def loaded() -> list[str]:
    """What is loaded by a vault beyond what a bare interpreter is, by package; our own by module."""
    told = "import sys; before = set(sys.modules)\nimport freehold.vault.__main__\nprint(*(set(sys.modules) - before))"
    names = subprocess.run(
        [sys.executable, "-c", told], capture_output=True, text=True, check=True
    ).stdout.split()
    own = {name for name in names if name.partition(".")[0] == "freehold"}
    return sorted(
        own | {name.partition(".")[0].lstrip("_") for name in names if name not in own} - {"freehold", ""}
    )


def test_what_the_vault_loads_is_what_was_agreed() -> None:
    """When a change is meant, write what this prints into modules.txt, and let the diff be read."""
    now = loaded()
    print("\n".join(now))
    agreed = GOLDEN.read_text().split()
    standard = {name.lstrip("_") for name in sys.stdlib_module_names}
    assert [name for name in now if name not in standard] == agreed
    assert not {"asyncio", "http", "ssl", "urllib.request", "sqlite3", "email", "smtplib"} & set(now)


async def test_the_process_is_closed_to_others(house: House) -> None:
    pid = house.vault.pid
    status = Path(f"/proc/{pid}/status").read_text()
    if os.geteuid() == 0:
        assert f"Uid:\t{child.VAULT_UID}\t{child.VAULT_UID}\t{child.VAULT_UID}" in status
        assert "CapEff:\t0000000000000000" in status
        folder = house.folder / "vault"
        for path, others in ((folder, 0o010), (folder / "sealed", 0)):  # root's own group may walk through
            assert (path.stat().st_uid, path.stat().st_mode & 0o077) == (child.VAULT_UID, others)
        assert folder.stat().st_gid == 0
    assert re.search(r"Max core file size +0 +0 ", Path(f"/proc/{pid}/limits").read_text())
    assert (
        os.stat(f"/proc/{pid}/mem").st_uid == 0
    )  # as the kernel gives it to a process that may not be dumped
    locked = int(next(line for line in status.splitlines() if line.startswith("VmLck")).split()[1])
    assert locked > 0
    assert house.vault.awake is not None
    assert house.vault.awake.pages.startswith("locked in memory")
    assert "Seccomp:\t2" in status
    assert "NoNewPrivs:\t1" in status
    if landlock.version() >= landlock.NEEDED:
        assert house.vault.awake.walls == walls.BOTH
    if os.geteuid() != 0:
        with pytest.raises(PermissionError):  # not even its own user sees what it holds open
            descriptors(pid)
        return
    held = descriptors(pid)
    kinds = sorted(link.partition(":")[0] for number, link in held.items() if number > 2)
    assert kinds == ["anon_inode", "socket", "socket"], held


async def test_a_courier_has_no_network_and_another_user(house: House) -> None:
    if os.geteuid() != 0:
        leave_out("looking at another user's process takes root (run as root)")
    from freehold.runtime.brokered import Errand
    from freehold.testing.http import HttpServer
    from tests.vault.test_use import bound

    await house.door.set("crm-key", SECRET, "127.0.0.1")
    with HttpServer(house.folder / "server") as server:
        binding = bound(server.port)
        await house.vault.bind([binding])
        errand = Errand(binding, "audrey", "a1", "http.request", "GET", f"{binding.origin}/effects/x")
        assert (await house.brokered.deliver(errand)).status == "done"
    (outer,) = house.brokered.pids
    (pid,) = [pid for pid, name in below(outer).items() if name == "freehold-broker"]
    status = Path(f"/proc/{pid}/status").read_text()
    assert re.search(r"^Uid:\t(\d{4,})\t\1\t\1\t", status, re.MULTILINE)
    assert "CapEff:\t0000000000000000" in status
    assert "Seccomp:\t2" in status
    assert [link for link in descriptors(outer).values() if link.startswith("socket:")] == []
    if shutil.which("bwrap") is not None:
        assert os.readlink(f"/proc/{pid}/ns/net") != os.readlink("/proc/self/ns/net")
        assert "lo" not in Path(f"/proc/{pid}/net/route").read_text()


BEHIND = """
import ctypes, json, os, socket
from freehold.vault import door, walls
listener = door.listen()
listener.setblocking(True)
stated = walls.close()
done = []
for name, attempt in {
    "a file outside": lambda: open("../secret").close(),
    "the machine's users": lambda: open("/etc/passwd").close(),
    "a file made outside": lambda: open("../new", "w").close(),
    "a connection": lambda: socket.socket(socket.AF_INET),
    "a local socket": lambda: socket.socket(socket.AF_UNIX),
    "a program": lambda: os.execv("/bin/true", ["true"]),
    "a signal": lambda: os.kill(os.getppid(), 0),
    "a trace": lambda: 1 / (1 + ctypes.CDLL(None).ptrace(16, os.getppid(), 0, 0)),
    "its own file": lambda: (open("sealed", "w").close(), os.rename("sealed", "sealed.before"))}.items():
    try:
        attempt()
        done.append(name)
    except (OSError, ZeroDivisionError):
        pass
print(json.dumps([stated, done]), flush=True)
connection, _ = listener.accept()
connection.sendall(b"come in")
door.close()
"""


def test_behind_its_walls_the_vault_keeps_its_folder_and_its_door_and_nothing_else(tmp_path: Path) -> None:
    if landlock.version() < landlock.NEEDED:
        leave_out("no Landlock of version 6 (Linux 6.12)")
    folder = tmp_path / "vault"
    folder.mkdir()
    (tmp_path / "secret").write_text("secret")
    with (
        subprocess.Popen(
            [sys.executable, "-c", BEHIND], cwd=folder, stdout=subprocess.PIPE, text=True
        ) as vault,
        socket.socket(socket.AF_UNIX) as caller,
    ):
        assert vault.stdout is not None
        assert json.loads(vault.stdout.readline()) == [walls.BOTH, ["its own file"]]
        caller.connect(str(folder / "door.sock"))
        assert caller.recv(16) == b"come in"
        assert vault.wait() == 0
    assert [path.name for path in folder.iterdir()] == ["sealed.before"]


async def test_another_process_of_the_same_user_reads_no_memory_of_the_vault(house: House) -> None:
    pid = house.vault.pid
    if os.geteuid() != 0:
        with pytest.raises(PermissionError):
            open(f"/proc/{pid}/mem", "rb").close()
        return
    done = by_another(child.VAULT_UID, f"open('/proc/{pid}/mem', 'rb').read(1)")
    assert "PermissionError" in done.stderr


# ---- the door ----------------------------------------------------------------------------------------------------


async def test_the_door_takes_and_never_gives(house: House) -> None:
    view = await house.door.set("crm-key", SECRET, "127.0.0.1")
    assert (view.name, view.version, view.by) == ("crm-key", 1, "anna")
    assert SECRET not in repr(view)
    assert SECRET not in repr(house.door.judged)
    assert stat.S_IMODE((house.folder / "vault" / "door.sock").stat().st_mode) == 0o600


async def test_what_is_asked_for_must_be_signed_for_this_connection(house: House) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(house.door.path))
        channel = BlockingChannel(sock, FROM_DOOR)
        for session in ("", "0" * 32):
            said = {"verb": "secrets.set", "name": "crm-key", "session": session, "hosts": ["x.example"]}
            channel.send(v.Ask("secrets.set", "crm-key", said, {}, SECRET))
            assert channel.receive().problem["code"] == "refused.session"
        channel.send(v.Knock())
        session = channel.receive().session
        other = {"verb": "secrets.revoke", "name": "crm-key", "session": session}
        channel.send(v.Ask("secrets.set", "crm-key", other, {}, SECRET))
        assert channel.receive().problem["code"] == "input"
    assert house.door.judged == []


async def test_a_request_that_is_not_judged_theirs_changes_nothing(house: House) -> None:
    async def refuse(asked: v.Judge) -> str:
        raise Refused("ben may not change secrets.", code="refused.authority")

    house.vault.judge = refuse
    with pytest.raises(Refused, match="ben may not"):
        await house.door.set("crm-key", SECRET, "127.0.0.1")
    assert house.vault.secrets == []


@pytest.mark.parametrize("name", ["", "Key", "a/b", "../a", "x" * 64, "1a", "a b"])
async def test_a_name_that_could_be_something_else_is_refused(house: House, name: str) -> None:
    with pytest.raises(BadInput):
        await house.door.set(name, SECRET, "127.0.0.1")


@pytest.mark.parametrize("value", ["", "short", "two\nlines of it", "with a \0 in it"])
async def test_a_value_that_could_not_be_scrubbed_or_sent_is_refused(house: House, value: str) -> None:
    with pytest.raises(FreeholdError):
        await house.door.set("crm-key", value, "127.0.0.1")
    assert house.vault.secrets == []


async def test_what_is_not_there_cannot_be_rotated(house: House) -> None:
    with pytest.raises(NotFound):
        await house.door.ask("secrets.rotate", "crm-key", SECRET)


async def test_rubbish_and_silence_at_the_door_hold_nobody_up(house: House) -> None:
    callers = []
    for number in range(24):
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(str(house.door.path))
        sock.sendall([b"\xff" * 40, b"\0\0\0\x10\x01", b""][number % 3])
        callers.append(sock)
    for sock in callers:
        sock.close()
    assert (await house.door.set("crm-key", SECRET, "127.0.0.1")).version == 1


async def test_another_user_is_not_let_in(house: House) -> None:
    if os.geteuid() != 0:
        leave_out("becoming another user takes root (run as root)")
    path = house.door.path
    opened = {one: one.stat().st_mode for one in (path, *path.parents[:4])}
    for one in opened:
        one.chmod(0o777)  # as if somebody had opened every folder on the way
    tells = f"s = socket.socket(socket.AF_UNIX); s.connect({str(path)!r}); print(s.recv(1))"
    said = by_another(65_534, tells).stdout.strip()
    for one, mode in opened.items():
        one.chmod(mode)
    assert said == "b''"


def by_another(uid: int, python: str) -> "subprocess.CompletedProcess[str]":
    become = f"os.setgroups([]); os.setresgid({uid}, {uid}, {uid}); os.setresuid({uid}, {uid}, {uid})"
    command = [sys.executable, "-c", f"import os, socket\n{become}\n{python}"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_no_message_of_the_vault_carries_a_secret_to_the_daemon() -> None:
    fields = {name for kind in (v.Asleep, v.State, v.Taken, v.Judge) for name in kind.__struct_fields__}
    assert fields == {
        "problem",
        "secrets",
        "number",
        "signature",
        "verb",
        "name",
        "content",
        "signed",
        "unlocked_by",
    }
    assert set(v.SecretView.__struct_fields__) == {
        "name", "hosts", "version", "at_us", "by", "expires_us", "overlap_us", "revoked",
    }  # fmt: skip
