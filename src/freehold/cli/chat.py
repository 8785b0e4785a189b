"""`freehold chat`: a conversation with an agent at the terminal; its cards are shown and answered in place.

Each thing that you say is a run of its own, which goes on from the one before. Your key is opened once for what you
say; a card asks for it again, as everywhere.
"""

import sys
from collections.abc import Callable
from typing import Annotated, Any, Final

import typer

from freehold.base.errors import FreeholdError, Unavailable
from freehold.base.ids import short
from freehold.cli import words
from freehold.cli.ask import say, whom
from freehold.cli.cards import decide_in_place
from freehold.cli.desk import Desk
from freehold.cli.signing import AsOption, signer, unlock
from freehold.cli.standing import listed, make
from freehold.cli.verbs import noun, verb
from freehold.kernel import people
from freehold.kernel.facts import visible

app: typer.Typer = noun("Chat")
_WAITS: Final = "  …"

HELP: Final = """\
What you type is the next goal. Lines that begin with / are for Freehold:
  /plan         the steps of the last run, and how far they are
  /cards        what waits for you in it, to decide now
  /bill         what this conversation cost so far
  /always TEXT  make a standing rule, for this agent
  /rules        your standing rules
  /watch        see the last run go on
  /stop         end the run that waits or goes on
  /quit         leave; what goes on goes on
Ctrl-C ends the turn, a second one leaves."""


@verb(app, "chat")
def chat(
    desk: Desk,
    agent: Annotated[str, typer.Argument(help="The agent to talk with.", metavar="[AGENT]")] = "",
    job: Annotated[str, typer.Option(help="The job that it is for, where the agent has several.")] = "",
    who: AsOption = None,
) -> None:
    """Talk with an agent: it plans, works and asks you in place. Without a terminal each line is a turn."""
    to = whom(desk, job, agent)
    human = signer(desk, who)
    key = unlock(desk, people.read_key(desk.estate.key_of(human)))
    desk.say(f"{to['agent']}, {to['title']} (job {to['job']}). /help says what you can do, /quit leaves.")
    _Chat(desk, to, key, human).talk()


class _Rest(Exception):
    """The run waits for a person, who is not here or wants to think about it."""


class _Chat:
    """One conversation."""

    def __init__(self, desk: Desk, to: dict[str, Any], key: people.SigningKey, human: str) -> None:
        self._desk = desk
        self._to = to
        self._key = key
        self._human = human
        self._conversation = "new"
        self._runs: list[str] = []
        self._failed = 0
        self._commands: dict[str, Callable[[str], None]] = {
            "/help": lambda _: print(HELP), "/plan": self._plan, "/cards": self._cards, "/bill": self._bill,
            "/always": self._always, "/rules": self._rules, "/stop": self._stop, "/watch": self._watch,
        }  # fmt: skip

    def talk(self) -> None:
        """Take what the person says until they leave; a script is told by the exit code that a line failed."""
        while True:
            if self._desk.interactive:
                print("you> ", end="", file=sys.stderr, flush=True)
            try:
                line = sys.stdin.readline()
            except KeyboardInterrupt:
                line = ""
            if not line or line.strip() in ("/quit", "/exit"):
                break
            try:
                self._take(line.strip())
            except FreeholdError as error:
                self._desk.say(f"{error.message} {error.remedy}".strip())
                self._failed = error.exit_code
        if self._failed and not self._desk.interactive:
            raise typer.Exit(self._failed)

    def _take(self, text: str) -> None:
        if not text:
            return
        if not text.startswith("/"):
            self._turn(text)
            return
        name, _, rest = text.partition(" ")
        command = self._commands.get(name)
        if command is None:
            self._desk.say(f"There is no {name}. /help lists what there is.")
        else:
            command(rest.strip())

    # ---- a turn ------------------------------------------------------------------------------------------

    def _turn(self, text: str) -> None:
        started = say(self._desk, self._to, text, self._key, self._conversation)
        self._conversation = started["conversation"]
        self._runs.append(started["id"])
        self._follow(started["id"])

    def _follow(self, run: str) -> None:
        """Show a run until it ends, rests, or the person stops it."""
        turn = _Turn(self._desk, self._human, self._to["agent"], run)
        try:
            with self._desk.another() as client:
                client.call("runs.watch", {"run": run}, turn.take, wait_s=None)
        except _Rest:
            self._desk.say("It waits for you: /cards")
            return
        except KeyboardInterrupt:
            turn.end_line()
            self._stop("")
            return
        except Unavailable as error:
            turn.end_line()
            raise Unavailable(
                "The daemon is gone; what it had begun goes on once it runs again.",
                remedy="See it: /watch",
                code=error.code,
            ) from error
        turn.conclude()

    def _watch(self, rest: str) -> None:
        if self._runs:
            self._follow(self._runs[-1])
        else:
            self._desk.say("Nothing was asked yet.")

    def _stop(self, rest: str) -> None:
        if not self._runs:
            self._desk.say("Nothing goes on.")
            return
        try:
            ended = self._desk.call("runs.cancel", {"name": self._runs[-1]})
            self._desk.say(
                f"Stopped: the run is {ended['state']}. What was done stays done: "
                f"freehold runs show {short(self._runs[-1])}"
            )
        except FreeholdError as error:
            self._desk.say(error.message)

    # ---- what else can be asked ------------------------------------------------------------------------

    def _plan(self, rest: str) -> None:
        if not self._runs:
            self._desk.say("Nothing was asked yet.")
            return
        shown = self._desk.call("runs.show", {"name": self._runs[-1]})
        print(plan_words(shown["plan"]) or "No plan yet.")

    def _cards(self, rest: str) -> None:
        found = [card for card in self._desk.call("cards.list") if card["run"] in self._runs]
        if not found:
            print("Nothing waits for you here.")
        for card in found:
            if not self._desk.interactive:
                print(f"{card['title']}: freehold approve {short(card['id'])}")
            elif decide_in_place(self._desk, self._human, card["id"]) and card["run"] == self._runs[-1]:
                self._follow(card["run"])
                return

    def _bill(self, rest: str) -> None:
        bills = [self._desk.call("bill", {"name": run}) for run in self._runs]
        money = sum(bill["spent"]["money_micro"] for bill in bills)
        tokens = sum(bill["spent"]["tokens"] for bill in bills)
        currency = bills[0]["currency"] if bills else self._desk.call("bill")["currency"]
        turns = words.plural(len(bills), "turn")
        print(f"{turns}: {words.amount(money, currency)}, {words.plural(tokens, 'token')}")

    def _always(self, text: str) -> None:
        rule = make(self._desk, text, self._human, agent=self._to["agent"])
        print(f"From the next turn on: {rule['text']}")

    def _rules(self, rest: str) -> None:
        print(listed(self._desk.call("standing.list")))


class _Turn:
    """What is shown of one run while it goes on."""

    def __init__(self, desk: Desk, human: str, agent: str, run: str) -> None:
        self._desk = desk
        self._human = human
        self._agent = agent
        self._run = run
        self._said = ""
        self._open = False
        self._later: set[str] = set()
        self._seen: set[str] = set()
        self._planned = False
        self._steps: set[str] = set()
        self._waits = False
        self._wait()

    def take(self, event: dict[str, Any]) -> None:
        """Show an event; raises _Rest where nothing goes on without a person who is not asked here."""
        kind = event.get("event")
        if kind == "text":
            if not str(event["node"]).startswith("$"):
                self._show_plan()
            if not (self._steps or str(event["node"]).startswith("$")):
                self._speak(str(event["text"]))
        elif kind == "node":
            self._step(event)
        elif kind == "progress" and event["text"] != "asks the model":
            self._said = ""
            self._line(f"  · {visible(str(event['text']))}")
        elif kind == "card":
            self._card(str(event["card"]))
        elif kind == "waiting" and (self._later or not self._desk.interactive):
            self.end_line()
            raise _Rest
        elif kind == "run":
            for card in event.get("cards", ()):
                self._card(card)

    def _step(self, node: dict[str, Any]) -> None:
        """Show a fixed plan once, then each of its steps as it is done; what a model says in one is no answer."""
        self._show_plan()
        if node["node"] in self._steps and node.get("total", -1) >= 0 and node.get("done") == node["total"]:
            self._steps.discard(node["node"])
            self._steps.add("")
            self._line(f"  · {node['node']} done")

    def _show_plan(self) -> None:
        if self._planned:
            return
        self._planned = True
        nodes = self._desk.call("runs.show", {"name": self._run})["plan"]
        if len(nodes) > 1:
            self._steps = {one["node"] for one in nodes}
            self._line(plan_words([{**one, "total": -1} for one in nodes]))

    def _card(self, card: str) -> None:
        if card in self._seen:
            return
        self._seen.add(card)
        self.end_line()
        if not self._desk.interactive:
            print(f"  waits for you: freehold inbox (card {short(card)})", flush=True)
            return
        try:
            about = self._desk.call("cards.show", {"name": card})["about"]
            if not decide_in_place(self._desk, self._human, card):
                self._later.add(card)
            self._tell_alike(about)
        except FreeholdError as error:
            self._desk.say(f"{error.message} {error.remedy}".strip())
            if not error.code.startswith("refused.card."):  # another terminal was faster: nothing waits
                self._later.add(card)

    def _tell_alike(self, about: str) -> None:
        """Name the cards of earlier turns that ask the same; those of this turn come by themselves."""
        cards = self._desk.call("cards.list")
        alike = [one for one in cards if one["about"] == about and one["run"] != self._run]
        if alike:
            asks = "asks" if len(alike) == 1 else "ask"
            self._desk.say(
                f"{words.plural(len(alike), 'card')} of an earlier turn {asks} the same: /cards, or "
                f"freehold approve {short(alike[0]['id'])} --alike"
            )

    def _wait(self) -> None:
        """Show at a terminal that something goes on, until there is more to say."""
        if self._desk.interactive and not self._waits:
            print(_WAITS, end="", file=sys.stderr, flush=True)
            self._waits = True

    def _speak(self, text: str) -> None:
        if not self._open:
            self._clear()
            print(f"{self._agent}> ", end="")
            self._open = True
        self._said += text
        print(visible(text, lines=True), end="", flush=True)

    def _line(self, text: str) -> None:
        self.end_line()
        print(text, flush=True)
        self._wait()

    def _clear(self) -> None:
        if self._waits:
            print(f"\r{' ' * len(_WAITS)}\r", end="", file=sys.stderr, flush=True)
        self._waits = False

    def end_line(self) -> None:
        """End the line that is being written."""
        self._clear()
        if self._open:
            print(flush=True)
        self._open = False

    def conclude(self) -> None:
        """Show what the run came to, unless it was just said, and what it cost."""
        self.end_line()
        shown = self._desk.call("runs.show", {"name": self._run})
        if shown["state"] == "done":
            found = shown["result"]
            answer = found.get("answer", "") if isinstance(found, dict) else found
            if answer and str(answer).strip() != self._said.strip():
                print(f"{self._agent}> {visible(str(answer), lines=True)}")
        else:
            print(f"The run is {shown['state']}. {shown['message']}".rstrip())
        bill = shown["bill"]
        cost = words.amount(bill["spent"]["money_micro"], bill["currency"])
        self._desk.say(
            f"  (run {short(self._run)}, {cost}, {words.plural(bill['spent']['tokens'], 'token')})"
        )


def plan_words(nodes: list[dict[str, Any]]) -> str:
    """Return a plan as lines: each step, what it waits for, how far it is."""
    lines = []
    for node in nodes:
        needs = f"  after {', '.join(node['needs'])}" if node.get("needs") else ""
        total = node.get("total", -1)
        done = f"  {node.get('done', 0)} of {total} done" if isinstance(total, int) and total > 0 else ""
        lines.append(f"  {node['node']}{needs}{done}")
    return "Plan:\n" + "\n".join(lines) if lines else ""
