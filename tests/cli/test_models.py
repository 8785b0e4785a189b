"""Models at the commands: taken in, tried, shown, given to a job, taken away; what already runs here is found."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from freehold.testing.brains import Reply, Scripted
from freehold.testing.models import ModelServer
from tests.cli.conftest import Person

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
            person, server.url, "--price-in", "2.5", "--price-out", "10"
        )
        tried = person.types("models", "test", "tiny", "--json").value
        assert (tried["text"], tried["usage"]["input_tokens"]) == ("ready", 40)
        assert tried["cost_micro"] == 100 + 20
        assert "0.00012 EUR" in person.does("models", "test", "tiny")
        assert person.types("bill", tried["run"], "--json").value["spent"]["money_micro"] == 120
    (shown,) = person.types("models", "--json").value
    assert (shown["price_in"], shown["price_out"], shown["zone"]) == (2_500_000, 10_000_000, "device")
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
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind(("127.0.0.1", 1234))
        except OSError:
            pytest.skip("left out: something else listens on port 1234")
    with ModelServer(READY, port=1234):
        offered = person.does("models", "add", "--found")
        assert "tiny answers at http://127.0.0.1:1234/v1 (LM Studio)" in offered
        assert "Added tiny" in person.does("models", "add", "tiny", "--found")
        assert person.types("models", "test", "tiny", "--json").value["text"] == "ready"


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
