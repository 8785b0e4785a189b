"""Checks settled receipts against a policy; every finding names the receipts and the rule that it comes
from.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Iterator
from typing import Literal

import msgspec

from freehold.packs.expense_audit.extract.amounts import format_minor
from freehold.packs.expense_audit.extract.merchant import same_name
from freehold.packs.expense_audit.policy import Limit, Policy, RuleId, Verdict
from freehold.packs.expense_audit.settle import Receipt, Unreadable

__all__ = ["Finding", "Severity", "category_of", "check"]

Severity = Literal["refuse", "ask", "note"]
_NEAR_BITS = 3
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


class Finding(msgspec.Struct, frozen=True):
    """One thing that the policy objects to.

    `rule` and `cite` name the rule, `sources` the receipts by file name, the one at fault first;
    `field` is the cut-out that shows it ("page" for the whole), `minor` and `currency` the money at
    stake, if any.
    """

    rule: RuleId
    cite: str
    severity: Severity
    sources: tuple[str, ...]
    message: str
    field: str = "page"
    minor: int | None = None
    currency: str | None = None


def check(receipts: list[Receipt], unreadable: list[Unreadable], policy: Policy) -> list[Finding]:
    """All findings, worst first within the order of the receipts; a rule absent from the policy finds
    nothing.
    """
    findings: list[Finding] = []
    for failed in unreadable:
        findings += _make(
            policy, "readable", policy.unreadable, (failed.source,), f"{failed.message} {failed.remedy}"
        )
    for receipt in receipts:
        findings += _missing(receipt, policy)
        findings += _period(receipt, policy)
        findings += _currency(receipt, policy)
        findings += _limit(receipt, policy)
        findings += _weekend(receipt, policy)
        findings += _human(receipt, policy)
    findings += _duplicates(receipts, policy)
    place = {receipt.source: index for index, receipt in enumerate(receipts)}
    rank = {"refuse": 0, "ask": 1, "note": 2}
    return sorted(findings, key=lambda item: (rank[item.severity], place.get(item.sources[0], -1)))


def category_of(receipt: Receipt, policy: Policy) -> Limit | None:
    """The first category of which a word stands in the merchant's name, else in the text; then "*"; None
    without.
    """
    for text in ((receipt.merchant or "").lower(), "\n".join(receipt.text).lower()):
        for limit in policy.limits:
            if any(word != "*" and re.search(rf"\b{re.escape(word)}", text) for word in limit.words):
                return limit
    return next((limit for limit in policy.limits if "*" in limit.words), None)


def _make(
    policy: Policy,
    rule: RuleId,
    verdict: Verdict,
    sources: tuple[str, ...],
    message: str,
    field: str = "page",
    money: tuple[int | None, str | None] = (None, None),
) -> Iterator[Finding]:
    if rule in policy.rules and verdict != "allow":
        yield Finding(rule, policy.rules[rule].cite, verdict, sources, message, field, *money)


def _money(receipt: Receipt) -> tuple[int | None, str | None]:
    return receipt.total, receipt.currency


def _missing(receipt: Receipt, policy: Policy) -> Iterator[Finding]:
    for name in policy.required:
        if getattr(receipt, name) is None:
            yield from _make(policy, "missing", "refuse", (receipt.source,), f"The receipt shows no {name}.")


def _period(receipt: Receipt, policy: Policy) -> Iterator[Finding]:
    first, last = policy.first_day, policy.last_day
    if receipt.date is None or first is None or last is None or first <= receipt.date <= last:
        return
    message = f"{receipt.date} is outside the period {first} to {last}."
    yield from _make(policy, "period", "refuse", (receipt.source,), message, "date", _money(receipt))


def _currency(receipt: Receipt, policy: Policy) -> Iterator[Finding]:
    if policy.currencies and receipt.currency is not None and receipt.currency not in policy.currencies:
        message = f"Paid in {receipt.currency}; allowed is {', '.join(policy.currencies)}."
        yield from _make(policy, "currency", "ask", (receipt.source,), message, "total", _money(receipt))


def _limit(receipt: Receipt, policy: Policy) -> Iterator[Finding]:
    limit = category_of(receipt, policy)
    if limit is None or receipt.total is None or receipt.total <= limit.minor:
        return
    if receipt.currency is not None and receipt.currency != limit.currency:
        return
    message = (
        f"{format_minor(receipt.total, receipt.currency)} for {limit.category.lower()} is "
        f"{format_minor(receipt.total - limit.minor, limit.currency)} over the limit of "
        f"{format_minor(limit.minor, limit.currency)}."
    )
    yield from _make(policy, "limits", "refuse", (receipt.source,), message, "total", _money(receipt))


def _weekend(receipt: Receipt, policy: Policy) -> Iterator[Finding]:
    if receipt.date is None:
        return
    weekday = datetime.date.fromisoformat(receipt.date).weekday()
    if weekday >= 5:
        message = f"{receipt.date} was a {_WEEKDAYS[weekday]}."
        yield from _make(
            policy, "weekends", policy.weekends, (receipt.source,), message, "date", _money(receipt)
        )


def _human(receipt: Receipt, policy: Policy) -> Iterator[Finding]:
    start = policy.human_from_minor
    comparable = receipt.currency in (None, policy.human_currency)
    if comparable and start is not None and receipt.total is not None and receipt.total >= start:
        message = (
            f"{format_minor(receipt.total, receipt.currency)} reaches "
            f"{format_minor(start, policy.human_currency)}, from which a human must look."
        )
        yield from _make(policy, "human", "ask", (receipt.source,), message, "total", _money(receipt))
    for doubt in receipt.doubts:
        message = f"The {doubt.field} is doubtful: {doubt.why}."
        yield from _make(
            policy, "human", policy.doubtful, (receipt.source,), message, doubt.field, _money(receipt)
        )
    for answer in receipt.answers:
        message = f"The {answer.field} was doubtful and was given as {answer.value} by {answer.by}."
        if "human" in policy.rules:
            yield Finding(
                "human", policy.rules["human"].cite, "note", (receipt.source,), message, answer.field
            )


def _duplicates(receipts: list[Receipt], policy: Policy) -> Iterator[Finding]:
    for index, receipt in enumerate(receipts):
        for earlier in receipts[:index]:
            both = (receipt.source, earlier.source)
            if _same_picture(receipt, earlier) and _agree(receipt, earlier):
                message, field, verdict = (
                    f"The picture is that of {earlier.source}.",
                    "page",
                    policy.same_picture,
                )
            elif _same_purchase(receipt, earlier):
                message = f"Merchant, date and total are those of {earlier.source}."
                field, verdict = "total", policy.same_purchase
            else:
                continue
            yield from _make(policy, "duplicates", verdict, both, message, field, _money(receipt))
            break


def _same_picture(a: Receipt, b: Receipt) -> bool:
    return a.digest == b.digest or (int(a.look, 16) ^ int(b.look, 16)).bit_count() <= _NEAR_BITS


def _agree(a: Receipt, b: Receipt) -> bool:
    """Pictures may look alike (a shop's form); then what was read must not contradict it."""
    return a.digest == b.digest or _all_equal(((a.total, b.total), (a.date, b.date)))


def _same_purchase(a: Receipt, b: Receipt) -> bool:
    if None in (a.total, a.date, a.merchant, b.total, b.date, b.merchant):
        return False
    if not _all_equal(((a.total, b.total), (a.date, b.date), (a.currency, b.currency))):
        return False
    return same_name(a.merchant or "", b.merchant or "") or _near_name(a.merchant or "", b.merchant or "")


def _all_equal(pairs: Iterable[tuple[object, object]]) -> bool:
    return all(left is not None and left == right for left, right in pairs)


def _near_name(a: str, b: str) -> bool:
    """One or two misread letters in a name of eight or more are the same shop on the same day for the same
    sum.
    """
    import difflib

    left, right = re.sub(r"\W", "", a.upper()), re.sub(r"\W", "", b.upper())
    return min(len(left), len(right)) >= 8 and difflib.SequenceMatcher(None, left, right).ratio() >= 0.85
