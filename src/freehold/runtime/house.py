"""What every run of an estate shares: the gate, the runners, the tools, and where things lie. Put together once."""

import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from freehold.base import FreeholdError, Json
from freehold.base.canonical import encode
from freehold.kernel.gate import Gate
from freehold.kernel.labels import Confidentiality, Integrity, Label
from freehold.kernel.pen import Value
from freehold.kernel.rights import Resource, named
from freehold.kernel.rooms import Rooms
from freehold.kernel.tools import EffectKind, Tool
from freehold.runtime.inputs import Sources
from freehold.runtime.job import Job
from freehold.runtime.pins import Pins
from freehold.runtime.plans import Plan, read_plan
from freehold.runtime.records import Records
from freehold.runtime.session import Handle
from freehold.runtime.thinking import faced
from freehold.runtime.toolbox import Toolbox
from freehold.store.interface import Cost
from freehold.wire import messages as m

_log = logging.getLogger("freehold.runtime")

PLAN_CPU_US: Final = 60_000_000
LOAD_TIMEOUT_S: Final = 60.0
MAX_ACTIVE_STEPS: Final = 64


TakeRunner = Callable[[Job, tuple[str, ...]], Awaitable[Handle]]
"""Where runners come from: one for itself for a run of that job, which sees these folders too."""


class Pack(msgspec.Struct, frozen=True):
    """A pack that is installed in the estate: what a runner imports.

    ``thinks`` says that a model chooses its actions; then each value of them has to have an origin.
    """

    name: str
    entry: str
    search_path: tuple[str, ...] = ()
    thinks: bool = False


def load_message(pack: Pack, workspace: str = "") -> m.Load:
    """Return what has a runner load ``pack``; ``workspace`` "" is the folder that it was made with."""
    return m.Load(pack.name, pack.entry, list(pack.search_path), workspace, {})


def _step(args: Mapping[str, Json]) -> tuple[Resource, ...]:
    name = str(args["step"])
    return (Resource("step", name, name),)


STEP: Final = Tool("step.run", EffectKind.READ, _step, max_cost=lambda args: Cost(actions=1), timeout_s=None)
UNKNOWN: Final = Tool("tool.call", EffectKind.READ, lambda args: (named("tool", "unknown"),), timeout_s=None)


@dataclass(slots=True)
class House:
    """The shared parts. ``listener`` gets every event of every run; ``policies`` are the texts that runs pinned.

    ``told`` adds to a job what its owner said beside its file.
    """

    rooms: Rooms
    gate: Gate
    take_runner: TakeRunner
    tools: Toolbox
    pin_room: Pins
    records: Records
    folder: Path
    packs: Callable[[str], Pack]
    listener: Callable[[str, dict[str, Any]], None] = lambda run, event: None
    told: Callable[[Job], Job] = lambda job: job
    max_active_steps: int = MAX_ACTIVE_STEPS
    load_timeout_s: float = LOAD_TIMEOUT_S
    plan_cpu_us: int = PLAN_CPU_US
    policies: dict[str, str] = field(default_factory=dict)
    step_tool: Tool = STEP
    unknown_tool: Tool = UNKNOWN

    def grace_s(self) -> float:
        """Seconds that an effect in flight is given after a freeze or a cancel, as the estate's settings say."""
        return float(self.rooms.settings.now.freeze_grace_s)

    def workspace(self, run: str) -> Path:
        """Return the folder of a run, in which each of its runners has one of its own."""
        return self.folder / "workspaces" / run

    def make_workspace(self, run: str) -> Path:
        """Return the folder of a run, made where it is not there."""
        folder = self.workspace(run)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder

    def pins(self, run: str, source: str) -> int:
        """Return how many files of a source the run pinned."""
        return len(self.pin_room.all(run, source))

    def sources_of(self, run: str, job: Job) -> Sources:
        """Return where a run's inputs are read from."""
        return Sources(
            self.records,
            lambda source: self.pins(run, source),
            lambda source, item: self._pinned(run, source, item),
            self.job_label(job),
        )

    def _pinned(self, run: str, source: str, item: int) -> Value:
        pin = self.pin_room.all(run, source)[item]
        return Value(encode(pin.plain()), pin.label)

    @staticmethod
    def job_label(job: Job) -> Label:
        """Return the label of the job file's own words: the owner's, about whom the job names."""
        return Label(Integrity.OWNER, Confidentiality.INTERNAL, (), (job.subject,) if job.subject else ())

    def job_view(self, run: str, job: Job) -> dict[str, Any]:
        """Return what a planner sees of a job: trusted words alone, with the policy that the run pinned."""
        return {
            "name": job.name, "title": job.title, "goal": job.goal, "context": job.context,
            "expectations": job.expectations, "owner": job.owner, "agent": job.agent, "run": run,
            "standing": list(job.words.standing), "earlier": list(job.words.earlier), "resumes": job.words.after != "",
            "open": list(job.words.open),
            "settings": job.params, "sources": sorted(job.sources), "subject": job.subject,
            "policy": self.policies.get(run, ""), "mail": job.mail is not None,
            "may": [str(right) for right in job.may], "tools": sorted(faced(self.tools, job, self.tools.names)),
        }  # fmt: skip

    def load_message(self, job: Job, workspace: str) -> m.Load:
        """Return what a runner of ``job`` is told first."""
        return load_message(self.packs(job.pack), workspace)

    def read_plan(self, data: bytes | msgspec.Raw, job: Job, steps: Collection[str] | None) -> Plan:
        """Return the validated plan of a job; ``steps`` None for one that was validated before."""
        return read_plan(data, steps=steps, tools=self.tools.names, sources=job.sources)

    def publish(self, run: str, event: dict[str, Any]) -> None:
        """Tell whoever watches; must not fail."""
        self.listener(run, event)

    def trouble(self, run: str, error: BaseException) -> None:
        """Write down what went wrong with a run in the daemon itself."""
        if isinstance(error, FreeholdError):
            _log.error("run %s: %s: %s", run, error.code, error)
        else:
            _log.error("run %s broke off", run, exc_info=error)
