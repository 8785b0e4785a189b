"""Questions that a run asks a person, and what counts as an answer. For the gate and the cards."""

import datetime
import re
from typing import Any, Final, Literal

import msgspec

from freehold.base import BadInput, Json
from freehold.base.canonical import MAX_INT

AnswerType = Literal["text", "number", "amount", "date", "choice"]
LONGEST_ANSWER: Final = 10_000
_NUMBER: Final = re.compile(r"(-?)(\d{1,15})(?:([.,])(\d{1,6}))?")
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")


class Reading(msgspec.Struct, frozen=True):
    """What one reader made of the evidence: who read, what, and how sure it was, in thousandths."""

    source: str
    value: str
    confidence_permille: int = 0


class Question(msgspec.Struct, frozen=True):
    """A value asked for. ``evidence`` are artifact ids; ``minimum`` and ``maximum`` are in millionths.

    An answer of type ``number`` is ``{"micro": n}``, of ``amount`` ``{"micro": n, "currency": c}``, of
    ``date`` text as YYYY-MM-DD, of ``choice`` one of ``choices``, of ``text`` text.
    """

    text: str
    type: AnswerType
    choices: tuple[str, ...] = ()
    currency: str = ""
    minimum: int | None = None
    maximum: int | None = None
    evidence: tuple[str, ...] = ()
    readings: tuple[Reading, ...] = ()

    def plain(self) -> dict[str, Any]:
        """Return the question as JSON."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain


def read_question(data: Json) -> Question:
    """Return the question that a runner sent; raises BadInput when it is none."""
    try:
        question = msgspec.convert(data, Question)
    except msgspec.ValidationError as error:
        raise BadInput(f"The question is malformed: {error}.", remedy="See the SDK's `Question`.") from error
    if not question.text.strip():
        raise BadInput("The question has no text.", remedy="Say what is asked.")
    if (question.type == "choice") != (len(question.choices) > 1):
        raise BadInput(
            "A choice needs two choices or more, and nothing else has any.", remedy="Change `choices`."
        )
    return question


def read_answer(question: Question, said: Json) -> Json:
    """Return the answer as a value of the question's type; raises BadInput saying what is expected."""
    text = said.strip() if isinstance(said, str) else said
    if text is None or text == "":
        raise BadInput("The answer is empty.", remedy=_expected(question))
    if question.type == "text":
        if not isinstance(text, str) or len(text) > LONGEST_ANSWER:
            raise _wrong(question, said)
        return text
    if question.type == "choice":
        return _choice(question, text)
    if question.type == "date":
        return _date(question, text)
    return _number(question, text)


def _choice(question: Question, said: Json) -> str:
    if isinstance(said, str):
        fits = [choice for choice in question.choices if choice == said]
        fits = fits or [choice for choice in question.choices if choice.casefold() == said.casefold()]
        if len(fits) == 1:
            return fits[0]
    raise _wrong(question, said)


def _date(question: Question, said: Json) -> str:
    if isinstance(said, str) and _DATE.fullmatch(said):
        try:
            return datetime.date.fromisoformat(said).isoformat()
        except ValueError as error:
            raise _wrong(question, said) from error
    raise _wrong(question, said)


def _number(question: Question, said: Json) -> Json:
    currency = question.currency
    if isinstance(said, dict):
        micro, currency = said.get("micro"), str(said.get("currency", currency))
    else:
        number, _, unit = str(said).partition(" ")
        currency = unit.strip().upper() or currency
        micro = _micro(question, number)
    if not isinstance(micro, int) or isinstance(micro, bool) or abs(micro) > MAX_INT:
        raise _wrong(question, said)
    low, high = question.minimum, question.maximum
    if (
        currency != question.currency
        or (low is not None and micro < low)
        or (high is not None and micro > high)
    ):
        raise _wrong(question, said)
    return {"micro": micro, "currency": currency} if question.type == "amount" else {"micro": micro}


def _micro(question: Question, number: str) -> int:
    found = _NUMBER.fullmatch(number)
    if found is None:
        raise _wrong(question, number)
    sign, whole, mark, rest = found[1], found[2], found[3], found[4] or ""
    if mark == "," and len(rest) == 3:
        raise BadInput(
            f"{number} could mean two numbers.", remedy="Write it with a point, or without the comma."
        )
    value = int(whole) * 1_000_000 + int(rest.ljust(6, "0"))
    return -value if sign else value


def _wrong(question: Question, said: Json) -> BadInput:
    shown = said if isinstance(said, str) else str(said)
    return BadInput(f"“{shown[:80]}” is not an answer to this question.", remedy=_expected(question))


def _expected(question: Question) -> str:
    bounds = ""
    if question.minimum is not None or question.maximum is not None:
        low, high = (
            "…" if bound is None else f"{bound / 1_000_000:g}"
            for bound in (question.minimum, question.maximum)
        )
        bounds = f" between {low} and {high}"
    return {
        "text": f"Write up to {LONGEST_ANSWER:,} characters.",
        "number": f"Write a number such as 12.5{bounds}.",
        "amount": f"Write an amount such as 12.50{bounds}, in {question.currency or 'no currency'}.",
        "date": "Write a date as YYYY-MM-DD.",
        "choice": f"Choose one of: {', '.join(question.choices)}.",
    }[question.type]
