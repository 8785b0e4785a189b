"""The demo as somebody runs it: a process of its own, in an empty folder, with nobody at the terminal."""

import json
import os
import re
import signal
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from freehold.base import Corrupt
from freehold.kernel.verify import verify_proof
from freehold.testing.processes import until
from tests.repo import docs, tree

MARK = "FREEHOLD_DEMO_TEST"
COMMAND = [sys.executable, "-P", "-m", "freehold.cli.main", "demo"]


class Played(NamedTuple):
    """A demo that was played to its end."""

    folder: Path
    code: int
    out: str
    err: str
    environment: dict[str, str]


def environment(home: Path) -> dict[str, str]:
    """Return what the demo may know of ours, with a mark by which its processes are found."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FREEHOLD")}
    return kept | {"HOME": str(home), MARK: uuid.uuid4().hex}


def left_behind(folder: Path, mark: str) -> list[str]:
    """Return the processes that have our mark, or work in the demo's folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            marked = f"{MARK}={mark}".encode() in (process / "environ").read_bytes().split(b"\0")
            inside = os.readlink(process / "cwd").startswith(str(folder / "freehold-demo"))
            if marked or inside:
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found


def again(played: Played, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the demo's command once more where it was played."""
    return subprocess.run(
        [*COMMAND, *words], cwd=played.folder, env=played.environment, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    folder = tmp_path_factory.mktemp("empty")
    known = environment(folder)
    done = subprocess.run(
        [*COMMAND, "--yes"], cwd=folder, env=known, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=280, check=False,
    )  # fmt: skip
    return Played(folder, done.returncode, done.stdout, done.stderr, known)


def taken(played: Played) -> list[dict[str, Any]]:
    lines = (played.folder / "freehold-demo" / "mail" / "taken.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


pytestmark = pytest.mark.timeout(300)


def test_it_ends_well_and_leaves_no_process_behind(played: Played) -> None:
    assert played.code == 0, played.err
    assert played.err == ""
    assert left_behind(played.folder, played.environment[MARK]) == []


def test_one_mail_arrived_with_the_report_and_none_at_the_stranger(played: Played) -> None:
    (mail,) = taken(played)
    assert mail["recipients"] == ["finance@example.org"]
    (letter,) = (played.folder / "freehold-demo" / "mail").glob("*.eml")
    assert b"report.html" in letter.read_bytes()


def test_it_says_what_ran_and_who_decided(played: Played) -> None:
    assert "No model runs" in played.out
    assert "scripted: no model thinks in it" in played.out
    assert played.out.count("a throw-away key signed this") == 2
    assert "Refused: No rule lets agent rogue send mail to" in played.out
    assert re.search(r"money +0\.00 EUR", played.out)
    assert re.search(r"CPU +[1-9]\d*\.\d\d s", played.out)


def test_every_receipt_was_read_once_over_the_kill(played: Played) -> None:
    assert re.search(r"\$ kill -9 \d+", played.out)
    assert "12 receipts read, each once" in played.out


def test_its_proof_verifies_with_the_public_key_alone_and_the_altered_copy_does_not(played: Played) -> None:
    folder = played.folder / "freehold-demo"
    key = (folder / "keys" / "journal.pub").read_text().strip()
    proof, altered = ((folder / name).read_bytes() for name in ("proof.json", "altered.json"))
    assert verify_proof(proof, key, None).fields["status"] == "done"
    assert sum(one != other for one, other in zip(proof, altered, strict=True)) == 1
    with pytest.raises(Corrupt):
        verify_proof(altered, key, None)
    assert "does not lead from entry" in played.out


def test_the_readme_shows_what_it_prints(played: Played) -> None:
    page = (tree.ROOT / "README.md").read_text(encoding="utf-8")
    shown = next(block for block in docs.blocks(page) if "$ make demo\n" in block.body)
    transcript = shown.body.partition("$ make demo\n")[2].splitlines()
    assert docs.first_missing([line for line in transcript if line.strip()], played.out) is None


def test_a_second_start_says_what_lies_there_and_clean_removes_it_whole(played: Played) -> None:
    second = again(played, "--yes")
    assert second.returncode == 2
    assert "An earlier demo lies in" in second.stderr
    assert "demo --clean" in second.stderr
    assert again(played, "--clean").returncode == 0
    assert not (played.folder / "freehold-demo").exists()
    assert "There is no demo" in again(played, "--clean").stdout


def test_a_folder_of_somebody_else_is_neither_used_nor_cleaned(tmp_path: Path) -> None:
    theirs = tmp_path / "freehold-demo"
    theirs.mkdir()
    (theirs / "letter.txt").write_text("mine")
    for words in (["--yes"], ["--clean"]):
        done = subprocess.run(
            [*COMMAND, *words],
            cwd=tmp_path,
            env=environment(tmp_path),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 2
        assert "is no demo's" in done.stderr
    assert (theirs / "letter.txt").read_text() == "mine"


def begun(folder: Path, known: dict[str, str]) -> subprocess.Popen[str]:
    """Return a demo that has just begun."""
    return subprocess.Popen(
        [*COMMAND, "--yes"], cwd=folder, env=known, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_an_interrupt_leaves_no_process_behind(tmp_path: Path, number: signal.Signals) -> None:
    known = environment(tmp_path)
    process = begun(tmp_path, known)
    await until((tmp_path / "freehold-demo" / "mail").exists, 60)
    process.send_signal(number)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130, out
    assert "demo --clean" in out
    assert left_behind(tmp_path, known[MARK]) == []
