"""The vault under a whole daemon: what is journaled of its use, and what the daemon does while it is down."""

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from freehold.testing.search import Search
from tests.vault.servers import running
from tests.vault.test_canary import CANARIES, JOB, PACK, Keeper, keeper

__all__ = ["keeper"]


def employ(keeper: Keeper, port: int) -> None:
    keeper.furnishes("errands", PACK)
    url = f"http://127.0.0.1:{port}/body/raw?q=1&api_key=mine"
    asked = {"method": "GET", "url": url, "headers": {"Cookie": "mine", "Accept": "*/*"}}
    text = JOB.format(acts=json.dumps([["http.request", asked]]), http=port, smtp=25, imap=993, git=443)
    (keeper.folder / "jobs" / "all.md").write_text(text)
    digest = keeper.types("jobs", "check", "all", "--json").value["digest"]
    keeper.does("jobs", "accept", "all", "--digest", digest)


def shown(keeper: Keeper) -> tuple[str, dict[str, Any]]:
    run = json.loads(keeper.types("run", "all", "--wait", "--json").out)
    return run["state"], json.loads(keeper.types("runs", "show", run["id"], "--json").out)


def test_what_was_used_stripped_and_refused_stands_in_the_records(keeper: Keeper, tmp_path: Path) -> None:
    with running("web_server.py", tmp_path / "web") as web:
        keeper.founds()
        employ(keeper, web.port)
        keeper.sets("http-key", CANARIES["http"])
        place = f"to=http://127.0.0.1:{web.port}"
        keeper.does("secrets", "bind", "web", "secret=http-key", place, "agent=audrey", "private=yes")
        state, run = shown(keeper)
        assert state == "done", run
        assert run["result"]["binding"] == "web"
        assert run["result"]["secret"] == "http-key/1"
        assert run["result"]["stripped"] == ["header Cookie", "parameter api_key"]
        (seen,) = web.seen()
        assert seen["path"] == "/body/raw?q=1"
        assert "Cookie" not in dict(seen["headers"])

        keeper.does("secrets", "bind", "web-too", "secret=http-key", place, "agent=audrey", "private=yes")
        state, run = shown(keeper)
        assert (state, len(web.seen())) == ("failed", 1)
        assert "falls under two bindings: web, web-too" in json.dumps(run)
        keeper.does("secrets", "unbind", "web-too")

        keeper.does("secrets", "revoke", "http-key")
        state, run = shown(keeper)
        assert (state, len(web.seen())) == ("failed", 1)
        assert "the secret http-key was revoked" in json.dumps(run)
        journal = exported(keeper)
        for note in ("secret.set", "secret.bound", "secret.revoked"):
            assert note in journal
        search = Search(CANARIES["http"])
        search.data("journal", journal.encode())
        search.folder(keeper.folder)
        assert search.hits == []


def test_while_the_vault_is_down_status_says_so_and_checkpoints_wait(keeper: Keeper) -> None:
    keeper.founds()
    keeper.does("up")
    sealed, hidden = keeper.folder / "vault" / "sealed", keeper.folder / "hidden"
    sealed.rename(hidden)
    os.kill(keeper.types("status", "--json").value["vault"]["pid"], signal.SIGKILL)
    status = until(keeper, lambda value: not value["vault"]["serves"])
    assert any("checkpoints are deferred" in text for text in status["warnings"])
    keeper.does("agents", "add", "audrey", "--owner", "anna")  # the journal goes on
    size = keeper.types("status", "--json").value["journal"]
    latest = (keeper.folder / "checkpoints" / "latest").read_text().splitlines()[1]
    assert int(latest) < size
    hidden.rename(sealed)
    status = until(keeper, lambda value: value["vault"]["serves"])
    assert status["warnings"] == []
    export = keeper.folder.parent / "export"
    keeper.does("journal", "export", str(export))
    key = (keeper.folder / "keys" / "journal.pub").read_text().strip()
    assert f"{size:,}" in keeper.does("journal", "verify", str(export), "--key", key)


def exported(keeper: Keeper) -> str:
    path = keeper.folder.parent / "exported"
    keeper.does("journal", "export", str(path))
    return path.read_text()


def until(keeper: Keeper, holds: Any) -> dict[str, Any]:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        value: dict[str, Any] = keeper.types("status", "--json").value
        if holds(value):
            return value
    pytest.fail(f"it did not come about: {value}")
