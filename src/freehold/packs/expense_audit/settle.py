"""Turns a reading into a receipt that checks can rely on: asks about what is doubtful, takes in people's
answers.
"""

from __future__ import annotations

import re

import msgspec

from freehold.packs.expense_audit.errors import ReceiptError
from freehold.packs.expense_audit.extract.amounts import ZERO_DECIMAL, format_minor, parse_minor
from freehold.packs.expense_audit.extract.dates import parse_date
from freehold.packs.expense_audit.values import Field, FieldName, ReceiptReading, Region

__all__ = ["Answer", "Doubt", "Question", "Receipt", "Unreadable", "questions", "settle", "show_value"]

_ASKED: tuple[FieldName, ...] = ("merchant", "date", "total", "currency")


class Question(msgspec.Struct, frozen=True):
    """What to ask a person about one doubtful field: in words, with what each reading saw, and where.

    `choices` are the readings as a person would write them, best first; `cut_out` names the picture to show.
    """

    source: str
    field: FieldName
    prompt: str
    why: str
    choices: tuple[str, ...]
    cut_out: str
    region: Region | None


class Answer(msgspec.Struct, frozen=True):
    """A value that a person gave for a field, as they wrote it, and who they are."""

    field: FieldName
    value: str
    by: str


class Doubt(msgspec.Struct, frozen=True):
    """A field that nobody has settled, and why it is doubtful."""

    field: FieldName
    why: str


class Receipt(msgspec.Struct, frozen=True):
    """A receipt whose values may be checked: date in ISO 8601, money in integer minor units, None where
    unknown.
    """

    source: str
    digest: str
    look: str
    merchant: str | None
    date: str | None
    total: int | None
    currency: str | None
    tax: int | None
    doubts: tuple[Doubt, ...] = ()
    answers: tuple[Answer, ...] = ()
    repairs: tuple[str, ...] = ()
    text: tuple[str, ...] = ()


class Unreadable(msgspec.Struct, frozen=True):
    """A file that could not be read, with the reason and the remedy in a sentence each."""

    source: str
    code: str
    message: str
    remedy: str


def show_value(field: FieldName, value: str | None, currency: str | None) -> str:
    """A normalised value as a person writes it."""
    if value is None:
        return "nothing"
    if field in ("total", "tax"):
        return format_minor(int(value), currency)
    return value


def questions(reading: ReceiptReading) -> list[Question]:
    """What has to be asked before the receipt can be checked; empty where everything was stated without
    doubt.
    """
    asked = []
    for field in reading.fields():
        if field.name not in _ASKED or field.stated:
            continue
        choices = list(dict.fromkeys(_choices(field, reading.currency.value)))
        prompt = f"What is the {field.name} on {reading.source}?"
        asked.append(
            Question(
                reading.source,
                field.name,
                prompt,
                field.doubt,
                tuple(choices),
                field.name if field.region else "page",
                field.region,
            )
        )
    return asked


def _choices(field: Field, currency: str | None) -> list[str]:
    values = [field.value, *(reading.value for reading in field.readings)]
    return [show_value(field.name, value, currency) for value in values if value is not None]


def settle(reading: ReceiptReading, answers: list[Answer]) -> Receipt:
    """Apply answers to a reading; ReceiptError where an answer is no value of its field. Later answers
    win.
    """
    given = {answer.field: answer for answer in answers}
    currency = given.get("currency")
    code = _code(currency) if currency else reading.currency.value
    values: dict[str, str | int | None] = {}
    for field in reading.fields():
        answer = given.get(field.name)
        if field.name == "currency":
            values["currency"] = code
        elif field.name in ("total", "tax"):
            values[field.name] = (
                _minor(answer, code) if answer else None if field.value is None else int(field.value)
            )
        elif field.name == "date":
            values["date"] = _day(answer) if answer else field.value
        else:
            values["merchant"] = answer.value.strip() if answer else field.value
    doubts = tuple(
        Doubt(field.name, field.doubt)
        for field in reading.fields()
        if field.name in _ASKED and not field.stated and field.value is not None and field.name not in given
    )
    return msgspec.convert(
        {
            "source": reading.source,
            "digest": reading.digest,
            "look": reading.look,
            **values,
            "doubts": msgspec.to_builtins(doubts),
            "answers": msgspec.to_builtins(tuple(given.values())),
            "repairs": tuple(repair.detail for repair in reading.repairs),
            "text": reading.text,
        },
        Receipt,
    )


def _code(answer: Answer) -> str:
    code = answer.value.strip().upper()
    if not re.fullmatch(r"[A-Z]{3}", code):
        raise ReceiptError(
            "answer.currency", f"'{answer.value}' is no currency code.", "Write three letters: EUR."
        )
    return code


def _minor(answer: Answer, code: str | None) -> int:
    minor = parse_minor(answer.value)
    if minor is None:
        raise ReceiptError("answer.amount", f"'{answer.value}' is no amount.", "Write it as 12.50.")
    return minor // 100 if code in ZERO_DECIMAL else minor


def _day(answer: Answer) -> str:
    day = parse_date(answer.value)
    if day is None:
        raise ReceiptError("answer.date", f"'{answer.value}' is no date.", "Write it as 2026-10-31.")
    return day.isoformat()
