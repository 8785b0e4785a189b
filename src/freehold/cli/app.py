"""The table of commands and the program that looks them up; a command's module is loaded when it runs.

`freehold --help` needs this file alone: every line that it prints stands in the table below.
"""

import importlib
from typing import Annotated, Any, Final, NamedTuple

import typer
from typer.core import TyperGroup

from freehold import __version__
from freehold.cli.verbs import EstateOption, JsonOption, NoStartOption, common


class Entry(NamedTuple):
    """A command: its name, the module and its section in the help, and the line that the help prints."""

    name: str
    module: str
    section: str
    help: str


DAILY: Final = "Every day"
NOUNS: Final = "Nouns (bare: list; then a verb)"
HOUSE: Final = "The house itself"

TABLE: Final = (
    Entry("ask", "ask", DAILY, "Hand a goal to an agent, in a sentence."),
    Entry("chat", "chat", DAILY, "Talk with an agent; cards are answered in place."),
    Entry("run", "runs", DAILY, "Start a job now."),
    Entry("watch", "watch", DAILY, "See runs as they go, until you press Ctrl-C."),
    Entry("inbox", "inbox", DAILY, "What waits for you: approvals, questions, reports."),
    Entry("approve", "inbox", DAILY, "Look at what would be done, and allow it once."),
    Entry("deny", "inbox", DAILY, "Say no, with a reason."),
    Entry("answer", "inbox", DAILY, "Answer a question that a run asks."),
    Entry("freeze", "freeze", DAILY, "Stop effects at once: an agent, a job, a tool, or everything."),
    Entry("thaw", "freeze", DAILY, "Let frozen work go on."),
    Entry("bill", "bill", DAILY, "What a run, a job or a month cost."),
    Entry("jobs", "jobs", NOUNS, "What agents are employed to do: new, check, edit, accept, show."),
    Entry("runs", "runs", NOUNS, "Executions of jobs: show, diff, undo, cancel, pause, resume."),
    Entry("agents", "agents", NOUNS, "Who acts: add, show, allow, retire."),
    Entry("humans", "humans", NOUNS, "Who answers for it: add, show, retire."),
    Entry("standing", "standing", NOUNS, "What always holds for your agents: add, remove."),
    Entry("grants", "grants", NOUNS, "Approvals given beforehand, scoped and counted: add, revoke."),
    Entry("secrets", "secrets", NOUNS, "What agents use and never see: set, bind, rotate, revoke, forget."),
    Entry("models", "models", NOUNS, "What agents may think with: add, test, remove."),
    Entry("tools", "tools", NOUNS, "Tools from elsewhere, by MCP: add, review, classify, remove."),
    Entry("journal", "journal", NOUNS, "What was done, provably: show, export, verify, proof."),
    Entry("packs", "packs", NOUNS, "Job families: add, remove, new."),
    Entry("subjects", "subjects", NOUNS, "Whose data is kept: forget."),
    Entry("settings", "settings", NOUNS, "What holds for the whole estate."),
    Entry("sandbox", "sandbox", NOUNS, "What this machine puts around runners: run."),
    Entry("init", "house", HOUSE, "Make an estate: a folder with its people, keys and journal."),
    Entry("up", "house", HOUSE, "Start the daemon."),
    Entry("down", "house", HOUSE, "Stop the daemon; what was accepted goes on when it is up again."),
    Entry("status", "status", HOUSE, "Whether the daemon runs, and what it does."),
    Entry("demo", "demo", HOUSE, "One real job through the gate, in a throw-away estate: a minute."),
    Entry("doctor", "doctor", HOUSE, "Look for what could be wrong on this machine."),
    Entry("completion", "completion", HOUSE, "Print the line that makes your shell complete commands."),
)

HELP: Final = """Run AI agents as accountable employees, on infrastructure you own.

Everything that an agent does passes one gate; what it may not do needs you. Ids may be shortened to any
beginning or end that fits one thing. A verb that needs the daemon starts it and says so."""


class LazyGroup(TyperGroup):
    """The program's commands by the table; loads a module only to run one of its commands."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names in the order of the help."""
        return [entry.name for entry in TABLE]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return one command, loading its module."""
        for entry in TABLE:
            if entry.name == cmd_name:
                module = importlib.import_module(f"freehold.cli.{entry.module}")
                return _command(module, entry)
        return None

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the commands of the help, by section, loading none of them."""
        for section in (DAILY, NOUNS, HOUSE):
            with formatter.section(section):
                formatter.write_dl([(entry.name, entry.help) for entry in TABLE if entry.section == section])


def _command(module: Any, entry: Entry) -> Any:
    app: typer.Typer = module.app
    if entry.section == NOUNS:
        command = typer.main.get_command(app)
        command.name = entry.name
        return command
    return typer.main.get_group(getattr(module, "daily", app)).commands[entry.name]


def _version(wanted: bool) -> None:
    if wanted:
        print(f"freehold {__version__}")
        raise typer.Exit


def build() -> Any:
    """Return the whole program as typer's command."""
    root = typer.Typer(
        cls=LazyGroup,
        help=HELP,
        rich_markup_mode=None,
        add_completion=False,
        pretty_exceptions_enable=False,
        no_args_is_help=True,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )

    @root.callback(help=HELP)
    def first(
        ctx: typer.Context,
        estate: EstateOption = None,
        json: JsonOption = False,
        no_start: NoStartOption = False,
        version: Annotated[
            bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
        ] = False,
    ) -> None:
        common({"estate": estate, "json": json, "no_start": no_start}, ctx)

    command = typer.main.get_command(root)
    command.name = "freehold"
    return command
