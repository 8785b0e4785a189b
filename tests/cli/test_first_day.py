"""A person's day at the commands, each a process of its own, with a real daemon, runner, journal and outbox."""

import json
import os
import signal
from pathlib import Path

import pytest

from tests.cli.conftest import Person

pytestmark = pytest.mark.timeout(120)


def test_a_verb_that_needs_the_daemon_starts_it_and_says_so(person: Person) -> None:
    person.founds()
    refused = person.types("agents", "--no-start")
    assert (refused.code, "does not run" in refused.err) == (4, True)
    assert "Started the daemon" in person.types("agents").err
    assert person.types("agents").err == ""
    assert person.types("status", "--json").value["running"]


def test_a_new_estates_first_commands_name_both_an_audit_and_an_assistant(person: Person) -> None:
    said = person.does(
        "init", str(person.folder), "--human", "anna", "--email", "anna@example.com", "--presence", "none",
        "--currency", "CHF",
    )  # fmt: skip
    for line in (one.strip() for one in said.splitlines()):
        if line.startswith(("freehold agents", "freehold jobs")):
            person.does(*line.split()[1:])
    jobs = {
        path.stem: path.read_text() for path in (person.folder / "jobs").glob("*.md") if path.stem != "policy"
    }
    assert {name: "CHF" in text and "EUR" not in text for name, text in jobs.items()} == {
        "receipts": True, "desk": True,
    }  # fmt: skip
    early = person.types("ask", "What is in papers?")
    assert (early.code, "The job desk takes goals once its owner has accepted it." in early.err) == (3, True)
    begins = {}
    for name in jobs:
        digest = person.types("jobs", "check", name, "--json").value["digest"]
        begins[name] = person.does("jobs", "accept", name, "--digest", digest).splitlines()[-1]
    assert begins == {
        "receipts": "Accepted. Run it: freehold run receipts",
        "desk": 'Accepted. Give it a goal: freehold ask --job desk "GOAL". Talk with it: freehold chat audrey',
    }


def test_a_run_that_failed_says_where_it_tells_why(person: Person) -> None:
    person.founds()
    person.does("agents", "add", "audrey", "--owner", "anna")
    person.does("models", "add", "tiny", "--url", "http://127.0.0.1:9/v1", "--model", "t", "--zone", "device")
    person.does("jobs", "new", "desk", "--agent", "audrey", "--pack", "assistant")
    digest = person.types("jobs", "check", "desk", "--json").value["digest"]
    person.does("jobs", "accept", "desk", "--digest", digest)
    ended = person.types("run", "desk", "--wait")
    assert (ended.code, "failed. See why: freehold runs show " in ended.out) == (1, True)
    shown = person.does(*ended.out.rpartition("freehold ")[2].split())
    assert "127.0.0.1, port 9 cannot be reached: Connection refused. Nothing was sent." in shown


def test_a_secret_that_is_not_kept_is_bound_to_nothing(owner: Person) -> None:
    said = owner.types(
        "secrets", "bind", "crm", "secret=crm-key", "to=https://api.example.org", "agent=audrey"
    )
    assert (said.code, said.out) == (2, "")
    assert "There is no secret 'crm-key', or it was revoked." in said.err
    assert "freehold secrets set crm-key --host api.example.org" in said.err
    model = (
        "models",
        "add",
        "far",
        "--url",
        "https://api.example.org/v1",
        "--model",
        "m",
        "--zone",
        "foreign",
    )
    keyed = owner.types(*model, "--price-in", "1", "--price-out", "1", "--secret", "crm-key")
    assert (keyed.code, "There is no secret 'crm-key'" in keyed.err) == (2, True)
    assert owner.types("secrets", "--json").value["bindings"] == []
    assert owner.types("models", "--json").value == []


def test_an_approval_is_shown_whole_bound_to_its_digest_and_done_once(owner: Person) -> None:
    owner.employs("errand")
    run = owner.types("run", "errand", "--json").value["id"]
    card = owner.waits_for_card(run[-8:])
    blind = owner.types("approve", card["id"][-8:])
    assert (blind.code, "Nobody was asked" in blind.err) == (3, True)
    for shown in ("finance@example.com", "The number is 7.", "Result"):
        assert shown in blind.out
    wrong = owner.types("approve", card["id"][-8:], "--digest", "0" * 64)
    assert (wrong.code, "not the one given" in wrong.err) == (3, True)
    digest = next(line.split()[1] for line in blind.out.splitlines() if line.startswith("digest"))
    owner.does("approve", card["id"][-8:], "--digest", digest)
    owner.does("watch", run[-8:])
    shown = owner.types("runs", "show", run[-8:], "--json").value
    assert shown["state"] == "done"
    sent = [action for action in shown["actions"] if action["tool"] == "mail.send"]
    assert [(action["status"], action["approver"]) for action in sent] == [("done", ["anna"])]
    assert len(list((owner.folder / "outbox").rglob("*.eml"))) == 1
    again = owner.types("approve", card["id"], "--digest", digest)
    assert again.code in (2, 3)


def test_an_edited_approval_sends_what_was_edited(owner: Person) -> None:
    owner.employs("errand")
    run = owner.types("run", "errand", "--json").value["id"]
    card = owner.types("approve", owner.waits_for_card(run)["id"], "--edit", "subject=Corrected")
    digest = next(line.split()[1] for line in card.out.splitlines() if line.startswith("digest"))
    name = owner.types("inbox", "--json").value["cards"][0]["id"]
    owner.does("approve", name, "--digest", digest, "--edit", "subject=Corrected")
    owner.does("watch", run)
    (letter,) = (owner.folder / "outbox").rglob("*.eml")
    assert "Subject: Corrected" in letter.read_text()


def test_a_denial_ends_the_step_with_its_reason(owner: Person) -> None:
    owner.employs("errand")
    run = owner.types("run", "errand", "--json").value["id"]
    card = owner.waits_for_card(run)
    assert owner.types("deny", card["id"]).code == 2
    owner.does("deny", card["id"], "--why", "Not this month.")
    owner.does("watch", run)
    assert owner.types("runs", "show", run, "--json").value["state"] == "failed"
    assert not list((owner.folder / "outbox").rglob("*.eml"))


def test_a_question_is_answered_over_a_restart_of_the_daemon(owner: Person, tmp_path: Path) -> None:
    owner.employs("errand", ask=True)
    run = owner.types("run", "errand", "--json").value["id"]
    card = owner.waits_for_card(run)
    assert card["kind"] == "question"
    os.kill(owner.types("status", "--json").value["pid"], signal.SIGKILL)
    said = owner.types("answer", card["id"], "42", "--evidence", str(tmp_path / "evidence"))
    assert said.code == 0, said.err
    (picture,) = (tmp_path / "evidence").iterdir()
    assert picture.read_bytes() == b"a picture"
    waiting = owner.waits_for_card(run)
    assert waiting["kind"] == "approval"
    assert "The number is 42." in owner.types("approve", waiting["id"]).out


def test_what_the_job_may_not_do_is_refused_with_the_remedy(owner: Person) -> None:
    owner.employs("errand", to="stranger@example.net")
    run = owner.types("run", "errand", "--wait", "--json")
    assert run.code == 1
    shown = owner.does("runs", "show", json.loads(run.out)["id"])
    assert "stranger@example.net" in shown
    assert "mail.send: stranger@example.net" in shown


def test_a_job_file_that_changed_must_be_accepted_anew(owner: Person) -> None:
    owner.employs("errand")
    path = owner.folder / "jobs" / "errand.md"
    path.write_text(path.read_text().replace("finance@", "stranger@"))
    refused = owner.types("run", "errand")
    assert (refused.code, "changed since accepted" in refused.err) == (3, True)
    assert "freehold jobs accept errand" in refused.err


def test_a_freeze_holds_over_a_restart_and_a_thaw_is_signed(owner: Person) -> None:
    owner.employs("errand")
    owner.does("freeze", "agent:audrey", "--why", "on holiday")
    owner.does("down")
    refused = owner.types("run", "errand")
    assert (refused.code, "on holiday" in refused.err) != (0, False)
    owner.does("thaw", "agent:audrey")
    owner.does("run", "errand")


def test_the_journal_is_exported_verified_and_a_changed_copy_found(owner: Person, tmp_path: Path) -> None:
    export, proof = tmp_path / "journal.txt", tmp_path / "proof.json"
    owner.does("journal", "export", str(export))
    owner.does("journal", "proof", "2", "--out", str(proof))
    owner.does("down")
    key = (owner.folder / "keys" / "journal.pub").read_text().strip()
    elsewhere = Person(tmp_path / "nowhere")
    for file in (export, proof):
        assert "Valid" in elsewhere.does("journal", "verify", str(file), "--key", key)
    export.write_text(export.read_text().replace("audrey", "andrew"))
    assert elsewhere.types("journal", "verify", str(export), "--key", key).code == 6


def test_a_run_as_a_page_loads_nothing_and_escapes_what_it_shows(owner: Person, tmp_path: Path) -> None:
    owner.employs("errand", to="stranger@example.net")
    run = json.loads(owner.types("run", "errand", "--wait", "--json").out)["id"]
    owner.does("runs", "show", run, "--html", str(tmp_path / "run.html"))
    page = (tmp_path / "run.html").read_text()
    assert "<script" not in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "stranger@example.net" in page
    assert "default-src 'none'" in page
    assert "<svg" in page


def test_grants_stand_for_a_card_once(owner: Person) -> None:
    owner.employs("errand")
    owner.does("grants", "add", "audrey", "mail.send", "--where", "to=finance@example.com", "--count", "1")
    done = owner.types("run", "errand", "--wait", "--json").value
    assert done["state"] == "done"
    assert "0 of 1" in owner.does("grants")
    said = owner.does("runs", "replay", done["id"])
    assert "Every result is the same, byte by byte. Nothing was done." in said
    assert len(list((owner.folder / "outbox").rglob("*.eml"))) == 1


def test_people_settings_and_rights_change_only_by_a_signature(owner: Person) -> None:
    owner.does("humans", "add", "ben", "--email", "ben@example.com", "--presence", "none")
    refused = owner.types("settings", "set", "retention_days", "400", "--as", "ben")
    assert (refused.code, "ben may not change settings" in refused.err) == (3, True)
    assert owner.does("settings", "set", "retention_days", "400", "--as", "anna") == "retention_days: 400\n"
    rule = owner.types(
        "agents", "allow", "audrey", "mail.send: ben@example.com", "--as", "anna", "--json"
    ).value["id"]
    assert "mail.send: ben@example.com" in owner.does("agents", "show", "audrey")
    owner.does("agents", "revoke", rule, "--as", "anna")
    assert "ben@example.com" not in owner.does("agents", "show", "audrey")
    owner.does("agents", "retire", "audrey", "--as", "anna")
    assert "retired" in owner.does("agents")
