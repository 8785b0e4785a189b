"""Turns what the audit wants to know into a question card, and what a person said into a value of a field."""

from __future__ import annotations

from typing import Any, Final

from freehold.packs.expense_audit.settle import Answer, Question, show_value
from freehold.packs.expense_audit.values import Field, FieldName, ReceiptReading
from freehold.sdk import Question as Card
from freehold.sdk import Reading, StepFailed

__all__ = ["answer_of", "card_of"]

_CURRENCIES: Final = ("EUR", "USD", "GBP", "CHF", "SEK", "NOK", "DKK", "PLN", "CZK", "JPY", "CNY", "MYR")
_MICRO_A_CENT: Final = 10_000


def card_of(question: Question, reading: ReceiptReading, evidence: str) -> Card:
    """Return the card that asks ``question``; ``evidence`` is the artifact of the cut-out, or empty."""
    field = next(one for one in reading.fields() if one.name == question.field)
    code = reading.currency.value if reading.currency.stated else None
    shared: dict[str, Any] = {
        "text": f"{question.prompt} ({question.why})" if question.why else question.prompt,
        "evidence": [evidence] if evidence else [],
        "readings": _readings(field, code),
    }
    if question.field in ("total", "tax"):
        if code is None:
            return Card(type="number", minimum=0, **shared)
        return Card(type="amount", currency=code, minimum=0, **shared)
    if question.field == "date":
        return Card(type="date", **shared)
    if question.field == "currency":
        seen = [choice for choice in question.choices if len(choice) == 3]
        return Card(type="choice", choices=list(dict.fromkeys([*seen, *_CURRENCIES])), **shared)
    return Card(type="text", **shared)


def _readings(field: Field, code: str | None) -> list[Reading]:
    return [
        Reading(
            f"{one.source} look", _shown(field.name, one.value, one.text, code), round(one.confidence * 1000)
        )
        for one in field.readings
    ]


def _shown(name: FieldName, value: str | None, text: str, code: str | None) -> str:
    return text if value is None else show_value(name, value, code)


def answer_of(field: FieldName, said: Any, by: str) -> Answer:
    """Return an answer as the audit takes it; raises StepFailed for an amount finer than a cent."""
    if not isinstance(said, dict):
        return Answer(field, str(said), by)
    cents, rest = divmod(int(said["micro"]), _MICRO_A_CENT)
    if rest:
        raise StepFailed(f"The answer for the {field} is finer than a cent.")
    return Answer(field, f"{cents // 100}.{cents % 100:02d}", by)
