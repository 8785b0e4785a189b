"""What a group of tools brings to the toolbox: the tools as the gate knows them, and how their effects are made.

A kit is put together by the daemon. ``Bound`` is one; files, pages, calendars, models are others.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol, runtime_checkable

from freehold.base import Json, NotFound
from freehold.kernel.labels import Label
from freehold.kernel.tools import ArtifactView, Tool
from freehold.runtime import web
from freehold.runtime.asker import Asker, Effect
from freehold.runtime.job import Job
from freehold.store.interface import Put
from freehold.wire.messages import Delivered

Held = Callable[[], str | None]


class Shelf(Protocol):
    """Where artifacts are kept; the toolbox."""

    def keep(
        self, asker: Asker, label: Label, data: bytes, media_type: str, name: str
    ) -> tuple[dict[str, Json], Put]:
        """Keep contents as an artifact of the asker's run."""
        ...

    def artifact(self, run: str, address: str) -> ArtifactView:
        """Return an artifact of a run."""
        ...

    @property
    def names(self) -> frozenset[str]:
        """The tools that a plan may name."""
        ...

    def tool(self, name: str, job: Job, args: Mapping[str, Any]) -> Tool | None:
        """Return the tool of that name as it is for ``job``; None where there is none."""
        ...

    def held(self, job: Job, tool: str) -> Held:
        """Return what says why an effect may not begin now."""
        ...

    async def send(self, job: Job, action: str, request: web.Clean) -> Delivered:
        """Make an HTTP request: with the secret of the binding that it falls under, else without any."""
        ...

    def field_for(self, job: Job, args: Mapping[str, Any]) -> str:
        """Return the place of a request that a binding fills."""
        ...


class Kit(Protocol):
    """A group of tools."""

    def tools(self) -> list[Tool]:
        """Return the tools, as they are for every job."""
        ...

    def effects(self, shelf: Shelf) -> dict[str, Effect]:
        """Return how the effect of each of them is made; long contents come from and go to ``shelf``."""
        ...


@runtime_checkable
class JobKit(Protocol):
    """A kit some of whose tools depend on the job, or on what is asked."""

    def tool(self, name: str, job: Job, args: Mapping[str, Any]) -> Tool | None:
        """Return the tool as it is for ``job`` and ``args``; None leaves it as ``tools`` has it."""
        ...


@runtime_checkable
class LiveKit(Protocol):
    """A kit whose tools come and go while the daemon runs."""

    @property
    def names(self) -> frozenset[str]:
        """The tools that there are now."""
        ...

    def tool(self, name: str, job: Job, args: Mapping[str, Any]) -> Tool | None:
        """Return a tool as it is for ``job`` and ``args``; None where there is none of that name."""
        ...

    def effect(self, name: str, shelf: Shelf) -> Effect:
        """Return how the effect of a tool is made."""
        ...


class Kits:
    """The kits of one toolbox; a name belongs to one of them."""

    def __init__(self, kits: Iterable[Kit | LiveKit], shelf: Shelf) -> None:
        self.tools: dict[str, Tool] = {}
        self.effects: dict[str, Effect] = {}
        self._for_jobs: dict[str, JobKit] = {}
        self._live: list[LiveKit] = []
        self._shelf = shelf
        for kit in kits:
            if isinstance(kit, LiveKit):
                self._live.append(kit)
                continue
            effects = kit.effects(shelf)
            for tool in kit.tools():
                if tool.name in self.tools:
                    raise ValueError(f"two kits have a tool {tool.name}")
                self.tools[tool.name] = tool
                self.effects[tool.name] = effects[tool.name]
                if isinstance(kit, JobKit):
                    self._for_jobs[tool.name] = kit

    @property
    def names(self) -> frozenset[str]:
        """The tools that there are now, those of kits aside whose tools do not change."""
        return frozenset[str]().union(*(kit.names for kit in self._live))

    def tool(self, name: str, job: Job, args: Mapping[str, Any]) -> Tool | None:
        """Return a tool that depends on ``job`` as it is for it; None for any other."""
        kit = self._for_jobs.get(name) or self._living(name)
        return None if kit is None else kit.tool(name, job, args)

    def effect(self, name: str) -> Effect:
        """Return how the effect of a tool is made that comes and goes; raises NotFound where it has gone."""
        kit = self._living(name)
        if kit is None:
            raise NotFound(f"There is no tool {name!r} any more.")
        return kit.effect(name, self._shelf)

    def _living(self, name: str) -> LiveKit | None:
        return next((kit for kit in self._live if name in kit.names), None)
