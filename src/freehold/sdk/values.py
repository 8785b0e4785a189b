"""How a step's values become JSON and come back typed; used by the context and by whatever runs a step."""

from typing import Any, Final, Literal, TypeVar

import msgspec

from freehold.base import BadInput, canonical

T = TypeVar("T")
AnswerType = Literal["text", "number", "amount", "date", "choice"]

MAX_RESULT_BYTES: Final = (1 << 20) - 4096
"""What fits into one message beside its own fields."""


class Artifact(msgspec.Struct, frozen=True):
    """A kept, immutable result: what ``ctx.put_artifact`` returns and ``ctx.get_artifact`` takes."""

    id: str
    name: str = ""
    media_type: str = "application/octet-stream"
    size: int = 0


class SourceFile(msgspec.Struct, frozen=True):
    """One file of a source; ``path`` is relative to it, ``digest`` is SHA-256 in hex where it was taken.

    It is what ``ctx.source`` lists, and the ``item`` of a step that runs for ``each`` file of a source.
    """

    path: str
    size: int = 0
    digest: str = ""
    source: str = ""


class Reading(msgspec.Struct, frozen=True):
    """What one reader made of the evidence: who read, what, and how sure it was, in thousandths."""

    source: str
    value: str
    confidence_permille: int = 0


class Question(msgspec.Struct, frozen=True):
    """What a person is asked for.

    ``type`` is the answer's: ``text`` (answered as text), ``choice`` (one of ``choices``), ``date`` (YYYY-MM-DD),
    ``number`` (``{"micro": n}``, in millionths) or ``amount`` (``{"micro": n, "currency": c}``, in ``currency``).
    ``minimum`` and ``maximum`` are in millionths. ``evidence`` names artifacts to show beside it (a cut-out),
    ``readings`` are the values in doubt.
    """

    text: str
    type: AnswerType = "text"
    choices: list[str] = []
    currency: str = ""
    minimum: int | None = None
    maximum: int | None = None
    evidence: list[str] = []
    readings: list[Reading] = []


class Outcome(msgspec.Struct, frozen=True):
    """What became of an action: its ``value``, the ``blob`` that came with it, and its record's id.

    ``status`` is ``done``, or ``proposed`` when the job's grade for it is to propose only: then nothing was
    done and the proposal is the result.
    """

    status: str
    value: Any = None
    blob: bytes | None = None
    record: str = ""


def plain(value: object, what: str) -> Any:
    """Return ``value`` as plain JSON data; raises BadInput that begins with ``what`` outside the subset.

    Structs, dataclasses, dates, tuples and sets are turned into JSON; floats are refused.
    """
    try:
        data = msgspec.to_builtins(value, order="deterministic")
        canonical.check(data)
    except BadInput as error:
        raise BadInput(f"{what}: {error.message}", remedy=error.remedy) from error
    except (TypeError, ValueError, RecursionError) as error:
        raise BadInput(f"{what} cannot be written as JSON: {error}.") from error
    return data


def to_raw(value: object, what: str) -> msgspec.Raw:
    """Return ``value`` as the bytes of its JSON; raises BadInput outside the subset or over the bound."""
    encoded = canonical.encode_trusted(plain(value, what))
    if len(encoded) > MAX_RESULT_BYTES:
        raise BadInput(
            f"{what} has {len(encoded):,} bytes; {MAX_RESULT_BYTES:,} is the most that one message holds.",
            remedy="Keep it with ctx.put_artifact and return the artifact instead.",
            code="input.too-large",
        )
    return msgspec.Raw(encoded)


def from_raw(raw: bytes | msgspec.Raw, expected: type[T] | Any, what: str) -> T:
    """Return the value in ``raw`` as ``expected``; raises BadInput that begins with ``what``."""
    try:
        value: T = msgspec.json.decode(raw, type=expected)
    except (ValueError, TypeError, RecursionError) as error:
        raise BadInput(f"{what} is not what was declared: {str(error)[:200]}.") from error
    return value
