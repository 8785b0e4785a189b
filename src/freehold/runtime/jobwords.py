"""A job in plain words: what it may read, send and spend; and the commented template of a new one.

`freehold jobs check` and `jobs new` show these; the owner reads them before accepting a job.
"""

from pathlib import Path
from string import Template
from typing import Final

from freehold.kernel.grades import Category, Grade, grade_for
from freehold.kernel.rights import Right, granted
from freehold.runtime import units
from freehold.runtime.job import Job, Limits, is_external
from freehold.runtime.lines import Mistake
from freehold.sandbox import Level

_CATEGORIES: Final = {
    Category.CHANGE_SOURCE: "change a source",
    Category.SEND: "send to people",
    Category.SPEND: "spend",
    Category.DELETE: "delete",
    Category.RUN_CODE: "run code",
    Category.SHARE: "share with a model or peer",
    Category.PLAN: "follow a plan that a model made",
}
_GRADES: Final = {
    Grade.PROPOSE: "it only proposes",
    Grade.ASK: "it asks first, every time",
    Grade.ACT_AND_REPORT: "it acts and reports",
    Grade.ACT: "it acts alone",
}

_SAID: Final = frozenset({"source.read", "source.change", "outbox.write", "mail.send", "http.request"})
"""The actions whose rights have a line of their own."""

_WALLS: Final = {
    Level.NAMESPACES: "It runs behind namespaces, or not at all.",
    Level.LANDLOCK: "It runs behind namespaces, else behind Landlock, else not at all.",
    Level.NONE: "It runs behind what walls the machine has, and without any where the estate allows that.",
}

_BY_ITSELF: Final = "when its program opens a session with its token"
_OUTSIDE: Final = (
    "None of ours: its program runs where you start it, and what it does without asking is ungoverned."
)


def describe(job: Job) -> list[tuple[str, str]]:
    """Return what the job means in words, as (heading, sentence) pairs in reading order."""
    external = is_external(job)
    how = "as a program from elsewhere" if external else f"with the pack {job.pack}"
    said = [
        ("who", f"{job.agent} works for {job.owner} {how}."),
        ("starts", _BY_ITSELF if external else _starts(job)),
        ("reads", _joined([_source(job, m) for m in job.may if m.action == "source.read"], "nothing")),
        ("changes", _joined([_source(job, m) for m in job.may if m.action == "source.change"], "no source")),
        (
            "writes",
            _joined([f"outbox {m.pattern}" for m in job.may if m.action == "outbox.write"], "no outbox"),
        ),
        ("sends", _sends(job)),
        ("also may", _joined([granted(right) for right in job.may if right.action not in _SAID], "")),
        ("spends", _spends(job)),
        ("asks", _asks(job)),
        ("sandbox", _OUTSIDE if external else _WALLS[job.sandbox]),
    ]
    said = [pair for pair in said if pair[1]]
    if job.subject:
        who = job.subject.partition(":")[2]
        said.append(("about", f"What it learns is sealed for {who} and can be forgotten."))
    if job.policy:
        said.append(("policy", f"It checks against {job.policy}, pinned for each run."))
    return said


def check_places(job: Job, base: Path, lines: dict[str, int]) -> list[Mistake]:
    """Return what is wrong with the places that the job names; ``base`` is the job file's folder."""
    wrong = []
    for name, source in job.sources.items():
        where = f"sources.{name}"
        folder = base / Path(source.folder).expanduser()
        message = _unusable(folder, folder=True)
        if message:
            wrong.append(Mistake(lines.get(where, 1), f"`{where}`: {message}", f"Make it: mkdir -p {folder}"))
    if job.policy:
        message = _unusable(base / Path(job.policy).expanduser(), folder=False)
        if message:
            wrong.append(Mistake(lines.get("policy", 1), f"`policy`: {message}", "Name a Markdown file."))
    return wrong


def _unusable(path: Path, *, folder: bool) -> str:
    try:
        if folder:
            next(path.iterdir(), None)
        else:
            path.open("rb").close()
    except FileNotFoundError:
        return f"{path} does not exist."
    except (OSError, ValueError) as error:
        return f"{path} cannot be read: {getattr(error, 'strerror', None) or error}."
    return ""


def _joined(parts: list[str], otherwise: str) -> str:
    return ", ".join(parts) if parts else otherwise


def _source(job: Job, right: Right) -> str:
    source = job.sources.get(right.pattern)
    if source is None:
        return "every source"
    return f"{right.pattern} ({source.folder}{'' if source.mount else ', never shown as a folder'})"


def _starts(job: Job) -> str:
    parts = ["by hand"] if job.by_hand else []
    for drop in job.drops:
        still = units.duration_words(drop.still_us)
        parts.append(f"when files land in {drop.source} and are still for {still}")
    return _joined(parts, "never: it has no trigger")


def _sends(job: Job) -> str:
    parts = [f"mail to {right.pattern}" for right in job.may if right.action == "mail.send"]
    parts += [right.pattern for right in job.may if right.action == "http.request"]
    if not parts:
        return "nothing to anybody"
    grade = grade_for(job.grades, Category.SEND)
    words = _joined(parts, "")
    if job.mail is None and any(right.action == "mail.send" for right in job.may):
        words += " (no `mail` server: as files in the outbox)"
    return f"{words}; {_GRADES[grade]}"


def _limits(limits: Limits, currency: str) -> str:
    parts = []
    if limits.money_micro is not None:
        parts.append(units.money_words(limits.money_micro, currency))
    if limits.tokens is not None:
        parts.append(f"{limits.tokens:,} tokens")
    if limits.actions is not None:
        parts.append(f"{limits.actions:,} actions")
    if limits.cpu_us is not None:
        parts.append(f"{units.duration_words(limits.cpu_us)} of CPU")
    if limits.wall_us is not None:
        parts.append(f"{units.duration_words(limits.wall_us)} on the clock")
    return ", ".join(parts)


def _spends(job: Job) -> str:
    windows = (("run", job.budget.run), ("day", job.budget.day), ("month", job.budget.month))
    parts = [
        f"at most {words} a {name}"
        for name, limits in windows
        if (words := _limits(limits, job.budget.currency))
    ]
    return "; ".join(parts) or "without a limit of its own; the owner's limits hold"


def _asks(job: Job) -> str:
    who = "another human than the one who starts it" if job.approvals.four_eyes else job.owner
    expire = units.duration_words(job.approvals.expire_us)
    grades = [
        f"{_CATEGORIES[c]}: {_GRADES[g]}" for c, g in sorted(job.grades.items()) if c is not Category.SEND
    ]
    return "; ".join([f"{who} approves, within {expire}", *grades])


def template(
    name: str,
    *,
    pack: str,
    owner: str,
    agent: str,
    currency: str,
    beginning: str | None = None,
    model: str = "local",
) -> str:
    """Return the text of a new job file, commented: the pack's own ``beginning``, or one for any pack.

    In either, ``$owner``, ``$agent``, ``$pack``, ``$currency``, ``$model`` and ``$title`` are filled in.
    """
    title = name.replace("_", " ").replace("-", " ").capitalize()
    words = {
        "title": title,
        "pack": pack,
        "owner": owner,
        "agent": agent,
        "currency": currency,
        "model": model,
    }
    return Template(_BEGINNING if beginning is None else beginning).safe_substitute(words)


_BEGINNING: Final = """\
---
owner: $owner            # the human who answers for it
agent: $agent            # who acts; freehold agents
pack: $pack
# subject: jonas          # the employee whom it is about; their data can be forgotten

sources:                  # folders that a run sees, from this file's place
  receipts: ./receipts    # read-only; or {folder: ./receipts, access: change, mount: no}
# policy: policy.md       # what the company wrote; pinned for each run

triggers:
  - by hand               # freehold run NAME
  # - drop: receipts      # when files land there

budget:                   # the most it may use; a run that reaches a limit stops
  run: {money: 1.00 $currency, cpu: 15 min, wall: 1 h, actions: 2000, tokens: 0}
  month: {money: 10.00 $currency}

grades:                   # propose | ask | act-and-report | act
  send: ask

may:                      # no line, no right
  - read: receipts
  # - outbox.write: reports
  # - mail.send: finance@example.com
  # - http.request: GET https://example.com/rates

approvals: {by: confirm, expire: 7 days}   # confirm: the owner; four eyes: another human

# sandbox: namespaces      # the least around its runners: namespaces | landlock (what it is without this line)
# mail: {host: localhost, port: 25, from: freehold@example.com}
# params:                 # what the pack itself wants to know
#   period: 2026-03
---
# $title

## Goal
What a finished piece of work is, in one or two sentences.

## Context
What somebody new would have to know.

## Source
What lies in the folders above, and what may be missing.

## Expectations
How the owner will judge the result.
"""
