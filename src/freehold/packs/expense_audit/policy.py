"""Reads a company's expense policy from a Markdown file that a manager can edit, and names each mistake's
line.

Prose is for people. What the audit reads are `- Key: value` lines and the table under headings it
knows; a heading it does not know is a mistake rather than a silence, unless it begins with "Note".
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from importlib import resources
from typing import Literal

import msgspec

from freehold.packs.expense_audit.errors import PolicyError
from freehold.packs.expense_audit.extract.amounts import parse_minor
from freehold.packs.expense_audit.values import FIELD_NAMES

__all__ = ["Limit", "Policy", "Rule", "RuleId", "parse_policy", "sample_policy"]

RuleId = Literal[
    "period", "currency", "limits", "weekends", "duplicates", "missing", "human", "readable"
]  # fmt: skip
Verdict = Literal["allow", "ask", "refuse"]

_HEADINGS: dict[str, RuleId] = {
    "period": "period",
    "currency": "currency",
    "currencies": "currency",
    "limits": "limits",
    "limits per category": "limits",
    "weekends": "weekends",
    "duplicates": "duplicates",
    "missing fields": "missing",
    "a human must look": "human",
    "readable receipts": "readable",
}
_VERDICTS: tuple[Verdict, ...] = ("allow", "ask", "refuse")


class Rule(msgspec.Struct, frozen=True):
    """A rule as it stands in the policy: `cite` is how a finding names it, `line` where it begins."""

    id: RuleId
    cite: str
    line: int


class Limit(msgspec.Struct, frozen=True):
    """The most one receipt of a category may come to, in minor units; words are lower case, "*" matches
    anything.
    """

    category: str
    words: tuple[str, ...]
    minor: int
    currency: str


class Policy(msgspec.Struct, frozen=True):
    """A company's policy; a rule that is absent from `rules` is not checked. Dates are ISO 8601, money
    minor units.
    """

    title: str
    rules: dict[RuleId, Rule]
    first_day: str | None = None
    last_day: str | None = None
    currencies: tuple[str, ...] = ()
    limits: tuple[Limit, ...] = ()
    weekends: Verdict = "allow"
    same_purchase: Verdict = "refuse"
    same_picture: Verdict = "refuse"
    required: tuple[str, ...] = ()
    human_from_minor: int | None = None
    human_currency: str = ""
    doubtful: Verdict = "ask"
    unreadable: Verdict = "refuse"


class _Section(msgspec.Struct):
    rule: Rule
    items: dict[str, tuple[str, int]]
    table: list[tuple[list[str], int]]


def sample_policy() -> str:
    """The policy that ships with the pack, as Markdown."""
    return resources.files(__package__).joinpath("starter/policy.md").read_text(encoding="utf-8")


def parse_policy(text: str, name: str = "the policy") -> Policy:
    """Parse a policy; PolicyError names the file, the line, what is wrong there and what would be right."""
    title, sections = _sections(text, name)
    if not sections:
        raise PolicyError(
            "policy.empty",
            f"{name} holds no rule.",
            f"Add a heading such as '## 1. Period'; known are: {_known()}.",
        )
    values: dict[str, object] = {}
    for section in sections.values():
        values |= _READERS[section.rule.id](section, name)
        if section.items:
            key, (_, line) = next(iter(section.items.items()))
            raise _mistake(
                name, line, f"the rule '{section.rule.cite}' has no setting '{key}'", "Remove the line."
            )
    rules = {rule_id: section.rule for rule_id, section in sections.items()}
    return msgspec.convert({"title": title, "rules": msgspec.to_builtins(rules), **values}, Policy)


def _mistake(name: str, line: int, what: str, remedy: str) -> PolicyError:
    return PolicyError("policy.mistake", f"{name}, line {line}: {what}.", remedy)


def _known() -> str:
    return ", ".join(heading.capitalize() for heading in _HEADINGS)


def _sections(text: str, name: str) -> tuple[str, dict[RuleId, _Section]]:
    title = ""
    sections: dict[RuleId, _Section] = {}
    current: _Section | None = None
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip()
        heading = re.fullmatch(r"(#{1,6})\s+(.*?)\s*#*", line)
        if heading and len(heading[1]) == 1:
            title = title or heading[2]
        elif heading:
            current = _open(heading[2], number, sections, name)
        elif current is not None and re.match(r"[-*+]\s", line):
            key, colon, value = line[1:].strip().partition(":")
            if not colon or not value.strip():
                raise _mistake(
                    name,
                    number,
                    f"'{line}' is no setting",
                    "Write '- Name: value', or plain prose without the dash.",
                )
            if key.strip().lower() in current.items:
                raise _mistake(name, number, f"'{key.strip()}' is said twice", "Remove one of the two lines.")
            current.items[key.strip().lower()] = (value.strip(), number)
        elif current is not None and line.startswith("|"):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            if not all(re.fullmatch(r":?-{2,}:?", cell) for cell in cells):
                current.table.append((cells, number))
    return title or "Expense policy", sections


def _open(heading: str, number: int, sections: dict[RuleId, _Section], name: str) -> _Section | None:
    plain = re.sub(r"^(?:§\s*)?\d+[.)]?\s*", "", heading).strip()
    if plain.lower().startswith("note"):
        return None
    rule_id = _HEADINGS.get(plain.lower())
    if rule_id is None:
        raise _mistake(
            name,
            number,
            f"'{plain}' is no rule that this audit knows",
            f"Use one of: {_known()}; or begin it with 'Note'.",
        )
    if rule_id in sections:
        raise _mistake(name, number, f"the rule '{plain}' stands twice", "Join the two.")
    digits = re.match(r"(?:§\s*)?(\d+)", heading)
    cite = f"§ {digits[1] if digits else len(sections) + 1} {plain}"
    sections[rule_id] = _Section(Rule(rule_id, cite, number), {}, [])
    return sections[rule_id]


def _take(section: _Section, key: str, name: str, *, needed: bool = True) -> tuple[str, int] | None:
    entry = section.items.pop(key, None)
    if entry is None and needed:
        raise _mistake(
            name,
            section.rule.line,
            f"the rule '{section.rule.cite}' says nothing about '{key}'",
            f"Add '- {key.capitalize()}: …'.",
        )
    return entry


def _day(entry: tuple[str, int], name: str) -> str:
    try:
        return datetime.date.fromisoformat(entry[0]).isoformat()
    except ValueError:
        raise _mistake(name, entry[1], f"'{entry[0]}' is no date", "Write it as 2026-10-31.") from None


def _money(entry: tuple[str, int], name: str) -> tuple[int, str]:
    match = re.fullmatch(r"([\d.,' ]+?)\s*([A-Z]{3})", entry[0])
    minor = parse_minor(match[1]) if match else None
    if match is None or minor is None:
        raise _mistake(name, entry[1], f"'{entry[0]}' is no amount with a currency", "Write it as 60.00 EUR.")
    return minor, match[2]


def _verdict(entry: tuple[str, int], name: str) -> str:
    word = entry[0].lower().rstrip(".")
    if word not in _VERDICTS:
        raise _mistake(name, entry[1], f"'{entry[0]}' is no decision", "Write allow, ask or refuse.")
    return word


def _period(section: _Section, name: str) -> dict[str, object]:
    first, last = _take(section, "from", name), _take(section, "to", name)
    if first is None or last is None:
        return {}
    first_day, last_day = _day(first, name), _day(last, name)
    if first_day > last_day:
        raise _mistake(name, last[1], "the period ends before it begins", "Swap the two dates or mend one.")
    return {"first_day": first_day, "last_day": last_day}


def _currency(section: _Section, name: str) -> dict[str, object]:
    entry = _take(section, "allowed", name)
    codes = [code.strip() for code in (entry or ("", 0))[0].split(",")]
    for code in codes:
        if not re.fullmatch(r"[A-Z]{3}", code):
            line = entry[1] if entry else section.rule.line
            raise _mistake(
                name, line, f"'{code}' is no currency code", "Write codes of three letters: EUR, USD."
            )
    return {"currencies": codes}


def _limits(section: _Section, name: str) -> dict[str, object]:
    if len(section.table) < 2:
        raise _mistake(
            name,
            section.rule.line,
            "the limits need a table",
            "Write | Category | Words | Limit | and a row each.",
        )
    header, line = section.table[0]
    if [cell.lower() for cell in header] != ["category", "words", "limit"]:
        raise _mistake(
            name, line, "the table's columns must be Category, Words, Limit", "Mend its first row."
        )
    limits = []
    for cells, number in section.table[1:]:
        if len(cells) != 3 or not all(cells):
            raise _mistake(
                name,
                number,
                "a row of the table needs three filled columns",
                "Fill in category, words and limit.",
            )
        minor, currency = _money((cells[2], number), name)
        words = [word.strip().lower() for word in cells[1].split(",") if word.strip()]
        limits.append({"category": cells[0], "words": words, "minor": minor, "currency": currency})
    return {"limits": limits}


def _weekends(section: _Section, name: str) -> dict[str, object]:
    entry = _take(section, "saturday and sunday", name)
    return {"weekends": _verdict(entry, name)} if entry else {}


def _duplicates(section: _Section, name: str) -> dict[str, object]:
    purchase = _take(section, "same merchant, date and total", name)
    picture = _take(section, "same picture", name, needed=False)
    values: dict[str, object] = {"same_purchase": _verdict(purchase, name)} if purchase else {}
    return values | ({"same_picture": _verdict(picture, name)} if picture else {})


def _missing(section: _Section, name: str) -> dict[str, object]:
    entry = _take(section, "required", name)
    names = [field.strip().lower() for field in (entry or ("", 0))[0].split(",")]
    for field in names:
        if field not in FIELD_NAMES:
            line = entry[1] if entry else section.rule.line
            raise _mistake(
                name, line, f"'{field}' is no field of a receipt", f"Use: {', '.join(FIELD_NAMES)}."
            )
    return {"required": names}


def _human(section: _Section, name: str) -> dict[str, object]:
    start = _take(section, "from", name)
    doubtful = _take(section, "doubtful values", name, needed=False)
    values: dict[str, object] = {}
    if start is not None:
        values["human_from_minor"], values["human_currency"] = _money(start, name)
    return values | ({"doubtful": _verdict(doubtful, name)} if doubtful else {})


def _readable(section: _Section, name: str) -> dict[str, object]:
    entry = _take(section, "unreadable", name)
    return {"unreadable": _verdict(entry, name)} if entry else {}


_READERS: dict[RuleId, Callable[[_Section, str], dict[str, object]]] = {
    "period": _period,
    "currency": _currency,
    "limits": _limits,
    "weekends": _weekends,
    "duplicates": _duplicates,
    "missing": _missing,
    "human": _human,
    "readable": _readable,
}
