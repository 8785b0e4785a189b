"""What stands around the demo's runners: tried before it begins, said, and asked for where there is nothing."""

from freehold.base.errors import Refused
from freehold.cli.desk import Desk
from freehold.cli.stage import program
from freehold.sandbox import Level
from freehold.sandbox.probe import REMEDIES, Reach, probe


def walls(desk: Desk, *, named: str, person: bool) -> Reach:
    """Return what this machine reaches; raises Refused where that is nothing and nobody said that it may be.

    ``named`` is what was written after ``--sandbox``; ``person`` says whether somebody sits there to be asked.
    """
    reach = probe()
    if reach.level is not Level.NONE or named == Level.NONE.word:
        return reach
    why = "; ".join(f"{level.word}: {sentence}" for level, sentence in reach.missing)
    if person:
        desk.say(f"This machine has no sandbox ({why}). {REMEDIES[Level.NAMESPACES]}")
        if desk.ask_yes(
            "Run the demo without one? Its packs come with Freehold, and one of them is a rogue."
        ):
            return reach
    raise Refused(
        f"The demo's runners would have no sandbox: {why}.",
        remedy=f"{REMEDIES[Level.NAMESPACES]} Or say so by name: {program()} demo --sandbox none",
        code="refused.sandbox",
    )


def said(reach: Reach) -> str:
    """Return what stands around the runners, in a sentence for the demo."""
    if reach.level is Level.NAMESPACES:
        return "Runners work behind namespaces (bubblewrap): no network, no files of yours, no other process."
    why = "; ".join(f"not {level.word}: {sentence}" for level, sentence in reach.missing)
    if reach.level is Level.LANDLOCK:
        return f"Runners work behind Landlock, a level lower than they could ({why}): see `freehold sandbox`."
    return f"Runners work without a sandbox, as you said by name ({why})."


def lowered(text: str, reach: Reach) -> str:
    """Return a job file that may be carried out with what is reached: without a sandbox it has to say so."""
    return text if reach.level is not Level.NONE else text.replace("---\n", "---\nsandbox: none\n", 1)
