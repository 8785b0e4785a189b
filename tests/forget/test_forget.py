"""Forgetting end to end: by the command, over a real estate, where two people's data lies side by side."""

import asyncio
import hashlib
import os
import signal
from pathlib import Path

import pytest

from freehold.control.estate import open_estate
from freehold.daemon.vault import vault_place
from freehold.kernel.subjects import SubjectKeys
from freehold.runtime.vault import Vault
from freehold.testing.smtp import SmtpServer
from tests.forget.conftest import Owner

pytestmark = pytest.mark.timeout(240)

BEN = "ben was in Paris"
CARL = "carl was in Rome"


def file_subject(text: str) -> str:
    """The subject of a source file that the job names nobody for."""
    return f"file:{hashlib.sha256(text.encode()).hexdigest()}"


def sealing_of(folder: Path) -> bytes:
    """The key of the subjects' keys, from the estate's vault."""

    async def asked() -> str:
        vault = Vault(vault_place(open_estate(folder)))
        try:
            return (await vault.start()).subjects
        finally:
            await vault.stop()

    return bytes.fromhex(asyncio.run(asked()))


def verifies(owner: Owner, folder: Path) -> bool:
    """Whether an export of the journal holds."""
    export = folder / "journal.txt"
    owner.does("journal", "export", str(export))
    key = (owner.folder / "keys" / "journal.pub").read_text().strip()
    return "Valid" in owner.does("journal", "verify", str(export), "--key", key)


def test_one_of_two_employees_is_forgotten_everywhere_and_the_other_stays(
    owner: Owner, mail: SmtpServer, tmp_path: Path
) -> None:
    runs = {}
    for name, text in (("ben", BEN), ("carl", CARL)):
        owner.employs_for(
            f"of-{name}", {f"{name}.txt": text}, subject=name, send="act-and-report", port=mail.port
        )
        runs[name] = owner.starts(f"of-{name}")
        owner.does("watch", runs[name])
    assert len(mail.taken()) == 2
    export = tmp_path / "before.txt"
    owner.does("journal", "export", str(export))
    assert len(owner.finds(BEN)) == len(owner.finds(CARL))
    assert any(path.startswith("outbox/") for path in owner.finds(BEN))

    said = owner.types("subjects", "forget", "employee:ben", "--yes", "--json").value
    assert said["payloads"] > 5
    assert said["artifacts"] == 1  # the joined text of one file is the file: kept once
    beyond = " ".join(said["unreachable"])
    for words in (
        "Mail to finance@example.com",
        "The file ben.txt of the source in",
        "source folders",
        "Exports",
    ):
        assert words in beyond
    assert "carl.txt" not in beyond

    assert owner.finds(BEN) == []
    assert owner.finds("ben.txt") == []
    assert any(path.startswith("outbox/") for path in owner.finds(CARL))
    titles = str(owner.types("inbox", "--json").value["reports"])
    assert "carl.txt" in titles
    assert "ben.txt" not in titles
    gone = owner.types("runs", "show", runs["ben"], "--json").value
    assert gone["state"] == "done"
    assert "forgotten" in str(gone["result"])
    assert owner.types("runs", "show", runs["carl"], "--json").value["result"] == 1
    assert owner.types("subjects", "--json").value.count("employee:ben") == 0
    assert verifies(owner, tmp_path)
    again = owner.types("run", "of-ben")
    assert (again.code, "employee:ben was forgotten" in again.err) == (3, True)
    assert owner.types("run", "of-carl", "--wait").code == 0


def test_a_file_that_was_read_is_forgotten_and_another_of_the_same_folder_stays(
    owner: Owner, tmp_path: Path
) -> None:
    others = {f"{number}.txt": f"number {number}" for number in range(20)}
    owner.employs_for("copies", {"ben.txt": BEN, "carl.txt": CARL, **others}, send="propose")
    run = owner.starts("copies")
    owner.does("watch", run)
    outbox = owner.folder / "outbox" / "copies"
    assert len(list(outbox.rglob("*.txt"))) == 23
    owner.does("subjects", "forget", file_subject(BEN), "--yes")
    assert {path.name for path in outbox.rglob("*.txt")} == {"carl.txt", *others}
    assert owner.finds(BEN) == []
    assert verifies(owner, tmp_path)
    refused = owner.types("run", "copies")
    assert (refused.code, "'ben.txt'" in refused.err, "Remove it from the folder" in refused.err) == (
        3,
        True,
        True,
    )
    (owner.folder.parent / "in-copies" / "ben.txt").unlink()
    owner.does("run", "copies")


def test_a_run_that_works_on_the_subject_ends_and_says_why(owner: Owner) -> None:
    for name, text in (("ben", BEN), ("carl", CARL)):
        owner.employs_for(f"of-{name}", {f"{name}.txt": text}, subject=name)
    waiting, other = owner.starts("of-ben"), owner.starts("of-carl")
    owner.waits_for_card(waiting)
    owner.waits_for_card(other)
    owner.does("subjects", "forget", "employee:ben", "--yes")
    ended = owner.types("runs", "show", waiting, "--json").value
    assert (ended["state"], ended["cards"]) == ("failed", [])
    assert "was forgotten" in ended["message"]
    assert [card["run"] for card in owner.types("inbox", "--json").value["cards"]] == [other]
    os.kill(owner.types("status", "--json").value["pid"], signal.SIGKILL)
    assert owner.types("runs", "show", other, "--json").value["state"] in ("waiting", "running")
    card = owner.waits_for_card(other)
    assert CARL in owner.types("approve", card["id"]).out
    assert owner.finds(BEN) == []


def test_forgetting_that_was_interrupted_is_completed_at_the_next_start(owner: Owner, tmp_path: Path) -> None:
    owner.employs_for("of-ben", {"ben.txt": BEN}, subject="ben", send="propose")
    owner.does("watch", owner.starts("of-ben"))
    (copy,) = (owner.folder / "outbox").rglob("ben.txt")
    owner.does("down")
    # what a kill leaves right after the key's destruction: everything else is still there
    SubjectKeys(owner.folder / "keys" / "subjects", sealing_of(owner.folder)).destroy("employee:ben")
    owner.does("up")
    assert not copy.exists()
    assert owner.finds(BEN) == []
    assert owner.types("subjects", "forget", "employee:ben", "--yes").code == 0
    assert verifies(owner, tmp_path)


def test_a_human_who_is_active_is_not_forgotten_and_a_retired_one_is(owner: Owner) -> None:
    owner.does(
        "humans", "add", "ben", "--full-name", "Benedict", "--email", "ben@example.com", "--presence", "none"
    )
    refused = owner.types("subjects", "forget", "human:ben", "--yes", "--as", "anna")
    assert (refused.code, "freehold humans retire ben" in refused.err) == (3, True)
    owner.does("humans", "retire", "ben", "--as", "anna")
    owner.does("subjects", "forget", "human:ben", "--yes", "--as", "anna")
    assert "Benedict" not in owner.does("humans")
    owner.does("down")
    assert "Benedict" not in owner.does("humans")


def test_a_name_nobody_has_is_a_mistake_and_a_forgotten_one_can_be_readmitted(owner: Owner) -> None:
    unknown = owner.types("subjects", "forget", "employee:nobody", "--yes")
    assert (unknown.code, "no subject named employee:nobody" in unknown.err) == (2, True)
    owner.employs_for("of-ben", {"ben.txt": BEN}, subject="ben", send="propose")
    owner.does("watch", owner.starts("of-ben"))
    owner.does("subjects", "forget", "employee:ben", "--yes")
    owner.does("subjects", "readmit", "employee:ben")
    assert owner.types("run", "of-ben", "--wait").code == 0
