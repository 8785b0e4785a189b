"""Who asks a tool for something: the run's id, its job, its workspace, its step with the tools that it may use, and
the label of what that was shown.
"""

from collections.abc import Awaitable, Callable
from pathlib import Path

from freehold.kernel.labels import Label
from freehold.kernel.tools import Intent, Outcome
from freehold.runtime.job import Job


class Asker:
    """Who asks. ``node`` and ``item`` name the step, for people who watch."""

    __slots__ = ("item", "job", "label", "node", "run", "tools", "workspace")

    def __init__(
        self, run: str, job: Job, workspace: Path, label: Label, tools: frozenset[str] = frozenset(),
        node: str = "", item: int = 0,
    ) -> None:  # fmt: skip
        self.run = run
        self.tools = tools
        self.job = job
        self.workspace = workspace
        self.label = label
        self.node = node
        self.item = item


Effect = Callable[[Asker, Intent], Awaitable[Outcome]]
