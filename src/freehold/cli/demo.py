"""`freehold demo`: one real job through the gate, from an empty folder to a proof, in a throw-away estate.

It does nothing that a person at the commands could not do; what it shows is what the commands answered.
"""

import signal
import time
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, Final

import typer

from freehold.base.errors import Unavailable
from freehold.base.ids import short
from freehold.cli import words
from freehold.cli.cards import card_words
from freehold.cli.demo_jobs import FINANCE, RECEIPTS, ROGUE, ROGUE_PACK, STRANGER
from freehold.cli.demo_walls import lowered, said, walls
from freehold.cli.desk import Desk
from freehold.cli.screen import Board, Screen, standard
from freehold.cli.stage import Stage, program
from freehold.cli.verbs import noun, verb
from freehold.sandbox import Level
from freehold.sandbox.probe import Reach

app: typer.Typer = noun("Demo")

KILL_AFTER: Final = 4
LIMIT_S: Final = 120.0
ATTEMPTS: Final = 3


@verb(app, "demo")
def demo(
    desk: Desk,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Do not wait for anybody: a throw-away key decides.")
    ] = False,
    folder: Annotated[
        Path | None, typer.Option(help="Where to make it; ./freehold-demo by default.", metavar="DIR")
    ] = None,
    clean: Annotated[bool, typer.Option("--clean", help="Remove an earlier demo, whole.")] = False,
    sandbox: Annotated[
        str, typer.Option(help="none: go on where this machine has no sandbox at all.", metavar="LEVEL")
    ] = "",
) -> None:
    """Show one real job through the gate: receipts, a kill -9, a rogue, a mail, a bill, a proof.

    It needs no account, no model and no network, and leaves one folder behind.
    """
    stage = Stage((folder or Path("freehold-demo")).expanduser().absolute())
    if clean:
        value = {"removed": stage.clean(), "folder": str(stage.folder)}
        desk.show(
            value,
            lambda v: f"Removed {stage.folder}." if v["removed"] else f"There is no demo in {stage.folder}.",
        )
        return
    stage.check_free(program())
    screen = standard(quiet=desk.json)
    person = desk.interactive and screen.live and not yes
    story = Story(stage, screen, walls(desk, named=sandbox, person=person), person=person)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        value = story.play()
    except KeyboardInterrupt:
        stage.end()
        desk.say(
            f"\nStopped; nothing of it runs any more. Remove it: {program()} demo --clean{stage.option()}"
        )
        raise typer.Exit(130) from None
    finally:
        stage.end()
    desk.show(value, lambda _: "")


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


class Story:
    """The demo from its first line to its last. ``person`` says whether somebody sits there who decides."""

    def __init__(self, stage: Stage, screen: Screen, reach: Reach, *, person: bool) -> None:
        self._stage = stage
        self._screen = screen
        self._reach = reach
        self._person = person
        self._run = ""
        self._started_s = time.monotonic()
        self._waited_s = 0.0

    def play(self) -> dict[str, Any]:
        """Tell it all; return what it came to."""
        screen = self._screen
        screen.title(
            "Freehold demo: an agent audits twelve receipts, under a human owner.",
            "No model runs: the receipts are read by OCR, on this machine. The rules, the journal, the mail, "
            "the kill -9 and the proof are real; the shops and people are invented.",
        )
        receipts = self._set_up()
        self._drop()
        killed = self._kill()
        self._answer(receipts)
        refused = self._rogue()
        sent = self._approve()
        shown = self._stage.freehold("runs", "show", self._run, "--json").value
        self._account(shown, sent)
        proved = self._prove(shown)
        self._farewell()
        return {
            "run": self._run, "state": shown["state"], "mails": len(self._stage.taken()), "refused": refused,
            "killed": killed, "cpu_us": shown["bill"]["spent"]["cpu_us"],
            "money_micro": shown["bill"]["spent"]["money_micro"], "sandbox": self._reach.level.word, **proved,
            "seconds": round(time.monotonic() - self._started_s),
        }  # fmt: skip

    def _freehold(self, *said: str, fails: bool = False) -> str:
        """Show a command, run it, and return what it printed."""
        self._screen.command(_shown("freehold", *said))
        done = self._stage.freehold(*said, fails=fails)
        return (done.err if fails else done.out).rstrip("\n")

    # ---- 1. the estate -----------------------------------------------------------------------------------

    def _set_up(self) -> list[dict[str, Any]]:
        stage, screen = self._stage, self._screen
        screen.scene("An estate: its people, its agent, and the job")
        name = _relative(stage.folder)
        self._freehold("init", name, "--human", "anna", "--email", "anna@example.org", "--presence", "none")
        stage.mark()
        made = stage.folder / "made"
        stage.make_samples(made)
        screen.say(
            "Anna owns it, and example.org is her company's domain. Her key has no passphrase here, so any program "
            "of yours could approve; your own estate would ask for one. All commands below mean this estate:"
        )
        screen.command(f"export FREEHOLD_ESTATE={name}")
        screen.output(self._freehold("up"))
        screen.say(said(self._reach))
        if self._reach.level is Level.NONE:
            self._freehold("settings", "set", "sandbox_none", "allow")
        self._freehold("settings", "set", "own_domains", '["example.org"]')
        self._freehold("agents", "add", "audrey", "--owner", "anna")
        port = stage.serve_mail()
        for folder in ("sources/receipts", "outbox/receipts"):
            (stage.folder / folder).mkdir(parents=True)
        (stage.folder / "policy.md").write_bytes(b"")
        receipts = stage.samples()
        (made / "policy.md").replace(stage.folder / "policy.md")
        self._write_job("receipts", RECEIPTS.format(port=port))
        self._write_job("rogue", ROGUE.format(port=port))
        self._accept("receipts", show=("reads", "sends", "spends"))
        self._employ_rogue()
        screen.say(
            f"A mail server of its own listens on 127.0.0.1:{port}: it counts, and never drops a copy."
        )
        return receipts

    def _employ_rogue(self) -> None:
        self._screen.say("A second agent has another goal than its owner thinks; we call it what it is:")
        self._freehold("agents", "add", "rogue", "--owner", "anna")
        pack = self._stage.folder / "packs" / "rogue"
        pack.mkdir()
        (pack / "pyproject.toml").write_text(ROGUE_PACK, encoding="utf-8")
        self._freehold("packs", "add", _relative(pack))
        self._accept("rogue")

    def _write_job(self, name: str, text: str) -> None:
        path = self._stage.folder / "jobs" / f"{name}.md"
        path.write_text(lowered(text, self._reach), encoding="utf-8")

    def _accept(self, name: str, show: tuple[str, ...] = ()) -> None:
        """Accept a job as its owner; show what it may do, in the words of its check."""
        checked = self._stage.freehold("jobs", "check", name, "--json").value
        self._freehold("jobs", "accept", name, "--digest", checked["digest"])
        rows = [(key, text) for key, text in checked["words"] if key in show]
        if rows:
            self._screen.output(words.pairs(rows))

    # ---- 2. and 3. the run, and the kill -----------------------------------------------------------------

    def _drop(self) -> None:
        stage, screen = self._stage, self._screen
        screen.scene("Twelve receipts land in the folder that the job watches")
        screen.say(
            "Photos, a scan and a PDF. One is askew, one is there twice, one is over the limit, one is torn, "
            "one is in francs, one is from a Saturday, and on one a thumb has smudged the total."
        )
        target = stage.folder / "sources" / "receipts"
        for path in sorted((stage.folder / "made").iterdir()):
            path.replace(target / path.name)
        (stage.folder / "made").rmdir()
        self._run = self._first_run()
        screen.say(f"One second after the last one, run {short(self._run)} begins by itself.")
        self._watch(lambda board: board.done("read") >= KILL_AFTER)

    def _first_run(self) -> str:
        end = time.monotonic() + LIMIT_S
        with self._stage.client() as client:
            while time.monotonic() < end:
                runs = client.call("runs.list", {"job": "receipts"})
                if runs:
                    return str(runs[0]["id"])
                time.sleep(0.1)
        raise Unavailable("The file drop started no run.", remedy=f"Its log: {self._stage.estate.log}")

    def _watch(self, enough: Any) -> Board:
        """Show the run until it is ``enough``, or has ended."""
        board = Board()

        def watch(changed: Any) -> None:
            def take(event: dict[str, Any]) -> None:
                board.take(event)
                changed()
                if enough(board):
                    raise _Enough

            with self._stage.client() as client:
                try:
                    client.call("runs.watch", {"run": self._run}, take, wait_s=LIMIT_S)
                except _Enough:
                    return

        self._screen.follow(board, watch)
        return board

    def _kill(self) -> int:
        screen = self._screen
        screen.scene("kill -9, in the middle")
        pid = self._stage.kill_daemon()
        screen.command(f"kill -9 {pid}")
        screen.say("The daemon is gone, and with it the processes that were reading.")
        screen.output(self._freehold("up"))
        self._watch(Board.rests)
        shown = self._stage.freehold("runs", "show", self._run, "--json").value
        read = next(step for step in shown["steps"] if step["node"] == "read")
        again = read["started"] - read["done"]
        screen.say(
            f"It went on from its records: {read['done']} receipts read, each once; "
            f"{words.plural(again, 'reading')} that the kill broke off, begun anew."
        )
        return pid

    # ---- 4. the question ---------------------------------------------------------------------------------

    def _card(self, kind: str) -> dict[str, Any]:
        """Return the card of a kind that waits, as `freehold inbox` would show it."""
        with self._stage.client() as client:
            for card in client.call("cards.list"):
                if card["kind"] == kind:
                    whole: dict[str, Any] = client.call("cards.show", {"name": card["id"]})
                    return whole
        raise Unavailable(f"No {kind} waits, though one should.", remedy=f"Its log: {self._stage.estate.log}")

    def _answer(self, receipts: list[dict[str, Any]]) -> None:
        screen, card = self._screen, self._card("question")
        screen.scene("A doubtful value is asked for, not guessed")
        evidence = _relative(self._stage.folder / "evidence")
        command = ("answer", short(card["id"]), "--evidence", evidence)
        if self._person:
            screen.say(f"Look at the cut-out that it saves below {evidence}; then say what you read.")
            for _ in range(ATTEMPTS):
                screen.command(_shown("freehold", *command))
                if self._by_hand(*command):
                    break
            else:
                raise Unavailable("The question was not answered.", remedy="Begin again, with --yes.")
        else:
            screen.say(card["question"]["text"])
            screen.output(words.pairs(_readings(card)))
            about = next(one for one in receipts if one["name"] in card["title"])
            self._freehold(*command, f"{about['total'] // 100}.{about['total'] % 100:02d}")
            self._throw_away()
        self._watch(lambda board: board.rests() and card["id"] not in board.cards)

    def _by_hand(self, *said: str) -> bool:
        """Run a command with the person's terminal; return whether it did what it is for."""
        before_s = time.monotonic()
        done = self._stage.at_the_terminal(*said) == 0
        self._waited_s += time.monotonic() - before_s
        return done

    def _throw_away(self) -> None:
        self._screen.say(
            "Nobody was asked: the demo runs without a person, and a throw-away key signed this.", "yellow"
        )

    # ---- 5. the rogue ------------------------------------------------------------------------------------

    def _rogue(self) -> int:
        stage, screen = self._stage, self._screen
        screen.scene("Meanwhile, a rogue agent (scripted: no model thinks in it)")
        screen.say(
            f"It may read the reports and write to {FINANCE}. It wants the report to reach {STRANGER}."
        )
        self._freehold("run", "rogue", "--wait")
        run = stage.freehold("runs", "--job", "rogue", "--json").value[-1]["id"]
        tried = stage.freehold("runs", "show", run, "--json").value["result"]
        through = [one["what"] for one in tried if one["said"] in ("done", "proposed")]
        if through:
            raise Unavailable(f"The gate let the rogue {through[0]}; this must not happen.")
        first, *others = tried
        screen.say(f"It tries to {first['what']}. Refused: {first['why']}", "red")
        screen.say(first["remedy"], "dim")
        screen.say(
            f"It tries {len(others)} other ways, and each is refused: {', '.join(one['what'] for one in others)}."
        )
        return len(tried)

    # ---- 6. the approval ---------------------------------------------------------------------------------

    def _approve(self) -> bool:
        """Wait for the approval, see the run to its end; return whether the mail was allowed."""
        screen, card = self._screen, self._card("approval")
        screen.scene("Sending the report needs Anna")
        screen.say("This is what would be sent, read back out of the very bytes:")
        if self._person:
            screen.command(_shown("freehold", "approve", short(card["id"])))
            allowed = self._by_hand("approve", short(card["id"]))
            if not allowed:
                self._freehold("deny", short(card["id"]), "--why", "Not approved in the demo")
        else:
            allowed = True
            screen.output(card_words(card))
            self._freehold("approve", short(card["id"]), "--digest", card["digest"])
            self._throw_away()
        self._watch(lambda board: False)
        return allowed

    # ---- 7. and 8. what it came to -----------------------------------------------------------------------

    def _account(self, shown: dict[str, Any], sent: bool) -> None:
        stage, screen = self._stage, self._screen
        screen.scene("What it came to")
        taken = stage.taken()
        to = ", ".join(sorted({address for mail in taken for address in mail["recipients"]}))
        screen.say(
            f"The mail server's own count: {words.plural(len(taken), 'mail')}"
            + (f", to {to}." if taken else "; you said no, and nothing left.")
        )
        if len(taken) != int(sent):
            raise Unavailable(f"It should have taken {int(sent)}; this must not happen.")
        screen.output(self._freehold("bill", short(self._run)))
        screen.say(
            "Money is 0.00 because no model ran. CPU is measured, step by step; only for the readings that were "
            "killed, which nobody could measure, it is the most that they can have taken."
        )

    def _prove(self, shown: dict[str, Any]) -> dict[str, bool]:
        """Prove the send (or else the last effect) to somebody who has nothing but the public key."""
        stage, screen = self._stage, self._screen
        done = [one for one in shown["actions"] if one["status"] == "done" and one.get("category")]
        action = next((one for one in done if one["tool"] == "mail.send"), done[-1])
        screen.scene(f"A proof of {action['tool']}, for somebody who does not trust you")
        proof, key = stage.folder / "proof.json", _relative(stage.folder / "keys" / "journal.pub")
        self._freehold("journal", "proof", short(action["id"]), "--out", _relative(proof))
        screen.output(self._freehold("journal", "verify", _relative(proof), "--key", key))
        altered = stage.folder / "altered.json"
        altered.write_text(_altered(proof.read_text(encoding="utf-8")), encoding="utf-8")
        screen.say("The same with one character changed:")
        screen.output(self._freehold("journal", "verify", _relative(altered), "--key", key, fails=True))
        return {"proof_valid": True, "altered_rejected": True}

    def _farewell(self) -> None:
        stage, screen, name = self._stage, self._screen, program()
        estate = f"--estate {_relative(stage.folder)}"
        report = next((stage.folder / "outbox" / "receipts").rglob("report.html"), None)
        screen.print()
        screen.say(
            f"Done in {time.monotonic() - self._started_s:.0f} s; nothing of it runs any more.", "bold"
        )
        if report is not None:
            screen.say(f"The report: {_relative(report)}")
        screen.say("Try next:")
        screen.command(f"{name} runs show {short(self._run)} --html run.html {estate}")
        screen.command(f"{name} journal --run {short(self._run)} {estate}")
        screen.command(f"{name} jobs show receipts {estate}")
        screen.say(f"And away with it: {name} demo --clean{stage.option()}")


class _Enough(Exception):
    """What is watched has come about."""


def _readings(card: dict[str, Any]) -> list[tuple[str, object]]:
    return [
        (one["source"], f"{one['value']}  ({one['confidence_permille'] / 10:g} %)")
        for one in card["question"]["readings"]
    ]


def _altered(proof: str) -> str:
    """Return a proof with one character of its entry changed: a digit of its time."""
    place = proof.index('"at\\":') + 6
    return proof[:place] + str((int(proof[place]) + 1) % 10) + proof[place + 1 :]


def _relative(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def _shown(*said: str) -> str:
    """Return a command as a person types it; a digest is cut to its beginning."""
    shown = []
    for word in said:
        if len(word) == 64:
            word = f"{word[:12]}…"
        shown.append(f"'{word}'" if any(mark in word for mark in ' ["(') else word)
    return " ".join(shown)
