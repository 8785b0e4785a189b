"""The program itself: what it loads, how it helps, how it fails."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from freehold.base import BadInput
from freehold.cli import grants, inbox, words
from freehold.cli.app import TABLE, Entry, build
from tests.cli.conftest import Person

HEAVY = (
    "freehold.kernel",
    "freehold.store",
    "freehold.runtime",
    "rich",
    "asyncio",
    "cryptography",
    "yaml",
    "pydantic",
)


def loaded(person: Person, *words_: str) -> set[str]:
    """The modules that a command loads."""
    program = (
        "import sys\nfrom freehold.cli.main import _run\n_run(sys.argv[1:])\n"
        "print('\\n'.join(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *words_],
        capture_output=True,
        text=True,
        env=person.environment,
        timeout=50,
    )
    return set(done.stderr.splitlines())


def test_help_and_status_load_nothing_heavy(owner: Person) -> None:
    person = owner
    for verb in (["--help"], ["status"]):
        assert [name for name in HEAVY if name in loaded(person, *verb)] == [], verb


def test_help_names_every_command_in_the_house_s_words(person: Person) -> None:
    said = person.does("--help")
    for entry in TABLE:
        assert entry.name in said
        assert entry.help in said
    for word in ("principal", "sink", "estate's principals"):
        assert word not in said


@pytest.mark.parametrize("entry", TABLE, ids=lambda entry: entry.name)
def test_every_command_explains_itself(entry: Entry, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        build().main([entry.name, "--help"], prog_name="freehold")
    said = capsys.readouterr().out
    assert left.value.code == 0
    assert "--json" in said
    assert "--estate" in said


@pytest.mark.parametrize(
    ("words_", "code", "sentence"),
    [
        (["status"], 2, "There is no estate"),
        (["nonsense"], 2, "No such command"),
        (["agents", "add"], 2, "Missing argument"),
        (["init", "--human", "anna", "--email", "a@example.com"], 3, "passphrase is asked for at a terminal"),
        (["init", "--presence", "none"], 2, "--human is missing"),
        (
            ["init", "--human", "Anna!", "--email", "a@example.com", "--presence", "none"],
            2,
            "cannot be the name",
        ),
        (["init", "--human", "anna", "--email", "nowhere", "--presence", "none"], 2, "not a mail address"),
        (["journal", "verify", "absent.txt"], 2, "absent.txt"),
        (["jobs", "check", "./absent.md"], 2, "cannot be read"),
        (["packs", "new", "Bad Name"], 2, "no name for a pack"),
    ],
)
def test_wrong_input_without_an_estate_is_a_sentence_with_its_remedy(
    person: Person, words_: list[str], code: int, sentence: str
) -> None:
    said = person.types(*words_)
    assert (said.code, sentence in said.err) == (code, True), said
    assert not person.folder.exists()


def test_wrong_input_in_an_estate_is_a_sentence_with_its_remedy(owner: Person, tmp_path: Path) -> None:
    (owner.folder / "jobs" / "broken.md").write_text("---\nownr: anna\n---\n")
    for words_, code, sentence in (
        (["agents", "show", "nobody"], 2, "no agent named"),
        (["agents", "add", "bob", "--owner", "nobody"], 2, "nobody"),
        (["agents", "add", "audrey", "--owner", "anna"], 2, "is taken"),
        (["agents", "allow", "audrey", "fly: moon"], 2, "not an action"),
        (["humans", "show", "nobody"], 2, "nobody"),
        (["humans", "retire", "anna"], 3, "last active human"),
        (["jobs", "accept", "broken"], 2, "line 2"),
        (["run", "absent"], 2, "no job"),
        (["runs", "show", "zz"], 2, "no run"),
        (["approve", "zz"], 2, "no card"),
        (["settings", "set", "colour", "blue"], 2, "no setting"),
        (["settings", "set", "presence", "perhaps"], 2, "presence"),
        (["thaw", "agent:audrey"], 2, "not frozen"),
        (["freeze", "everything"], 2, "cannot be frozen"),
        (["freeze", "agent:audry"], 2, "There is no agent 'audry', so nothing was frozen."),
        (["freeze", "job:absent"], 2, "There is no job 'absent', so nothing was frozen."),
        (["jobs", "new", "x", "--agent", "audrey", "--pack", "nope"], 2, "There is no pack 'nope'."),
        (
            ["models", "add", "m", "--url", "http://a/v1", "--model", "m", "--zone", "moon"],
            2,
            "'moon' is no zone.",
        ),
        (["packs", "add", str(tmp_path)], 2, "pyproject.toml"),
        (["packs", "remove", "expense-audit"], 2, "ships with Freehold"),
        (["subjects", "forget", "nobody", "--yes"], 2, "no subject"),
        (["subjects", "forget", "human:anna"], 3, "Nobody was asked"),
        (["journal", "proof", "999999"], 2, "no entry"),
        (["journal", "export", "/absent/folder/x"], 2, "no folder"),
        (
            ["init", str(owner.folder), "--human", "a", "--email", "a@example.com", "--presence", "none"],
            2,
            "already",
        ),
    ):
        said = owner.types(*words_)
        assert (said.code, sentence in said.err) == (code, True), (words_, said)
        assert len(said.err.splitlines()) >= 2, (words_, said)


def test_a_problem_is_json_where_json_was_asked_for(person: Person) -> None:
    said = person.types("status", "--json")
    assert json.loads(said.err)["problem"]["code"] == "input.no-estate"
    assert said.out == ""


def test_the_folder_is_found_here_and_by_the_option(owner: Person) -> None:
    person = owner
    del person.environment["FREEHOLD_ESTATE"]
    assert person.types("status", cwd=person.folder).code == 0
    assert person.types("status", "--estate", str(person.folder)).code == 0
    assert person.types("--estate", str(person.folder), "status").code == 0
    assert person.types("status").code == 2


def test_a_reader_that_goes_away_is_no_error(owner: Person) -> None:
    command = f"{sys.executable} -m freehold.cli.main settings | head -1"
    done = subprocess.run(
        command, shell=True, capture_output=True, text=True, env=owner.environment, timeout=50
    )
    assert "Traceback" not in done.stderr
    assert "Broken" not in done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_get_their_completion(person: Person, shell: str) -> None:
    assert "freehold" in person.does("completion", shell)


def test_a_shell_completes_commands(person: Person) -> None:
    environment = person.environment | {
        "_FREEHOLD_COMPLETE": "complete_bash", "COMP_WORDS": "freehold jo", "COMP_CWORD": "1",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "freehold.cli.main"],
        capture_output=True,
        text=True,
        env=environment,
        timeout=50,
    )
    assert {"jobs", "journal"} <= set(done.stdout.split())


def test_fields_are_edited_by_their_path_and_keep_their_type() -> None:
    args = {"to": ["a@example.com"], "amount": 5, "body": {"text": "x"}}
    changed = inbox.edited(args, ["to.0=b@example.com", "amount=7", "body.text=a=b"])
    assert changed == {"to": ["b@example.com"], "amount": 7, "body": {"text": "a=b"}}
    assert args["amount"] == 5
    for wrong in ("nothing=1", "to=x", "amount", "amount=many", "to.9=x"):
        with pytest.raises(BadInput) as caught:
            inbox.edited(args, [wrong])
        assert caught.value.remedy


def test_a_grant_s_rules_are_read() -> None:
    assert grants.constraint("amount<=100") == {"field": "amount", "demand": "at_most", "value": 100}
    assert grants.constraint("to=a@x.com|b@x.com")["demand"] == "one_of"
    assert grants.constraint("to@=example.com")["demand"] == "domain"
    for wrong in ("", "to", "=x", "amount<=much"):
        with pytest.raises(BadInput):
            grants.constraint(wrong)


def test_amounts_and_spans_are_written_as_people_read_them() -> None:
    assert words.amount(2_345_600, "EUR") == "2.3456 EUR"
    assert words.amount(-1_000_000, "EUR") == "-1.00 EUR"
    assert words.ago(59_000_000) == "59 s"
    assert words.ago(90_061_000_000) == "1 d 1 h"
    assert words.table(("a", "b"), [(1, "x")], "none") == "A  B\n1  x"
    assert words.table(("a",), [], "none") == "none"


def test_the_environment_is_left_as_it_was() -> None:
    assert "FREEHOLD_ESTATE" not in os.environ
