"""What people and accidents do to a conversation: a freeze, Ctrl-C, a daemon that is killed. Nothing is paid twice."""

import asyncio
import os
import signal
import threading
from collections.abc import Iterator

import pytest

from freehold.testing.brains import Reply, Says, Seen
from freehold.testing.models import ModelServer
from freehold.testing.processes import alive, until
from tests.cli.test_terminal import Terminal
from tests.conversation.conftest import House

pytestmark = pytest.mark.timeout(240)


class Slow:
    """A model that thinks about ``over`` until it is let go, and answers all else at once."""

    def __init__(self, over: str) -> None:
        self.thinks = threading.Event()
        self.go = threading.Event()
        self._over = over

    def __call__(self, seen: Seen) -> Reply:
        said = str(seen.messages[-1]["content"])
        asked = said.rpartition("says⟧\n")[2].splitlines()[0]
        if self._over in asked and not self.go.is_set():
            self.thinks.set()
            assert self.go.wait(120)
        return Reply(f"Answer {said.count('You: ') + 1}: {asked}", tokens=(1_000, 100))


@pytest.fixture
def slow() -> Iterator[Slow]:
    """A model that is slow over a riddle."""
    found = Slow("riddle")
    yield found
    found.go.set()


def kill_daemon(house: House) -> None:
    pid = house.person.types("status", "--json").value["pid"]
    os.kill(pid, signal.SIGKILL)
    asyncio.run(until(lambda: not alive(pid) and _threads(pid) <= 1, 30))


def _threads(pid: int) -> int:
    """Return how many threads of a process have not ended: the last one closes what it holds open."""
    try:
        return len(os.listdir(f"/proc/{pid}/task"))
    except FileNotFoundError:
        return 0


def bill(house: House, run: str) -> dict[str, int]:
    return dict(house.person.types("bill", run, "--json").value["spent"])


@pytest.mark.parametrize("scope", ["agent:audrey", "estate"])
def test_a_freeze_while_the_model_thinks_keeps_its_answer_and_asks_no_more_until_the_thaw(
    house: House, slow: Slow, scope: str
) -> None:
    person = house.person
    with ModelServer(Says(slow)) as server:
        house.meets(server)
        house.employs()
        run = person.types("ask", "Solve the riddle.", "--json").value["id"]
        assert slow.thinks.wait(60)
        person.does("freeze", scope, "--why", "Something is odd.")
        assert person.types("runs", "show", run, "--json").value["state"] == "frozen"
        slow.go.set()
        refused = person.types("ask", "Solve another.")
        assert (refused.code, "Something is odd" in refused.err) == (3, True)
        person.does("thaw", scope)
        person.does("watch", run)
        shown = person.types("runs", "show", run, "--json").value
        calls = len(server.calls)
    assert (shown["state"], shown["result"] and shown["result"]["answer"], shown["message"]) == (
        "done",
        "Answer 1: Solve the riddle.",
        "",
    )
    assert calls == 1
    assert bill(house, run)["tokens"] == 1_100


def test_an_answer_that_does_not_come_within_the_grace_of_a_freeze_is_asked_for_once_more_and_paid_once(
    house: House, slow: Slow
) -> None:
    person = house.person
    with ModelServer(Says(slow)) as server:
        house.meets(server, "--idempotency-header", "Idempotency-Key")
        house.employs()
        person.does("settings", "set", "freeze_grace_s", "0")
        run = person.types("ask", "Solve the riddle.", "--json").value["id"]
        assert slow.thinks.wait(60)
        person.does("freeze")
        slow.go.set()
        person.does("thaw")
        person.does("watch", run)
        shown = person.types("runs", "show", run, "--json").value
        calls, repeated = len(server.calls), server.repeated
    assert (shown["state"], shown["result"] and shown["result"]["answer"], shown["message"]) == (
        "done",
        "Answer 1: Solve the riddle.",
        "",
    )
    assert (calls, repeated) == (1, 1)
    assert bill(house, run)["tokens"] == 1_100


def test_ctrl_c_ends_the_turn_and_the_conversation_goes_on_and_a_second_one_leaves(
    house: House, slow: Slow
) -> None:
    with ModelServer(Says(slow)) as server:
        house.meets(server)
        house.employs()
        chat = Terminal(house.person, "chat", "audrey")
        chat.answers("you> ", "Solve the riddle.")
        assert slow.thinks.wait(60)
        chat.types("\x03")
        chat.shows("Stopped: the run is cancelled")
        slow.go.set()
        chat.answers("you> ", "What now?")
        chat.shows("audrey> Answer 1: What now?")
        chat.shows("you> ")
        chat.types("\x03")
        assert chat.ends() == 0, chat.said
        runs = sorted(house.person.types("runs", "--json").value, key=lambda run: str(run["id"]))
    assert [run["state"] for run in runs] == ["cancelled", "done"]
    assert "Traceback" not in chat.said
    assert "Solve the riddle." in str(
        server.calls[-1]["messages"][-1]["content"]
    )  # it was said, though not answered


def test_a_daemon_that_is_killed_amid_a_conversation_is_back_at_the_next_word_and_repeats_nothing(
    house: House, slow: Slow
) -> None:
    with ModelServer(Says(slow)) as server:
        house.meets(server, "--idempotency-header", "Idempotency-Key")
        house.employs()
        chat = Terminal(house.person, "chat", "audrey")
        chat.answers("you> ", "The colour is blue.")
        chat.shows("audrey> Answer 1: The colour is blue.")
        chat.shows("you> ")
        kill_daemon(house)
        chat.types("Solve the riddle.\n")
        assert slow.thinks.wait(60)
        kill_daemon(house)
        chat.shows("The daemon is gone; what it had begun goes on once it runs again. See it: /watch")
        slow.go.set()
        chat.answers("you> ", "/watch")
        chat.shows("audrey> Answer 2: Solve the riddle.")
        chat.answers("you> ", "And now?")
        chat.shows("audrey> Answer 3: And now?")
        chat.answers("you> ", "/bill")
        chat.shows("3 turns: ")
        chat.answers("you> ", "/quit")
        assert chat.ends() == 0, chat.said
        calls = len(server.calls)
        runs = sorted(house.person.types("runs", "--json").value, key=lambda run: str(run["id"]))
    assert [run["state"] for run in runs] == ["done"] * 3
    assert calls == 3
    assert [bill(house, run["id"])["tokens"] for run in runs] == [1_100] * 3
    assert "Traceback" not in chat.said
