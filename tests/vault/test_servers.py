"""Secrets at real servers: a mail server with a login over TLS, an IMAP server, git behind a password, OAuth2."""

import base64
import json
import os
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from freehold.runtime.brokered import Errand
from freehold.wire.messages import Delivered
from freehold.wire.permits import Binding
from tests.needs import program
from tests.vault.conftest import House
from tests.vault.servers import Certificate, certificate, dovecot, running
from tests.vault.test_use import bound

SECRET = "canary-7hT4kP0qXz"
MESSAGE = b"From: audrey@example.org\r\nTo: ben@example.org\r\nSubject: Draft\r\n\r\nHello.\r\n"


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return certificate(tmp_path_factory.mktemp("tls"))


@pytest_asyncio.fixture
async def keys(house: House) -> AsyncIterator[House]:
    """A house with one secret that may go to this machine."""
    await house.door.set("crm-key", SECRET, "127.0.0.1")
    yield house


def login(port: int, shown: Certificate, scheme: str, *methods: str) -> Binding:
    return bound(
        port,
        scheme=scheme,
        methods=methods,
        paths=("/*",),
        slot="login",
        account="audrey",
        ca=shown.text,
        prefix="",
    )


async def deliver(house: House, binding: Binding, method: str, path: str, *headers: tuple[str, str],
                  body: bytes = b"", reply: int = -1) -> Delivered:  # fmt: skip
    await house.vault.bind([binding])
    errand = Errand(
        binding,
        "audrey",
        "a1",
        "tool",
        method,
        f"{binding.origin}/{path}",
        headers,
        body,
        reply,
        timeout_s=20,
    )
    return await house.brokered.deliver(errand)


async def test_mail_goes_through_a_server_that_wants_a_login(keys: House, shown: Certificate) -> None:
    with running("smtp_server.py", keys.folder / "smtp", str(shown.file), str(shown.key)) as server:
        (server.folder / "password").write_text(SECRET)
        binding = login(server.port, shown, "smtps", "SEND")
        headers = (("sender", "audrey@example.org"), ("to", "ben@example.org"))
        delivered = await deliver(keys, binding, "SEND", "audrey@example.org", *headers, body=MESSAGE)
        assert delivered.status == "done", delivered
        assert [seen["login"] for seen in server.seen()] == [["audrey", SECRET]]
        (server.folder / "password").write_text("another")
        refused = await deliver(keys, binding, "SEND", "audrey@example.org", *headers, body=MESSAGE)
        assert (refused.status, len(server.seen())) == ("not_done", 1)
        assert SECRET not in repr(refused)
        assert "[secret]" in refused.message


async def test_a_mailbox_is_read_and_a_draft_put_into_it(keys: House, shown: Certificate) -> None:
    with dovecot(keys.folder / "dovecot", shown, SECRET) as server:
        binding = login(server.port, shown, "imaps", "FETCH", "APPEND")
        put = await deliver(keys, binding, "APPEND", "INBOX", body=MESSAGE)
        assert put.status == "done", (put, (server.folder / "log").read_text())
        reply = os.memfd_create("reply")
        got = await deliver(keys, binding, "FETCH", "INBOX", ("limit", "5"), reply=reply)
        assert (got.status, got.value["messages"]) == ("done", 1), got
        found = json.loads(os.pread(reply, 1 << 20, 0))["messages"]
        os.close(reply)
        assert base64.b64decode(found[0]["data"]) == MESSAGE
        elsewhere = await deliver(keys, binding, "FETCH", "No-such-folder")
        assert elsewhere.status == "not_done"
        assert SECRET not in repr((put, got, elsewhere))


def git(folder: Path, *words: str, given: bytes = b"") -> bytes:
    environment = {
        "PATH": os.environ["PATH"], "HOME": str(folder), "GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@example.org",
        "GIT_COMMITTER_NAME": "A", "GIT_COMMITTER_EMAIL": "a@example.org",
    }  # fmt: skip
    done = subprocess.run(
        ["git", *words], cwd=folder, input=given, capture_output=True, check=True, env=environment
    )
    return done.stdout


async def test_a_repository_is_fetched_from_and_pushed_to(keys: House, shown: Certificate) -> None:
    program("git", package="git")
    with running("git_server.py", keys.folder / "git", str(shown.file), str(shown.key)) as server:
        (server.folder / "password").write_text(SECRET)
        bare, mine = server.folder / "repositories" / "acme" / "site.git", keys.folder / "mine"
        bare.mkdir(parents=True)
        mine.mkdir()
        git(bare, "init", "--bare", "-q")
        git(bare, "config", "http.receivepack", "true")
        git(mine, "init", "-q", "-b", "main")
        (mine / "page").write_text("one")
        git(mine, "add", "page")
        git(mine, "commit", "-q", "-m", "one")
        new = git(mine, "rev-parse", "HEAD").decode().strip()
        pack = git(mine, "pack-objects", "--revs", "--stdout", "-q", given=b"HEAD\n")
        binding = bound(
            server.port, scheme="git+https", methods=("FETCH", "PUSH"), paths=("/acme/*",), slot="basic",
            account="audrey", ca=shown.text, prefix="",
        )  # fmt: skip
        said = (("ref", "refs/heads/main"), ("old", "0" * 40), ("new", new))
        pushed = await deliver(keys, binding, "PUSH", "acme/site.git", *said, body=pack)
        assert (pushed.status, pushed.value.get("moved")) == ("done", True), pushed
        assert git(bare, "rev-parse", "refs/heads/main").decode().strip() == new
        again = await deliver(keys, binding, "PUSH", "acme/site.git", *said, body=pack)
        assert (again.status, again.value["moved"]) == ("done", False)
        stale = await deliver(
            keys, binding, "PUSH", "acme/site.git", said[0], ("old", "1" * 40), ("new", "2" * 40)
        )
        assert (stale.status, "stands at" in stale.message) == ("not_done", True)

        reply = os.memfd_create("reply")
        fetched = await deliver(keys, binding, "FETCH", "acme/site.git", said[0], reply=reply)
        assert (fetched.status, fetched.value["oid"]) == ("done", new), fetched
        theirs = keys.folder / "theirs"
        theirs.mkdir()
        git(theirs, "init", "-q")
        git(theirs, "index-pack", "--stdin", given=os.pread(reply, fetched.value["size"], 0))
        os.close(reply)
        assert git(theirs, "show", f"{new}:page") == b"one"
        other = await deliver(keys, binding, "FETCH", "others/site.git", said[0])
        assert "does not reach" in other.message  # another tenant of the same host
        assert all(seen["login"] == f"audrey:{SECRET}" for seen in server.seen())
        assert SECRET not in repr((pushed, again, stale, fetched, other))


async def test_an_oauth2_token_is_fetched_kept_and_renewed_by_the_courier(house: House) -> None:
    secret = json.dumps(
        {"client_id": "freehold", "client_secret": "c1-secret", "refresh_token": "refresh-token-0"}
    )
    await house.door.set("crm-key", secret, "127.0.0.1")
    with running("token_server.py", house.folder / "token") as server:
        origin = f"http://127.0.0.1:{server.port}"
        binding = bound(server.port, slot="oauth2", paths=("/*",), token_url=f"{origin}/token")
        for _ in range(2):
            assert (await deliver(house, binding, "GET", "data")).status == "done"
        assert [seen["path"] for seen in server.seen()] == ["/token", "/data", "/data"]
        assert server.seen()[1]["authorization"] == "Bearer access-token-1"
        await house.kills_the_vault()  # its courier goes too; the new refresh token was sealed
        echoed = await deliver(house, binding, "GET", "echo")
        assert echoed.status == "done", echoed
        assert [seen["refresh"] for seen in server.seen() if seen["path"] == "/token"] == [
            "refresh-token-0",
            "refresh-token-1",
        ]
        body = base64.b64decode(echoed.value["body"])
        assert b"access-token" not in body
        assert b"[secret]" in body
