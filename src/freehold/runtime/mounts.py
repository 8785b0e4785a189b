"""Sources that a run's runners see as folders: live, read-only, at ``sources/NAME`` in their workspace.

A plan asks for it, the job file may refuse it (``mount: no``), the gate judges it and writes it down; from then on
whatever the run's runners give back counts as read from that source. What lies there is not pinned: it may change
while the run works. A link that people put directly into the folder is followed by name, one that an agent makes in
its workspace leads nowhere, since nothing else is there.
"""

import errno
import os
import pwd
import stat
from pathlib import Path
from typing import Final

import msgspec

from freehold.base import BadInput, Refused
from freehold.base.canonical import encode
from freehold.kernel.labels import Label
from freehold.kernel.rights import named
from freehold.kernel.scope import Request, Scope
from freehold.kernel.tools import EffectKind, Intent, Outcome, Tool
from freehold.runtime.house import House
from freehold.runtime.job import Job
from freehold.store.interface import Cost

NODE: Final = "$mount"
MAX_LINKS: Final = 32
_PRIVATE: Final = ("keys", "vault", "store", "checkpoints", "artifacts", "workspaces", "logs")
"""What lies in an estate's folder and is nobody's source."""
_ONE: Final = Cost(actions=1)

TOOL: Final = Tool(
    "source.mount",
    EffectKind.READ,
    lambda args: (named("source", str(args.get("source") or "-")),),
    right="source.read",
    timeout_s=None,
)


class Mount(msgspec.Struct, frozen=True):
    """A source's folder as it is shown, and what the links in it lead to."""

    source: str
    folder: str
    links: tuple[str, ...] = ()

    @property
    def folders(self) -> tuple[str, ...]:
        """Everything that is to be readable."""
        return (self.folder, *self.links)


async def mount_sources(
    house: House, scope: Scope, job: Job, sources: list[str]
) -> tuple[list[Mount], Label]:
    """Take each of ``sources`` through the gate; return what is to be mounted, and its label.

    Raises BadInput or Refused with the one sentence that says why not.
    """
    found, whole = [], Label()
    for number, source in enumerate(sorted(set(sources))):
        if not job.sources[source].mount:
            raise Refused(
                f"The job does not let its runners see the folder of source {source!r}.",
                remedy=f"Take `mount: no` away from it in jobs/{job.name}.md, or read it by `source.read`.",
                code="refused.mount",
            )
        label = house.job_label(job)
        request = Request(scope, NODE, number, 1, TOOL, {"source": source}, label)

        async def effect(intent: Intent, source: str = source, label: Label = label) -> Outcome:
            mount = look(source, house.pin_room.folder(scope.run, source), house.folder)
            shown = label.join(house.pin_room.label(scope.run, source))
            return Outcome("done", encode(msgspec.to_builtins(mount)), shown, _ONE)

        record = await house.gate.perform(request, effect)
        if record.status != "done" or record.label is None:
            raise Refused(record.message, remedy=record.remedy, code=record.code or "refused.mount")
        found.append(msgspec.json.decode(record.value, type=Mount))
        whole = whole.join(record.label)
    return found, whole


def look(source: str, folder: Path, estate: Path) -> Mount:
    """Return what is to be mounted for a source, as its folder is now.

    Raises BadInput where it, or what one of its links leads to, cannot be shown to a runner.
    """
    place = os.path.realpath(folder)
    _check(place, f"The folder of source {source!r} ({folder})", estate)
    if not os.path.isdir(place):
        raise BadInput(f"The source {source!r} ({folder}) is no folder.", remedy=_REMEDY)
    links = [
        target
        for name in sorted(_links(place))
        if (target := _target(source, place, name, estate)) is not None
    ]
    if len(links) > MAX_LINKS:
        raise BadInput(
            f"The folder of source {source!r} has {len(links)} links; {MAX_LINKS} is the most.",
            remedy=_REMEDY,
        )
    return Mount(source, place, tuple(links))


def _links(place: str) -> list[str]:
    """Return the links directly in a folder that are its owner's; none where everybody may write there."""
    facts = os.stat(place)
    if facts.st_mode & stat.S_IWOTH:
        return []
    with os.scandir(place) as entries:
        return [
            entry.name
            for entry in entries
            if entry.is_symlink() and entry.stat(follow_symlinks=False).st_uid == facts.st_uid
        ]


def _target(source: str, place: str, name: str, estate: Path) -> str | None:
    """Return what a link leads to, by the name that it says; None for what lies in the folder itself."""
    path = os.path.join(place, name)
    what = f"The link {name!r} in source {source!r}"
    try:
        said = os.path.normpath(os.path.join(place, os.readlink(path)))
        os.stat(path)
    except FileNotFoundError:
        raise BadInput(f"{what} leads nowhere.", remedy=_REMEDY) from None
    except OSError as error:
        why = "leads in a circle" if error.errno == errno.ELOOP else f"cannot be followed: {error.strerror}"
        raise BadInput(f"{what} {why}.", remedy=_REMEDY) from None
    real = os.path.realpath(path)
    if os.path.realpath(said) != real:
        raise BadInput(f"{what} leads through another link and back.", remedy=_REMEDY)
    there = f"What {what[0].lower()}{what[1:]} leads to"
    _check(real, there, estate)
    owner = os.stat(place).st_uid
    if os.geteuid() == 0 and owner != 0 and not _reaches(owner, real):
        raise BadInput(f"{there} cannot be reached by the folder's owner.", remedy=_REMEDY)
    return None if _within(said, place) else said


def _check(real: str, what: str, estate: Path) -> None:
    """Raise BadInput for a place that no runner may see, or cannot."""
    home = os.path.realpath(estate)
    if _within(home, real) or any(_within(real, os.path.join(home, name)) for name in _PRIVATE):
        raise BadInput(f"{what} would show a runner what the estate keeps.", remedy=_REMEDY)
    try:
        facts = os.stat(real)
    except OSError as error:
        raise BadInput(f"{what} cannot be read: {error.strerror}.", remedy=_REMEDY) from None
    if not (stat.S_ISDIR(facts.st_mode) or stat.S_ISREG(facts.st_mode)):
        raise BadInput(f"{what} is neither a folder nor a file.", remedy=_REMEDY)
    if os.geteuid() == 0:
        needed = stat.S_IROTH | (stat.S_IXOTH if stat.S_ISDIR(facts.st_mode) else 0)
        if facts.st_mode & needed != needed:
            raise BadInput(
                f"{what} cannot be read by runners, which are users of their own here.",
                remedy="Let others read it (chmod -R o+rX), or write `mount: no` at the source.",
            )
    elif not os.access(real, os.R_OK | (os.X_OK if stat.S_ISDIR(facts.st_mode) else 0)):
        raise BadInput(f"{what} cannot be read: Permission denied.", remedy=_REMEDY)


def _reaches(user: int, path: str) -> bool:
    """Whether a user may walk to ``path``: root mounts nothing for people that they could not open themselves."""
    try:
        known = pwd.getpwuid(user)
        groups = os.getgrouplist(known.pw_name, known.pw_gid)
    except KeyError:
        groups = []
    for folder in Path(path).parents:
        facts = os.stat(folder)
        if facts.st_uid == user:
            allowed = facts.st_mode & stat.S_IXUSR
        elif facts.st_gid in groups:
            allowed = facts.st_mode & stat.S_IXGRP
        else:
            allowed = facts.st_mode & stat.S_IXOTH
        if not allowed:
            return False
    return True


def _within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


_REMEDY: Final = "Mend it, or write `mount: no` at the source in the job file."
