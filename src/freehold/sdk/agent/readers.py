"""Model calls without tools: a reader takes one narrow value out of a text, a writer makes a text of others.

A reader is shown text of anybody and can only answer with a whole number, a date, one of a closed set or a short name.
What it answers is checked here, so that a wrong answer is told back, and again by whoever relies on it.
"""

import datetime
import re
from typing import Any, Final, Literal

import msgspec

from freehold.base import Refused
from freehold.sdk.agent.caps import Stopped
from freehold.sdk.agent.fence import RULES, between
from freehold.sdk.agent.loop import Voice, call_model
from freehold.sdk.context import Context
from freehold.sdk.errors import ActionFailed, StepFailed
from freehold.wire.doing import READ_TRIES

MAX_NUMBER: Final = 10**12
MAX_NAME: Final = 64
_SHORT_NAME: Final = re.compile(r"[^\W_][\w .,'&+-]{0,63}")
_ANSWERS: Final = {
    "number": "a whole number", "date": "a date as YYYY-MM-DD", "choice": "one of the choices", "name": "a short name",
}  # fmt: skip

Kind = Literal["number", "date", "choice", "name"]


class Reader(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is to be read out of a text. ``minimum`` and ``maximum`` bound a number, ``choices`` is the closed set."""

    kind: Kind
    question: str
    choices: list[str] = []
    minimum: int = -MAX_NUMBER
    maximum: int = MAX_NUMBER

    def check(self, value: Any) -> str:
        """Return what is wrong with an answer; nothing where it is of the kind."""
        if self.kind == "number":
            fits = type(value) is int and self.minimum <= value <= self.maximum
            return "" if fits else f"it is no whole number from {self.minimum:,} to {self.maximum:,}"
        if type(value) is not str:
            return "it is no text"
        if self.kind == "date":
            return "" if _is_date(value) else "it is no date written YYYY-MM-DD"
        if self.kind == "choice":
            return "" if value in self.choices else f"it is none of: {', '.join(self.choices)}"
        return (
            ""
            if _SHORT_NAME.fullmatch(value)
            else f"it is no short name of at most {MAX_NAME} letters, digits and blanks"
        )

    def schema(self) -> str:
        """Return the JSON Schema of the answer, as text."""
        value: dict[str, Any] = {"type": "string", "maxLength": MAX_NAME}
        if self.kind == "number":
            value = {"type": "integer", "minimum": self.minimum, "maximum": self.maximum}
        elif self.kind == "choice":
            value = {"type": "string", "enum": self.choices}
        whole = {
            "type": "object", "properties": {"value": {"anyOf": [value, {"type": "null"}]}}, "required": ["value"],
            "additionalProperties": False,
        }  # fmt: skip
        return msgspec.json.encode(whole, order="sorted").decode()


async def read_value(ctx: Context, voice: Voice, reader: Reader, text: str, source: str) -> Any:
    """Return the value that ``reader`` asks for, read out of ``text`` by a model without tools.

    None stands for a text that does not say it. Raises StepFailed where the model gives no such value.
    """
    asked = f'{reader.question}\nAnswer with JSON: {{"value": …}}, where the value is {_ANSWERS[reader.kind]}'
    asked += f" ({', '.join(reader.choices)})" if reader.kind == "choice" else ""
    asked += ", or null where the text does not say it."
    messages = [
        {"role": "system", "content": f"You read one value out of a text. {RULES}"},
        {"role": "user", "content": f"{asked}\n\n{between(source, 'anybody', '', text, _fits(voice))}"},
    ]
    wrong = ""
    for _ in range(READ_TRIES):
        said = await _said(ctx, voice, messages, reader.schema())
        value, wrong = _answer(said)
        wrong = wrong or ("" if value is None else reader.check(value))
        if not wrong:
            return value
        messages += [
            {"role": "assistant", "content": said[:1_000]},
            {"role": "user", "content": f"This cannot be used: {wrong}. Answer with the JSON alone."},
        ]
    raise StepFailed(
        f"The reader of {source} gave no {reader.kind}: {wrong}.", remedy="Look at the text yourself."
    )


async def compose(ctx: Context, voice: Voice, instruction: str, texts: dict[str, str]) -> str:
    """Return a text that a model without tools makes of others; what it is worth is what they are worth."""
    shown = "\n\n".join(
        between(name, "anybody", "", text, _fits(voice) // max(1, len(texts))) for name, text in texts.items()
    )
    messages = [
        {"role": "system", "content": f"You write one text and nothing around it. {RULES}"},
        {"role": "user", "content": f"{instruction}\n\n{shown}".strip()},
    ]
    said = (await _said(ctx, voice, messages, "")).strip()
    if not said:
        raise StepFailed("The model wrote nothing.", remedy="Try again, or another model.")
    return said


async def _said(ctx: Context, voice: Voice, messages: list[dict[str, Any]], schema: str) -> str:
    try:
        found = await call_model(ctx, voice, messages, [], output_schema=schema)
    except Refused as error:
        raise Stopped(
            f"The model could not be asked: {error.message}", remedy=error.remedy, code=error.code
        ) from error
    except ActionFailed as error:
        raise StepFailed(
            f"The model could not be asked: {error.message}", remedy=error.remedy, retry=True
        ) from error
    return str(found.get("text", ""))


def _answer(said: str) -> tuple[Any, str]:
    """Return the value in a reply, and what is wrong with it; a fence around the JSON is overlooked."""
    text = said.strip().removeprefix("```json").removeprefix("```").removesuffix("```").strip()
    try:
        found = msgspec.json.decode(text.encode())
    except (msgspec.DecodeError, UnicodeEncodeError):
        return None, "it is not JSON"
    if not isinstance(found, dict) or set(found) != {"value"}:
        return None, 'it is not of the form {"value": …}'
    return found["value"], ""


def _is_date(text: str) -> bool:
    try:
        return datetime.date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _fits(voice: Voice) -> int:
    return max(2_000, (voice.context_tokens * 3 // 4 - voice.max_tokens) * 3 - 2_000)
