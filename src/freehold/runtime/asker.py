"""Who asks a tool for something: the run's id, its job, its workspace, the tools that
it may use, and the label of what the step was shown.
"""

from collections.abc import Awaitable, Callable
from pathlib import Path

from freehold.kernel.labels import Label
from freehold.kernel.tools import Intent, Outcome
from freehold.runtime.job import Job


class Asker:
    """Who asks."""

    __slots__ = ("job", "label", "run", "tools", "workspace")

    def __init__(
        self, run: str, job: Job, workspace: Path, label: Label, tools: frozenset[str] = frozenset()
    ) -> None:
        self.run = run
        self.tools = tools
        self.job = job
        self.workspace = workspace
        self.label = label


Effect = Callable[[Asker, Intent], Awaitable[Outcome]]
