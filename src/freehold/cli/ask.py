"""`freehold ask`: hands a goal to an agent and returns at once. What you say counts as your word: your key signs it."""

import sys
from typing import Annotated, Any, Final

import typer

from freehold.base.errors import BadInput
from freehold.base.ids import short
from freehold.cli.desk import Desk
from freehold.cli.signing import AsOption, sign, sign_with
from freehold.cli.verbs import noun, verb
from freehold.kernel.people import SigningKey

app: typer.Typer = noun("Ask")
_MUCH: Final = 100_000
"""Characters of a goal that may not fit into one message; far more than a goal may have."""


@verb(app, "ask")
def ask(
    desk: Desk,
    goal: Annotated[
        str, typer.Argument(help="What you want, in a sentence; `-` reads it from standard input.")
    ],
    job: Annotated[str, typer.Option(help="The job that it is for, where several take goals.")] = "",
    agent: Annotated[str, typer.Option(help="The agent that it is for.")] = "",
    who: AsOption = None,
) -> None:
    """Hand a goal to an agent that thinks. It goes on by itself; you are told how to watch it."""
    text = sys.stdin.read() if goal == "-" else goal
    started = say(desk, whom(desk, job, agent), text, who)
    desk.show(started, _started)


def whom(desk: Desk, job: str = "", agent: str = "") -> dict[str, Any]:
    """Return the job that a goal would go to, its agent and owner; raises what the daemon says of it."""
    found: dict[str, Any] = desk.call("words.whom", {"job": job, "agent": agent})
    return found


def say(
    desk: Desk, to: dict[str, Any], goal: str, who: str | SigningKey | None, conversation: str = ""
) -> dict[str, Any]:
    """Sign a goal as one's own word and hand it over; returns the run. ``who`` may be one's key, open already."""
    _check(goal)
    args = {"job": to["job"], "goal": goal, "conversation": conversation}
    about, content = f"job:{to['job']}", {"verb": "words.ask", **args}
    if isinstance(who, SigningKey):
        signed = sign_with(desk, who, "word.say", about, content)
    else:
        signed = sign(desk, who, "word.say", about, content=content)
    started: dict[str, Any] = desk.call("words.ask", {**args, "signed": signed})
    return started


def _check(goal: str) -> None:
    """Refuse what could not even be handed over; all else the daemon says."""
    try:
        goal.encode()
    except UnicodeEncodeError:
        raise BadInput(
            "The goal holds bytes that are no UTF-8.", remedy="Type it again, or convert it."
        ) from None
    if len(goal) > _MUCH:
        from freehold.runtime.conversation import check_goal

        check_goal(goal)


def _started(value: dict[str, Any]) -> str:
    name = short(value["id"])
    return (
        f"{value['agent']} works on it: run {name} of {value['job']}.\n"
        f"  See it go: freehold watch {name}\n"
        f"  What it did: freehold runs show {name}"
    )
