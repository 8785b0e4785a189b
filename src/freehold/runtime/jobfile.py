"""The job file: one Markdown file that says what an agent is employed to do, and what it may.

Front matter in YAML, then the headings Goal, Context, Source and Expectations. Parsing finds every mistake
with its line and remedy, and reads no other file. The engine, the commands and the daemon use it.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import yaml

from freehold.base import BadInput, Json, digest
from freehold.kernel.grades import Category, Grade, parse_category, parse_grade
from freehold.kernel.labels import Integrity
from freehold.kernel.registry import check_slug
from freehold.kernel.rights import Right, right
from freehold.runtime import units
from freehold.runtime.job import (
    DEFAULT_EXPIRY_US,
    DEFAULT_STILL_US,
    Approvals,
    Budgets,
    Drop,
    Job,
    Limits,
    Mail,
    Source,
)
from freehold.runtime.jobkeys import ALLOWABLE, HEADINGS, KEYS, SHORT_WORDS, TRUST, TRUST_WORDS
from freehold.runtime.lines import Mistake, Mistakes, Value, nearest, read_yaml
from freehold.sandbox import Level, parse_level

MAX_BYTES: Final = 256 * 1024
_SLUG: Final = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_ADDRESS: Final = re.compile(r"(\*|[A-Za-z0-9.!#$%&'+/=?^_`{|}~-]+)@([A-Za-z0-9-]+\.)*[A-Za-z0-9-]+")
_HEADING: Final = re.compile(r"#{1,6}\s+(.+?)\s*#*")


@dataclass(slots=True)
class Checked:
    """What parsing found: the job, unless there are mistakes, and the line of every key that it has."""

    job: Job | None
    mistakes: list[Mistake]
    lines: dict[str, int] = field(default_factory=dict)


def parse_job(text: str | bytes, name: str) -> Job:
    """Return the job in ``text``; raises BadInput that lists every mistake with its line."""
    checked = check_job(text, name)
    if checked.job is None or checked.mistakes:
        raise BadInput(
            f"The job file {name} has {_count(checked.mistakes)}:\n" + mistakes_words(checked.mistakes),
            remedy=f"Mend them, then: freehold jobs check {name}",
            code="input.job",
        )
    return checked.job


def read_job(path: Path) -> Job:
    """Return the job in the file at ``path``; raises BadInput when it cannot be read or has mistakes."""
    return parse_job(read_text(path), path.stem)


def read_text(path: Path) -> bytes:
    """Return the bytes of a job file; raises BadInput when it is no readable file or far too large."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise BadInput(
            f"The job file {path} cannot be read: {error.strerror}.",
            remedy="Name a Markdown file; `freehold jobs` lists those of the estate.",
            code="input.job",
        ) from error
    return data


def mistakes_words(mistakes: list[Mistake]) -> str:
    """Return the mistakes, one a line, as people read them."""
    return "\n".join(f"  line {m.line}: {m.message} {m.remedy}".rstrip() for m in mistakes)


def check_job(text: str | bytes, name: str) -> Checked:
    """Parse ``text`` and return the job or every mistake in it. Raises nothing."""
    mistakes = Mistakes()
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    if len(data) > MAX_BYTES:
        mistakes.add(1, f"The file is over {MAX_BYTES // 1024} KiB.", "A job file is a page or two of text.")
        return Checked(None, mistakes.found)
    try:
        words = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        mistakes.add(line, "The file is not text in UTF-8.", "Save it as UTF-8.")
        return Checked(None, mistakes.found)
    try:
        check_slug(name, "a job")
    except BadInput as error:
        mistakes.add(1, error.message, f"Rename the file. {error.remedy}")
    front, body, body_line = _split(words, mistakes)
    title, sections = _sections(body, body_line, mistakes)
    reader = _Reader(mistakes)
    known = len(mistakes.found)
    if front is not None:
        node = read_yaml(front, 2, mistakes)
        if node is None and len(mistakes.found) == known:
            mistakes.add(2, "The front matter is empty.", "Make a full one: freehold jobs new NAME")
        elif node is not None:
            reader.read(Value(node, 2, "", mistakes))
    mistakes.found.sort()
    if mistakes.found:
        return Checked(None, mistakes.found, reader.lines)
    return Checked(reader.job(name, digest(data), title or name, sections), [], reader.lines)


def _count(mistakes: list[Mistake]) -> str:
    return "one mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"


def _split(text: str, mistakes: Mistakes) -> tuple[str | None, list[str], int]:
    lines = re.split(r"\r\n|\n|\r", text)
    if lines[0].rstrip() != "---":
        mistakes.add(1, "The file does not begin with front matter.", "Begin with a line `---`.")
        return None, lines, 1
    for place, line in enumerate(lines[1:], 1):
        if line.rstrip() == "---":
            return "\n".join(lines[1:place]), lines[place + 1 :], place + 2
    mistakes.add(
        len(lines), "The front matter has no end.", "Close it with a line `---` before the headings."
    )
    return None, [], len(lines)


def _sections(lines: list[str], first_line: int, mistakes: Mistakes) -> tuple[str, dict[str, str]]:
    known = {heading.lower(): heading for heading in HEADINGS}
    found: dict[str, list[str]] = {}
    places: dict[str, int] = {}
    others: list[tuple[int, str]] = []
    title, current, fenced = "", None, False
    for place, line in enumerate(lines, first_line):
        if line.lstrip().startswith(("```", "~~~")):
            fenced = not fenced
        match = None if fenced else _HEADING.fullmatch(line.rstrip())
        heading = None if match is None else known.get(match[1].rstrip(":").lower())
        if heading is not None:
            if heading in found:
                mistakes.add(place, f"The heading {heading} is there twice.", "Put both texts under one.")
            current = heading
            found.setdefault(heading, [])
            places.setdefault(heading, place)
            continue
        if match is not None and current is None and not title:
            title = match[1]
            continue
        if match is not None:
            others.append((place, match[1]))
        if current is not None:
            found[current].append(line)
    end = first_line + max(len(lines) - 1, 0)
    for heading in HEADINGS:
        if heading not in found:
            _missing(heading, others, end, mistakes)
        elif not "".join(found[heading]).strip():
            mistakes.add(places[heading], f"Nothing stands under the heading {heading}.", "Write a sentence.")
    return title, {heading: "\n".join(text).strip() for heading, text in found.items()}


def _missing(heading: str, others: list[tuple[int, str]], end: int, mistakes: Mistakes) -> None:
    for place, other in others:
        if nearest(other, [heading.lower()]):
            mistakes.add(place, f"The heading {other!r} is not known.", f"Did you mean `## {heading}`?")
            return
    mistakes.add(end, f"The heading {heading} is missing.", f"Add `## {heading}` and a sentence below it.")


class _Reader:
    """Reads the front matter key by key; what is wrong goes to the list, what is right is kept."""

    def __init__(self, mistakes: Mistakes) -> None:
        self._mistakes = mistakes
        self.lines: dict[str, int] = {}
        self._names: dict[str, str] = {}
        self._by_hand = True
        self._drops: list[tuple[Drop, Value]] = []
        self._budgets: dict[str, Limits] = {}
        self._currency = ""
        self._grades: dict[Category, Grade] = {}
        self._may: list[tuple[Right, Value]] = []
        self._approvals = Approvals()
        self._sources: dict[str, Source] = {}
        self._params: dict[str, Json] = {}
        self._mail: Mail | None = None
        self._sandbox = Level.LANDLOCK

    def job(self, name: str, text_digest: str, title: str, sections: dict[str, str]) -> Job:
        """Return the job; only when there are no mistakes."""
        return Job(
            name=name,
            digest=text_digest,
            title=title,
            owner=self._names["owner"],
            agent=self._names["agent"],
            pack=self._names["pack"],
            subject=f"employee:{self._names['subject']}" if self._names.get("subject") else "",
            by_hand=self._by_hand,
            drops=tuple(drop for drop, _ in self._drops),
            budget=Budgets(currency=self._currency, **self._budgets),
            grades=self._grades,
            may=tuple(allowed for allowed, _ in self._may),
            approvals=self._approvals,
            sources=self._sources,
            policy=self._names.get("policy", ""),
            params=self._params,
            mail=self._mail,
            sandbox=self._sandbox,
            goal=sections["Goal"],
            context=sections["Context"],
            source=sections["Source"],
            expectations=sections["Expectations"],
        )

    def read(self, top: Value) -> None:
        fields = top.fields(KEYS, "owner: anna")
        self.lines = {key: value.line for key, value in fields.items()}
        readers: dict[str, Callable[[Value], None]] = {
            "sources": self._read_sources,
            "triggers": self._read_triggers,
            "budget": self._read_budget,
            "grades": self._read_grades,
            "may": self._read_may,
            "approvals": self._read_approvals,
            "params": self._read_params,
            "mail": self._read_mail,
            "sandbox": self._read_sandbox,
        }
        for key in ("owner", "agent", "pack", "subject"):
            if key in fields:
                self._read_slug(key, fields[key])
        if "policy" in fields:
            self._names["policy"] = fields["policy"].text("policy: policy.md") or ""
        for key, reader in readers.items():
            if key in fields and not fields[key].empty:
                reader(fields[key])
        for key, example in (
            ("owner", "owner: anna"),
            ("agent", "agent: audrey"),
            ("pack", "pack: expense_audit"),
        ):
            if key not in fields:
                self._mistakes.add(2, f"`{key}` is missing.", f"Add a line such as `{example}`.")
        if "budget" not in fields or fields["budget"].empty:
            self._mistakes.add(
                2, "`budget` is missing.", "Say what one run may cost, below `budget:` and `run:`."
            )
        self._check_names()

    def _check_names(self) -> None:
        names = ", ".join(f"`{name}`" for name in self._sources) or "none yet; add one below `sources:`"
        uses = [(drop.source, "triggers", value) for drop, value in self._drops]
        on_sources = ("source.read", "source.change")
        uses += [(r.pattern, "may", v) for r, v in self._may if r.action in on_sources and r.pattern != "*"]
        for name, _, value in uses:
            if name not in self._sources:
                value.wrong(f"{name!r} is not a source of this job.", f"Sources: {names}.")
        for allowed, value in self._may:
            source = self._sources.get(allowed.pattern)
            if allowed.action == "source.change" and source is not None and not source.change:
                value.wrong(
                    f"The source {allowed.pattern!r} is read-only.",
                    "Give it `access: change` below `sources:`.",
                )

    def _read_slug(self, key: str, value: Value) -> None:
        text = value.text(f"{key}: anna")
        if text is None:
            return
        if key == "pack" and not _SLUG.fullmatch(text):
            value.wrong(f"{text!r} is not a pack's name.", "Use small letters, digits, `-` and `_`.")
        elif key != "pack":
            try:
                check_slug(text, "an agent" if key == "agent" else "a human")
            except BadInput as error:
                self._mistakes.take(value.line, value.where, error)
        self._names[key] = text

    def _read_sources(self, sources: Value) -> None:
        for name, value in sources.table("receipts: ./receipts") or ():
            self.lines[value.where] = value.line
            if not _SLUG.fullmatch(name):
                value.wrong(f"{name!r} is not a short name.", "Use small letters, digits, `-` and `_`.")
            if not _is_table(value):
                self._sources[name] = Source(value.text("receipts: ./receipts") or "")
                continue
            fields = value.fields(("folder", "access", "mount", "trust"), "folder: ./receipts")
            folder = fields["folder"].text("folder: ./receipts") if "folder" in fields else None
            if "folder" not in fields:
                value.wrong("The folder is missing.", "Add `folder: ./receipts`.")
            access = fields["access"].text("access: read") if "access" in fields else "read"
            if access not in ("read", "change", None):
                fields["access"].wrong(f"{access!r} is not an access.", "Write `read` or `change`.")
            mount = fields["mount"].text("mount: no") if "mount" in fields else "yes"
            if mount not in ("yes", "true", "no", "false", None):
                fields["mount"].wrong(f"{mount!r} is neither yes nor no.", "Write `mount: no`.")
            word = fields["trust"].text("trust: stranger") if "trust" in fields else "stranger"
            if word not in TRUST and word is not None:
                fields["trust"].wrong(f"{word!r} does not say who writes there.", f"Write {TRUST_WORDS}.")
            trust = TRUST.get(word or "", Integrity.STRANGER)
            self._sources[name] = Source(
                folder or "", access == "change", mount not in ("no", "false"), trust
            )

    def _read_sandbox(self, value: Value) -> None:
        try:
            self._sandbox = parse_level(value.text("sandbox: namespaces"))
        except BadInput as error:
            self._mistakes.take(value.line, value.where, error)

    def _read_triggers(self, triggers: Value) -> None:
        self._by_hand = False
        for value in triggers.items():
            if not _is_table(value):
                text = (value.text("by hand") or "").lower().replace("_", " ")
                if text == "by hand":
                    self._by_hand = True
                elif text:
                    value.wrong(
                        f"{text!r} is not a trigger.",
                        "Write `by hand`, or `drop: NAME` with a source's name.",
                    )
                continue
            fields = value.fields(("drop", "still"), "drop: receipts")
            still = self._span(fields.get("still"), "still: 2 s")
            if "drop" not in fields:
                value.wrong(
                    "It does not say what starts the job.", "Write `drop: NAME` with a source's name."
                )
                continue
            source = fields["drop"].text("drop: receipts")
            if source is not None:
                self._drops.append(
                    (Drop(source, DEFAULT_STILL_US if still is None else still), fields["drop"])
                )

    def _read_budget(self, budget: Value) -> None:
        fields = budget.fields(("run", "day", "month"), "run:")
        for window, value in fields.items():
            self.lines[value.where] = value.line
            known = ("money", "tokens", "actions", "cpu") + (("wall",) if window == "run" else ())
            limits = value.fields(known, "money: 2.00 EUR")
            self._budgets[window] = Limits(
                money_micro=self._money(limits.get("money")),
                tokens=limits["tokens"].number("tokens: 0") if "tokens" in limits else None,
                actions=limits["actions"].number("actions: 500") if "actions" in limits else None,
                cpu_us=self._span(limits.get("cpu"), "cpu: 10 min"),
                wall_us=self._span(limits.get("wall"), "wall: 1 h"),
            )
        if "run" not in fields:
            budget.wrong(
                "It does not say what one run may cost.", "Add `run:` with `money`, `cpu` or `actions`."
            )

    def _money(self, value: Value | None) -> int | None:
        text = None if value is None else value.text("money: 2.00 EUR")
        if value is None or text is None:
            return None
        try:
            micro, currency = units.parse_money(text)
        except BadInput as error:
            self._mistakes.take(value.line, value.where, error)
            return None
        if self._currency and currency != self._currency:
            value.wrong(
                f"The amount is in {currency}, others are in {self._currency}.", "Use one currency in a job."
            )
        self._currency = self._currency or currency
        return micro

    def _span(self, value: Value | None, example: str) -> int | None:
        text = None if value is None else value.text(example)
        if value is None or text is None:
            return None
        try:
            return units.parse_duration(text)
        except BadInput as error:
            self._mistakes.take(value.line, value.where, error)
            return None

    def _read_grades(self, grades: Value) -> None:
        for name, value in grades.table("send: ask") or ():
            try:
                category = parse_category(name.lower().replace(" ", "_").replace("-", "_"))
                word = value.text("send: ask")
                if word is not None:
                    self._grades[category] = parse_grade(word.lower().replace(" ", "-").replace("_", "-"))
            except BadInput as error:
                self._mistakes.take(value.line, value.where, error)

    def _read_may(self, may: Value) -> None:
        for value in may.items():
            for word, targets in value.table("- read: receipts") or ():
                action = SHORT_WORDS.get(word.lower(), word.lower())
                if action not in ALLOWABLE:
                    guess = nearest(word, (*SHORT_WORDS, *ALLOWABLE))
                    choices = ", ".join(f"`{name}`" for name in (*SHORT_WORDS, *ALLOWABLE[2:]))
                    remedy = f"Did you mean `{guess}`?" if guess else f"Known: {choices}."
                    targets.wrong(f"{word!r} is not something that can be allowed.", remedy)
                    continue
                if targets.empty:
                    targets.wrong("It does not say what it may hit.", f"Write `{word}: NAME`.")
                for target in targets.items():
                    self._read_right(action, target)

    def _read_right(self, action: str, value: Value) -> None:
        text = value.text(f"{action}: NAME")
        if text is None:
            return
        try:
            self._may.append((right(action, text), value))
        except BadInput as error:
            self._mistakes.take(value.line, value.where, error)

    def _read_approvals(self, approvals: Value) -> None:
        if not _is_table(approvals):
            self._approvals = Approvals(self._four_eyes(approvals))
            return
        fields = approvals.fields(("by", "expire"), "by: confirm")
        expire = self._span(fields.get("expire"), "expire: 7 days")
        if expire == 0:
            fields["expire"].wrong(
                "A card that expires at once can never be approved.", "Write `expire: 7 days`."
            )
        self._approvals = Approvals(
            self._four_eyes(fields["by"]) if "by" in fields else False, expire or DEFAULT_EXPIRY_US
        )

    @staticmethod
    def _four_eyes(value: Value) -> bool:
        text = (value.text("by: confirm") or "confirm").lower().replace("_", " ").replace("-", " ")
        if text not in ("confirm", "four eyes"):
            value.wrong(
                f"{text!r} is not a way to approve.",
                "Write `confirm` (the owner) or `four eyes` (another human).",
            )
        return text == "four eyes"

    def _read_params(self, params: Value) -> None:
        if params.table("period: 2026-03") is not None:
            before = len(self._mistakes.found)
            value = params.json()
            if isinstance(value, dict) and len(self._mistakes.found) == before:
                self._params = value

    def _read_mail(self, mail: Value) -> None:
        fields = mail.fields(("host", "port", "from"), "host: mail.example.com")
        for key, example in (("host", "host: mail.example.com"), ("from", "from: freehold@example.com")):
            if key not in fields:
                mail.wrong(f"`{key}` is missing.", f"Add `{example}`.")
        host = fields["host"].text("host: mail.example.com") if "host" in fields else None
        port = fields["port"].number("port: 25") if "port" in fields else 25
        sender = fields["from"].text("from: freehold@example.com") if "from" in fields else None
        if port is not None and not 0 < port < 65_536:
            fields["port"].wrong(f"{port} is not a port.", "Write a number from 1 to 65535.")
        if sender is not None and (not _ADDRESS.fullmatch(sender) or "*" in sender):
            fields["from"].wrong(
                f"{sender!r} is not a mail address.", "Write one such as `freehold@example.com`."
            )
        if host and port and sender:
            self._mail = Mail(host, port, sender)


def _is_table(value: Value) -> bool:
    return isinstance(value.node, yaml.MappingNode)
