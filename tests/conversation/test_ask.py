"""A goal in a sentence: the owner's signed word, at once a run; and standing rules, which only that word makes."""

import json
import os
import subprocess
import sys

import pytest

from freehold.testing.brains import Reply, Says, Scripted, Seen
from freehold.testing.models import ModelServer
from tests.conversation.conftest import House

pytestmark = pytest.mark.timeout(180)


def test_a_goal_is_handed_over_at_once_and_the_model_reads_it_as_the_owners(house: House) -> None:
    with ModelServer(Scripted(["It is done."])) as server:
        house.meets(server)
        house.employs()
        said = house.person.does("ask", "Say that it is done.")
        assert "freehold watch" in said
        assert "audrey works on it" in said
        run = house.person.types("runs", "--json").value[0]
        house.person.does("watch", run["id"])
        shown = house.person.types("runs", "show", run["id"], "--json").value
    assert (shown["state"], shown["trigger"]) == ("done", "ask")
    assert shown["result"]["answer"] == "It is done."
    first = server.calls[0]["messages"]
    assert "Say that it is done." in first[-1]["content"]
    assert "Help Anna with what she asks." in first[-1]["content"]
    entries = house.person.types("journal", "--limit", "200", "--json").value
    assert "word.said" in json.dumps(entries)


def test_a_goal_can_come_from_a_pipe(house: House) -> None:
    with ModelServer(Scripted(["Read."])) as server:
        house.meets(server)
        house.employs()
        done = subprocess.run(
            [sys.executable, "-m", "freehold.cli.main", "ask", "-", "--json"], input="Read this from the pipe.\n",
            capture_output=True, text=True, env=house.person.environment, timeout=50,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        house.person.does("watch", json.loads(done.stdout)["id"])
    assert "Read this from the pipe." in server.calls[0]["messages"][-1]["content"]


def test_what_is_wrong_with_a_goal_is_a_sentence(house: House) -> None:
    person = house.person
    none = person.types("ask", "Do something.")
    assert (none.code, "no job that takes a goal" in none.err) == (2, True)
    house.employs()
    empty = person.types("ask", "   ")
    assert (empty.code, "No goal was given" in empty.err) == (2, True)
    other = person.types("ask", "Do it.", "--job", "nothing")
    assert (other.code, "There is no job 'nothing'" in other.err) == (2, True)
    agent = person.types("ask", "Do it.", "--agent", "nobody")
    assert (agent.code, "The agent nobody has no job" in agent.err) == (2, True)
    house.employs("second")
    several = person.types("ask", "Do it.")
    assert (several.code, "Several jobs take a goal: desk (audrey), second (audrey)." in several.err) == (
        2,
        True,
    )
    changed = person.folder / "jobs" / "desk.md"
    changed.write_text(changed.read_text().replace("Short answers", "Long answers"))
    refused = person.types("ask", "Do it.", "--job", "desk")
    assert (refused.code, "changed since accepted" in refused.err) == (3, True)


def test_a_goal_that_could_not_be_handed_over_is_the_callers_mistake(house: House) -> None:
    house.employs()
    for given, says in ((b"x" * 2_000_000, "at most 20,000 characters"), (b"a\xffb", "no UTF-8")):
        done = subprocess.run(
            [sys.executable, "-m", "freehold.cli.main", "ask", "-"], input=given, capture_output=True,
            env=house.person.environment, timeout=50,
        )  # fmt: skip
        assert (done.returncode, says in done.stderr.decode()) == (2, True), done.stderr


def test_a_script_that_chats_is_told_by_the_exit_code_that_a_line_failed(house: House) -> None:
    house.employs()
    house.person.does("freeze")
    frozen = subprocess.run(
        [sys.executable, "-m", "freehold.cli.main", "chat", "audrey"], input="Hello.\n/quit\n", capture_output=True,
        text=True, env=house.person.environment, timeout=50,
    )  # fmt: skip
    assert (frozen.returncode, "is frozen" in frozen.stderr) == (3, True), frozen.stderr


def test_whoever_watches_everything_is_told_whose_a_run_is_that_begins_meanwhile(house: House) -> None:
    waits = Reply(calls=[("ask_owner", {"question": "Which one?"})])
    with ModelServer(Scripted([waits, "Done."])) as server:
        house.meets(server)
        house.employs()
        first = house.person.types("ask", "Begin.", "--json").value["id"]
        house.person.waits_for_card(first)
        watching = subprocess.Popen(
            [sys.executable, "-m", "freehold.cli.main", "watch", "--json"], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, text=True, env=house.person.environment,
        )  # fmt: skip
        assert watching.stdout is not None
        try:
            assert json.loads(watching.stdout.readline())["id"] == first
            second = house.person.types("ask", "Begin again.", "--json").value["id"]
            told = next(event for event in map(json.loads, watching.stdout) if second in event.values())
        finally:
            watching.kill()
            watching.wait()
            watching.stdout.close()
        house.person.does("runs", "cancel", first, "--yes")
        house.person.does("runs", "cancel", second, "--yes")
    assert (told["event"], told["id"], told["job"]) == ("run", second, "desk")


def test_only_the_owner_says_what_an_agent_is_to_do(house: House) -> None:
    house.employs()
    person = house.person
    person.does("humans", "add", "ben", "--email", "ben@example.com", "--presence", "none", "--as", "anna")
    refused = person.types("ask", "Send him all of it.", "--as", "ben")
    assert (refused.code, "works for anna, and ben signed" in refused.err) == (3, True)
    rule = person.types("standing", "add", "always agree", "--agent", "audrey", "--as", "ben")
    assert (rule.code, "audrey works for anna, and ben signed" in rule.err) == (3, True)
    assert person.types("runs", "--json").value == []


def test_a_standing_rule_is_told_listed_and_taken_back(house: House) -> None:
    person = house.person
    with ModelServer(Scripted(["Yes."])) as server:
        house.meets(server)
        house.employs()
        assert "every agent of anna" in person.does("standing", "add", "Always in euros.")
        person.does("standing", "add", "Sign as A.", "--job", "desk")
        person.does("standing", "add", "Never on Sundays.", "--agent", "audrey")
        again = person.types("standing", "add", "Always in euros.")
        assert (again.code, "stands already" in again.err) == (2, True)
        rules = person.types("standing", "--json").value
        assert [(rule["text"], rule["by"]) for rule in rules] == [
            ("Always in euros.", "anna"), ("Sign as A.", "anna"), ("Never on Sundays.", "anna")
        ]  # fmt: skip
        assert "Sign as A." in person.does("standing", "remove", rules[1]["id"][-6:])
        person.does("watch", person.types("ask", "Is it so?", "--json").value["id"])
    system = server.calls[0]["messages"][0]
    assert system["role"] == "system"
    assert "- Always in euros.\n- Never on Sundays." in system["content"]
    assert "Sign as A." not in system["content"]
    assert "3 standing rules" not in person.does("status")
    missing = person.types("standing", "remove", "ffffff")
    assert (missing.code, "There is no standing rule" in missing.err) == (2, True)


def _remembers(seen: Seen) -> Reply:
    """Answer with what the last message says, so that a test sees what the model was shown."""
    last = seen.messages[-1]["content"]
    return Reply(f"Heard {last.count('Owner:')} earlier things. {'blue' in last}")


def test_a_conversation_goes_on_from_what_was_said(house: House) -> None:
    with ModelServer(Says(_remembers)) as server:
        house.meets(server)
        house.employs()
        said = talk(
            house,
            "The colour is blue.\nWhich colour is it?\n/rules\n/bill\n/plan\n/nothing\n/always Be short.\n/quit\n",
        )
    assert "audrey> Heard 0 earlier things." in said
    assert "audrey> Heard 1 earlier things. True" in said
    assert "No standing rules" in said
    assert "2 turns: 0.0" in said
    assert "There is no /nothing" in said
    assert "From the next turn on: Be short." in said
    second = server.calls[1]["messages"][-1]["content"]
    assert "You: Heard 0 earlier things." in second
    assert second.rstrip().find("Which colour is it?") > second.find("The colour is blue.")


def talk(house: House, typed: str) -> str:
    """Chat over a pipe; returns all that was printed."""
    done = subprocess.run(
        [sys.executable, "-m", "freehold.cli.main", "chat", "audrey"], input=typed, capture_output=True, text=True,
        env={**os.environ, **house.person.environment}, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr
