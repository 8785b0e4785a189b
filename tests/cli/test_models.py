"""Models at the commands: taken in, tried, shown, given to a job, taken away; what already runs here is found."""

import json
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from freehold.cli.found_models import places
from freehold.testing.brains import Reply, Says, Scripted, Seen
from freehold.testing.models import ModelServer
from tests.cli.conftest import Person
from tests.cli.test_terminal import Terminal

pytestmark = pytest.mark.timeout(180)

READY = Scripted([Reply("ready", tokens=(40, 2))])
KEY = "sk-canary-0123456789abcdef"


def add(person: Person, url: str, *more: str, name: str = "tiny") -> str:
    return person.does("models", "add", name, "--url", url, "--model", "tiny-1", "--zone", "device", *more)


def test_a_model_is_taken_in_tried_shown_and_taken_away(person: Person) -> None:
    person.founds()
    with ModelServer(READY) as server:
        assert "No models yet" in person.does("models")
        assert "freehold models test tiny" in add(
            person, server.url, "--price-in", "2.5", "--price-out", "10", "--price-cached", "0.25"
        )
        tried = person.types("models", "test", "tiny", "--json").value
        assert (tried["text"], tried["usage"]["input_tokens"]) == ("ready", 40)
        assert tried["cost_micro"] == 100 + 20
        assert "0.00012 EUR" in person.does("models", "test", "tiny")
        assert person.types("bill", tried["run"], "--json").value["spent"]["money_micro"] == 120
    (shown,) = person.types("models", "--json").value
    assert (shown["price_in"], shown["price_out"], shown["zone"]) == (2_500_000, 10_000_000, "device")
    assert shown["price_cached"] == 250_000
    assert "price cached  0.25 EUR per million tokens" in person.does("models", "show", "tiny")
    person.does("down")
    assert "tiny-1" in person.does("models", "show", "tiny")  # it is kept
    person.does("models", "remove", "tiny")
    assert person.types("models", "--json").value == []
    notes = [entry.get("what") for entry in person.types("journal", "--json").value["entries"]]
    assert notes  # the journal tells of both


def test_a_key_goes_to_the_vault_and_is_used_by_the_models_calls_alone(person: Person) -> None:
    person.founds()
    with ModelServer(READY, key=KEY) as server:
        typed = subprocess.run(
            [sys.executable, "-m", "freehold.cli.main", "models", "add", "keyed", "--url", server.url, "--model",
             "tiny-1", "--zone", "device", "--stdin"],
            input=f"{KEY}\n", capture_output=True, text=True, env=person.environment, timeout=60,
        )  # fmt: skip
        assert typed.returncode == 0, typed.stderr
        assert person.types("models", "test", "keyed", "--json").value["text"] == "ready"
        assert server.refused == []
        (binding,) = person.types("secrets", "--json").value["bindings"]
        assert (binding["name"], binding["agents"]) == ("model:keyed", ["*"])
        person.does("secrets", "revoke", "model-keyed")
        refused = person.types("models", "test", "keyed")
        assert (refused.code, "was revoked" in refused.err) == (4, True)
        assert KEY not in refused.err + person.does("journal", "--json")
        assert "freehold secrets forget model-keyed" in person.does("models", "remove", "keyed")
    assert person.types("secrets", "--json").value["bindings"] == []
    assert not any(KEY.encode() in path.read_bytes() for path in _files(person.folder))


def test_a_trial_that_gets_no_answer_says_so_and_ends_with_ctrl_c(person: Person) -> None:
    person.founds()
    answers = threading.Event()

    def hangs(seen: Seen) -> Reply:
        answers.wait(60)
        return Reply("ready")

    with ModelServer(Says(hangs)) as server:
        add(person, server.url)
        trying = Terminal(person, "models", "test", "tiny")
        trying.shows(f"No answer of {server.url} after 5 s; Ctrl-C ends the trial.")
        trying.types("\x03")
        assert trying.ends() == 130, trying.said
        (run,) = person.types("runs", "--json").value
        assert person.types("watch", run["id"]).code == 0
        answers.set()
    (run,) = person.types("runs", "--json").value
    assert run["state"] == "cancelled"
    assert "Traceback" not in trying.said


def test_a_model_that_a_job_names_is_not_taken_away_unless_it_is_forced(owner: Person) -> None:
    with ModelServer(READY) as server:
        add(owner, server.url)
    owner.employs("errand")
    job = owner.folder / "jobs" / "errand.md"
    job.write_text(job.read_text().replace("params:", "params:\n  model: tiny"))
    refused = owner.types("models", "remove", "tiny")
    assert (refused.code, "named by errand" in refused.err, "--force" in refused.err) == (3, True, True)
    owner.does("models", "remove", "tiny", "--force")


def test_what_answers_on_this_machine_is_found_and_added_by_its_name(person: Person) -> None:
    person.founds()
    with ModelServer(READY) as server:
        person.environment["LLAMA_ARG_PORT"] = str(urlsplit(server.url).port)
        offered = person.does("models", "add", "--found")
        assert f"tiny answers at {server.url} (llama.cpp)" in offered
        assert "Added tiny" in person.does("models", "add", "tiny", "--found")
        assert person.types("models", "test", "tiny", "--json").value["text"] == "ready"


def test_init_offers_at_a_terminal_what_answers_on_this_machine_and_takes_in_what_is_wanted(
    person: Person,
) -> None:
    with ModelServer(READY) as server:
        person.environment["LLAMA_ARG_PORT"] = str(urlsplit(server.url).port)
        making = Terminal(
            person,
            "init",
            str(person.folder),
            "--human",
            "anna",
            "--email",
            "a@example.com",
            "--presence",
            "none",
        )
        making.answers("Your name", "")
        making.answers("your own people alone?", "n")
        making.answers("Add tiny (llama.cpp) as tiny?", "y")
        assert making.ends() == 0, making.said
        assert "Added tiny: tiny at" in making.said
    (model,) = person.types("models", "--json").value
    assert (model["name"], model["url"], model["zone"]) == ("tiny", server.url, "device")


def test_a_script_that_inits_is_told_how_to_take_in_what_answers_and_nothing_is_taken_in(
    person: Person,
) -> None:
    with ModelServer(READY) as server:
        person.environment["LLAMA_ARG_PORT"] = str(urlsplit(server.url).port)
        said = person.does(
            "init", str(person.folder), "--human", "anna", "--email", "a@example.com", "--presence", "none"
        )
    assert "freehold models add tiny --found" in said
    assert person.types("models", "--json").value == []


@pytest.mark.parametrize(
    ("variable", "port"),
    [("127.0.0.1:4711", 4711), ("http://0.0.0.0:4711/", 4711), (":4711", 4711), ("0.0.0.0", 11434), ("", 11434),
     ("127.0.0.1:99999", 11434), ("http://nonsense:port", 11434)],
)  # fmt: skip
def test_a_server_is_looked_for_where_its_own_variable_says(variable: str, port: int) -> None:
    assert places({"OLLAMA_HOST": variable})[0].port == port


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_status_and_doctor_say_a_line_about_models(person: Person) -> None:
    person.founds()
    assert "models" in person.does("status") or not person.types("status", "--json").value["running"]
    with ModelServer(READY) as server:
        add(person, server.url)
        assert person.types("status", "--json").value["models"] == 1
        assert "1 model" in person.does("status")
        found = json.loads(person.types("doctor", "--json").out)
        (line,) = [one for one in found if one["what"] == "models"]
        assert "tiny" in line["said"]
