"""Real servers on this machine, each a process of its own, and a certificate that they show."""

import datetime
import ipaddress
import json
import os
import pwd
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.needs import leave_out, program

HERE = Path(__file__).parent


class Certificate(NamedTuple):
    """A certificate for 127.0.0.1 that signs itself, and its key, as files; ``text`` is to be trusted."""

    file: Path
    key: Path
    text: str


def certificate(folder: Path) -> Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost")]
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=2)).add_extension(x509.SubjectAlternativeName(names), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True).sign(key, hashes.SHA256())
    )  # fmt: skip
    text = made.public_bytes(serialization.Encoding.PEM)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "certificate.pem").write_bytes(text)
    raw = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "key.pem").write_bytes(raw)
    return Certificate(folder / "certificate.pem", folder / "key.pem", text.decode())


class Running(NamedTuple):
    """A server that runs: where, as which process, and what it writes down."""

    port: int
    pid: int
    folder: Path

    def seen(self) -> list[dict[str, Any]]:
        path = self.folder / "seen"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@contextmanager
def running(script: str, folder: Path, *arguments: str) -> Iterator[Running]:
    """Run one of the scripts beside this file until the block ends."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, str(HERE / script), str(folder), *arguments]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield Running(int(process.stdout.readline()), process.pid, folder)
        finally:
            process.kill()


DOVECOT = """\
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
protocols = imap
listen = 127.0.0.1
ssl = required
ssl_cert = <{certificate}
ssl_key = <{key}
mail_location = maildir:{folder}/mail
mail_uid = {user}
mail_gid = {user}
first_valid_uid = 0
first_valid_gid = 0
default_login_user = {login}
default_internal_user = {internal}
auth_mechanisms = plain
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={user} gid={user} home={folder}/home
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = 0
  }}
  inet_listener imaps {{
    port = {port}
  }}
}}
service anvil {{
  chroot =
}}
namespace inbox {{
  inbox = yes
}}
"""


@contextmanager
def dovecot(folder: Path, shown: Certificate, password: str) -> Iterator[Running]:
    """Run a real IMAP server (Debian's dovecot) whose mailbox lies in ``folder/mail``; needs root."""
    program("dovecot", package="dovecot-imapd")
    if os.geteuid() != 0:
        leave_out("dovecot gives its parts to other users, which takes root (run as root)")
    folder.mkdir(parents=True)
    for path in (folder, *folder.parents):
        if path.stat().st_mode & 0o005 != 0o005 and path != Path("/"):
            path.chmod(path.stat().st_mode | 0o011)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / "mail").mkdir()
    user = pwd.getpwnam("nobody")
    os.chown(folder / "mail", user.pw_uid, user.pw_gid)
    text = DOVECOT.format(
        folder=folder, certificate=shown.file, key=shown.key, port=port, user=user.pw_uid, password=password,
        login="dovenull", internal="dovecot",
    )  # fmt: skip
    (folder / "dovecot.conf").write_text(text)
    with subprocess.Popen(["dovecot", "-F", "-c", str(folder / "dovecot.conf")]) as process:
        try:
            _wait_for(port, process)
            yield Running(port, process.pid, folder)
        finally:
            process.terminate()
            process.wait(20)


def _wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + 20
    while time.monotonic() < end and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        select.select([], [], [], 0.02)
    raise AssertionError("dovecot does not listen; see its log")
