"""Which scenarios of MCP's conformance suite do not pass, each with why; and what is wrong with such a table.

A reason is a claim. Where its scenario passes, or was not run at all, the claim is wrong, and so is a failure that
nobody gave a reason for. The programs that run the suite end with an error then; the pages show the same tables.
"""

from collections.abc import Mapping
from typing import Final

_SAMPLE: Final = "it calls a tool of the suite's own sample server"
_PROMPTS: Final = "no prompts: an agent brings its own"
_RESOURCES: Final = "no resources: files are read by `files.read`, judged"
_ASKED: Final = "people are asked by cards, never through an agent"
_LOGGING: Final = "no logging to an agent"
SERVER: Final[Mapping[str, str]] = {
    "prompts-list": _PROMPTS,
    "prompts-get-simple": _PROMPTS,
    "prompts-get-with-args": _PROMPTS,
    "prompts-get-with-image": _PROMPTS,
    "prompts-get-embedded-resource": _PROMPTS,
    "resources-list": _RESOURCES,
    "resources-read-text": _RESOURCES,
    "resources-read-binary": _RESOURCES,
    "resources-templates-read": _RESOURCES,
    "resources-subscribe": _RESOURCES,
    "resources-unsubscribe": _RESOURCES,
    "completion-complete": "no completion",
    "logging-set-level": _LOGGING,
    "tools-call-with-logging": _LOGGING,
    "tools-call-sampling": "an agent's model is not asked for by us",
    "tools-call-elicitation": _ASKED,
    "elicitation-sep1034-defaults": _ASKED,
    "elicitation-sep1330-enums": _ASKED,
    "tools-call-image": _SAMPLE,
    "tools-call-audio": _SAMPLE,
    "tools-call-embedded-resource": _SAMPLE,
    "tools-call-mixed-content": _SAMPLE,
    "tools-call-with-progress": _SAMPLE,
}
"""Of the way in for agents."""
CLIENT: Final[Mapping[str, str]] = {
    "elicitation-sep1034-client-defaults": "it asks on a stream outside of the call, which is not listened to",
}
"""Of the client of tool servers."""


def compared(found: Mapping[str, tuple[int, int]], stated: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Return a line a scenario, and what is wrong with the table.

    ``found`` holds how many checks of each scenario passed and failed, ``stated`` why one does not pass.
    """
    lines, wrong = [], []
    for scenario, (passed, failed) in sorted(found.items()):
        why = stated.get(scenario, "")
        lines.append(
            f"{scenario:<38} {passed:>3} passed {failed:>3} failed  {why if failed else ''}".rstrip()
        )
        if failed and not why:
            wrong.append(f"{scenario} fails, and no reason is given for it")
        if why and not failed:
            wrong.append(f"{scenario} passes, though a reason is given why it would not: {why}")
    wrong += [f"{scenario} has a reason and was not run" for scenario in sorted(stated.keys() - found.keys())]
    return lines, wrong


def summed(found: Mapping[str, tuple[int, int]]) -> tuple[int, int]:
    """Return how many checks passed and failed in all."""
    return sum(passed for passed, _ in found.values()), sum(failed for _, failed in found.values())
